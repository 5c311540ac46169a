"""A study of Optuna: trials that several processes and machines work on.

The storage alone knows which trials there are. A worker asks for a trial,
evaluates it and asks again, until the study has the wanted number of
configurations. What a worker that died was at is evaluated by another one
when nothing else is left.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..compat import require
from ..core.search_space import Configuration, ConfigurationSpace, name_of
from .candidates import Candidates
from .searchers import Searcher

_STALLED = 3  # trials in a row without a new configuration that end a search
_SETTINGS = 'mmgan_compress'


@dataclass(frozen=True)
class Problem:
    """What is searched for.

    Args:
        candidates (Candidates): Where.
        score (Callable): Maps a configuration to the metric.
        metric (str): Its name.
        higher (bool): Whether more is better.
        objective (str): Cost of the front, of ``SubnetCosts``.
    """

    candidates: Candidates
    score: Callable[[Configuration], float]
    metric: str
    higher: bool = False
    objective: str = 'macs'


@dataclass(frozen=True)
class Found:
    """A configuration with its figures.

    Args:
        configuration (tuple[int, ...]): Which.
        metric (float): Its score.
        costs (dict[str, float]): By kind.
        name (str | None): Of a marked one, such as ``'largest'``.
    """

    configuration: Configuration
    metric: float
    costs: dict[str, float]
    name: str | None = None


def parameters(space: ConfigurationSpace) -> dict:
    """Return Optuna's parameters of a space, a choice for each part."""
    from optuna.distributions import CategoricalDistribution

    return {
        f'part{i:02d}': CategoricalDistribution(part) for i, part in enumerate(space.candidates)
    }


def configuration_of(trial) -> Configuration:
    """Return the configuration of a trial, () where it has none yet."""
    return tuple(trial.params[key] for key in sorted(trial.params))


