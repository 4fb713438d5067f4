"""Files that are on their way here: one process's at a time, and known by their server's state."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from genre_mlops.errors import DataError
from genre_mlops.files import FULL, is_full


@contextmanager
def only_one(part: Path) -> Iterator[IO[bytes]]:
    """Open a partial file for this process alone; one in which nothing is goes in the end.

    Raises
    ------
    DataError
        Another process is at it.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    while True:
        part.touch()
        with part.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"{part}: another process is downloading it; wait for it"
                raise DataError(message) from error
            # Between the two, another process may have given this file its final name.
            if not _is_at(part, file):
                continue
            try:
                yield file
            finally:
                if not os.fstat(file.fileno()).st_size:
                    forget(part)
            return


@contextmanager
def write_errors_told(part: Path, checksum: str | None) -> Iterator[None]:
    """Turn what the disk refuses into a DataError that says what to do.

    Parameters
    ----------
    part : Path
        The partial file.
    checksum : str, optional
        Of the whole file.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if not is_full(error):
            raise DataError(f"{part}: cannot be written: {reason}") from error
        raise DataError(
            f"{part}: {FULL} ({reason}): make room{and_then(part, checksum)}"
        ) from error


def note_of(part: Path) -> Path:
    """Return where it is written of which state of the server's file a partial file is."""
    return part.with_name(f"{part.name}.of")


def state_of(part: Path) -> str:
    """Return the state that is noted, for `If-Range`; empty where the server names none."""
    note = note_of(part)
    return note.read_text(encoding="utf-8") if note.exists() else ""


def goes_on(part: Path, checksum: str | None) -> bool:
    """Whether anybody could tell that the rest is of another file than what is here."""
    return bool(checksum or state_of(part))


def and_then(part: Path, checksum: str | None) -> str:
    """Return how a message about a download ends: what has become of what came."""
    try:
        n_bytes = part.stat().st_size
    except OSError:
        n_bytes = 0
    if not n_bytes:
        return ""
    if not goes_on(part, checksum):
        return "; the next run begins anew: the server does not name the state of its file"
    return f"; the {n_bytes / 1e6:,.1f} MB that came are kept, run again to go on"


def forget(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
