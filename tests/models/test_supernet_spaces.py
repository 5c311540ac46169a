"""Spaces of sub-networks, and what each of these costs."""

import random
import time

import pytest
import torch

from golden import build, load_json
from mmgan_compress.core.channels import slice_channels
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.search_space import (
    SPACES,
    ConfigurationSpace,
    favouring_last,
    name_of,
    read_configuration,
)
from mmgan_compress.models.supernet import SubnetCosts
from supernets import CASES, SMALL, separable, supernet

GOLDEN, MACS = load_json('gan_compression'), load_json('macs')


@pytest.mark.parametrize('name', [name for name in SPACES if not name.startswith('munit')])
def test_golden_spaces(name):
    kind = '' if name.startswith('spade-') else 'resnet_'
    want = MACS[f'count_{kind}{name.replace("spade-", "spade_")}']
    space = ConfigurationSpace.of(name)
    assert [list(part) for part in space.candidates] == want['n_channels']
    assert len(space) == want['num_subnets']
    assert space.largest in space and space.smallest in space
    assert (1,) * 8 not in space


def test_golden_sampling():
    want, rng = GOLDEN['sampling_weights'], random.Random(0)
    assert favouring_last(5, 2, 'arithmetic') == want['arithmetic_ws2_n5']
    for ratio in (2, 3):
        assert favouring_last(5, ratio, 'geometric') == want[f'geometric_ws{ratio}_n5']
    space = ConfigurationSpace.of('channels-32')
    assert [name_of(space.sample(rng)) for _ in range(5)] == want[
        'random.seed(0) channels-32 first 5 samples'
    ]
    space, rng = ConfigurationSpace.of('channels-64-cycleGAN'), random.Random(0)
    weights = [favouring_last(len(part), 2, 'arithmetic') for part in space.candidates]
    drawn = [[rng.choices(*each)[0] for each in zip(space.candidates, weights)] for _ in range(5)]
    assert [name_of(row) for row in drawn] == want[
        'random.seed(0) channels-64-cycleGAN weighted_sample=2 arithmetic'
    ]
    space = ConfigurationSpace.of('channels-48')
    assert [name_of(space.largest), name_of(space.smallest)] == GOLDEN['largest_smallest'][
        'channels-48'
    ]


def test_draws_follow_from_seed_and_iteration():
    space = ConfigurationSpace.of('channels-32')
    draws = [space.draw('uniform', 233, i)[0] for i in range(50)]
    assert draws == [space.draw('uniform', 233, i)[0] for i in range(50)]
    assert len(set(draws)) > 45 and all(c in space for c in draws)
    assert draws[7] != space.draw('uniform', 234, 7)[0]
    assert space.draw('sandwich', 233, 7) == [space.largest, space.smallest, draws[7]]


def test_space_of_candidates():
    space = ConfigurationSpace([[8], [8, 4]])
    assert list(space) == [(8, 8), (8, 4)] and (8, 6) not in space
    for wrong in ([[4, 8]], [[8, 8]], [[]]):
        with pytest.raises(ValueError):
            ConfigurationSpace(wrong)
    with pytest.raises(ValueError, match='known are'):
        ConfigurationSpace.of('channels-99')
    assert read_configuration('8-4_2') == read_configuration([8, 4, 2])


# --- costs ------------------------------------------------------------------
@pytest.mark.parametrize('kind, configuration', CASES)
def test_costs_equal_the_counters(kind, configuration):
    parts = len(read_configuration(configuration))
    net = supernet(SMALL[kind], parts)
    costs = SubnetCosts(net, 64)
    rng = random.Random(1)
    chosen = [
        read_configuration(configuration),
        *(net.space.sample(rng) for _ in range(3)),
        (1,) * parts,
    ]
    found = costs.of(chosen)
    for index, one in enumerate(chosen):
        small = slice_channels(net.network, net.kept(one))
        macs = count_macs(small, (1, 3, 64, 64))
        assert [int(found[key][index]) for key in ('macs', 'macs_paper', 'params')] == [
            macs.macs,
            macs.macs_paper,
            count_params(small),
        ]
    with pytest.raises(ValueError, match='mismatch'):
        costs.of([(8,)])


def test_costs_of_many_configurations_take_seconds():
    with torch.device('meta'):
        net = build('mmgan_compress.SuperNet', arch=separable(64), space='channels-64-pix2pix')
    start, rng = time.perf_counter(), random.Random(0)
    costs = SubnetCosts(net)
    found = costs.of([net.space.sample(rng) for _ in range(10000)])
    assert time.perf_counter() - start < 20  # 10,000 in a minute are asked
    assert len(set(found['macs'].tolist())) > 5000
    want = MACS['gc_super64_largest']
    largest = costs.of([net.space.largest])
    assert largest['macs_paper'][0] == want['macs_torchprofile']
    assert largest['macs'][0] == want['macs_flop_counter']


def test_costs_refuse_a_size():
    with pytest.raises(ValueError, match='does not run at 40 pixels'):
        SubnetCosts(supernet(SMALL['unet'], 5), 40)
