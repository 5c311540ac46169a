"""Searches of a toy super-net with a metric that costs nothing."""

import itertools
import time
from pathlib import Path

from golden import build
from mmgan_compress.core.search_space import name_of
from mmgan_compress.models.supernet import SubnetCosts
from mmgan_compress.registry import SEARCHERS
from mmgan_compress.search.candidates import Candidates, Limit
from mmgan_compress.search.study import Problem, open_study, results, work
from supernets import SMALL

SPACE = [[8, 6, 4]] * 2 + [[8, 4]] * 2 + [[8]] * 4
CONFIGURATIONS = list(itertools.product(*SPACE))
BEST = (6, 8, 4, 8, 8, 8, 8, 8)


def toy_supernet(space=SPACE):
    return build('mmgan_compress.SuperNet', arch=SMALL['separable'], space=space)


def distance(configuration):
    """The metric: how far a configuration is from BEST."""
    return float(sum(abs(a - b) for a, b in zip(configuration, BEST)))


def problem(score=distance, limit=None, net=None, marked=None, **kwargs):
    net = net or toy_supernet()
    costs = SubnetCosts(net, 16)
    if isinstance(limit, str):
        limit = Limit.of(limit, costs.of([net.space.largest]), 16)
    return Problem(Candidates(net.space, costs, limit, 0, marked), score, 'toy/FID', **kwargs)


class Logged:
    """A metric that writes down what it was asked for, and may take long.

    Args:
        folder (Path): Each call leaves a line in ``calls``.
        hang (bool): Wait in the third call, with a file ``hangs``.
        seconds (float): Of each call.
    """

    def __init__(self, folder, hang=False, seconds=0.0):
        self.folder, self.hang, self.seconds = Path(folder), hang, seconds
        self.count = 0

    def __call__(self, configuration):
        self.count += 1
        if self.hang and self.count == 3:
            (self.folder / 'hangs').touch()
            time.sleep(60)
        time.sleep(self.seconds)
        with open(self.folder / 'calls', 'a') as file:
            file.write(name_of(configuration) + '\n')
        return distance(configuration)

    def lines(self):
        return (self.folder / 'calls').read_text().split()


def search(storage, sampler='exhaustive', trials=None, of=None, settings=None, options=None):
    """Work on a study; return it with its searcher."""
    of = of or problem()
    searcher = SEARCHERS.build(dict(options or {}, type=sampler))
    study = open_study(storage, 'toy', searcher, of.higher, settings or dict(seed=0))
    work(study, searcher, of, trials or searcher.trials(of.candidates))
    return study


def in_memory(sampler, of, trials, **options):
    """Return what a search in this process alone finds: quick."""
    import optuna

    searcher = SEARCHERS.build(dict(options, type=sampler))
    study = optuna.create_study(
        directions=['minimize'] * searcher.front + ['maximize' if of.higher else 'minimize']
    )
    work(study, searcher, of, trials)
    return results(study, of)
