"""Kinds of stages of a pipeline: each is an ordinary command of ``tools/``.

A new kind is a class with its keys as fields and one entry in ``STAGES``.
"""
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Optional

from mmengine.config import ConfigDict

from ..core.files import write_text
from ..datasets.fetch import sha256_of
from ..registry import find_pruner
from ..models.student import student_info
from .runner_builder import check_inputs, starting_files
from .results import BEST, LAST
from .scored_stages import Quantize, Report, Search
from .stage import RecipeStage, Site, Stage, beside, contents, flags


@dataclass
class Train(RecipeStage):
    """``tools/train.py`` with a recipe that may take over a student.

    Args:
        config (str): Recipe, relative to the pipeline's config, or its name.
        generator (str | None): Student file whose networks the recipe's
            student gets, with fresh weights.
        inherit (bool): Start from that file's weights.
        cfg_options (dict): Changes of the recipe, by dotted key.
    """
    generator: Optional[str] = None
    inherit: bool = False
    cfg_options: dict = field(default_factory=dict)
    resumes: ClassVar[bool] = True
    sources: ClassVar[Sequence[str]] = ('generator', )
    passes: ClassVar[Optional[str]] = 'generator'

    def __post_init__(self):
        if self.inherit and not self.generator:
            raise ValueError('inherit=True takes the weights of a student '
                             "file: name it, generator='{stage}/student.pth'")
        super().__post_init__()
        self._cfg.merge_from_dict(self.cfg_options)
        # without what prepare() adds, a file of this pipeline
        self._starts = starting_files(self._cfg)

    def inputs(self) -> dict[str, Any]:
        return {**super().inputs(), **{
            f'file {file}': sha256_of(file) for file in self._starts
            if Path(file).is_file()}}

    def check(self):
        check_inputs(self._cfg)

    def lacks(self, name):
        hook = self._cfg.default_hooks.get('student') or {}
        if name == BEST and not (hook.get('metric')
                                 and self._cfg.get('val_dataloader')):
            return f': {self.config} chooses no best student. Give it a ' \
                'val_dataloader and default_hooks.student.metric, or take ' \
                f'its {LAST}'
        return None

    def prepare(self):
        if self.generator:
            self._cfg.model.generator = self._taken_over()
        write_text(
            self._recipe,
            f'# Made of {self.config} by tools/pipeline.py, which writes it '
            f'again:\n# copy it to change it.\n{self._cfg.pretty_text}')

    def _taken_over(self) -> ConfigDict:
        """Return the student's config: one network for all domains, or one
        for each, which also says where its weights are."""
        info = student_info(self.generator)
        if 'generators' not in info and not self.inherit:
            return ConfigDict(info['generator'])
        held = info.get('generators') or \
            dict.fromkeys(info['reachable'], info['generator'])
        domains = list(self._cfg.model.reachable_domains)
        if not set(domains) <= set(held):
            raise ValueError(
                f'{self.generator} has networks for {list(held)}, but '
                f'{self.config} trains {domains}: use a recipe of the same '
                'domains')
        configs = {domain: dict(held[domain]) for domain in domains}
        if self.inherit:
            for domain, config in configs.items():
                config['init_cfg'] = dict(
                    type='Pretrained', checkpoint=self.generator,
                    prefix=f'generators.{domain}')
        return ConfigDict(configs)

    def command(self, out: Path, resume: bool) -> list[str]:
        return [str(self.site.tools / 'train.py'), str(self._recipe),
                *flags(work_dir=out, resume=resume)]

    @property
    def _recipe(self) -> Path:
        return self.site.folder / 'recipe.py'


@dataclass
class Compress(Stage):
    """``tools/compress.py``: a smaller student. Keys are its options.

    Recipes are relative to the pipeline's config, or named.
    """
    source: str
    pruner: str
    budget: list[str] = field(default_factory=list)
    size: Optional[int] = None
    domain: Optional[str] = None
    tolerance: Optional[float] = None
    options: list[str] = field(default_factory=list)
    threads: Optional[int] = None
    training: Optional[str] = None
    finetune: Optional[str] = None
    seed: Optional[int] = None
    passes: ClassVar[Optional[str]] = 'source'

    def inputs(self) -> dict[str, Any]:
        return {**contents(self.site, self.training, self.finetune), **{
            key: value for key, value in (
                ('--demo', self.site.demo),
                ('--data-root', self.site.data_root)) if value}}

    def check(self):
        find_pruner(self.pruner, bool(self.budget))
        for recipe in (self.training, self.finetune):
            if recipe:
                self._recipe(recipe)

    def _recipe(self, name: Optional[str]) -> Optional[str]:
        return name and beside(self.site, name)

    def command(self, out: Path, resume: bool) -> list[str]:
        return [str(self.site.tools / 'compress.py'), self.source,
                *flags(pruner=self.pruner, budget=self.budget,
                       size=self.size, domain=self.domain,
                       tolerance=self.tolerance, options=self.options,
                       threads=self.threads, seed=self.seed,
                       training=self._recipe(self.training),
                       finetune=self._recipe(self.finetune),
                       demo=self.site.demo, data_root=self.site.data_root,
                       out=out)]


@dataclass
class Export(Stage):
    """``tools/export.py``: a student for a runtime. Keys are its options.

    The deploy config is relative to the pipeline's config, or named.
    """
    source: str
    deploy_cfg: Optional[str] = None
    size: Optional[int] = None
    dynamic: bool = False
    uint8: bool = False
    images: Optional[str] = None
    calibration: Optional[str] = None
    tolerance: Optional[float] = None
    domain: Optional[str] = None
    result: ClassVar[str] = 'parity.json'

    def inputs(self) -> dict[str, Any]:
        return contents(self.site, self.deploy_cfg)

    def check(self):
        if self.deploy_cfg:
            beside(self.site, self.deploy_cfg)

    def command(self, out: Path, resume: bool) -> list[str]:
        return [str(self.site.tools / 'export.py'), self.source,
                *flags(deploy_cfg=self.deploy_cfg
                       and beside(self.site, self.deploy_cfg),
                       size=self.size, dynamic=self.dynamic,
                       uint8=self.uint8, images=self.images,
                       calibration=self.calibration,
                       tolerance=self.tolerance, domain=self.domain, out=out)]


STAGES = {'train': Train, 'compress': Compress, 'search': Search,
          'quantize': Quantize, 'export': Export, 'report': Report}


def build_stage(run: str, keys: dict, site: Site) -> Stage:
    """Build the stage that an entry of a pipeline describes.

    Args:
        run (str): Kind, of ``STAGES``.
        keys (dict): Its keys.
        site (Site): Where it works.

    Raises:
        ValueError: If there is no such kind, or keys are unknown or missing.
    """
    if run not in STAGES:
        raise ValueError(f'run={run!r} is unknown, choose one of '
                         f'{sorted(STAGES)}')
    known = {f.name: f for f in dataclasses.fields(STAGES[run])
             if f.name != 'site'}
    unknown = sorted(keys.keys() - known)
    if unknown:
        raise ValueError(f'{run!r} has no {unknown}, its keys are '
                         f'{list(known)}')
    missing = [name for name, f in known.items() if name not in keys
               and f.default is f.default_factory is dataclasses.MISSING]
    if missing:
        raise ValueError(f'{run!r} needs {missing}')
    return STAGES[run](site=site, **keys)
