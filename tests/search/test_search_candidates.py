"""Which sub-networks a search may look at, and what they cost."""

import csv
import itertools
import json
from argparse import Namespace
from dataclasses import asdict

import numpy as np
import pytest

from mmgan_compress.registry import SEARCHERS
from mmgan_compress.search import candidates, run
from mmgan_compress.search.candidates import rank
from mmgan_compress.search.predictor import LatencyPredictor, draw_to_measure
from searches import CONFIGURATIONS, in_memory, problem, toy_supernet


# --- predicted times --------------------------------------------------------
def synthetic(rows, macs, noise=0.02):
    """Time of MACs, of a part's width, and of widths that fill no vector."""
    rows = np.asarray(rows)
    clean = 2 + macs / macs.max() * 10 + rows[:, 0] * 0.1 + (rows % 4 == 2).sum(axis=1) * 0.3
    rng = np.random.default_rng(0)
    return clean * (1 + noise * rng.standard_normal(len(rows)))


def test_predictor_is_near_and_knows_its_error():
    net = toy_supernet([[8, 6, 4, 2]] * 8)
    costs = problem(net=net).candidates.costs
    rows = draw_to_measure(net.space.candidates, 48, 0)
    assert rows[:2] == [net.space.largest, net.space.smallest]
    assert len(set(rows)) == 48
    macs = costs.of(rows)['macs']
    times = synthetic(rows, macs)
    fitted = LatencyPredictor.fit('toy', net.space.candidates, rows, macs, times)
    assert fitted.error['count'] == 12
    assert 0 < fitted.error['median'] < 0.04
    assert fitted.error['p95'] < 0.1
    others = list(itertools.islice(net.space, 0, None, 97))
    macs = costs.of(others)['macs']
    error = np.abs(fitted(others, macs) / synthetic(others, macs, 0) - 1)
    assert np.median(error) < 0.04 and np.percentile(error, 95) < 0.1
    plain = json.loads(json.dumps(asdict(fitted)))
    again = LatencyPredictor(**plain)
    assert np.array_equal(again(others, macs), fitted(others, macs))


def test_predictor_falls_back_to_macs():
    """Where MACs say all, nothing else is fitted to noise."""
    net = toy_supernet([[8, 6, 4, 2]] * 8)
    costs = problem(net=net).candidates.costs
    rows = draw_to_measure(net.space.candidates, 12, 0)
    macs = costs.of(rows)['macs']
    fitted = LatencyPredictor.fit('toy', net.space.candidates, rows, macs, 1 + macs * 1e-5)
    others = list(itertools.islice(net.space, 0, None, 97))
    macs = costs.of(others)['macs']
    assert np.allclose(fitted(others, macs), 1 + macs * 1e-5, rtol=1e-3)
    with pytest.raises(ValueError, match='measured sub-networks is 4, expected 8'):
        draw_to_measure(net.space.candidates, 4, 0)


def test_ten_thousand_are_ranked_in_a_moment(tmp_path, capsys):
    net = toy_supernet([[8, 7, 6, 5, 4]] * 8)
    of = problem(net=net)
    costs = of.candidates.costs
    rows = draw_to_measure(net.space.candidates, 24, 0)
    macs = costs.of(rows)['macs']
    costs.predictor = LatencyPredictor.fit(
        'toy', net.space.candidates, rows, macs, synthetic(rows, macs)
    )
    ranked, figures = rank(of.candidates, 'latency@toy', 10_000)
    assert len(set(ranked)) == 10_000
    assert (np.diff(figures['latency@toy']) >= 0).all()
    assert np.array_equal(costs.of(ranked)['macs'], figures['macs'])
    args = Namespace(out=str(tmp_path), rank=50, objective='macs', budget=None)
    run._rank(of.candidates, args)
    assert '50 of 390625 sub-networks ranked' in capsys.readouterr().out
    with open(tmp_path / 'ranking.csv') as file:
        assert len(list(csv.DictReader(file))) == 50


# --- budgets ----------------------------------------------------------------
@pytest.mark.parametrize('budget, count', [('macs=0.6', 10_000), ('macs=0.46', 2703)])
def test_those_that_meet_a_budget_are_ranked(tmp_path, capsys, budget, count):
    """Of a space that is drawn from; all of them, where they are few."""
    of = problem(limit=budget, net=toy_supernet([[8, 7, 6, 5, 4]] * 8))
    run._rank(
        of.candidates, Namespace(out=str(tmp_path), rank=10_000, objective='macs', budget=budget)
    )
    with open(tmp_path / 'ranking.csv') as file:
        rows = list(csv.DictReader(file))
    assert len({row['configuration'] for row in rows}) == count
    assert len(rows) == count
    macs = [float(row['macs']) for row in rows]
    assert macs == sorted(macs) and macs[-1] <= of.candidates.limit.most
    assert ('(no more meet the budget)' in capsys.readouterr().out) == (count < 10_000)


@pytest.mark.parametrize('sampler', ['random', 'nsga2'])
def test_a_space_that_is_drawn_from_has_an_end(sampler, monkeypatch):
    """More trials are asked for than there are sub-networks."""
    everything = {*problem(limit='macs=0.9').candidates.shuffled(0)}
    monkeypatch.setattr(candidates, 'LISTED', 1)
    found = in_memory(sampler, problem(limit='macs=0.9'), 100)
    assert {f.configuration for f in found} == everything
    assert len(found) == len(everything) < len(CONFIGURATIONS)


def test_budget_below_all():
    smallest = '4_4_4_4_8_8_8_8'
    with pytest.raises(ValueError, match=f'the nearest is {smallest} with '):
        problem(limit='macs=0.01')
    wide = toy_supernet([[8, 7, 6, 5, 4]] * 8)  # not listed
    with pytest.raises(ValueError, match='the nearest is 4_4_4_4_4_4_4_4'):
        problem(limit='macs=1000', net=wide)


def test_too_many_for_all():
    of = problem(net=toy_supernet([[8, 7, 6, 5, 4]] * 8))
    with pytest.raises(ValueError, match='390625 sub-networks are too many'):
        SEARCHERS.build(dict(type='exhaustive')).trials(of.candidates)
