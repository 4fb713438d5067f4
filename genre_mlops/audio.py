"""Path or bytes -> clip: decode, mix to mono, resample, within limits.

libsndfile decodes, through soundfile: wav, au, flac, mp3, ogg (Vorbis, Opus), aiff. A recording is
read block by block (`stream`), or as a whole (`decode`).
"""

import errno
import io
import math
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from genre_mlops.containers import id3_size, is_truncated, n_declared
from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError

UNDECODABLE_SUFFIXES = frozenset({".m4a", ".aac", ".wma"})
_BLOCK_SAMPLES = 1 << 16
# No recording is made above this; a header that claims more would cost memory for nothing.
_MAX_SR = 768_000
# Files of floats may be scaled to 32-bit integers; beyond that, squares leave float32.
_MAX_AMPLITUDE = 2.0**32
# Computing time that one file may take: a start, and then no more than both its bytes and what came
# of them allow. What decodes to hours from a few bytes is no recording: the lowest bit rates need
# about 4 s for each MB. Nor is what comes slower than this many times real time: good files come
# at some hundreds, so that only damage holds a decoder up.
_BUDGET_S = 5.0
_BUDGET_S_PER_MB = 10.0
_LEAST_SPEED = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A recording as it is in its file, mixed to mono.

    Attributes
    ----------
    clip : Clip
        The mean of the channels at the file's own sampling rate.
    format : str
        For example ``WAV/PCM_16``.
    n_channels : int
        Before the mix.
    declared_s : float
        The length the file claims, in seconds; that of the clip where it claims none.
    """

    clip: Clip
    format: str
    n_channels: int
    declared_s: float

    @property
    def truncated(self) -> bool:
        """Whether the end that the file declares is missing."""
        return is_truncated(self.clip.duration_s, self.declared_s)


class AudioStream:
    """An open recording, as `stream` gives it.

    Attributes
    ----------
    name : str
        Named in errors.
    sr : int
        Sampling rate in Hz.
    format : str
        For example ``WAV/PCM_16``.
    n_channels : int
        Before the mix.
    n_samples : int
        Of the mix, read so far.
    """

    def __init__(
        self,
        source: Path | bytes,
        name: str,
        opened: "_Opened",
        max_duration_s: float,
    ) -> None:
        self.name, self.n_samples = name, 0
        self.sr, self.n_channels = int(opened.file.samplerate), int(opened.file.channels)
        self.format = f"{opened.file.format}/{opened.file.subtype}"
        self._source, self._opened, self._max_duration_s = source, opened, max_duration_s

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Read and mix block by block: neither channels nor length decide how much is in memory.

        Yields
        ------
        ndarray [shape=(n,), dtype=float32]
            The mean of the channels, full scale 1.0; never empty.

        Raises
        ------
        AudioError
            The recording is damaged or too long, costs far more computing than one of its size
            can, or holds no samples or some that are not finite.
        """
        began_s = time.thread_time()
        most_s = _BUDGET_S_PER_MB * self._opened.size_bytes / 1e6
        n_frames = max(1, _BLOCK_SAMPLES // self.n_channels)
        while len(frames := self._read(n_frames)):
            self.n_samples += len(frames)
            if self.duration_s > self._max_duration_s:
                raise AudioError(self.name, f"is longer than {self._max_duration_s:g} s")
            budget_s = _BUDGET_S + min(most_s, self.duration_s / _LEAST_SPEED)
            if time.thread_time() - began_s > budget_s:
                raise AudioError(
                    self.name,
                    f"takes too long to decode: given up {self.duration_s:.0f} s into it, after "
                    f"{budget_s:.0f} s of computing",
                )
            yield _mix(frames, self.name)
        if not self.n_samples:
            raise AudioError(self.name, "holds no samples")

    def _read(self, n_frames: int) -> NDArray[np.float32]:
        with _with_reasons(self._source, self.name):
            frames: NDArray[np.float32] = self._opened.file.read(
                n_frames, dtype="float32", always_2d=True
            )
        return frames

    @property
    def duration_s(self) -> float:
        """Length of what was read so far, in seconds."""
        return self.n_samples / self.sr

    @property
    def declared_s(self) -> float:
        """The length the file claims, in seconds; known once all blocks were read."""
        file, head = self._opened.file, self._opened.head
        n = n_declared(file.format, file.frames, file.extra_info, head, self.n_samples)
        return n / self.sr

    @property
    def truncated(self) -> bool:
        """Whether the end that the file declares is missing; known once all blocks were read."""
        return is_truncated(self.duration_s, self.declared_s)


@contextmanager
def stream(
    source: Path | bytes, *, track_id: str | None = None, max_duration_s: float = math.inf
) -> Iterator[AudioStream]:
    """Open a recording to read it block by block.

    Parameters
    ----------
    source : Path or bytes
        A file, or the contents of one.
    track_id : str, optional
        Named in errors; by default the path.
    max_duration_s : float
        Longer recordings are refused when that much was read.

    Yields
    ------
    AudioStream
        To be read within the `with` block.

    Raises
    ------
    AudioError
        The source cannot be read, is empty or no audio.
    """
    name = track_id or (str(source) if isinstance(source, Path) else "upload")
    with ExitStack() as stack:
        with _with_reasons(source, name):
            opened = stack.enter_context(_open(source, name))
        if not 1 <= opened.file.samplerate <= _MAX_SR:
            raise AudioError(name, f"claims a sampling rate of {opened.file.samplerate} Hz")
        yield AudioStream(source, name, opened, max_duration_s)


def decode(
    source: Path | bytes, *, track_id: str | None = None, max_duration_s: float = math.inf
) -> Decoded:
    """Decode a recording and mix it to mono.

    Parameters
    ----------
    source : Path or bytes
        A file, or the contents of one.
    track_id : str, optional
        Named in errors; by default the path.
    max_duration_s : float
        Longer recordings are refused, and no more than this is ever held in memory.

    Returns
    -------
    Decoded
        The mono clip and what the file says of itself.

    Raises
    ------
    AudioError
        The source is empty, no audio, damaged, too long, or holds samples that are not finite.
    """
    with stream(source, track_id=track_id, max_duration_s=max_duration_s) as recording:
        clip = Clip(recording.name, np.concatenate(list(recording.blocks())), recording.sr)
        return Decoded(clip, recording.format, recording.n_channels, recording.declared_s)


def resample(clip: Clip, sr: int) -> Clip:
    """Return the clip at `sr` Hz, by soxr's high-quality filter (librosa's default)."""
    if clip.sr == sr:
        return clip
    y = soxr.resample(clip.y, clip.sr, sr, quality="HQ")
    return Clip(clip.track_id, y.astype(np.float32, copy=False), sr)


def load_clip(
    source: Path | bytes,
    *,
    sr: int,
    track_id: str | None = None,
    max_duration_s: float = math.inf,
) -> Clip:
    """Decode a recording, mix it to mono and bring it to `sr` Hz.

    The mix comes first: one channel is half the work of resampling two.

    Raises
    ------
    AudioError
        As `decode`.
    """
    return resample(decode(source, track_id=track_id, max_duration_s=max_duration_s).clip, sr)


def open_regular(path: Path) -> io.FileIO:
    """Open a file for reading, if it is one: a pipe or a device may keep its reader for ever.

    Raises
    ------
    OSError
        It is no regular file, or cannot be opened.
    """
    try:
        mode = path.stat().st_mode
    except ValueError as error:
        raise OSError(errno.EINVAL, "its name holds a NUL") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return io.FileIO(path)


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    file: soundfile.SoundFile
    head: bytes
    size_bytes: int


@contextmanager
def _open(source: Path | bytes, name: str) -> Iterator[_Opened]:
    """Open a source in libsndfile, with its first bytes after any ID3v2 tag."""
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as raw:
        start = raw.read(10)
        if not start:
            raise AudioError(name, "is empty (0 bytes)")
        raw.seek(id3_size(start))
        head = raw.read(4096) or start
        size_bytes = raw.seek(0, os.SEEK_END)
        raw.seek(0)
        # Never by its name: soundfile would take .raw for samples without a header.
        place = raw if isinstance(raw, io.BytesIO) else raw.fileno()
        with soundfile.SoundFile(place, closefd=False) as file:
            yield _Opened(file, head, size_bytes)


@contextmanager
def _with_reasons(source: Path | bytes, name: str) -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as error:
        raise AudioError(name, _why_undecodable(source, error)) from error
    except OSError as error:
        raise AudioError(name, f"cannot be read: {error.strerror or error}") from error


def _mix(frames: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):
        if frames.shape[1] == 1:
            y = frames[:, 0]
        elif frames.shape[1] == 2:
            # As `mean` gives it, 20 times as fast.
            y = (frames[:, 0] + frames[:, 1]) / np.float32(2)
        else:
            y = frames.mean(axis=1)
        loudest = max(float(y.max()), -float(y.min()))
    # A NaN compares to nothing.
    if not loudest <= _MAX_AMPLITUDE:
        raise AudioError(name, "holds samples that are not finite numbers, or absurdly large ones")
    return y


def _why_undecodable(source: Path | bytes, error: soundfile.LibsndfileError) -> str:
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if suffix in UNDECODABLE_SUFFIXES:
        return f"{suffix} is not supported: convert it to flac, wav, ogg or mp3"
    reason = error.error_string.strip().removeprefix("Error : ").rstrip(".")
    # What libsndfile says where a decoder gives up without a word.
    if not reason or "internal" in reason.lower() or "does not exist" in reason:
        return "cannot be decoded: damaged"
    return f"cannot be decoded: {reason[0].lower()}{reason[1:]}"
