"""Pictures of a run."""

from mmgan_compress.engine.results import comparison
from mmgan_compress.registry import DATASETS
from students import make_model
from toy import write_images


def test_comparison_has_two_styles_of_each_input(tmp_path):
    write_images(tmp_path, dict(testA=3, testB=3))
    data = DATASETS.build(
        dict(
            type='mmgan_compress.UnpairedImages',
            data_root=str(tmp_path),
            domains=['horse', 'zebra'],
            split='test',
            size=32,
            noise_size=16,
        )
    )
    rows, titles, _ = comparison(make_model('styled').eval(), data, 2)
    assert titles == ['input\nhorse', 'student\nhorse to zebra', 'student\nanother style']
    assert len(rows) == 2
    for _, first, second in rows:
        assert (first - second).abs().max() > 20
