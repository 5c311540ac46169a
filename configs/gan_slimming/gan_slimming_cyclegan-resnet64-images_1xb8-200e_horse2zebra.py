# As published: the teacher is a folder of its images of the training horses
# (mmgan-compress images), and there is no network to begin as.
_base_ = '../gan_slimming_cyclegan.py'

model = dict(
    distiller=dict(
        teacher=dict(_delete_=True, type='mmgan_compress.StoredTeacher'),
        teacher_checkpoints=[],
        start_from_teacher=False,
    )
)
train_dataloader = dict(dataset=dict(teacher_images=dict(zebra='teachers/horse2zebra')))

demo = {'model.distiller.teacher_checkpoints?': []}
