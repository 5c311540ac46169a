"""What a pipeline's config asks for, checked before anything runs."""
import json
import re
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

from ..core.configs import find_config
from ..datasets.fetch import sha256_of
from .runner_builder import has_run
from .stages import Site, Stage, build_stage

_REFERENCE = re.compile(r'\{(\w+)\}')
# what one stage may fail with; the others are still checked
MISTAKES = (ValueError, FileNotFoundError, KeyError)


@dataclass
class InputFile:
    """A file or folder that a stage reads.

    Args:
        text (str): As the config has it.
        path (Path): Where it lies.
        owner (str | None): Stage that writes it; None: not of the pipeline.
    """
    text: str
    path: Path
    owner: Optional[str]

    def digest(self) -> Optional[str]:
        """Hash its contents; None if it does not exist."""
        if self.path.is_file():
            return sha256_of(self.path)
        if not self.path.is_dir():
            return None
        return ' '.join(f'{file.relative_to(self.path)}={sha256_of(file)}'
                        for file in sorted(self.path.rglob('*'))
                        if file.is_file())


@dataclass
class Step:
    """A stage at its place in the pipeline.

    Args:
        name (str): Its name.
        spec (dict): Its entry in the config, as written there.
        stage (Stage): The same, with paths in place of ``{stage}``.
        files (list[InputFile]): What it reads.
        passes (str | None): The student that stands for its own, where it
            is skipped and has none.
    """
    name: str
    spec: dict
    stage: Stage
    files: list[InputFile]
    passes: Optional[str] = None

    @property
    def folder(self) -> Path:
        """Folder of the stage, with its log."""
        return self.stage.site.folder

    @property
    def out(self) -> Path:
        """Folder of its results, for which ``{stage}`` stands."""
        return self.folder / 'run'

    @property
    def result(self) -> Path:
        """File that is there when it is done."""
        return self.out / self.stage.result

    @property
    def log(self) -> Path:
        """File with all that its command printed."""
        return self.folder / 'log.txt'

    def has_results(self) -> bool:
        """Tell whether something is there that must not be lost."""
        return has_run(str(self.out)) if self.stage.resumes \
            else self.out.exists()

    def inputs(self) -> dict[str, Any]:
        """Return by name all that its results depend on, as plain JSON."""
        inputs = {'place': self.folder.name, **self.spec,
                  **self.stage.inputs(),
                  **{f'file {file.text}': file.digest()
                     for file in self.files}}
        return json.loads(json.dumps(inputs, default=repr))

    def check(self):
        """Refuse what cannot work; nothing has run yet.

        Not where other settings than a source come from earlier stages:
        its command will check those.
        """
        rest = {k: v for k, v in self.spec.items()
                if k not in self.stage.sources}
        if not any(_REFERENCE.search(text) for text in _texts(rest)):
            self.stage.check()


def read_pipeline(args: Namespace, work: Path) -> list[Step]:
    """Read the stages of a pipeline.

    Args:
        args (Namespace): Command line of ``tools/pipeline.py``.
        work (Path): Folder of the pipeline.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: With all that is wrong in its stages.
    """
    path = Path(find_config(args.config))
    specs = Config.fromfile(path).to_dict().get('stages')
    if not specs or not isinstance(specs, (list, tuple)):
        raise ValueError(f'{path} is no pipeline: expected stages = '
                         "[dict(name='prune', run='compress', ...), ...]")
    names = _checked_names(path, specs)
    folders = {name: work / f'{index}_{name}'
               for index, name in enumerate(names, 1)}
    steps, problems, skipped = [], [], {}
    for index, (name, spec) in enumerate(zip(names, specs)):
        site = Site(folders[name], path.parent, Path(args.tools), args.demo,
                    args.data_root)
        earlier = {n: folders[n] / 'run' for n in names[:index]}
        try:
            step = _read_step(name, spec, site, earlier, names, skipped)
        except MISTAKES as error:
            problems.append(told(name, error))
            continue
        steps.append(step)
        if name in (args.skip or []) and not step.result.exists():
            step.passes = skipped[name] = step.spec.get(step.stage.passes)
    if problems:
        raise ValueError('\n  '.join([f'{path} cannot run:', *problems]))
    return steps


def told(name: str, error: Exception) -> str:
    """Say what is wrong with a stage."""
    # KeyError would show its message in quotes
    return f'stage {name!r}: ' + str(
        error.args[0] if isinstance(error, KeyError) else error)


def _checked_names(path: Path, specs: list) -> list[str]:
    names = []
    for spec in specs:
        name = spec.get('name') if isinstance(spec, dict) else None
        if not isinstance(name, str) or not re.fullmatch(r'\w+', name):
            raise ValueError(f'{path}: a stage is called {name!r}, expected '
                             'name= of letters, digits and _')
        names.append(name)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f'{path}: two stages are called {twice[0]!r}')
    return names


def _read_step(name: str, spec: dict, site: Site, earlier: dict[str, Path],
               names: list[str], skipped: dict[str, Optional[str]]) -> Step:
    """Build a step from its entry in the config.

    ``skipped`` holds the stages before it that are skipped and have left
    nothing, with what stands for their students.
    """
    spec = {k: v for k, v in spec.items() if k != 'name'}
    demo = spec.pop('demo', {})
    if site.demo:
        spec.update(demo)
    for text in _texts(spec):
        for other in _REFERENCE.findall(text):
            if other not in names:
                raise ValueError(f'{text!r}: there is no stage {other!r}, '
                                 f'only {names}')
            if other not in earlier:
                raise ValueError(f'{text!r}: {other!r} is no earlier stage')
    if 'run' not in spec:
        raise ValueError("it has no run=, such as 'train'")
    spec = _without(skipped, spec)
    keys = _resolve(spec, earlier)
    stage = build_stage(keys.pop('run'), keys, site)
    return Step(name, spec, stage, _input_files(spec, stage, earlier))


def _without(skipped: dict[str, Optional[str]], spec: dict) -> dict:
    """Put what stands for the students of skipped stages in their place.

    A table of students loses the rows that were not made.
    """
    rows = spec.get('students')
    if isinstance(rows, dict):
        spec = dict(spec, students={
            row: file for row, file in rows.items()
            if not skipped.keys() & set(_REFERENCE.findall(file))})
    for name, passed in skipped.items():
        if passed:
            spec = _mapped(lambda text: re.sub(
                rf'\{{{name}\}}/student(_best)?\.pth', lambda _: passed, text),
                spec)
    return spec


def _mapped(change: Callable[[str], str], value: Any) -> Any:
    """Change every text inside lists and dicts."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {k: _mapped(change, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mapped(change, item) for item in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield every text inside lists and dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _resolve(value: Any, folders: dict[str, Path]) -> Any:
    """Put folders in place of ``{stage}``, in lists and dicts too."""
    return _mapped(lambda text: _REFERENCE.sub(
        lambda match: str(folders[match[1]]), text), value)


def _input_files(spec: dict, stage: Stage,
                 folders: dict[str, Path]) -> list[InputFile]:
    """Find the files that a stage reads.

    A reference reaches to the end of its text: ``'weights={train}/a.pth'``.
    """
    files = {}
    for text in _texts(spec):
        match = _REFERENCE.search(text)
        if match:
            text = text[match.start():]
            files[text] = InputFile(text, Path(_resolve(text, folders)),
                                    match[1])
    for text in (spec.get(key) for key in stage.sources):
        if text and text not in files:
            files[text] = InputFile(text, Path(text), None)
    return list(files.values())
