# A once-for-all super-net, its best sub-network under a budget, trained by
# online distillation, pruned, and trained on in 8 bits:
# mmgan-compress pipeline configs/pipelines/ofa_omgd_prune_int8.py [--demo]
# Leave stages out with --skip or --from. CRD in place of OMGD: in stage 3
# config='../crd_cyclegan.py'. More horses without any labels beside them (UGC,
# ICCV 2023): an offline recipe there, as in stage 5, with cfg_options={
# 'train_dataloader.dataset.extra_images': dict(horse='data/more_horses')};
# the teacher's images are all that the student learns from.
teacher = ['teachers/cyclegan-mobile64_horse2zebra.pth']
offline = '../offline/omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'
eight_bits = {'default_hooks.quantization': dict(type='mmgan_compress.QuantizationAwareHook')}
stages = [
    # 1: all sub-networks at once, from a teacher that does not train
    dict(
        name='supernet',
        run='train',
        config='../gan_compression_cyclegan.py',
        cfg_options={'model.distiller.teacher_checkpoints': teacher},
        demo=dict(cfg_options={}),
    ),
    # 2: the best metric on held-out images that the budget allows
    dict(
        name='search',
        run='search',
        config='../gan_compression_cyclegan.py',
        source='{supernet}/student.pth',
        sampler='budget',
        budget='macs_paper=2.6e9',
        trials=400,
        workers=2,
        top=1,
        demo=dict(budget='macs_paper=0.7', trials=16, workers=2),
    ),
    # 3: that architecture, from its weights in the super-net, beside a
    # teacher that learns too
    dict(
        name='train',
        run='train',
        config='../omgd_cyclegan.py',
        generator='{search}/student.pth',
        inherit=True,
        # a third less than omgd_cyclegan.py's demo: all stages in 15 minutes
        demo=dict(cfg_options={'model.distiller.schedule.student_epochs': 700}),
    ),
    # 4: a quarter of what it computes goes
    dict(
        name='prune',
        run='prune',
        source='{train}/student.pth',
        pruner='TorchPruner',
        options=['importance=magnitude'],
        budget=['macs=0.75'],
    ),
    # 5: the rest learns on, as if in 8 bits
    dict(
        name='qat',
        run='train',
        config=offline,
        generator='{prune}/student.pth',
        inherit=True,
        cfg_options={**eight_bits, 'model.distiller.teacher_checkpoints': teacher},
        demo=dict(cfg_options=eight_bits),
    ),
    # 6: both precisions; the second with what it loses on the test images
    dict(name='export', run='export', source='{qat}/student.pth'),
    dict(name='int8', run='quantize', source='{qat}/student.pth', test='../omgd_cyclegan.py'),
    # 7: what each stage has come to
    dict(
        name='report',
        run='report',
        config='../omgd_cyclegan.py',
        students=dict(
            supernet='{supernet}/student.pth',
            search='{search}/student.pth',
            train='{train}/student.pth',
            prune='{prune}/student.pth',
            qat='{qat}/student.pth',
        ),
    ),
]
