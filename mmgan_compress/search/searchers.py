"""Methods of search, built by name from ``SEARCHERS``.

A searcher says what the study is after and gives Optuna a sampler::

    @SEARCHERS.register_module()
    class TPESearch(Searcher):
        front = False

        def sampler(self, seed):
            return optuna.samplers.TPESampler(seed=seed)
"""

from typing import ClassVar

from ..core.messages import check_range
from ..core.search_space import favouring_last
from ..registry import SEARCHERS
from .candidates import Candidates

# sub-networks that are evaluated exhaustively at most
MOST = 100_000


class Searcher:
    """Base of the methods.

    Attributes:
        front (bool): Whether the study has two objectives, cost and metric;
            else it has the metric alone.
        needs_limit (bool): Whether it makes sense with a budget only.
    """

    front: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False

    def trials(self, candidates: Candidates) -> int:
        """Return how many configurations it evaluates by default."""
        return min(100, len(candidates))

    def sampler(self, seed: int):
        """Return a sampler of Optuna.

        It is made for each trial. Where it draws a configuration that is
        known or above the budget, it draws again. Parameters are
        categorical: ``part00``, ``part01``, ...

        Args:
            seed (int): Of its draws, another one for each trial.
        """
        raise NotImplementedError


@SEARCHERS.register_module(name=['RandomSearch', 'random'])
class RandomSearch(Searcher):
    """Configurations at random, each once; the seed alone tells which."""

    def sampler(self, seed: int):
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=seed)


@SEARCHERS.register_module(name=['ExhaustiveSearch', 'exhaustive'])
class ExhaustiveSearch(RandomSearch):
    """All configurations (GAN Compression's ``search``)."""

    def trials(self, candidates: Candidates) -> int:
        if len(candidates) > MOST:
            raise ValueError(
                f'{len(candidates)} sub-networks are too many to evaluate '
                "all: search with 'nsga2', 'budget' or 'random'"
            )
        return len(candidates)


@SEARCHERS.register_module(name=['NSGA2Search', 'nsga2'])
class NSGA2Search(Searcher):
    """NSGA-II (Deb et al., 2002, IEEE TEVC 6.2): a Pareto front.

    Args:
        population (int): Configurations of a generation.
        mutation (float): Probability that a part is drawn anew; GAN
            Compression's evolution has 0.2.
        ratio (float | None): The first generation favours small widths by
            ``core.search_space.favouring_last``, as in Fast GAN Compression.
            None draws it uniformly.
        growth (str): ``'arithmetic'`` or ``'geometric'``.
    """

    def __init__(
        self,
        population: int = 20,
        mutation: float = 0.2,
        ratio: float | None = None,
        growth: str = 'arithmetic',
    ):
        check_range('population', population, 2)
        check_range('mutation', mutation, 0, 1)
        self.population, self.mutation = population, mutation
        self.weights = () if ratio is None else (ratio, growth)
        if self.weights:
            favouring_last(2, *self.weights)  # refuses nonsense

    def sampler(self, seed: int):
        from .samplers import SubnetNSGA2

        return SubnetNSGA2(
            self.weights,
            seed,
            crossover_prob=1.0,
            population_size=self.population,
            mutation_prob=self.mutation,
        )


@SEARCHERS.register_module(name=['BudgetSearch', 'budget'])
class BudgetSearch(NSGA2Search):
    """The best metric under a budget, by the same evolution.

    As in Fast GAN Compression no child is above the budget.
    """

    front = False
    needs_limit = True
