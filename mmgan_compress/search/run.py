"""From the options of ``mmgan-compress search`` to sub-networks on disk."""

import contextlib
import csv
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from tqdm import tqdm

from ..compat import require
from ..core.commands import command_line
from ..core.files import atomic_write
from ..core.search_space import Configuration, name_of
from ..engine.processes import end_with_parent, locked
from ..engine.runner_builder import check_inputs, load_config
from ..models.supernet import SuperNet
from ..pruning.budget import LATENCY
from ..pruning.workflow import RESULT
from .candidates import Candidates, Costs, rank
from .export import choose, export
from .predictor import LatencyPredictor, fit_predictor, measure_subnets
from .prepare import RANKING, candidates_of, check_folder, check_times, searcher_of, settings_of
from .results import TABLE, save, shown, state_of
from .scoring import SubnetScorer, check_origin, read_model, supernet_of
from .searchers import Searcher
from .study import Found, Problem, front, open_study, results, work

# how far above a budget of time what was measured may lie
_TOLERANCE = 0.02


def run_search(args: Namespace):
    """Search; write the front and its best sub-networks.

    Args:
        args (Namespace): Command line of ``mmgan-compress search``.

    Raises:
        FileNotFoundError: If something to be read is not there.
        FileExistsError: If the folder holds something else.
        ValueError: For settings that cannot work.
    """
    cfg = load_config(Namespace(config=args.config, demo=args.demo, data_root=args.data_root))
    require('matplotlib.figure', 'The picture of the front')
    searcher = searcher_of(args)  # one of the config's custom_imports, maybe
    init_default_scope(cfg.default_scope)
    model = read_model(cfg, args.checkpoint)
    net = supernet_of(model)
    costs = Costs(net, args.size or cfg.train_dataloader.dataset.size)
    check_times(args, net, costs.size)
    if args.rank:
        _predict(costs, net, args)
        _rank(candidates_of(args, cfg, net, costs), args)
        return
    check_inputs(cfg, ['train_dataloader', 'val_dataloader'])
    scorer = SubnetScorer(cfg, model, args.metric, args.calibration_images)
    scorer.higher |= args.higher_is_better
    check_origin(args.checkpoint, scorer.train)
    settings = settings_of(args, cfg, scorer, costs.size)
    out = Path(args.out)
    check_folder(out, args.study, settings)
    if not (args.budget or '').startswith(LATENCY):
        candidates_of(args, cfg, net, costs)  # refused before the study is
    study = open_study(args.storage, args.study, searcher, scorer.higher, settings)
    with (
        contextlib.nullcontext()
        if args.join
        else locked(out, 'let this command help it with --join')
    ):
        _predict(costs, net, args, study)
        problem = Problem(
            candidates_of(args, cfg, net, costs),
            scorer,
            scorer.metric,
            scorer.higher,
            args.objective,
        )
        found = _work_together(study, searcher, problem, args)
        if scorer.protocol:
            study.set_user_attr('protocol', scorer.protocol)
        if not args.join:
            _finish(study, found, problem, settings, cfg, args)


def _predict(costs: Costs, net: SuperNet, args: Namespace, study=None):
    """Have times predicted, if any are asked for; all workers of a study by
    the same predictor.
    """
    if args.runtime is None:
        return
    key = LATENCY + args.runtime
    known = study.user_attrs.get(key) if study else None
    while known is None and args.join:
        print(f'waiting until the search that was started first has measured {key}', flush=True)
        time.sleep(5)
        known = study.user_attrs.get(key)
    if known is None:
        fitted = fit_predictor(
            net,
            lambda rows: costs.of(rows)['macs'],
            args.measured,
            costs.size,
            args.runtime,
            args.threads,
            args.seed,
        )
        known = fitted.to_dict()
        if study:
            study.set_user_attr(key, known)
    costs.predictor = LatencyPredictor(**known)
    print(_about(costs.predictor))


def _about(predictor: LatencyPredictor) -> str:
    """Say how good a predictor is."""
    taken, error = predictor.measured, predictor.error
    return (
        f'{LATENCY}{predictor.runtime} is predicted from '
        f'{taken["networks"] - error["count"]} measured sub-networks '
        f'({taken["version"]}, {taken["threads"] or "all"} threads); '
        f'of {error["count"]} others the relative error is '
        f'{error["median"]:.1%} (median), {error["p95"]:.1%} (p95)'
    )


