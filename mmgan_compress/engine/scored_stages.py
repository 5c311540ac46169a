"""Stages that read a recipe for its data and metrics, and train nothing."""
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Optional

from .runner_builder import check_inputs
from .stage import RecipeStage, Stage, beside, contents, flags


@dataclass
class _Scored(RecipeStage):
    """Base of commands that read a recipe's data and metrics alone."""

    def __post_init__(self):
        super().__post_init__()
        self._cfg.model.distiller = None  # no teacher is needed


@dataclass
class Search(_Scored):
    """``tools/search.py``: the best sub-network of a super-net.

    Keys are its options; the study is in the stage's own folder unless
    ``storage`` names another place.
    """
    source: str
    sampler: str = 'nsga2'
    options: list[str] = field(default_factory=list)
    objective: Optional[str] = None
    budget: Optional[str] = None
    metric: Optional[str] = None
    higher_is_better: bool = False
    trials: Optional[int] = None
    workers: Optional[int] = None
    top: Optional[int] = None
    calibration_images: Optional[int] = None
    measured: Optional[int] = None
    size: Optional[int] = None
    threads: Optional[int] = None
    seed: Optional[int] = None
    storage: Optional[str] = None
    study: Optional[str] = None
    resumes: ClassVar[bool] = True

    def check(self):
        check_inputs(self._cfg, ['train_dataloader', 'val_dataloader'])

    def command(self, out: Path, resume: bool) -> list[str]:
        own = {f.name: getattr(self, f.name)
               for f in dataclasses.fields(Search)
               if f.name not in ('site', 'config', 'source')}
        return [str(self.site.tools / 'search.py'), self._path, self.source,
                *flags(**own, demo=self.site.demo,
                       data_root=self.site.data_root, out=out)]


def _is_recipe(name: Optional[str]) -> bool:
    """Tell a recipe from a folder of images."""
    return bool(name) and name.endswith('.py')


@dataclass
class Quantize(Stage):
    """``tools/quantize.py``: a student in 8 bits, and what that loses.

    Keys are its options; recipes are relative to the pipeline's config, or
    named.
    """
    source: str
    quantizer: Optional[str] = None
    calibration: Optional[str] = None
    psnr_floor: Optional[float] = None
    skip: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    size: Optional[int] = None
    test: Optional[str] = None
    domain: Optional[str] = None
    result: ClassVar[str] = 'quantize.json'

    def inputs(self) -> dict[str, Any]:
        recipes = [name for name in (self.calibration, self.test)
                   if _is_recipe(name)]
        return {'--demo': self.site.demo, '--data-root': self.site.data_root,
                **contents(self.site, *recipes)}

    def check(self):
        self._recipes()

    def _recipes(self) -> dict[str, Optional[str]]:
        names = dict(calibration=self.calibration, test=self.test)
        return {key: beside(self.site, name) if _is_recipe(name) else name
                for key, name in names.items()}

    def command(self, out: Path, resume: bool) -> list[str]:
        return [str(self.site.tools / 'quantize.py'), self.source,
                *flags(quantizer=self.quantizer, psnr_floor=self.psnr_floor,
                       skip=self.skip, options=self.options, size=self.size,
                       domain=self.domain, **self._recipes(),
                       demo=self.site.demo, data_root=self.site.data_root,
                       out=out)]


@dataclass
class Report(_Scored):
    """``tools/report.py``: students of several stages in one table.

    Args:
        students (dict[str, str]): Student file by the name of its row; costs
            are compared with the first one's.
    """
    students: dict[str, str]
    result: ClassVar[str] = 'report.md'
    sources: ClassVar[Sequence[str]] = ()

    def __post_init__(self):
        super().__post_init__()
        if not self.students:
            raise ValueError('a report needs students, such as '
                             "dict(found='{search}/student.pth')")

    def check(self):
        check_inputs(self._cfg, ['test_dataloader'])

    def command(self, out: Path, resume: bool) -> list[str]:
        return [str(self.site.tools / 'report.py'), self._path,
                *(f'{name}={file}' for name, file in self.students.items()),
                *flags(demo=self.site.demo, data_root=self.site.data_root,
                       out=out)]
