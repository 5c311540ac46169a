# Flat -> 3-D emoji, 64 px: the demo's student, on the full set instead of 90 images:
# mmgan-compress data flat2emoji --import projects.demo_data.emoji --size 64 --out data/flat2emoji64
# mmgan-compress train models/flat2emoji/flat2emoji.py --demo
_base_ = '../../configs/offline/offline_cyclegan.py'

_data_root = 'data/flat2emoji64'
demo = {
    '*.dataset.data_root?': _data_root,
    'val_evaluator.metrics.0.reference.data_root': _data_root,
    'test_evaluator.metrics.0.reference.data_root': _data_root,
    # of 31,356: half a gigabyte
    'model.distiller.remembered_images': 10000,
    'model.distiller.schedule': dict(
        _delete_=True, epochs=12000, constant=6000, block=3000, iters_per_epoch=1
    ),
}
