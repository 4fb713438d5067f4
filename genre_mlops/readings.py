"""What is in one audio file, or why it cannot be used."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from genre_mlops.audio import UNDECODABLE_SUFFIXES, open_regular, stream
from genre_mlops.errors import AudioError
from genre_mlops.fingerprint import FINGERPRINT_VERSION, Fingerprinter
from genre_mlops.levels import LevelMeter
from genre_mlops.processes import quiet_stderr

# What is longer is not read to its end.
LONGEST_S = 3_600.0
# Raise the first number where the same file would give another reading.
READING_VERSION = f"2-f{FINGERPRINT_VERSION}"

State = tuple[int, int]
"""Size in bytes and time of change in ns: a file that has both as before is taken for unchanged."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one file; numbers are None where it could not be decoded.

    Levels are those of `genre_mlops.levels.Levels`, of the mono mix. `pcm_sha256` is of the mix
    as float32 at the file's own sampling rate; `fingerprint` is little-endian uint32, None where
    there is too little sound for one. A file without `sha256` could not be read, perhaps for now.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str | None = None
    pcm_sha256: str | None = None
    format: str | None = None
    sr: int | None = None
    n_channels: int | None = None
    duration_s: float | None = None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None
    clipping_share: float | None = None
    silence_share: float | None = None
    dc_offset: float | None = None
    bandwidth_hz: float | None = None
    truncated: bool | None = None
    fingerprint: bytes | None = None
    error: str | None = None

    @property
    def content(self) -> str:
        """What decides the reading: the bytes, and the suffix where reasons name it.

        That of a file that could not be read is its own.
        """
        suffix = Path(self.path).suffix.lower()
        return (self.sha256 or self.path) + (suffix if suffix in UNDECODABLE_SUFFIXES else "")


def file_state(path: str) -> State:
    """Return size in bytes and time of change in ns since 1970; -1 where there is no such file."""
    try:
        status = Path(path).stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def hash_files(paths: Sequence[str]) -> list[Reading]:
    """Return readings with no more than the `sha256`."""
    return [_hash_file(path) for path in paths]


def read_files(paths: Sequence[str]) -> list[Reading]:
    """Read some files; what is wrong with one is in its row."""
    # The mp3 decoder writes its warnings past Python.
    with quiet_stderr():
        return [read_file(path) for path in paths]


def read_files_guarded(paths: Sequence[str]) -> Iterator[Reading]:
    """Read some files in a process of their own; one that kills it gets that for a reason."""
    waiting = list(paths)
    while waiting:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            try:
                while waiting:
                    yield from pool.submit(read_files, waiting[:1]).result()
                    del waiting[0]
            except BrokenProcessPool:
                path = waiting.pop(0)
                yield Reading(path, *file_state(path), error="crashes the decoder")


def read_file(path: str) -> Reading:
    """Decode one file, block by block, and measure it."""
    hashed = _hash_file(path)
    if hashed.sha256 is None:
        return hashed
    state = (hashed.size_bytes, hashed.mtime_ns)
    try:
        found = _measure(path)
    except AudioError as error:
        if isinstance(error.__cause__, OSError):
            return Reading(path, *state, error=error.reason)
        found = {"error": error.reason}
    if file_state(path) != state:
        return Reading(path, *state, error="changed while it was read; run again")
    return Reading(path, *state, sha256=hashed.sha256, **found)


def _hash_file(path: str) -> Reading:
    state = file_state(path)
    try:
        with open_regular(Path(path)) as file:
            return Reading(path, *state, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        return Reading(path, *state, error=f"cannot be read: {error.strerror or error}")


def _measure(path: str) -> dict[str, Any]:
    pcm = hashlib.sha256()
    with stream(Path(path), max_duration_s=LONGEST_S) as recording:
        meter, fingerprinter = LevelMeter(recording.sr), Fingerprinter(recording.sr)
        for y in recording.blocks():
            pcm.update(y.data)
            meter.add(y)
            fingerprinter.add(y)
        return {
            "pcm_sha256": pcm.hexdigest(),
            "format": recording.format,
            "sr": recording.sr,
            "n_channels": recording.n_channels,
            "duration_s": recording.duration_s,
            **asdict(meter.finish()),
            "truncated": recording.truncated,
            "fingerprint": fingerprinter.finish().astype("<u4").tobytes() or None,
        }
