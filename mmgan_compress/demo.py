"""``--demo``: a recipe in minutes on a CPU, with what the package ships.

A recipe says itself what the demo changes of it: its ``demo`` is a dict of
new values by dotted key, which it inherits through ``_base_`` from
``configs/_base_/demo_*.py`` and adds to. Data, teachers, the student's width,
the schedule and the scoring are swapped; method, losses and hooks stay.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config, ConfigDict

from .core.configs import map_texts, walk

DATA = Path(__file__).parent / 'datasets' / 'demo'


def apply_demo(cfg: Config):
    """Turn a recipe into its demo, in place.

    Each key of ``cfg.demo`` is the place of a value, with dots between its
    parts. ``*`` stands for every member of a dict or a list. A ``?`` behind a
    key means that it is set only where the recipe has it already. None
    removes the key, and ``{data}`` in a text is the folder of the package's
    demo data.

    Args:
        cfg (Config): A recipe; ``demo`` is taken out of it.

    Raises:
        ValueError: If the recipe has no ``demo``, or if it names a place
            that the recipe does not have.

    Example:
        >>> cfg = Config(dict(a=[dict(lr=1), dict()], demo={'a.*.lr?': 2}))
        >>> apply_demo(cfg)
        >>> cfg.a
        [{'lr': 2}, {}]
    """
    changes = cfg.pop('demo', None)
    if not changes:
        raise ValueError(
            'this recipe has no demo. Inherit from configs/_base_/'
            "demo_paired.py or demo_unpaired.py, or write demo = {'KEY.KEY': "
            'VALUE}. For a pruned student: prune with --demo'
        )
    for node in walk(changes):
        node.pop('_delete_', None)  # it found nothing to replace
    changes = ConfigDict(map_texts(lambda text: text.replace('{data}', str(DATA)), changes))
    for key, value in changes.items():
        *path, last = key.removesuffix('?').split('.')
        places = list(_places(cfg, path))
        if key.endswith('?'):
            places = [place for place in places if last in place]
        elif not places:
            raise ValueError(f'demo of {cfg.filename}: {key!r} is no place of this recipe')
        if value is not None:
            for place in places:
                place[last] = value
        elif any([place.pop(last, None) is not None for place in places]):
            print(f'--demo leaves out {key.removesuffix("?")}', file=sys.stderr)


def _places(node, path: list[str]) -> Iterator[dict]:
    """Yield the dicts at a path."""
    if not path:
        if isinstance(node, (dict, Config)):
            yield node
        return
    first, *rest = path
    if isinstance(node, (list, tuple)):
        members = {str(index): item for index, item in enumerate(node)}
    elif isinstance(node, (dict, Config)):
        members = node
    else:
        return
    keys = list(members.keys()) if first == '*' else [first]
    for key in keys:
        if key in members:
            yield from _places(members[key], rest)
