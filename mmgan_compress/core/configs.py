"""Configs: where they are, and whether a file is one."""

import ast
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction

from ..renamed import update_config

# links in the source tree, files in a wheel; mim looks here too
CONFIGS = Path(__file__).resolve().parents[1] / '.mim' / 'configs'


def find_config(name: str) -> str:
    """Return the path of a config.

    Args:
        name (str): A path, or the file name of a recipe of this package,
            wherever that is installed: ``'omgd_cyclegan.py'``.

    Raises:
        FileNotFoundError: If it is neither, naming the nearest recipes.
    """
    if Path(name).is_file():
        return name
    recipes = {
        path.name: path for path in CONFIGS.resolve().rglob('*.py') if '_base_' not in path.parts
    }
    if name in recipes:
        return str(recipes[name])
    near = get_close_matches(Path(name).name, recipes) or sorted(
        path.name for path in CONFIGS.glob('*.py')
    )
    raise FileNotFoundError(
        f'no config {name!r}: expected a path or the '
        'file name of a recipe of this package, such as ' + ', '.join(near)
    )


def read_config(path: str) -> Config:
    """Read a config; names of before become those of today.

    Raises:
        ValueError: If the file is no config, or an error occurs in it.
        FileNotFoundError: If a base of it does not exist.
    """
    check_file(path)
    try:
        config = Config.fromfile(path)
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:  # a config is Python
        cause = error.__cause__ or error  # of custom_imports
        raise ValueError(f'{path} cannot be read: {type(cause).__name__}: {cause}') from cause
    update_config(list(config.values()))
    return config


def check_files(config: str, options: Sequence[str] | None = None):
    """Refuse what can be seen of a command line without importing torch.

    Args:
        config (str): As of :func:`find_config`.
        options (Sequence[str] | None): As of :func:`read_options`.

    Raises:
        FileNotFoundError: If the config, or a base of it, does not exist.
        ValueError: If it is no config, or an option is no ``KEY=VALUE``.
    """
    check_file(find_config(config))
    read_options(options or ())


def check_file(path: str, above: Sequence[Path] = ()):
    """Refuse what is no config before anything slow is imported.

    The file and its bases are parsed, not run.

    Args:
        path (str): Of :func:`find_config`.
        above (Sequence[Path]): Files whose base it is.

    Raises:
        ValueError: If it, or a base of it, is no Python or empty, or is its
            own base.
        FileNotFoundError: If a base does not exist.
    """
    file = Path(path)
    if file.suffix != '.py':
        raise ValueError(
            f'{path} is no config: expected a Python file (.py), such as configs/omgd_cyclegan.py'
        )
    try:
        tree = ast.parse(file.read_text(encoding='utf-8'), path)
    except (SyntaxError, ValueError) as error:  # of bytes, too
        line = getattr(error, 'lineno', None)
        reason = getattr(error, 'msg', None) or str(error)
        raise ValueError(
            f'{path}{f", line {line}" if line else ""}: this is no Python: {reason}'
        ) from error
    if not tree.body:
        raise ValueError(f'{path} is empty')
    for name in _bases(tree):
        base = file.parent / name
        if not base.is_file():
            near = get_close_matches(base.name, [other.name for other in base.parent.glob('*.py')])
            raise FileNotFoundError(
                f'{path}: its _base_ {name!r} does not exist '
                f'({base.absolute()}){did_you_mean(near)}'
            )
        if base.resolve() in (own := [*above, file.resolve()]):
            raise ValueError(
                f'{path}: its _base_ {name!r} leads back to {base}: a config cannot be its own base'
            )
        check_file(str(base), own)


def _bases(tree: ast.Module) -> list[str]:
    """Return the bases that a config names as files."""
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(getattr(target, 'id', None) == '_base_' for target in node.targets)
    ]
    return [
        node.value
        for value in values
        for node in ast.walk(value)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and '::' not in node.value
        and '{{' not in node.value
    ]


def did_you_mean(near: Sequence[str]) -> str:
    """Return the end of a message that names what is alike, if anything."""
    return f'; did you mean {" or ".join(map(repr, near))}?' if near else ''


def read_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` pairs of ``--cfg-options``.

    Args:
        pairs (Sequence[str]): Such as ``train_dataloader.batch_size=4``.

    Returns:
        dict[str, Any]: Value by dotted key; numbers, booleans and lists are
        turned into such.

    Raises:
        ValueError: For what is no such pair.
    """
    options = Namespace()
    for pair in pairs:
        key, equals, _ = pair.partition('=')
        if not equals or not all(key.split('.')):
            raise ValueError(
                f'--cfg-options {pair}: expected KEY=VALUE, such as train_dataloader.batch_size=4'
            )
    try:
        DictAction([], 'read')(None, options, pairs)
    except RecursionError as error:  # mmengine's answer to dict(a=1, b=2)
        raise ValueError(
            '--cfg-options: write the entries of a dict one by '
            'one, such as model.generator.base_channels=8 '
            'model.generator.num_blocks=6'
        ) from error
    except (AssertionError, ValueError) as error:
        raise ValueError(f'--cfg-options: {error}') from error
    return options.read


def walk(node: Any) -> Iterator[ConfigDict]:
    """Yield every dict inside a config."""
    for _, part in walk_paths(node, ''):
        yield part


def walk_paths(node: Any, path: str) -> Iterator[tuple[str, ConfigDict]]:
    """Yield every dict inside a part of a config, with its dotted path.

    Args:
        node (Any): The part. A dict may be changed when it is yielded: its
            entries are read afterwards.
        path (str): Where the part is.
    """
    items: Iterable = ()
    if isinstance(node, dict):
        yield path, node
        items = list(node.items())
    elif isinstance(node, (list, tuple)):
        items = enumerate(node)
    for key, child in items:
        yield from walk_paths(child, f'{path}.{key}')


def map_texts(change: Callable[[str], str], value: Any) -> Any:
    """Return a config, or a part of one, with every text changed.

    Args:
        change (Callable): Takes a text and returns the new one.
        value: Dicts and lists of plain values.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: map_texts(change, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_texts(change, item) for item in value]
    return value
