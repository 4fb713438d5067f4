"""What is in one audio file, or why it cannot be used."""

import hashlib
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from genre_mlops.apart import LIMIT_SIGNAL, Apart, EndedError, renew
from genre_mlops.audio import mix, stream
from genre_mlops.errors import AudioError
from genre_mlops.fingerprint import FINGERPRINT_VERSION, Fingerprinter
from genre_mlops.levels import LevelMeter
from genre_mlops.sound_files import UNDECODABLE_SUFFIXES, open_regular

# What is longer is not read to its end.
LONGEST_S = 3_600.0
# Raise the first number where the same file would give another reading.
READING_VERSION = f"4-f{FINGERPRINT_VERSION}"
# Computing time without a block of audio after which a decoder is taken to hang; `stream` gives up
# before, where the decoder reads on.
_LIMIT_S = 10.0
# For the hash, which takes a hundredth of it.
_HASH_S_PER_MB = 0.1
_CHANGED = "changed while it was read; run again"
# A file is to blame for these; other signals come from elsewhere.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
_apart = Apart()


class State(NamedTuple):
    """A file that has all of it as before is taken for unchanged.

    Attributes
    ----------
    size_bytes : int
        Its size.
    mtime_ns, ctime_ns : int
        When its content, and when anything of it, last changed, in ns since 1970. Only the latter
        tells where files of one size and time have changed places.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one file; numbers are None where it could not be decoded.

    Levels are those of `genre_mlops.levels.Levels`. `pcm_sha256` is of the mono mix
    as float32 at the file's own sampling rate; `fingerprint` is little-endian uint32, None where
    there is too little sound for one. A file without `sha256` could not be read, perhaps for now.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
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
    def state(self) -> State:
        """The state that the file had."""
        return State(self.size_bytes, self.mtime_ns, self.ctime_ns)

    @property
    def content(self) -> str:
        """What decides the reading: the bytes, and the suffix where reasons name it.

        That of a file that could not be read is its own.
        """
        suffix = Path(self.path).suffix.lower()
        return (self.sha256 or self.path) + (suffix if suffix in UNDECODABLE_SUFFIXES else "")


def file_state(path: str) -> State:
    """Return the state of a file, all -1 where there is none."""
    try:
        status = Path(path).stat()
    # A name with a NUL is not even looked for.
    except (OSError, ValueError):
        return State(-1, -1, -1)
    return State(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def hash_files(paths: Sequence[str]) -> list[Reading]:
    """Return readings with no more than the `sha256`."""
    return [_hash_file(path) for path in paths]


def read_files(paths: Sequence[str]) -> list[Reading]:
    """Read some files in a process of their own; what is wrong with one is in its row."""
    return [_read_apart(path) for path in paths]


def _read_apart(path: str) -> Reading:
    """Read a file where it can crash its decoder, or hold it for ever, and harm nothing else."""
    state = file_state(path)
    limit_s = _LIMIT_S + _HASH_S_PER_MB * max(0, state.size_bytes) / 1e6
    try:
        return _apart.call(read_file, path, limit_s=limit_s)
    except EndedError as ended:
        if ended.signal == LIMIT_SIGNAL:
            fault = (
                f"takes too long to decode: given up after {_LIMIT_S:g} s of computing for a block"
            )
        elif ended.signal in _CRASHES:
            fault = "crashes the decoder"
        else:
            return Reading(path, *state, error=f"cannot be read now: {ended}; run again")
    # It may do so whenever it is read: with its hash it is remembered, and not read again.
    hashed = _hash_file(path)
    if hashed.sha256 is None or hashed.state != state:
        return Reading(path, *state, error=hashed.error or _CHANGED)
    return replace(hashed, error=fault)


def read_file(path: str) -> Reading:
    """Decode one file, block by block, and measure it."""
    hashed = _hash_file(path)
    if hashed.sha256 is None:
        return hashed
    state = hashed.state
    try:
        found = _measure(path)
    except AudioError as error:
        if isinstance(error.__cause__, OSError):
            return Reading(path, *state, error=error.reason)
        found = {"error": error.reason}
    except Exception as error:
        # Memory is short, or the mistake is ours: the other files are read, this one once more.
        fault = f"cannot be read now: {type(error).__name__}: {error}; run again"
        return Reading(path, *state, error=fault)
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
    renew(_LIMIT_S)
    with stream(Path(path), max_duration_s=LONGEST_S) as recording:
        meter, fingerprinter = LevelMeter(recording.sr), Fingerprinter(recording.sr)
        for frames in recording.frames():
            y = mix(frames)
            pcm.update(y.data)
            meter.add(y, frames)
            fingerprinter.add(y)
            renew(_LIMIT_S)
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
