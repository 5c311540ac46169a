"""Pipelines of a few lines of Python in place of the real commands."""

import json
import runpy
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from mmgan_compress import cli
from mmgan_compress.core.commands import command_line
from mmgan_compress.engine import pipeline
from mmgan_compress.engine.pipeline import read_pipeline, run_pipeline
from students import message_of_error

# A command that writes a text behind that of a source.
# 'need FILE' fails without it, 'hang FILE' waits for it.
CODE = """
import argparse, os, pathlib, sys, time

def parse_args(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument('text')
    for name in ('--source', '--out', '--training', '--data-root'):
        parser.add_argument(name)
    for name in ('--demo', '--resume'):
        parser.add_argument(name, action='store_true')
    return parser.parse_args(argv)

def main(args):
    out, text = pathlib.Path(args.out), args.text
    print('writing', text)
    if out.exists() and not args.resume:
        sys.exit('there is something')
    out.mkdir(exist_ok=True)
    word, _, file = text.partition(' ')
    with open(out.parent / 'calls', 'a') as calls:
        calls.write(f'{os.getpid()} {sys.argv[1:]}\\n')
    (out / 'iter_1.pth').touch()
    if word == 'need' and not os.path.exists(file):
        sys.exit(3)
    while word == 'hang' and not os.path.exists(file):
        (out / 'waits').touch()
        time.sleep(0.01)
    before = open(args.source).read() if args.source else ''
    (out / 'student.pth').write_text(before + text + ';')

if __name__ == '__main__':
    main(parse_args())
"""
WRITE = pipeline.Command(words=('text',), passes=True)
# the same by a command that resumes
COUNT = replace(WRITE, resume=('--resume',))
TOYS = dict(write=WRITE, count=COUNT)


@pytest.fixture(autouse=True, name='folder')
def toy_folder(tmp_path, monkeypatch):
    """Run each test of a file that imports this in a folder with the toys."""
    monkeypatch.chdir(tmp_path)
    tools = tmp_path / 'tools'
    tools.mkdir()
    for name, command in TOYS.items():
        (tools / f'{name}.py').write_text(CODE)
        monkeypatch.setitem(pipeline.COMMANDS, name, command)
    monkeypatch.setattr(
        pipeline,
        'command_line',
        lambda *words: (
            [sys.executable, f'tools/{words[0]}.py', *words[1:]]
            if words[0] in TOYS
            else command_line(*words)
        ),
    )
    return tmp_path


def parse(words):
    """Parse the words of a toy, or of a real command."""
    if words[0] not in TOYS:
        return cli.parse_args(words)
    toy = runpy.run_path(f'tools/{words[0]}.py')
    return toy['parse_args'](words[1:])


def stage(name, text=None, source=None, run='write', **keys):
    """Return an entry of a pipeline that writes its own name."""
    return dict(
        name=name, run=run, text=text or name, **keys, **(dict(source=source) if source else {})
    )


CHAIN = [stage('a'), stage('b', source='{a}/student.pth'), stage('c', source='{b}/student.pth')]


def write_config(entries):
    Path('p.py').write_text(f'stages = {entries!r}\n')


def run(entries=None, **changes):
    """Run a pipeline as its command line would."""
    if entries is not None:
        write_config(entries)
    run_pipeline(arguments(**changes), parse)


def arguments(**changes):
    return Namespace(
        **{
            **dict(
                config='p.py',
                demo=False,
                data_root=None,
                work_dir='work',
                from_stage=None,
                skip=None,
                status=False,
            ),
            **changes,
        }
    )


def read(config, work, **changes):
    """Return the stages of a pipeline by name."""
    steps = read_pipeline(arguments(config=str(config), **changes), work, parse)
    return {step.name: step for step in steps}


def refused(*args, **changes):
    """Return the message that the command ends with."""
    return message_of_error(run, *args, **changes)


def result(name):
    return Path(f'work/{name}/run/student.pth').read_text()


def calls(name):
    """Return how often a stage's command was started."""
    path = Path(f'work/{name}/calls')
    return len(path.read_text().splitlines()) if path.exists() else 0


def statuses():
    entries = json.loads(Path('work/pipeline.json').read_text())['stages']
    return {name: entry['status'] for name, entry in entries.items()}
