"""Where studies are kept: SQLite on one machine, PostgreSQL for a team."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from genre_mlops import files
from genre_mlops.errors import GenreError

# A running trial says so this often; one that has not for so long is given up.
HEARTBEAT_S, GRACE_S = 15, 90
# Seconds that a process waits for the others to be done with the file; then it still can beat.
_PATIENCE_S = 60
# Of PostgreSQL's advisory locks, ours: any number, but the same for all.
_LOCK = 0x67656E72
# Where one side has lost its power or its network, the other knows within half a minute: the server
# frees the locks, and who waits for an answer is told that none will come.
_POSTGRESQL = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
UNREACHABLE = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
"""What is raised where the database cannot be used."""


def open_storage(address: str) -> RDBStorage:
    """Open the database of the studies; its tables are made where they are missing.

    Parameters
    ----------
    address : str
        SQLAlchemy's: `sqlite:///path` or `postgresql+psycopg://user:password@host/name`.

    Raises
    ------
    GenreError
        There is no such database, or it cannot be reached.
    """
    _quieten()
    try:
        # Two processes at an empty database would both make its tables.
        with alone(address):
            storage = RDBStorage(
                address,
                engine_kwargs=_engine_settings(address),
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
            )
    except UNREACHABLE as error:
        where = sqlalchemy.make_url(address).render_as_string(hide_password=True)
        raise GenreError(
            f"the studies' database {where} cannot be used (GENRE_SEARCH_STORAGE): {_reason(error)}"
        ) from error
    if file_of(address):
        # SQLite's own way is to lock the file at the first write: two processes that ask for a
        # trial then read that the same one is waiting, and both get it.
        sqlalchemy.event.listen(
            storage.engine,
            "begin",
            lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"),
        )
    return storage


@contextmanager
def reachable() -> Iterator[None]:
    """Say in one line what ails the database of the studies.

    Raises
    ------
    GenreError
        It cannot be used.
    """
    try:
        yield
    except UNREACHABLE as error:
        raise GenreError(
            "the studies' database has gone away, or refuses to work; run the same command to go "
            f"on: {_reason(error)}"
        ) from error


@contextmanager
def alone(address: str, study: str = "") -> Iterator[None]:
    """Keep all other processes out of blocks for the same database and study.

    The lock goes with the process that holds it: a kill leaves none behind. It is not for blocks
    inside of each other.
    """
    if path := file_of(address):
        with files.alone(path.with_name(f"{path.name}{study and '.'}{study}")):
            yield
        return
    with sqlalchemy.create_engine(address, **_engine_settings(address)).begin() as connection:
        number = zlib.crc32(study.encode()) - 2**31
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK}, {number})")
        yield


def file_of(address: str) -> Path | None:
    """Return the file that a database is; None for one with a server."""
    url = sqlalchemy.make_url(address)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _engine_settings(address: str) -> dict[str, Any]:
    # SQLite: no transactions of the driver's own, which would begin them at the first write.
    connect: dict[str, Any] = {"isolation_level": None, "timeout": _PATIENCE_S}
    if not file_of(address):
        # What the address says is meant.
        said = sqlalchemy.make_url(address).query
        connect = {name: value for name, value in _POSTGRESQL.items() if name not in said}
    # A connection for each piece of work: none is kept that nobody closes, or that was cut.
    return {"poolclass": sqlalchemy.NullPool, "connect_args": connect}


def _reason(error: BaseException) -> str:
    """Return the database's own words, in one line: Optuna's are of a commit that failed."""
    cause = error.__cause__ or error
    return str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]


def _quieten() -> None:
    """Leave the terminal to our own lines."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # Trials are asked for and told here, and send their heartbeats themselves.
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used")
