"""From the options of ``mmgan-compress search`` to sub-networks on disk."""

import contextlib
import csv
import hashlib
import json
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tqdm import tqdm

from ..compat import require
from ..core.channels import input_shape
from ..core.commands import command_line
from ..core.files import atomic_folder, atomic_write, refuse_taken
from ..core.search_space import Configuration, name_of, read_configuration
from ..datasets.fetch import sha256_of
from ..deploy.formats import convert_for_timing
from ..engine.processes import end_with_parent, locked
from ..engine.runner_builder import check_inputs, load_config
from ..models.student import load_student
from ..models.supernet import SubnetCosts, SuperNet
from ..pruning.budget import LATENCY
from ..pruning.subnetwork import subnet
from ..pruning.workflow import RESULT, compress_source, read_options, write_results
from ..registry import SEARCHERS
from .candidates import Candidates, Limit, check_kind, rank
from .predictor import LatencyPredictor, draw_to_measure, fit_predictor, measure_subnets
from .results import FRONT, PICTURE, TABLE, save, shown, state_of
from .scoring import SubnetScorer, check_origin, read_model, source_of, supernet_of
from .searchers import Searcher
from .study import Found, Problem, front, open_study, results, work

RANKING = 'ranking.csv'


def searcher_of(args: Namespace) -> Searcher:
    """Build the searcher; fill in ``args.objective`` and ``args.runtime``.

    Args:
        args (Namespace): Command line of ``mmgan-compress search``.

    Raises:
        FileExistsError: If there is a ranking already.
        ValueError: If options do not go together.
    """
    searcher = SEARCHERS.build(dict(read_options(args.options), type=args.sampler))
    limited = (args.budget or '').partition('=')[0]
    args.objective = args.objective or limited or 'macs'
    kinds = {args.objective, limited} - {''}
    for kind in kinds:
        check_kind(kind)
    runtimes = sorted(kind for kind in kinds if kind.startswith(LATENCY))
    if len(runtimes) > 1:
        raise ValueError(
            f'{" and ".join(runtimes)} are two runtimes: objective and budget need the same'
        )
    args.runtime = runtimes[0].removeprefix(LATENCY) if runtimes else None
    if searcher.needs_limit and not args.budget:
        raise ValueError(f'--sampler {args.sampler} needs a --budget, such as macs=0.5')
    if args.rank:
        refuse_taken([Path(args.out, RANKING)], instead='name another --out')
    return searcher


def check_times(args: Namespace, net: SuperNet, size: int):
    """Refuse times that cannot be measured here, if any are asked for."""
    if args.runtime and not args.join:  # a joined search has measured them
        convert_for_timing(subnet(net, net.space.smallest)[0], size, args.runtime, args.threads)
        draw_to_measure(net.space.candidates, args.measured, args.seed)


def settings_of(args: Namespace, cfg: Config, scorer: SubnetScorer, size: int) -> dict[str, Any]:
    """Return what all workers of a study must share, as plain JSON.

    Images are told by their contents: machines may have them anywhere.
    """
    settings = dict(
        supernet=sha256_of(Path(args.checkpoint)),
        metric=scorer.metric,
        higher_is_better=scorer.higher,
        scored=scorer.split,
        scored_images=_digest(scorer.scored_files()),
        evaluator=_elsewhere(cfg.val_evaluator.to_dict()),
        calibration_images=scorer.calibration_images,
        calibrated_on=_digest(scorer.calibration_files()),
        sampler=args.sampler,
        options=sorted(args.options),
        seed=args.seed,
        objective=args.objective,
        budget=args.budget,
        size=size,
        threads=args.threads,
    )
    return json.loads(json.dumps(settings, default=str))


def _digest(files: list[str]) -> str:
    """Hash the contents of images."""
    text = ' '.join(sorted(sha256_of(file) for file in files))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _elsewhere(node: Any) -> Any:
    """Return a config without the places of its data."""
    if isinstance(node, dict):
        return {key: _elsewhere(value) for key, value in node.items() if key != 'data_root'}
    if isinstance(node, (list, tuple)):
        return [_elsewhere(item) for item in node]
    return node


