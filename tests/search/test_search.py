"""The search for sub-networks: what is found, and what is refused."""

import json
import sys

import numpy as np
import pytest

from mmgan_compress.registry import SEARCHERS
from mmgan_compress.search.results import save, state_of
from mmgan_compress.search.study import Found, front, results
from searches import (
    BEST,
    CONFIGURATIONS,
    Logged,
    distance,
    in_memory,
    problem,
    search,
    toy_supernet,
)


@pytest.fixture
def storage(tmp_path):
    return f'sqlite:///{tmp_path}/study.db'


def test_exhaustive_finds_the_best_and_evaluates_each_once(tmp_path):
    score = Logged(tmp_path)
    of = problem(score)
    found = in_memory('exhaustive', of, 99)
    assert sorted(f.configuration for f in found) == sorted(CONFIGURATIONS)
    assert min(found, key=lambda f: f.metric).configuration == BEST
    assert len(score.lines()) == len(CONFIGURATIONS) == 36


def test_front_is_not_dominated():
    def found(*points):
        return [Found((i,), metric, dict(macs=macs)) for i, (macs, metric) in enumerate(points)]

    of = problem()
    rows = found((3, 5.0), (1, 9.0), (2, 6.0), (2, 7.0), (4, 5.0), (5, 4.0))
    assert [f.configuration[0] for f in front(rows, of)] == [1, 2, 0, 5]
    of = problem(higher=True)
    assert [f.configuration[0] for f in front(rows, of)] == [1]


@pytest.mark.parametrize('higher', [False, True])
def test_nsga2_finds_the_true_front(higher):
    """By then the evolution has seen three quarters of the space."""

    def score(c):
        return -distance(c) if higher else distance(c)

    of = problem(score, higher=higher)
    found = in_memory('nsga2', of, 28, population=6)
    macs = of.candidates.costs.of(CONFIGURATIONS)['macs']
    true = front([Found(c, score(c), dict(macs=m)) for c, m in zip(CONFIGURATIONS, macs)], of)
    assert len(found) == 28
    assert {f.configuration for f in front(found, of)} == {f.configuration for f in true}


WIDE = [[8, 7, 6, 5, 4, 3]] * 8  # of which a search sees next to nothing


def test_fronts_of_the_evolution_are_better_than_chance():
    """By the share of the plane that no point of a front leaves free."""
    net = toy_supernet(WIDE)
    weights = [5, 4, 3, 2, 1, 0.5, 0.2, 0.1]

    def score(c):
        return sum(w * (8 - n) for w, n in zip(weights, c))

    def covered(sampler, seed, **options):
        of = problem(score, net=net)
        of.candidates.seed = seed
        rows = front(in_memory(sampler, of, 300, **options), of)
        most = of.candidates.costs.of([net.space.largest])['macs'][0]
        worst = [score(net.space.smallest), *(row.metric for row in rows)]
        return (
            sum(
                (before - row.metric) * (1 - row.costs['macs'] / most)
                for before, row in zip(worst, rows)
            )
            / worst[0]
        )

    for seed in range(2):
        assert covered('nsga2', seed) > covered('random', seed) + 0.01


def test_evolution_is_better_than_chance():
    net = toy_supernet(WIDE)

    def score(configuration):
        return float(sum(abs(n - 6) for n in configuration))

    best = {}
    for sampler, options in (('budget', dict(population=10)), ('random', {})):
        of = problem(score, 'macs=0.9', net)
        found = in_memory(sampler, of, 60, **options)
        best[sampler] = min(f.metric for f in front(found, of))
    assert best['budget'] < best['random']


@pytest.mark.parametrize('space', [WIDE, [[8, 4]] * 8])  # drawn from, listed
def test_first_generation_favours_small_ones(space):
    """As published for the fast super-nets; the next ones are children."""
    net = toy_supernet(space)

    def mean(count, **options):
        of = problem(limit='macs=0.9', net=net)
        found = in_memory('budget', of, count, population=40, **options)
        assert all(f.costs['macs'] <= of.candidates.limit.most for f in found)
        return np.mean([f.configuration for f in found])

    # of candidates in falling order the last is twice as likely
    uniform = mean(40)
    assert mean(40, ratio=2) < uniform - 0.2
    assert mean(40, ratio=3, growth='geometric') < mean(40, ratio=2) - 0.2


