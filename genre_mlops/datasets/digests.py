"""What downloading and verifying ask of a file."""

import hashlib
from pathlib import Path

from genre_mlops.domain import Progress, silent

_BLOCK_BYTES = 1 << 20


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
