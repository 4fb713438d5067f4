"""Path or bytes -> clip: decode, mix to mono, resample, within limits.

libsndfile decodes, through soundfile: wav, au, flac, mp3, ogg (Vorbis, Opus), aiff.
"""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError

UNDECODABLE_SUFFIXES = frozenset({".m4a", ".aac", ".wma"})
_BLOCK_SAMPLES = 1 << 18
# No recording is made above this; a header that claims more would cost memory for nothing.
_MAX_SR = 768_000
# A cut below this share of the declared length is the rounding of encoders, not a lost end.
_LOST_SHARE = 0.01


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
        return self.clip.duration_s < self.declared_s * (1 - _LOST_SHARE)


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
    name = track_id or (str(source) if isinstance(source, Path) else "upload")
    try:
        head = _head(source)
        if not head:
            raise AudioError(name, "is empty (0 bytes)")
        with _open(source) as file:
            if not 1 <= file.samplerate <= _MAX_SR:
                raise AudioError(name, f"claims a sampling rate of {file.samplerate} Hz")
            blocks = _mono_blocks(file, name, max_duration_s)
            y = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
            decoded = Decoded(
                Clip(name, y, file.samplerate),
                f"{file.format}/{file.subtype}",
                file.channels,
                _declared_s(file, head, y.size),
            )
    except soundfile.LibsndfileError as error:
        raise AudioError(name, _why_undecodable(source, error)) from error
    except OSError as error:
        raise AudioError(name, f"cannot be read: {error.strerror or error}") from error
    if not np.isfinite(y).all():
        raise AudioError(name, "holds samples that are not finite numbers")
    if y.size == 0:
        raise AudioError(name, "holds no samples")
    return decoded


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


def _mono_blocks(
    file: soundfile.SoundFile, name: str, max_duration_s: float
) -> list[NDArray[np.float32]]:
    """Read and mix block by block: neither channels nor length decide how much is in memory."""
    n_left = max_duration_s * file.samplerate
    blocks: list[NDArray[np.float32]] = []
    while True:
        block = file.read(_BLOCK_SAMPLES // file.channels or 1, dtype="float32", always_2d=True)
        if not len(block):
            return blocks
        n_left -= len(block)
        if n_left < 0:
            raise AudioError(name, f"is longer than {max_duration_s:g} s")
        blocks.append(block[:, 0].copy() if file.channels == 1 else block.mean(axis=1))


@contextmanager
def _open(source: Path | bytes) -> Iterator[soundfile.SoundFile]:
    if isinstance(source, bytes):
        with soundfile.SoundFile(io.BytesIO(source)) as file:
            yield file
        return
    # Never by its name: soundfile would take .raw for samples without a header.
    with (
        source.open("rb") as stream,
        soundfile.SoundFile(stream.fileno(), closefd=False) as file,
    ):
        yield file


def _head(source: Path | bytes) -> bytes:
    """Return the first bytes after any ID3v2 tag."""
    if isinstance(source, bytes):
        return source[_id3_size(source[:10]) :][:4096] or source[:10]
    with source.open("rb") as file:
        start = file.read(10)
        file.seek(_id3_size(start))
        return file.read(4096) or start


def _id3_size(start: bytes) -> int:
    """Return the length of the ID3v2 tag that `start` opens, 0 where there is none."""
    if len(start) < 10 or not start.startswith(b"ID3"):
        return 0
    a, b, c, d = start[6:10]
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def _declared_s(file: soundfile.SoundFile, head: bytes, n_decoded: int) -> float:
    """Return the length the file claims.

    libsndfile shortens what the header of a cut wav, au or aiff says, and notes it in its log as
    "1323588 (should be 441166)"; for an mp3 it repeats the Xing header where there is one and
    guesses from the bit rate where there is none. A cut Ogg stream lacks its last page.
    """
    n_declared = n_decoded
    if file.format in {"MP3", "MPEG"}:
        if any(mark in head[:512] for mark in (b"Xing", b"Info", b"VBRI")):
            n_declared = file.frames
    elif file.format == "OGG":
        if "lacks an end-of-stream bit" in file.extra_info:
            return math.inf
    else:
        shortened = re.search(r"(?:data|Size|SSND)\s*: (\d+) \(should be (\d+)\)", file.extra_info)
        if shortened and int(shortened[2]) > 0:
            n_declared = round(n_decoded * int(shortened[1]) / int(shortened[2]))
    return float(n_declared / file.samplerate)


def _why_undecodable(source: Path | bytes, error: soundfile.LibsndfileError) -> str:
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if suffix in UNDECODABLE_SUFFIXES:
        return f"{suffix} is not supported: convert it to flac, wav, ogg or mp3"
    reason = error.error_string.strip().removeprefix("Error : ").rstrip(".") or "no reason given"
    return f"cannot be decoded: {reason[0].lower()}{reason[1:]}"
