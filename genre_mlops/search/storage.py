"""Where studies are kept: SQLite on one machine, PostgreSQL for a team."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from genre_mlops import files
from genre_mlops.errors import GenreError

# Seconds that a process waits for the others to be done with the database.
_PATIENCE_S = 120
# A running trial says so this often; one that has not for so long is given up.
HEARTBEAT_S, GRACE_S = 15, 90
# Of PostgreSQL's advisory locks, ours: any number, but the same for all.
_LOCK = 0x67656E72
# A lock whose holder has lost its power or its network is free within half a minute.
_SERVER_OPTIONS = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
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
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise GenreError(
            f"the studies' database {where} cannot be used (GENRE_SEARCH_STORAGE): {reason}"
        ) from error
    if _is_file(address):
        # SQLite's own way is to lock the file at the first write: two processes that ask for a
        # trial then read that the same one is waiting, and both get it.
        sqlalchemy.event.listen(
            storage.engine,
            "begin",
            lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"),
        )
    return storage


@contextmanager
def alone(address: str, study: str = "") -> Iterator[None]:
    """Keep all other processes out of blocks for the same database and study.

    The lock goes with the process that holds it: a kill leaves none behind. It is not for blocks
    inside of each other.
    """
    if _is_file(address):
        path = Path(sqlalchemy.make_url(address).database or "")
        with files.alone(path.with_name(f"{path.name}{study and '.'}{study}")):
            yield
        return
    settings = {"connect_args": {"options": _SERVER_OPTIONS}}
    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool, **settings)
    with engine.begin() as connection:
        number = zlib.crc32(study.encode()) - 2**31
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK}, {number})")
        yield


def _is_file(address: str) -> bool:
    return address.startswith("sqlite:")


def _engine_settings(address: str) -> dict[str, object]:
    if _is_file(address):
        # No transactions of the driver's own: it would begin them at the first write.
        return {"connect_args": {"isolation_level": None, "timeout": _PATIENCE_S}}
    # A connection that was cut meanwhile is opened again.
    return {"pool_pre_ping": True}


def _quieten() -> None:
    """Leave the terminal to our own lines."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # Trials are asked for and told here, and send their heartbeats themselves.
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used")
