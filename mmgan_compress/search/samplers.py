"""What Optuna asks for the configuration of a trial.

Imported where Optuna is known to be installed.
"""

import random

from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import TrialState

from ..core.search_space import favouring_last
from .candidates import Candidates
from .study import configuration_of, parameters

# draws of a sampler until a new configuration is taken from the candidates
_ATTEMPTS = 50


class SubnetSampler(BaseSampler):
    """Draws by another sampler what is new and meets the budget.

    Draws follow from the seed and the number of trials before. So a failed
    trial is drawn again, and workers need not differ in their seeds.

    Args:
        candidates (Candidates): What is new and allowed.
        searcher (Searcher): Makes the other sampler.
    """

    def __init__(self, candidates: Candidates, searcher):
        self.candidates, self.searcher = candidates, searcher

    def infer_relative_search_space(self, study, trial):
        return parameters(self.candidates.space)

    def sample_independent(self, study, trial, name, distribution):
        raise ValueError(f'{name!r} is no part of the space')

    def sample_relative(self, study, trial, search_space):
        """Return a configuration; {} when there is no more."""
        others = [
            t
            for t in study.get_trials(
                deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING)
            )
            if t.number != trial.number
        ]
        held = {configuration_of(t) for t in others}
        count = sum(t.number < trial.number for t in others)
        seed = random.Random(f'{self.candidates.seed}:{count}').getrandbits(32)
        sampler = self.searcher.sampler(seed)
        for _ in range(_ATTEMPTS):
            drawn = sampler.sample_relative(study, trial, search_space)
            drawn = {
                name: drawn[name]
                if name in drawn
                else sampler.sample_independent(study, trial, name, choices)
                for name, choices in search_space.items()
            }
            row = tuple(drawn.values())
            if row not in held and self.candidates.allowed([row])[0]:
                return drawn
        done = {configuration_of(t) for t in others if t.state == TrialState.COMPLETE}
        for known in (held, done):  # a worker that holds one may be dead
            for row in self.candidates.shuffled(seed):
                if row not in known:
                    return dict(zip(search_space, row))
        return {}


class SubnetNSGA2(NSGAIISampler):
    """Optuna's NSGA-II whose first generation may favour small widths.

    Args:
        weights (tuple): Of ``favouring_last``; uniform if empty.
        seed (int): Of all draws.
        kwargs: Of ``NSGAIISampler``.
    """

    def __init__(self, weights: tuple, seed: int, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self._weights, self._favoured = weights, random.Random(seed)
        self._first = False

    def sample_relative(self, study, trial, search_space):
        child = super().sample_relative(study, trial, search_space)
        self._first = not child
        return child

    def sample_independent(self, study, trial, param_name, param_distribution):
        if not (self._first and self._weights):
            return super().sample_independent(study, trial, param_name, param_distribution)
        choices = param_distribution.choices
        return self._favoured.choices(choices, favouring_last(len(choices), *self._weights))[0]
