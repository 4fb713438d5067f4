"""Writing so that a file is whole under its name, or not there; and where to."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
