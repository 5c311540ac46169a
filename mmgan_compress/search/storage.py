"""Where a study lives, and how the dead among its workers are found.

Imported where Optuna is known to be installed.
"""
import contextlib
import time
import warnings
from pathlib import Path

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages._rdb.models import TrialHeartbeatModel
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from ..compat import require

# seconds between two signs of life of a worker, and how many may be missed
BEAT, MISSED = 5, 4
_KEY = 'heartbeat'


class BeatingJournal(JournalStorage, BaseHeartbeat):
    """A journal with the signs of life that Optuna has for databases alone.

    Args:
        path (str): File.
        beat (int): Seconds between two signs.
    """

    def __init__(self, path: str, beat: int = BEAT):
        super().__init__(JournalFileBackend(path))
        self.beat = beat

    def record_heartbeat(self, trial_id: int) -> None:
        """Write a sign of life of a trial's worker."""
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self.set_trial_system_attr(trial_id, _KEY, time.time())

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        dead = time.time() - self.beat * MISSED
        return [trial._trial_id for trial in self.get_all_trials(
            study_id, deepcopy=False, states=(TrialState.RUNNING, ))
            if trial.system_attrs.get(
                _KEY, trial.datetime_start.timestamp()) < dead]

    def get_heartbeat_interval(self) -> int:
        """Return the seconds between two signs of life."""
        return self.beat

    def get_heartbeat_stale_trial_callback(self) -> None:
        """Return None: what a dead worker held, the next one may take."""


class BeatingDatabase(RDBStorage):
    """Optuna's databases, which by themselves wait without end for a worker
    that has died before its first sign of life."""

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        dead = time.time() - self.grace_period
        late = [trial._trial_id for trial in self.get_all_trials(
            study_id, deepcopy=False, states=(TrialState.RUNNING, ))
            if trial.datetime_start.timestamp() < dead]
        with _create_scoped_session(self.scoped_session, True) as session:
            silent = [number for number in late
                      if TrialHeartbeatModel.where_trial_id(
                          number, session) is None]
        return [*super()._get_stale_trial_ids(study_id), *silent]


def open_storage(url: str, beat: int = BEAT):
    """Open or make a storage.

    Args:
        url (str): ``'sqlite:///study.db'``, ``'journal:study.log'`` or any
            other address of SQLAlchemy, such as ``'postgresql://...'``.
        beat (int): Seconds between two signs of life; one whose worker has
            missed ``MISSED`` is taken for dead.

    Returns:
        BaseStorage: With signs of life.

    Raises:
        ValueError: If it is no such address, or cannot be reached.
        ImportError: If the driver of PostgreSQL is not installed.
    """
    from sqlalchemy.exc import SQLAlchemyError
    kind, _, rest = url.partition(':')
    if kind == 'journal' and rest:
        Path(rest).parent.mkdir(parents=True, exist_ok=True)
        try:
            return BeatingJournal(rest, beat)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{rest} is no journal of studies ({error}): '
                             'name another file') from error
    if not rest.startswith('//'):
        raise ValueError(
            f'cannot read the storage {url!r}: expected sqlite:///FILE, '
            'journal:FILE or postgresql://USER@HOST/DATABASE')
    if kind == 'postgresql':
        require('psycopg', 'A study in PostgreSQL')
    # SQLite gives up after 5 s by default, where others write meanwhile
    sqlite = dict(connect_args=dict(timeout=60)) \
        if kind.startswith('sqlite') else None
    if sqlite and rest[3:]:
        Path(rest[3:]).parent.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings('ignore', 'Argument ``heartbeat_interval`` is',
                            optuna.exceptions.ExperimentalWarning)
    try:
        return BeatingDatabase(url, engine_kwargs=sqlite,
                               heartbeat_interval=beat,
                               grace_period=beat * MISSED)
    except SQLAlchemyError as error:
        raise ValueError('cannot open the storage '
                         f'{without_password(url)}: {error}') from error


def without_password(url: str) -> str:
    """Return the address of a storage as it may be shown.

    Args:
        url (str): As of :func:`open_storage`.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:  # a journal
        return url
