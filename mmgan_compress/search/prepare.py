"""The command line of a search: what it asks for, refused before the work."""

import hashlib
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..core.files import refuse_taken
from ..core.search_space import read_configuration
from ..datasets.fetch import sha256_of
from ..deploy.formats import convert_for_timing
from ..models.supernet import SuperNet
from ..pruning.budget import LATENCY
from ..pruning.subnetwork import subnet
from ..pruning.workflow import RESULT, read_options
from .candidates import Candidates, Costs, Limit, check_kind
from .predictor import draw_to_measure
from .results import FRONT, PICTURE, TABLE
from .scoring import SubnetScorer
from .searchers import Searcher, build_searcher

RANKING = 'ranking.csv'


def searcher_of(args: Namespace) -> Searcher:
    """Build the searcher; fill in ``args.objective`` and ``args.runtime``.

    Args:
        args (Namespace): Command line of ``mmgan-compress search``.

    Raises:
        FileExistsError: If there is a ranking already.
        ValueError: If options do not go together.
    """
    searcher = build_searcher(args.sampler, read_options(args.options))
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


def candidates_of(args: Namespace, cfg: Config, net: SuperNet, costs: Costs) -> Candidates:
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
