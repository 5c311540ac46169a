"""A study: trials that several processes and machines work on.

Which trials there are, and what they hold, the storage knows alone. A worker
asks for a trial, evaluates it and asks again, until the wanted number of
configurations has values. One that dies leaves its trial running without
signs of life: others mark it failed, and its configuration is free again.
"""
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from ..compat import require
from ..core.search_space import Configuration, name_of
from .candidates import Candidates
from .searchers import Searcher

_POLL = 0.5  # seconds between two looks while others finish
_SETTINGS, _CLAIMED = 'mmgan_compress', 'claimed'


@dataclass(frozen=True)
class Problem:
    """What is searched for.

    Args:
        candidates (Candidates): Where.
        score (Callable): Maps a configuration to the metric.
        metric (str): Its name.
        higher (bool): Whether more is better.
        objective (str): Cost of the front, of ``Costs``.
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
    name: Optional[str] = None


def open_study(storage: str, name: str, searcher: Searcher, higher: bool,
               settings: dict[str, Any], **kwargs):
    """Open a study, or make it.

    Args:
        storage (str): Address, see ``search/storage.py``.
        name (str): Of the study.
        searcher (Searcher): What it is after.
        higher (bool): Whether more of the metric is better.
        settings (dict): Plain values that all its workers must share.
        kwargs: Of ``open_storage``.

    Raises:
        ImportError: Without Optuna.
        ValueError: If the study was made with other settings, or for
            something else.
    """
    optuna = require('optuna', 'The search')
    from .storage import open_storage, without_password
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions = ['minimize'] * searcher.front + [
        'maximize' if higher else 'minimize']
    opened = open_storage(storage, **kwargs)
    try:
        study = optuna.create_study(storage=opened, study_name=name,
                                    directions=directions)
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=opened, study_name=name)
    known = study.user_attrs.get(_SETTINGS, settings)
    if known != settings:
        changes = [f'{key}: {known.get(key)!r} -> {settings.get(key)!r}'
                   for key in {**known, **settings}
                   if known.get(key) != settings.get(key)]
        raise ValueError(f'the study {name!r} in {without_password(storage)} '
                         'was made otherwise:\n  ' + '\n  '.join(changes)
                         + '\nRepeat what was said then, or name another '
                         '--study')
    made = [direction.name.lower() for direction in study.directions]
    if made != directions:
        raise ValueError(f'the study {name!r} in {without_password(storage)} '
                         f'was made to {made}, not to {directions}: name '
                         'another --study')
    study.set_user_attr(_SETTINGS, settings)
    return study


def work(study, searcher: Searcher, problem: Problem, trials: int,
         show: Callable[[list[Found]], None] = lambda found: None):
    """Evaluate configurations until the study has enough.

    Args:
        study (Study): What :func:`open_study` returned.
        searcher (Searcher): Which configurations are next.
        problem (Problem): How they are evaluated.
        trials (int): Configurations in total, of all workers.
        show (Callable): Called with what has been found, after each trial.
    """
    import optuna
    states = optuna.trial.TrialState
    study.sampler = searcher.sampler(problem.candidates)
    while True:
        with warnings.catch_warnings():  # it is called experimental
            warnings.simplefilter('ignore',
                                  optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
        found = results(study, problem)
        show(found)
        # how many there are may turn out on the way
        trials = min(trials, len(problem.candidates))
        if len(found) >= trials:
            return
        busy = study.get_trials(deepcopy=False, states=(states.RUNNING, ))
        if len(found) + len(busy) >= trials:
            time.sleep(_POLL)  # a busy one may be dead
            continue
        try:
            study.optimize(
                lambda trial: _evaluate(study, trial, searcher, problem,
                                        trials), n_trials=1)
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # taken for dead meanwhile; another has its configuration


def _evaluate(study, trial, searcher: Searcher, problem: Problem,
              trials: int):
    """Evaluate the configuration that a trial proposes."""
    import optuna

    from .samplers import distributions
    space = problem.candidates.space
    if not trial.relative_params:
        raise optuna.TrialPruned('there are no more configurations')
    configuration = tuple(trial.suggest_categorical(key, choice.choices)
                          for key, choice in distributions(space).items())
    _claim(study, trial, configuration, trials)
    costs = {kind: value.item() for kind, value in
             problem.candidates.costs.of([configuration]).items()}
    limit = problem.candidates.limit
    if limit is not None:  # marked ones may be above
        trial.set_constraint('budget', costs[limit.kind] / limit.most - 1)
    metric = float(problem.score(configuration))
    if not math.isfinite(metric):
        raise ValueError(f'{problem.metric} of {name_of(configuration)} is '
                         f'{metric}: is the super-net trained?')
    trial.set_user_attr('metric', metric)
    trial.set_user_attr('costs', costs)
    return (costs[problem.objective], metric) if searcher.front else metric


def _claim(study, trial, configuration: Configuration, trials: int):
    """Let nobody else evaluate a configuration, or prune the trial.

    Workers that ask at once may be given the same one. Which of them has it
    is settled in the storage: whoever has claimed it, else the earlier
    trial, which waits until the later ones have seen it.
    """
    import optuna

    from .samplers import configuration_of
    states = optuna.trial.TrialState
    while True:
        others = [t for t in study.get_trials(
            deepcopy=False, states=(states.COMPLETE, states.RUNNING))
            if t.number != trial.number]
        held = {configuration_of(t) for t in others
                if t.state == states.COMPLETE or t.number < trial.number}
        rivals = [t for t in others if configuration_of(t) == configuration]
        if len(held) >= trials or any(
                t.state == states.COMPLETE or t.number < trial.number
                or t.user_attrs.get(_CLAIMED) for t in rivals):
            raise optuna.TrialPruned('another one has it')
        if not rivals:
            trial.set_user_attr(_CLAIMED, True)
            return
        time.sleep(_POLL / 10)


def results(study, problem: Problem) -> list[Found]:
    """Return what a study has found, each configuration once."""
    import optuna

    from .samplers import configuration_of
    names = {c: name for name, c in problem.candidates.marked.items()}
    done = study.get_trials(deepcopy=False,
                            states=(optuna.trial.TrialState.COMPLETE, ))
    found = {}
    for trial in done:
        key = configuration_of(trial)
        found.setdefault(key, Found(key, trial.user_attrs['metric'],
                                    trial.user_attrs['costs'],
                                    names.get(key)))
    return list(found.values())


def front(found: list[Found], problem: Problem) -> list[Found]:
    """Return those that no other beats in cost and metric, cheapest first.

    Above the budget there are none.
    """
    limit, sign = problem.candidates.limit, -1 if problem.higher else 1
    rows = [f for f in found
            if limit is None or f.costs[limit.kind] <= limit.most]
    rows.sort(key=lambda f: (f.costs[problem.objective], sign * f.metric))
    best, kept = math.inf, []
    for row in rows:
        if sign * row.metric < best:
            best = sign * row.metric
            kept.append(row)
    return kept