@pytest.mark.parametrize('sampler', ['random', 'nsga2', 'budget', 'exhaustive'])
def test_budget_is_kept_and_marked_come_first(sampler):
    net = toy_supernet()
    ends = dict(largest=net.space.largest, smallest=net.space.smallest)
    of = problem(limit='macs=0.85', net=net, marked=ends)
    found = in_memory(
        sampler, of, 9, **dict(population=3) if sampler in ('nsga2', 'budget') else {}
    )
    assert [f.configuration for f in found[:2]] == list(ends.values())
    assert [f.name for f in found[:3]] == ['largest', 'smallest', None]
    most = of.candidates.limit.most
    assert len(found) == 9
    assert all(f.costs['macs'] <= most for f in found[1:])
    assert found[0].costs['macs'] > most
    assert found[0] not in front(found, of)


@pytest.mark.parametrize('sampler', ['random', 'nsga2'])
def test_seed_tells_what_is_drawn(sampler):
    def drawn(seed):
        of = problem()
        of.candidates.seed = seed
        return [f.configuration for f in in_memory(sampler, of, 25)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_resume_goes_on(tmp_path, storage):
    """Behind an error, the configuration that failed is evaluated, too."""
    score = Logged(tmp_path)

    def fails(configuration):
        if score.count == 3:
            raise RuntimeError('out of memory')
        return score(configuration)

    with pytest.raises(RuntimeError, match='out of memory'):
        search(storage, 'random', 8, problem(fails))
    assert len(score.lines()) == 3
    of = problem(score)
    found = results(search(storage, 'random', 8, of), of)
    assert len(found) == len(set(score.lines())) == len(score.lines()) == 8
    assert {f.configuration for f in in_memory('random', problem(), 8)} == {
        f.configuration for f in found
    }
    search(storage, 'random', 8, of)  # nothing is left to do
    assert len(score.lines()) == 8


def test_settings_of_a_study_stay(storage):
    search(storage, 'random', 2)
    with pytest.raises(ValueError, match=r'(?s)seed: 0 -> 1.*another --study'):
        search(storage, 'random', 2, settings=dict(seed=1))


def test_the_direction_of_a_study_stays(storage):
    search(storage, 'random', 2)
    with pytest.raises(
        ValueError,
        match=r"directions: \['minimize', "
        r"'minimize'\] -> \['minimize', 'maximize'\]",
    ):
        search(storage, 'random', 2, problem(higher=True))


def test_a_metric_that_is_no_number_ends_the_search(storage):
    with pytest.raises(ValueError, match='toy/FID of .* is nan'):
        search(storage, 'random', 2, problem(lambda c: float('nan')))


# --- results ----------------------------------------------------------------
def test_results_on_disk(tmp_path):
    net = toy_supernet()
    of = problem(limit='macs=0.9', net=net, marked=dict(largest=net.space.largest))
    found = in_memory('exhaustive', of, 99)
    rows = front(found, of)
    save(tmp_path, found, of, dict(study='toy', notes=['by hand']), {rows[0].configuration: 3.5})
    content = json.loads((tmp_path / 'front.json').read_text())
    assert [r['metric'] for r in content['front']] == [f.metric for f in rows]
    assert content['front'][0]['measured_ms'] == 3.5
    assert len(content['front']) + len(content['others']) == len(found)
    table = (tmp_path / 'search.md').read_text()
    assert 'largest, not on the front' in table and '- by hand' in table
    assert (tmp_path / 'front.png').read_bytes()[1:4] == b'PNG'
    assert state_of(found, of).startswith(f'front of {len(rows)}: ')


# --- what is refused --------------------------------------------------------
def test_unknown_searcher():
    with pytest.raises(ValueError, match=r"no searcher 'tpe'.*'nsga2'"):
        SEARCHERS.build(dict(type='tpe'))
    with pytest.raises(TypeError, match='RandomSearch'):
        SEARCHERS.build(dict(type='random', population=3))
    with pytest.raises(ValueError, match="got 'linear' by 2"):
        SEARCHERS.build(dict(type='nsga2', ratio=2, growth='linear'))
    assert SEARCHERS.get('NSGA2Search') is SEARCHERS.get('nsga2')


def test_storage_that_cannot_be_read():
    with pytest.raises(ValueError, match="storage 'study.db'.*sqlite:///"):
        search('study.db')


def test_a_password_is_not_shown():
    """Of a database, where none answers."""
    with pytest.raises(
        ValueError,
        match='cannot open the storage '
        r'postgresql://me:\*\*\*@localhost:1/st',
    ) as failed:
        search('postgresql://me:secret@localhost:1/studies')
    assert 'secret' not in str(failed.value)


def test_postgresql_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, 'psycopg', None)
    with pytest.raises(ImportError, match=r'mmgan_compress\[postgresql\]'):
        search('postgresql://me@localhost/studies')


def test_optuna_is_optional(monkeypatch, storage):
    monkeypatch.setitem(sys.modules, 'optuna', None)
    with pytest.raises(ImportError, match=r'mmgan_compress\[search\]'):
        search(storage)
