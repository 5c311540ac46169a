"""What Optuna asks for the configuration of a trial.

Imported where Optuna is known to be installed. Draws follow from the seed
and the number of the trial, so workers need not differ in their seeds.
"""
import random
from collections.abc import Collection, Iterator

from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from ..core.search_space import Configuration, ConfigurationSpace
from .candidates import Candidates

# draws until a child of a small space is taken as it comes
_ATTEMPTS = 200


def distributions(space: ConfigurationSpace) -> dict:
    """Return Optuna's parameters of a space, a choice for each part."""
    return {f'part{i:02d}': CategoricalDistribution(part)
            for i, part in enumerate(space.candidates)}


def configuration_of(trial: FrozenTrial) -> Configuration:
    """Return the configuration of a trial, () where it has none yet."""
    return tuple(trial.params[key] for key in sorted(trial.params))


class _Proposing(BaseSampler):
    """Proposes whole configurations, none that another trial holds.

    What a trial held that failed is free again. Marked configurations come
    first.
    """

    def __init__(self, candidates: Candidates, **kwargs):
        super().__init__(**kwargs)
        self.candidates = candidates

    def infer_relative_search_space(self, study, trial):
        return distributions(self.candidates.space)

    def sample_relative(self, study, trial, search_space):
        held = {configuration_of(t) for t in study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))}
        proposed = self.propose(study, trial, held)
        proposed = next((c for c in self.candidates.marked.values()
                         if c not in held), proposed)
        return dict(zip(search_space, proposed))

    def sample_independent(self, study, trial, name, distribution):
        raise ValueError(f'{name!r} is no part of the space')

    def propose(self, study, trial: FrozenTrial,
                held: Collection[Configuration]) -> Configuration:
        """Return the configuration of a trial; () when there is no more."""
        raise NotImplementedError


class SequenceSampler(_Proposing):
    """Takes the candidates in a random order that the seed tells."""

    def propose(self, study, trial, held):
        return next((c for c in self.candidates.shuffled() if c not in held),
                    ())


class SubnetNSGA2(_Proposing, NSGAIISampler):
    """Optuna's NSGA-II with children that meet the budget and are new.

    Optuna keeps the generations and selects the parents. A child takes each
    part from either of two winners of tournaments (GAN Compression's
    crossover), then parts are drawn anew.
    """

    def __init__(self, candidates: Candidates, population: int,
                 mutation: float, weights: tuple = ()):
        super().__init__(candidates, population_size=population,
                         seed=candidates.seed)
        self.mutation, self.weights = mutation, weights

    def propose(self, study, trial, held):
        generation = self.get_trial_generation(study, trial)
        parents = self.get_parent_population(study, generation)
        if parents:
            signs = [1 if d.name == 'MINIMIZE' else -1
                     for d in study.directions]
            children = self._children(parents, signs, trial.number)
            for _, child in zip(range(_ATTEMPTS), children):
                if child not in held and self.candidates.allowed(child):
                    return child
        draws = self.candidates.draws(
            trial.number, *(() if parents else self.weights))
        for _, child in zip(range(_ATTEMPTS), draws):
            if child not in held:
                return child
        return next((c for c in self.candidates.shuffled() if c not in held),
                    ())

    def _children(self, parents: list[FrozenTrial], signs: list[int],
                  number: int) -> Iterator[Configuration]:
        """Yield children without end."""
        rng = random.Random(f'{self.candidates.seed}:{number}:children')
        parts = self.candidates.space.candidates

        def winner() -> Configuration:
            one, other = rng.choice(parents), rng.choice(parents)
            losses = [[sign * value for sign, value in zip(signs, t.values)]
                      for t in (one, other)]
            better = losses[0] != losses[1] and all(
                b <= a for a, b in zip(*losses))
            return configuration_of(other if better else one)

        while True:
            pair = [winner(), winner()]
            child = [rng.choice(genes) for genes in zip(*pair)]
            yield tuple(rng.choice(part) if rng.random() < self.mutation
                        else gene for part, gene in zip(parts, child))
