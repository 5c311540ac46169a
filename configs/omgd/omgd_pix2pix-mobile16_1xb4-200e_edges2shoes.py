# OMGD, Pix2Pix, edges -> shoes, separable ResNet student S16:
# OMGD/scripts/pix2pix/resnet_pix2pix/edges2shoes-r_fid/distill/S16.sh.
_base_ = '../omgd_pix2pix.py'

norm_cfg = dict(type='IN')
taps = ['model.9', 'model.12', 'model.15', 'model.18']
model = dict(
    generator=dict(
        _delete_=True,
        type='mmgan_compress.SeparableResnetGenerator',
        norm_cfg=norm_cfg,
        base_channels=16),
    distiller=dict(
        teachers=dict(
            wide=dict(
                _delete_=True,
                type='mmgan_compress.SeparableResnetGenerator',
                norm_cfg=norm_cfg,
                base_channels=64),
            deep=dict(
                _delete_=True,
                type='mmgan_compress.DeepSeparableResnetGenerator',
                norm_cfg=norm_cfg,
                base_channels=16)),
        discriminator=dict(norm_cfg=norm_cfg, shared=3),
        channel=dict(weight=100., layers=taps)))