def check_folder(out: Path, study: str, settings: dict[str, Any]):
    """Refuse a folder with the results of anything but this study."""
    if (out / FRONT).is_file():
        made = json.loads((out / FRONT).read_text())
        if (made.get('study'), made.get('settings')) == (study, settings):
            return
        raise FileExistsError(
            f'{out} holds the results of another search: name another --out, or remove it'
        )
    refuse_taken(
        [out / name for name in (TABLE, PICTURE, RESULT)],
        instead='name another --out, or move it away',
    )


def candidates_of(args: Namespace, cfg: Config, net: SuperNet, costs: SubnetCosts) -> Candidates:
    """Return what is searched, with the ends and what was published."""
    space = net.space
    marked = dict(largest=space.largest, smallest=space.smallest)
    name = Path(cfg.train_dataloader.dataset.data_root).name
    for key, text in cfg.get('published', {}).get(name, {}).items():
        configuration = read_configuration(text)
        if configuration in space:
            marked[f'published, {key}'] = configuration
    limit: Limit | None = None
    if args.budget:
        limit = Limit.of(args.budget, costs.of([space.largest]), costs.size)
    return Candidates(space, costs, limit, args.seed, marked)


def export(
    out: Path,
    configuration: Configuration,
    scorer: SubnetScorer,
    cfg: Config,
    threads: int | None = None,
):
    """Write a sub-network as ``mmgan-compress prune`` does, and compare.

    Args:
        out (Path): Folder of the search; one that is there already stays.
        configuration (Configuration): Which.
        scorer (SubnetScorer): Of the super-net.
        cfg (Config): Its recipe.
        threads (int | None): That its time is taken with.
    """
    folder = out / 'subnets' / name_of(configuration)
    if (folder / RESULT).is_file():
        return  # of the same super-net, see run.py
    source = source_of(scorer.model, cfg, 'SuperNet')
    scorer.set_channels(configuration)  # calibrates, too
    scorer.net.set_channels(None)
    results = compress_source(
        source, 'SubNet', {source.default_domain: None}, dict(configuration=name_of(configuration))
    )
    with atomic_folder(folder) as part:
        write_results(part, source, results, 'SubNet', source.image_size, threads)
        check_slice(scorer.net, configuration, part / RESULT, source.image_size)


@torch.no_grad()
def check_slice(net: SuperNet, configuration: Configuration, path: Path, size: int):
    """Refuse a student file that does not give what the super-net gives.

    Args:
        net (SuperNet): In the state that the student was cut out in.
        configuration (Configuration): Of the sub-network.
        path (Path): Student file.
        size (int): Side of the image in pixels.

    Raises:
        RuntimeError: If their images differ by more than the order of sums.
    """
    device = next(net.parameters()).device
    image = torch.rand(input_shape(net, size), device=device) * 2 - 1
    small = load_student(path).to(device)
    try:
        net.set_channels(configuration)
        gap = float((small(image) - net.eval()(image)).abs().max())
    finally:
        net.set_channels(None)
    if gap > (0 if device.type == 'cpu' else 1e-3):
        raise RuntimeError(f'{path} differs from its slice by {gap:.3g}')


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
    costs = SubnetCosts(net, args.size or cfg.train_dataloader.dataset.size)
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


def _predict(costs: SubnetCosts, net: SuperNet, args: Namespace, study=None):
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
        known = asdict(fitted)
        if study:
            study.set_user_attr(key, known)
    costs.predictor = LatencyPredictor(**known)
    print(_about(costs.predictor))


def _about(predictor: LatencyPredictor) -> str:
    """Say how good a predictor is."""
    taken, error = predictor.measured, predictor.error
    return (
        f'{predictor.kind} is predicted from '
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
        study=args.study, settings=settings, notes=notes, predictor=predictor and asdict(predictor)
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
    with atomic_write(out / RESULT) as part:
        shutil.copyfile(out / 'subnets' / name_of(chosen.configuration) / RESULT, part)
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
