# Metrics of students, or teachers, that generate both domains of horse2zebra.
fid_of_both = [
    dict(
        type='mmgan_compress.FrechetDistance',
        domain=domain,
        reference=dict(data_root='data/horse2zebra', layout='unpaired', side=side, size=256),
    )
    for domain, side in (('zebra', 'B'), ('horse', 'A'))
]
val_metrics_of_both = [
    dict(metric, reference=dict(metric['reference'], split='train')) for metric in fid_of_both
]
test_metrics_of_both = [
    dict(metric, reference=dict(metric['reference'], split='train+test')) for metric in fid_of_both
]
