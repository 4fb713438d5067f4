"""What downloading, unpacking and verifying ask of the disk."""

import errno
import hashlib
import shutil
from pathlib import Path

from genre_mlops.domain import Progress, silent
from genre_mlops.errors import DataError

_BLOCK_BYTES = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def digest_of(path: Path, algorithm: str, progress: Progress = silent) -> str:
    """Return the hexadecimal digest of a file by a name that `hashlib` knows."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    total, n_done = path.stat().st_size, 0
    with path.open("rb") as file:
        while chunk := file.read(_BLOCK_BYTES):
            digest.update(chunk)
            n_done += len(chunk)
            progress(f"check {path.name} (MB)", n_done // 10**6, total // 10**6)
    return digest.hexdigest()


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
