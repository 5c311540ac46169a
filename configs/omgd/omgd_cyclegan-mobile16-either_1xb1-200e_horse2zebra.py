# OMGD, CycleGAN, horse -> zebra, S16, with the best-teacher rule of the
# published code: the horse -> zebra teacher is kept when the FID of *either*
# direction improves (OMGD/distillers/cycleganbest_distiller.py). The main
# recipe goes by the direction that is distilled. Here too, unlike there, no
# test image takes part in the choice.
_base_ = ['../omgd_cyclegan.py', '../_base_/horse2zebra_both.py']

domain_a, domain_b = _base_.domain_a, _base_.domain_b
custom_hooks = [
    dict(
        type='mmgan_compress.TeacherSelectionHook',
        metrics={domain_b: [f'{domain_a}/FID', f'{domain_b}/FID']},
        # of the teacher; the student generates one
        domains=[domain_a, domain_b],
        evaluator=dict(type='mmgan_compress.Evaluator', metrics=_base_.val_metrics_of_both),
    )
]

# of one direction: the other has no metric there
demo = {
    'custom_hooks': [
        dict(type='mmgan_compress.TeacherSelectionHook', metrics={'emoji': ['emoji/FD-VGG16']})
    ]
}
