# OMGD, Pix2Pix, Cityscapes labels -> photographs, U-Net student "0.5x" (S8):
# OMGD/scripts/unet_pix2pix/cityscapes/distill_S8.sh. No mIoU.
_base_ = 'omgd_pix2pix-unet12_1xb4-750e_cityscapes.py'

student_width = 8  # the teachers are those of S12
model = dict(
    generator=dict(base_channels=student_width), distiller=dict(discriminator=dict(shared=3))
)  # n_share, 5 elsewhere
