"""Errors in the words of a user: what libraries say, put plainly."""

import difflib
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path

# What a process says if another one, or the network, has failed.
LOST_CONNECTION = re.compile(
    r'Connection (closed by peer|reset by peer|refused)|connectFullMesh|'
    r'(gloo|nccl|c10d|ProcessGroup).*(timed? ?out|abort|remote process)',
    re.IGNORECASE,
)
_REGISTRY = re.compile(
    r'(?:\w+\.)*(\S+) is not in the (?:\w+::)?([\w ]+?) '
    r'registry',
    re.DOTALL,
)
_MEMORY = 'out of memory: lower the batch size or the size of the images'
# What libraries say, and what it means to a user.
_MEANINGS = [
    (
        r".*?(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'.*",
        r"\1 takes no argument '\2'",
    ),
    (
        r'.*?(\w+)\.__init__\(\) missing \d+ required \S+ arguments?: (.*)',
        r'\1 needs the argument \2',
    ),
    (r'.*?(\w+)\(\) takes no arguments', r'\1 takes no arguments'),
    (r".*?'ConfigDict' object has no attribute '(\w+)'.*", r"the config has no '\1'"),
    (r'.*(?:out of memory|DefaultCPUAllocator|cannot allocate memory).*', _MEMORY),
    (
        r'.*DataLoader worker .*(?:killed by signal|exited unexpectedly).*',
        'a process that loads images was killed, maybe out of memory: lower '
        'num_workers of the data loaders',
    ),
    (
        r'.*(?:PytorchStreamWriter failed|unexpected pos \d+ vs \d+).*',
        'a file could not be written: the disk may be full',
    ),
    (
        r'.*(?:Padding size should be less than|'
        r"Kernel size can't be greater than actual input|"
        r'Expected more than 1 spatial element).*',
        'the images are too small for the network: take a larger size',
    ),
    (
        r'optimizer got an empty parameter list',
        'an optimizer of optim_wrapper has nothing to train: its modules name '
        'no part of the model that has weights',
    ),
    (
        r'Error\(s\) in loading state_dict for (\w+):\s*(\S[^\n]*).*',
        r'the weights do not fit \1: \2',
    ),
]


def message_of(error: BaseException) -> str:
    """Return what an error says, in the words of a user.

    A KeyError loses its quotes, an OSError its number, an error of a worker
    process its traceback, and a name that a registry does not know gets near
    names. Of what another library says, the first line is kept.
    """
    meaning = explain(error)
    if meaning:
        return meaning.strip()
    text = _own_words(error)
    if _is_foreign(error):
        text = next((line for line in text.splitlines() if line.strip()), '')
    return text.strip() or type(error).__name__


def explain(error: BaseException) -> str | None:
    """Return what a known message of a library means, or None."""
    if isinstance(error, MemoryError):
        return _MEMORY
    if (
        isinstance(error, (FileExistsError, NotADirectoryError))
        and error.filename
        and (there := is_in_the_way(error.filename))
    ):
        return f'{there} is a file, expected a folder'
    text = _own_words(error)
    unknown = _REGISTRY.match(text)
    if unknown:
        return _unknown_name(*unknown.groups())
    return next(
        (
            re.sub(f'(?s){pattern}', meaning, text, count=1)
            for pattern, meaning in _MEANINGS
            if re.fullmatch(f'(?s){pattern}', text)
        ),
        None,
    )


def is_in_the_way(path: str | Path) -> Path | None:
    """Return the file that is where a folder of a path should be, if any.

    Args:
        path (str | Path): Of a folder that cannot be made or written to.
    """
    place = Path(path)
    return next((part for part in (place, *place.parents) if part.is_file()), None)


def _own_words(error: BaseException) -> str:
    """Return the message without what was put before it."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if 'Original Traceback' in text:  # of a worker of a data loader
        last = list(re.finditer(r'^[\w.]+(?:Error|Exception): ', text, re.M))
        text = text[last[-1].end() :] if last else text
        text = re.sub(r'^([\'"])(.*)\1$', r'\2', text.strip())
    return re.sub(r'^((class `.*?` in .*?: )+|\[Errno \d+\] )', '', text)


def _is_foreign(error: BaseException) -> bool:
    """Tell whether the code that raised it is not of this package."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace is not None and 'mmgan_compress' not in trace.tb_frame.f_globals.get(
        '__name__', ''
    )


def _unknown_name(name: str, kind: str) -> str:
    """Say that a registry has no such name, and which ones are near."""
    known = {
        each
        for module in list(sys.modules.values())
        if getattr(module, '__name__', '').endswith('.registry')
        for value in vars(module).values()
        if getattr(value, 'name', None) == kind
        for each in getattr(value, 'module_dict', ())
    }
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f'no {kind} {name!r}' + (
        f'; did you mean {near[0]!r}?'
        if near
        else ': check its name, or import what registers it (--import)'
    )


def check_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Raise ValueError for a setting that is none of those known."""
    if value not in known:
        raise ValueError(f'{name} is {value!r}, expected one of {", ".join(known)}')


def check_range(
    name: str, value: float, least: float, most: float = math.inf, above: bool = False
) -> None:
    """Raise ValueError for a number that is not finite, or out of bounds.

    Args:
        name (str): Of the setting, for the message.
        value (float): What it is.
        least (float): Lower bound, which the value may be.
        most (float): Upper bound, which the value may be.
        above (bool): Whether the value may not be the lower bound itself.
    """
    if value == math.inf or not least <= value <= most or above and value == least:
        bounds = f'{least} or more' if most == math.inf else f'{least} to {most}'
        raise ValueError(f'{name} is {value}, expected {f"above {least}" if above else bounds}')
