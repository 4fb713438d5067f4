"""Path or bytes -> clip: decode, mix to mono, resample, within limits.

libsndfile decodes, through soundfile: wav, au, flac, mp3, ogg (Vorbis, Opus), aiff. A recording is
read block by block (`stream`), or as a whole (`decode`).
"""

import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from genre_mlops.containers import id3_size, is_truncated, n_declared
from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError
from genre_mlops.sound_files import RawFile, SoundReader, open_regular, unreadable

_BLOCK_SAMPLES = 1 << 16
# What is no longer is read at once: a decoder asks for a few kilobytes at a time.
_SMALL_BYTES = 1 << 24
# No recording is made above this; a header that claims more would cost memory for nothing.
_MAX_SR = 768_000
# Files of floats may be scaled to 32-bit integers; beyond that, squares leave float32.
_MAX_AMPLITUDE = 2.0**32


Source = Path | bytes | io.FileIO
"""A file, the contents of one, or an open one at its start, which whoever reads it closes."""


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
        self, name: str, reader: SoundReader, head: bytes, max_duration_s: float = math.inf
    ) -> None:
        file = reader.file
        self.name, self.n_samples = name, 0
        self.sr, self.n_channels = int(file.samplerate), int(file.channels)
        self.format = f"{file.format}/{file.subtype}"
        self._reader, self._head, self._max_duration_s = reader, head, max_duration_s

    def frames(self) -> Iterator[NDArray[np.float32]]:
        """Read block by block: neither channels nor length decide how much is in memory.

        Yields
        ------
        ndarray [shape=(n, n_channels), dtype=float32]
            Full scale 1.0; never empty.

        Raises
        ------
        AudioError
            The recording is damaged or too long, costs far more computing than one of its length
            can, or holds no samples or some that are not finite.
        """
        n_frames = max(1, _BLOCK_SAMPLES // self.n_channels)
        while len(frames := self._reader.read(n_frames)):
            self.n_samples += len(frames)
            if self.duration_s > self._max_duration_s:
                raise AudioError(self.name, f"is longer than {self._max_duration_s:g} s")
            # A NaN compares to nothing.
            if not max(float(frames.max()), -float(frames.min())) <= _MAX_AMPLITUDE:
                raise AudioError(
                    self.name, "holds samples that are not finite numbers, or absurdly large ones"
                )
            yield frames
        if not self.n_samples:
            raise AudioError(self.name, "holds no samples")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Read and mix block by block.

        Yields
        ------
        ndarray [shape=(n,), dtype=float32]
            The mean of the channels, full scale 1.0; never empty.

        Raises
        ------
        AudioError
            As `frames`.
        """
        return map(mix, self.frames())

    @property
    def duration_s(self) -> float:
        """Length of what was read so far, in seconds."""
        return self.n_samples / self.sr

    @property
    def declared_s(self) -> float:
        """The length the file claims, in seconds; known once all blocks were read."""
        file = self._reader.file
        n = n_declared(file.format, file.frames, file.extra_info, self._head, self.n_samples)
        return n / self.sr

    @property
    def truncated(self) -> bool:
        """Whether the end that the file declares is missing; known once all blocks were read."""
        return is_truncated(self.duration_s, self.declared_s)


@contextmanager
def stream(
    source: Source, *, track_id: str | None = None, max_duration_s: float = math.inf
) -> Iterator[AudioStream]:
    """Open a recording to read it block by block.

    Parameters
    ----------
    source : Path, bytes or FileIO
        A file, the contents of one, or an open one, which is closed in the end.
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
        try:
            raw = _opened(source) if isinstance(source, Path) else _raw(source)
            stack.enter_context(raw)
            head = _head(raw)
        except OSError as error:
            raise unreadable(name, error) from error
        if not head:
            raise AudioError(name, "is empty (0 bytes)")
        suffix = source.suffix.lower() if isinstance(source, Path) else ""
        reader = stack.enter_context(SoundReader(raw, name, suffix))
        if not 1 <= reader.file.samplerate <= _MAX_SR:
            raise AudioError(name, f"claims a sampling rate of {reader.file.samplerate} Hz")
        yield AudioStream(name, reader, head, max_duration_s)


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


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], sr: int, to_sr: int
) -> Iterator[NDArray[np.float32]]:
    """Resample block by block: bit for bit what `resample` gives of all at once.

    Parameters
    ----------
    blocks : iterable of ndarray [shape=(n,), dtype=float32]
        Amplitude at `sr` Hz.
    sr, to_sr : int
        From and to which sampling rate, in Hz.

    Yields
    ------
    ndarray [shape=(n,), dtype=float32]
        Amplitude at `to_sr` Hz, sometimes empty.
    """
    if sr == to_sr:
        yield from blocks
        return
    resampler = soxr.ResampleStream(sr, to_sr, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


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


def mix(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the channels [shape=(n,)] of frames [shape=(n, n_channels)]."""
    if frames.shape[1] == 1:
        return frames[:, 0]
    # For two as `mean` gives it, 20 times as fast.
    y: NDArray[np.float32] = (
        (frames[:, 0] + frames[:, 1]) / np.float32(2)
        if frames.shape[1] == 2
        else frames.mean(axis=1)
    )
    return y


def _opened(path: Path) -> RawFile:
    file = open_regular(path)
    if os.fstat(file.fileno()).st_size > _SMALL_BYTES:
        return file
    with file:
        return io.BytesIO(file.read())


def _raw(source: bytes | io.FileIO) -> RawFile:
    return source if isinstance(source, io.FileIO) else io.BytesIO(source)


def _head(raw: RawFile) -> bytes:
    """Return the first bytes after any ID3v2 tag, those of the tag where nothing follows it."""
    start = raw.read(10)
    raw.seek(id3_size(start))
    head = raw.read(4096) or start
    raw.seek(0)
    return head
