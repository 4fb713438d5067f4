"""libsndfile, from the first sample to the last, within limits of computing time.

Damage can keep a decoder busy for minutes, also while it opens a file. C code cannot be
interrupted; but it reads as it goes, and so is told that the file ends where its time is up.
"""

import errno
import io
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from genre_mlops.errors import AudioError

UNDECODABLE_SUFFIXES = frozenset({".m4a", ".aac", ".wma"})
# Computing time that one recording may take: a start, and then what came of it allows. Good stereo
# comes, with all that is measured in it, at 100 times real time or more, eight channels at 192 kHz
# at 30: only damage holds a decoder up for longer.
_START_S = 3.0
_LEAST_SPEED = 10.0
_READS_PER_LOOK = 16

RawFile = io.BytesIO | io.FileIO


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


class SlowError(AudioError):
    """A recording that was given up: on its own, or with less to do beside it, it may be read."""


class SoundReader:
    """A recording, opened in libsndfile; its computing time is counted from here on.

    Parameters
    ----------
    raw : file object
        Its bytes, at their start; to be closed by the caller.
    name : str
        Named in errors.
    suffix : str
        Of the file's name in lower case, for the reason why it cannot be decoded.

    Attributes
    ----------
    file : soundfile.SoundFile
        What libsndfile says of it.

    Raises
    ------
    AudioError
        It is no audio, or takes too long to open.
    """

    def __init__(self, raw: RawFile, name: str, suffix: str) -> None:
        self._bytes, self._name, self._suffix = _TimedFile(raw), name, suffix
        self._n_read, self._read_s = 0, 0.0
        with self._with_reasons():
            # Never by its name: soundfile would take .raw for samples without a header.
            self.file = _OneWay(self._bytes)

    def __enter__(self) -> "SoundReader":
        return self

    def __exit__(self, *raised: object) -> None:
        self.file.close()

    def read(self, n_frames: int) -> NDArray[np.float32]:
        """Return the next frames [shape=(n, n_channels)], none where there are no more.

        Raises
        ------
        AudioError
            The recording is damaged, cannot be read, or takes far more computing than a good one.
        """
        # What follows the last frame, such as a tag, is not for the decoder.
        n_left = max(0, self.file.frames - self._n_read)
        # To convert samples of 16 bits, libsndfile would ask for the file in pieces of 8 KB.
        is_short = self.file.subtype == "PCM_16"
        with self._with_reasons():
            samples = self.file.read(
                min(n_frames, n_left), dtype="int16" if is_short else "float32", always_2d=True
            )
        frames: NDArray[np.float32] = samples
        if is_short:
            frames = np.multiply(samples, np.float32(1 / 32_768), dtype=np.float32)
        self._n_read += len(frames)
        self._read_s = self._n_read / max(1, self.file.samplerate)
        self._bytes.limit_s = _START_S + self._read_s / _LEAST_SPEED
        return frames

    @contextmanager
    def _with_reasons(self) -> Iterator[None]:
        fault: soundfile.LibsndfileError | None = None
        try:
            yield
        except soundfile.LibsndfileError as error:
            fault = error
        if self._bytes.error is not None:
            raise unreadable(self._name, self._bytes.error) from self._bytes.error
        if self._bytes.is_late():
            raise SlowError(
                self._name,
                f"takes too long to decode: given up {self._read_s:.0f} s into it, after "
                f"{self._bytes.spent_s:.1f} s of computing",
            )
        if fault is not None:
            raise AudioError(self._name, _why_undecodable(self._suffix, fault)) from fault


def unreadable(name: str, error: OSError) -> AudioError:
    """Return the error of a recording whose bytes cannot be had."""
    return AudioError(name, f"cannot be read: {error.strerror or error}")


class _OneWay(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from its start to its end.

    After each block, soundfile seeks to where it is; there, an mp3 decoder forgets what earlier
    frames left for later ones, and a flac of unknown length is refused at its end.
    """

    def seekable(self) -> bool:
        return False


class _TimedFile:
    """A file that ends, for C code that reads it, when the computing time of its thread is up.

    Attributes
    ----------
    limit_s : float
        Computing time in seconds since it was made.
    error : OSError or None
        What went wrong in reading it; for C code it ends there.
    """

    def __init__(self, raw: RawFile) -> None:
        self.limit_s = _START_S
        self.error: OSError | None = None
        self._raw, self._began_s = raw, time.thread_time()
        self._opened_s = time.perf_counter()
        self._n_reads, self._ended = 0, False

    @property
    def spent_s(self) -> float:
        return time.thread_time() - self._began_s

    def is_late(self) -> bool:
        """Whether the time is up."""
        # First the wall clock, which no thread's own clock overtakes: on some systems it is read a
        # thousand times as fast.
        passed_s = time.perf_counter() - self._opened_s
        return passed_s > self.limit_s and self.spent_s > self.limit_s

    def readinto(self, buffer: bytearray) -> int:
        # A read is short: the time is asked for now and then.
        if self._n_reads % _READS_PER_LOOK == 0:
            self._ended = self.is_late()
        self._n_reads += 1
        if self._ended:
            return 0
        try:
            return self._raw.readinto(buffer) or 0
        except OSError as error:
            self.error = error
            return 0

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self._raw.seek(offset, whence)
        # A place that damage names.
        except (OSError, OverflowError, ValueError):
            return self.tell()

    def tell(self) -> int:
        return self._raw.tell()


def _why_undecodable(suffix: str, error: soundfile.LibsndfileError) -> str:
    if suffix in UNDECODABLE_SUFFIXES:
        return f"{suffix} is not supported: convert it to flac, wav, ogg or mp3"
    reason = error.error_string.strip().removeprefix("Error : ").rstrip(".")
    # What libsndfile says where a decoder gives up without a word.
    if not reason or "internal" in reason.lower() or "does not exist" in reason:
        return "cannot be decoded: damaged"
    return f"cannot be decoded: {reason[0].lower()}{reason[1:]}"
