"""Writing so that a file is whole under its name, or not there; where to, and whether it fits."""

import errno
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genre_mlops.errors import DataError

_log = logging.getLogger(__name__)
FULL = "the disk or your share of it is full"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def make_writable(folder: Path) -> None:
    """Make a folder where it is missing.

    Raises
    ------
    OSError
        It cannot be made, or nothing can be written into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of `path` when the block ends well.

    Parameters
    ----------
    path : Path
        Its folder is made where it is missing.

    Yields
    ------
    Path
        Hidden, in the same folder, of the same suffix, this process's own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Machines may share the folder, and have processes of one number.
    partial = path.with_name(f".{os.getpid()}.{socket.gethostname()}.{path.name}")
    try:
        yield partial
        # On disk before it has the name: a power cut must not leave an empty file under it.
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone(path: Path, *, busy: str = "") -> Iterator[None]:
    """Keep all other processes that name the same path out of this block; a kill lets them in.

    Parameters
    ----------
    path : Path
        Need not be there; a file of its name with `.lock` is made beside it, and stays.
    busy : str
        Said once where another process is in the block, and this one waits.
    """
    # Imported here: the service writes nothing.
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    # Where files cannot be locked it fails: a kill would leave another kind of lock behind.
    lock = FileLock(path.with_name(f".{path.name}.lock"), fallback_to_soft=False)
    try:
        lock.acquire(timeout=0 if busy else -1)
    except Timeout:
        _log.info("%s", busy)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def need_room(folder: Path, n_bytes: int) -> None:
    """Raise DataError where a folder's disk has not so many bytes free."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise DataError(
            f"{folder}: {n_bytes / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free; make "
            "room, or put the workspace elsewhere (GENRE_WORKSPACE)"
        )


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk, a quota or a limit of the file's size is full."""
    return error.errno in _FULL