def open_storage(url: str):
    """Open or make a storage.

    Args:
        url (str): Address of SQLAlchemy: ``'sqlite:///study.db'`` or
            ``'postgresql://...'``.

    Returns:
        RDBStorage: With the trials of all workers.

    Raises:
        ValueError: If it is no such address, or cannot be reached.
        ImportError: If the driver of PostgreSQL is not installed.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    kind, _, rest = url.partition(':')
    if not rest.startswith('//'):
        raise ValueError(
            f'cannot read the storage {url!r}: expected sqlite:///FILE or '
            'postgresql://USER@HOST/DATABASE'
        )
    if kind == 'postgresql':
        require('psycopg', 'A study in PostgreSQL')
    engine = {}
    if kind.startswith('sqlite'):
        # SQLite gives up after 5 s by default, where others write meanwhile
        engine = dict(connect_args=dict(timeout=60))
        Path(rest[3:]).parent.mkdir(parents=True, exist_ok=True)
    try:
        return RDBStorage(url, engine_kwargs=engine)
    except SQLAlchemyError as error:
        raise ValueError(f'cannot open the storage {without_password(url)}: {error}') from error


def without_password(url: str) -> str:
    """Return the address of a storage as it may be shown."""
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def open_study(storage: str, name: str, searcher: Searcher, higher: bool, settings: dict[str, Any]):
    """Open a study, or make it.

    Args:
        storage (str): Address, see :func:`open_storage`.
        name (str): Of the study.
        searcher (Searcher): What it is after.
        higher (bool): Whether more of the metric is better.
        settings (dict): Plain values that all its workers must share.

    Raises:
        ImportError: Without Optuna.
        ValueError: If the study was made with other settings, or for
            something else.
    """
    optuna = require('optuna', 'The search')
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = ['minimize'] * searcher.front + ['maximize' if higher else 'minimize']
    study = optuna.create_study(
        storage=open_storage(storage), study_name=name, load_if_exists=True, directions=directions
    )
    settings = dict(settings, directions=directions)
    known = study.user_attrs.get(_SETTINGS, settings)
    if known != settings:
        changes = [
            f'{key}: {known.get(key)!r} -> {settings.get(key)!r}'
            for key in {**known, **settings}
            if known.get(key) != settings.get(key)
        ]
        raise ValueError(
            f'the study {name!r} in {without_password(storage)} '
            'has other settings:\n  '
            + '\n  '.join(changes)
            + '\nRepeat its settings, or name another --study'
        )
    study.set_user_attr(_SETTINGS, settings)
    return study


def work(
    study,
    searcher: Searcher,
    problem: Problem,
    trials: int,
    show: Callable[[list[Found]], None] = lambda found: None,
):
    """Evaluate configurations until the study has enough.

    Args:
        study (Study): What :func:`open_study` returned.
        searcher (Searcher): Which configurations are next.
        problem (Problem): How they are evaluated.
        trials (int): Configurations in total, of all workers, each counted
            once; all where there are fewer.
        show (Callable): Called with what has been found, after each trial.
    """
    from .samplers import SubnetSampler

    def evaluate(count: int):
        study.optimize(lambda trial: _evaluate(study, trial, searcher, problem), n_trials=count)

    study.sampler = SubnetSampler(problem.candidates, searcher)
    _enqueue(study, problem, 'COMPLETE', 'WAITING', 'RUNNING')
    wanted = min(trials, len(problem.candidates))
    found, stalled = results(study, problem), 0
    while len(found) < wanted and stalled < _STALLED:
        evaluate(1)
        before, found = len(found), results(study, problem)
        stalled = 0 if len(found) > before else stalled + 1
        show(found)
    if left := _enqueue(study, problem, 'COMPLETE', 'WAITING'):  # whose workers died
        evaluate(left)
    show(results(study, problem))


def _enqueue(study, problem: Problem, *states: str) -> int:
    """Let the marked configurations be evaluated next, but for those whose
    trials are in some states; return how many they are.
    """
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.name in states]
    known = {t.user_attrs.get('name') for t in trials}
    left = {name: row for name, row in problem.candidates.marked.items() if name not in known}
    for name, row in left.items():
        study.enqueue_trial(dict(zip(parameters(problem.candidates.space), row)), dict(name=name))
    return len(left)


def _evaluate(study, trial, searcher: Searcher, problem: Problem):
    """Evaluate the configuration of a trial, unless its value is known."""
    import optuna

    candidates, limit = problem.candidates, problem.candidates.limit
    # one that was enqueued holds something
    if not (trial.relative_params or trial.params or trial.user_attrs):
        raise optuna.TrialPruned('there are no more configurations')
    configuration = tuple(
        trial.suggest_categorical(key, choice.choices)
        for key, choice in parameters(candidates.space).items()
    )
    costs = {kind: value.item() for kind, value in candidates.costs.of([configuration]).items()}
    if (
        configuration not in candidates.marked.values()
        and not candidates.allowed([configuration])[0]
    ):
        raise optuna.TrialPruned('above the budget')
    known = {f.configuration: f.metric for f in results(study, problem)}
    metric = known[configuration] if configuration in known else float(problem.score(configuration))
    if not math.isfinite(metric):
        raise ValueError(
            f'{problem.metric} of {name_of(configuration)} is {metric}: is the super-net trained?'
        )
    trial.set_user_attr('metric', metric)
    trial.set_user_attr('costs', costs)
    if limit is not None:  # marked ones may be above
        trial.set_constraint('budget', costs[limit.kind] / limit.most - 1)
    return (costs[problem.objective], metric) if searcher.front else metric


def results(study, problem: Problem) -> list[Found]:
    """Return what a study has found, each configuration once."""
    from optuna.trial import TrialState

    names = {c: name for name, c in problem.candidates.marked.items()}
    found = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        key = configuration_of(trial)
        found.setdefault(
            key, Found(key, trial.user_attrs['metric'], trial.user_attrs['costs'], names.get(key))
        )
    return list(found.values())


def front(found: list[Found], problem: Problem) -> list[Found]:
    """Return those that no other beats in cost and metric, cheapest first.

    Unlike Optuna's ``best_trials`` also where the study has the metric as
    its only objective. None is above the budget.
    """
    limit, sign = problem.candidates.limit, -1 if problem.higher else 1
    rows = [f for f in found if limit is None or f.costs[limit.kind] <= limit.most]
    rows.sort(key=lambda f: (f.costs[problem.objective], sign * f.metric))
    lowest = itertools.accumulate((sign * f.metric for f in rows), min, initial=math.inf)
    return [f for f, least in zip(rows, lowest) if sign * f.metric < least]