def _rank(candidates: Candidates, args: Namespace):
    """Order sub-networks by cost and tell how long it took."""
    out = Path(args.out)
    began = time.perf_counter()
    rows, costs = rank(candidates, args.objective, args.rank)
    taken = time.perf_counter() - began
    with atomic_write(out / RANKING) as part, open(part, 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['configuration', *costs])
        table.writerows(
            [name_of(row), *(costs[kind][i] for kind in costs)] for i, row in enumerate(rows)
        )
    fewer = (
        ''
        if len(rows) == args.rank
        else ' (no more meet the budget)'
        if args.budget
        else ' (there are no more)'
    )
    print(
        f'{len(rows)} of {len(candidates.space)} sub-networks{fewer} ranked '
        f'by {args.objective} in {taken:.2f} s: {out}/{RANKING}'
    )


@contextlib.contextmanager
def _helpers(args: Namespace) -> Iterator[None]:
    """Let further processes work on the study inside the block."""
    command = command_line(
        *args.words,
        '--storage',
        args.storage,
        '--study',
        args.study,
        '--out',
        args.out,
        '--join',
        '--workers',
        '1',
    )
    children, logs = [], []
    try:
        for index in range(2, args.workers + 1):
            logs.append(Path(args.out, f'worker_{index}.log'))
            with open(logs[-1], 'ab') as log:
                children.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        preexec_fn=end_with_parent(),
                    )
                )
        yield
        for child, log in zip(children, logs):
            if child.wait():
                print(
                    f'a worker ended with status {child.returncode}; what it printed is in {log}',
                    file=sys.stderr,
                )
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
                child.wait()


def _work_together(study, searcher: Searcher, problem: Problem, args: Namespace) -> list[Found]:
    """Evaluate with all workers; show the state of the study."""
    trials = min(args.trials or searcher.trials(problem.candidates), len(problem.candidates))
    with _helpers(args), tqdm(total=trials, desc=args.study, unit=' sub-networks') as bar:

        def show(found: list[Found]):
            bar.n = len(found)
            bar.set_postfix_str(state_of(found, problem))

        work(study, searcher, problem, trials, show)
    return results(study, problem)


def _finish(
    study,
    found: list[Found],
    problem: Problem,
    settings: dict[str, Any],
    cfg: Config,
    args: Namespace,
):
    """Measure and write the best of the front; write what was found."""
    out, limit = Path(args.out), problem.candidates.limit
    best = sorted(
        front(found, problem), key=lambda row: -row.metric if problem.higher else row.metric
    )[: args.top]
    if not best:
        raise ValueError(
            'none of the sub-networks that were evaluated meets '
            'the budget: repeat the command with more --trials'
        )
    net, predictor = problem.score.net, problem.candidates.costs.predictor
    measured = {}
    if predictor is not None:
        rows = list(dict.fromkeys([net.space.largest, *(row.configuration for row in best)]))
        timings, _ = measure_subnets(net, rows, settings['size'], predictor.runtime, args.threads)
        measured = {row: 1e3 * timing.median for row, timing in zip(rows, timings)}
    notes = [
        f'{problem.metric}: {study.user_attrs.get("protocol")}',
        f'scored on {settings["scored"]}; batch norms, where there are '
        f'any, calibrated on {settings["calibration_images"]} training '
        'images',
    ]
    if predictor is not None:
        notes.append(_about(predictor))
    facts = dict(
        study=args.study,
        settings=settings,
        notes=notes,
        predictor=predictor and predictor.to_dict(),
    )
    save(out, found, problem, facts, measured)
    for row in tqdm(best, desc='write', unit=' students'):
        export(out, row.configuration, problem.score, cfg, args.threads)
    chosen = best[0]
    if limit is not None and limit.kind.startswith(LATENCY):
        chosen = _meeting(
            best,
            measured,
            limit.most if limit.share is None else limit.share * measured[net.space.largest],
        )
    choose(out, chosen.configuration)
    print((out / TABLE).read_text())
    print(
        f'{out}/{RESULT}: {name_of(chosen.configuration)}, '
        f'{shown(args.objective, chosen.costs[args.objective])}, '
        f'{problem.metric} {chosen.metric:.4g}'
    )


def _meeting(best: list[Found], measured: dict[Configuration, float], most: float) -> Found:
    """Return the best one whose measured time meets the budget."""
    for row in best:
        if measured[row.configuration] <= most * (1 + _TOLERANCE):
            return row
    nearest = min((row.configuration for row in best), key=measured.get)
    raise ValueError(
        f'none of the {len(best)} best takes at most {most:.4g} ms when '
        f'measured; the nearest is {name_of(nearest)} with '
        f'{measured[nearest]:.4g} ms. Repeat the command with a larger --top, '
        'or on a machine that does nothing else; all are in subnets/'
    )
