"""What every kind of stage is."""
import hashlib
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Optional

from mmengine.config import Config

from ..core.configs import find_config
from .runner_builder import load_config


@dataclass(frozen=True)
class Site:
    """Where a stage works, and what the command line says to all stages.

    Args:
        folder (Path): The stage's own folder.
        base (Path): Folder of the pipeline's config.
        tools (Path): Folder of the commands.
        demo (bool): Whether recipes become their demo.
        data_root (str | None): Images in place of those of the recipes.
    """
    folder: Path
    base: Path
    tools: Path
    demo: bool = False
    data_root: Optional[str] = None


@dataclass
class Stage:
    """One command. The fields of a kind are the keys of its stages.

    Building one must not need what earlier stages write.

    Attributes:
        result (str): File in its output that a finished command has left.
        resumes (bool): Whether the command goes on in the output that it
            was killed in; one that does not starts anew.
        sources (Sequence[str]): Keys that name a file to read.
        passes (str | None): Key of the student that stands for the stage's
            own where it is skipped; None where none can.
    """
    site: Site
    result: ClassVar[str] = 'student.pth'
    resumes: ClassVar[bool] = False
    sources: ClassVar[Sequence[str]] = ('source', )
    passes: ClassVar[Optional[str]] = None

    def inputs(self) -> dict[str, Any]:
        """Return by name what the result depends on beside keys and files
        (plain values); the name is shown when it changes."""
        return {}

    def check(self):
        """Refuse what cannot work, before any stage runs."""

    def lacks(self, name: str) -> Optional[str]:
        """Say why the command will not leave a file of this name, behind a
        colon; None where it will, or may."""

    def prepare(self):
        """Write what the command reads; earlier stages are done now."""

    def command(self, out: Path, resume: bool) -> list[str]:
        """Return the arguments of the Python that runs the stage.

        Args:
            out (Path): Folder to write into.
            resume (bool): Whether to go on there.
        """
        raise NotImplementedError


@dataclass
class RecipeStage(Stage):
    """Base of commands that read a recipe.

    Args:
        config (str): Recipe, relative to the pipeline's config, or its name.
    """
    config: str

    def __post_init__(self):
        self._path = beside(self.site, self.config)
        self._cfg = load_config(Namespace(
            config=self._path, demo=self.site.demo,
            data_root=self.site.data_root, cfg_options=None))
        self._digest = _digest(self._cfg)

    def inputs(self) -> dict[str, Any]:
        return {
            '--demo': self.site.demo,
            '--data-root': self.site.data_root,
            f'contents of {self.config}': self._digest
        }


def beside(site: Site, name: str) -> str:
    """Return a recipe's path: beside the pipeline, or by its name.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = site.base / name
    return str(path) if path.is_file() else find_config(name)


def contents(site: Site, *names: Optional[str]) -> dict[str, str]:
    """Return what configs say, with their bases, as ``Stage.inputs`` does.

    Args:
        site (Site): Of the stage.
        names (str | None): As of :func:`beside`; None are left out.
    """
    return {f'contents of {name}': _digest(Config.fromfile(
        beside(site, name))) for name in names if name}


def _digest(cfg: Config) -> str:
    return hashlib.sha256(repr(cfg.to_dict()).encode()).hexdigest()


def flags(**options) -> list[str]:
    """Return options of a command line; None, False and [] are left out.

    Example:
        >>> flags(out_dir='x', dynamic=True, size=None, budget=['a=1', 'b=2'])
        ['--out-dir', 'x', '--dynamic', '--budget', 'a=1', 'b=2']
    """
    words = []
    for key, value in options.items():
        if value is None or value is False or value == []:
            continue
        words.append('--' + key.replace('_', '-'))
        if value is not True:
            values = value if isinstance(value, list) else [value]
            words += [str(item) for item in values]
    return words
