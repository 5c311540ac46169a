"""Functions timed in turns."""

import pytest

from mmgan_compress.core import timing
from mmgan_compress.core.tables import markdown
from mmgan_compress.core.timing import Timing, side_by_side


def test_turns():
    calls = []
    timings = side_by_side({'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')}, 1, 2)
    assert ''.join(calls) == 'ababab'
    assert timings['a'].repeats == 2
    assert 0 < timings['a'].median <= timings['a'].p95


@pytest.mark.parametrize('second, calls', [(1.0, 7), (0.1, 50), (1e-3, 300)])
def test_seconds(second, calls, monkeypatch):
    """A limit of seconds: 7 rounds at least, 300 at most."""
    clock = [0.0]
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: clock[0])

    def run():
        clock[0] += second

    found = side_by_side(dict(a=run), warmup=0, seconds=4.95)['a']
    assert found.repeats == calls
    assert found.median == pytest.approx(second)


def test_spread():
    found = Timing.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.median, found.iqr, found.repeats) == (3.0, 2.0, 5)
    assert found.wide and not Timing.of([1.0, 1.01, 1.02]).wide
    assert found.ms() == dict(median_ms=3e3, p95_ms=pytest.approx(4.8e3), iqr_ms=2e3, repeats=5)


def test_markdown():
    assert markdown(['a', 'b', 'c'], [['1', '2', '3']], words=2) == (
        '| a | b | c |\n| --- | --- | ---: |\n| 1 | 2 | 3 |'
    )
