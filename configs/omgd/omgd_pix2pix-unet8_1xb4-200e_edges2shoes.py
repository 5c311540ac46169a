# OMGD, Pix2Pix, edges -> shoes, U-Net student "0.5x" (S8):
# OMGD/scripts/unet_pix2pix/edges2shoes/distill_S8.sh.
_base_ = 'omgd_pix2pix-unet12_1xb4-200e_edges2shoes.py'

student_width = 8  # the teachers are those of S12
model = dict(generator=dict(base_channels=student_width))
