# OMGD, Pix2Pix, Cityscapes labels -> photographs, separable ResNet student
# "0.5x" (S8): OMGD/scripts/resnet_pix2pix/cityscapes/distill_S8.sh. No mIoU.
_base_ = 'omgd_pix2pix-mobile12_1xb1-750e_cityscapes.py'

student_width = 8  # the teachers are those of S12
model = dict(generator=dict(base_channels=student_width))
