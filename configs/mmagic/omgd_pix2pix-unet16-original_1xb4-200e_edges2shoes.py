# OMGD, offline: a generator of pytorch-CycleGAN-and-pix2pix teaches, from the
# file that `convert` made of its latest_net_G.pth.
_base_ = 'omgd_pix2pix-unet16-mmagic_1xb4-200e_edges2shoes.py'

init_cfg = dict(type='Pretrained', checkpoint='teachers/edges2shoes_G.pth')
model = dict(distiller=dict(teachers=dict(wide=dict(init_cfg=init_cfg)), teacher_checkpoints=[]))
