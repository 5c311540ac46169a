"""Pipelines of a few lines of Python in place of the commands of tools/."""
import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

import pytest
from toy import REPO

from mmgan_compress.engine import stages
from mmgan_compress.engine.pipeline import run_pipeline

# Arguments: output folder, text, source, and --resume where it resumes.
# 'need FILE' fails without it, 'hang FILE' waits for it.
CODE = '''
import os, pathlib, sys, time
out, text, source, *resume = sys.argv[1:]
out = pathlib.Path(out)
print('writing', text)
if out.exists() and not resume:
    sys.exit('there is something')
out.mkdir(exist_ok=True)
word, _, file = text.partition(' ')
with open(out.parent / 'calls', 'a') as calls:
    calls.write(f'{os.getpid()} {resume}\\n')
(out / 'iter_1.pth').touch()
if word == 'need' and not os.path.exists(file):
    sys.exit(3)
while word == 'hang' and not os.path.exists(file):
    (out / 'waits').touch()
    time.sleep(0.01)
before = open(source).read() if source else ''
(out / 'student.pth').write_text(before + text + ';')
'''


@dataclass
class Write(stages.Stage):
    """Write a text behind that of a source."""
    text: str
    source: Optional[str] = None
    passes: ClassVar[Optional[str]] = 'source'

    def command(self, out, resume):
        return ['-S', '-c', CODE, str(out), self.text, self.source or '',
                *(['--resume'] if resume else [])]


@dataclass
class Count(Write):
    """The same by a command that resumes."""
    resumes: ClassVar[bool] = True


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(stages.STAGES, 'write', Write)
    monkeypatch.setitem(stages.STAGES, 'count', Count)
    return tmp_path


def stage(name, text=None, source=None, run='write', **keys):
    """Return an entry of a pipeline that writes its own name."""
    return dict(name=name, run=run, text=text or name, **keys,
                **(dict(source=source) if source else {}))


CHAIN = [stage('a'), stage('b', source='{a}/student.pth'),
         stage('c', source='{b}/student.pth')]


def write_config(entries):
    Path('p.py').write_text(f'stages = {entries!r}\n')


def run(entries=None, **changes):
    """Run a pipeline as its command line would."""
    if entries is not None:
        write_config(entries)
    run_pipeline(Namespace(**{**dict(
        config='p.py', demo=False, data_root=None, work_dir='work',
        from_stage=None, skip=None, status=False, tools=REPO / 'tools'),
        **changes}))


def refused(*args, **changes):
    """Return the message that the command ends with."""
    with pytest.raises(SystemExit) as caught:
        run(*args, **changes)
    assert isinstance(caught.value.code, str)
    return caught.value.code


def result(name):
    return Path(f'work/{name}/run/student.pth').read_text()


def calls(name):
    """Return how often a stage's command was started."""
    path = Path(f'work/{name}/calls')
    return len(path.read_text().splitlines()) if path.exists() else 0


def statuses():
    entries = json.loads(Path('work/pipeline.json').read_text())['stages']
    return {name: entry['status'] for name, entry in entries.items()}
