"""What is in one audio file, or why it cannot be used."""

import hashlib
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genre_mlops.apart import LIMIT_SIGNAL, Apart, EndedError
from genre_mlops.audio import UNDECODABLE_SUFFIXES, open_regular, stream
from genre_mlops.errors import AudioError
from genre_mlops.fingerprint import FINGERPRINT_VERSION, Fingerprinter
from genre_mlops.levels import LevelMeter

# What is longer is not read to its end.
LONGEST_S = 3_600.0
# Raise the first number where the same file would give another reading.
READING_VERSION = f"3-f{FINGERPRINT_VERSION}"
# Computing time after which a decoder is taken to hang; `stream` gives up long before, where the
# decoder returns to it.
_LIMIT_S = 30.0
_LIMIT_S_PER_MB = 10.0
_CHANGED = "changed while it was read; run again"
# A file is to blame for these; other signals come from elsewhere.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
_apart = Apart()

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
    # A name with a NUL is not even looked for.
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def hash_files(paths: Sequence[str]) -> list[Reading]:
    """Return readings with no more than the `sha256`."""
    return [_hash_file(path) for path in paths]


def read_files(paths: Sequence[str]) -> list[Reading]:
    """Read some files in a process of their own; what is wrong with one is in its row."""
    return [_read_apart(path) for path in paths]


def _read_apart(path: str) -> Reading:
    """Read a file where it can crash its decoder, or hold it for ever, and harm nothing else."""
    state = file_state(path)
    limit_s = _LIMIT_S + _LIMIT_S_PER_MB * max(0, state[0]) / 1e6
    try:
        return _apart.call(read_file, path, limit_s=limit_s)
    except EndedError as ended:
        if ended.signal == LIMIT_SIGNAL:
            fault = f"takes too long to decode: given up after {limit_s:.0f} s of computing"
        elif ended.signal in _CRASHES:
            fault = "crashes the decoder"
        else:
            return Reading(path, *state, error=f"cannot be read now: {ended}; run again")
    # It may do so whenever it is read: with its hash it is remembered, and not read again.
    hashed = _hash_file(path)
    if hashed.sha256 is None or (hashed.size_bytes, hashed.mtime_ns) != state:
        return Reading(path, *state, error=hashed.error or _CHANGED)
    return replace(hashed, error=fault)


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
        return Reading(path, *state, error=_CHANGED)
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
