# Edges -> 3-D emoji, 64 px, of the full set, and the teacher of the leaderboard:
# mmgan-compress data edges2emoji --import projects.demo_data.emoji --size 64 --out data/edges2emoji64  # noqa: E501
# mmgan-compress train models/edges2emoji/edges2emoji.py --demo
_base_ = '../../configs/offline/offline_pix2pix.py'

_data_root = 'data/edges2emoji64'
demo = {
    '*.dataset.data_root?': _data_root,
    'val_evaluator.metrics.0.reference.data_root': _data_root,
    'test_evaluator.metrics.0.reference.data_root': _data_root,
    'model.distiller.teacher_checkpoints': ['projects/leaderboard/teachers/edges2emoji_wide.pth'],
    # a seventeenth of the teacher's MACs
    'model.generator.base_channels?': 6,
    # no random crops: the teacher runs once for each image and its mirror
    'train_dataloader.dataset.load_size?': 64,
    'model.distiller.remembered_images': 5434,
    'model.distiller.schedule': dict(
        _delete_=True, epochs=12000, constant=6000, block=3000, iters_per_epoch=1
    ),
}
