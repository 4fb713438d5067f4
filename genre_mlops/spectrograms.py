"""Path or bytes -> log-mel spectrogram, block by block: the one road, for training and serving."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genre_mlops.audio import Source, resample_blocks, stream
from genre_mlops.errors import AudioError
from genre_mlops.logmel import LogMel
from genre_mlops.watch import Watch

# Room for about half a minute at the default config is made at a time.
_GROWTH_FRAMES = 1_536


@dataclass(frozen=True, slots=True, eq=False)
class Spectrogram:
    """What the network sees of a recording, and what is known of the recording.

    Attributes
    ----------
    S_db : ndarray [shape=(n_frames, n_mels), dtype=float32 or float16]
        Log-mel in dB relative to full scale, as `LogMel` gives it.
    duration_s : float
        Length of what was decoded, in seconds.
    truncated : bool
        Whether the end that the file declares is missing.
    sr : int
        Sampling rate of the recording itself, in Hz.
    """

    S_db: NDArray[np.floating]
    duration_s: float
    truncated: bool
    sr: int


def read_spectrogram(
    source: Source,
    log_mel: LogMel,
    *,
    track_id: str | None = None,
    max_duration_s: float = math.inf,
    dtype: type[np.floating] = np.float32,
    watch: Watch | None = None,
) -> Spectrogram:
    """Decode a recording, mix it, resample it and compute its log-mel, some seconds at a time.

    Beside the spectrogram itself, an hour needs no more memory than a minute.

    Parameters
    ----------
    source : Path, bytes or FileIO
        A file, the contents of one, or an open one, which is closed in the end.
    log_mel : LogMel
        Its config names the sampling rate.
    track_id : str, optional
        Named in errors; by default the path.
    max_duration_s : float
        Longer recordings are refused when that much was read.
    dtype : type of floating
        What the spectrogram is held in: float32, or float16, half as large, as in feature stores.
    watch : Watch, optional
        Measures the stages ``"decode"`` and ``"features"``, and ends them at its deadline.

    Returns
    -------
    Spectrogram
        Bit for bit what `LogMel` gives of the whole clip, before it is rounded to `dtype`.

    Raises
    ------
    AudioError
        The recording cannot be read, is no audio, damaged, too long, or without samples.
    TooSlowError
        The deadline of the watch is over.
    """
    config = log_mel.config
    watch = watch or Watch()
    with stream(source, track_id=track_id, max_duration_s=max_duration_s) as recording:
        blocks = resample_blocks(recording.blocks(), recording.sr, config.sr)
        heard = watch.timed("decode", _not_empty(blocks, recording.name))
        frames = watch.timed("features", log_mel.stream(heard))
        S_db = _stacked(frames, config.n_mels, dtype)
        return Spectrogram(S_db, recording.duration_s, recording.truncated, recording.sr)


def _not_empty(blocks: Iterable[NDArray[np.float32]], name: str) -> Iterator[NDArray[np.float32]]:
    n_samples = 0
    for block in blocks:
        n_samples += block.size
        yield block
    # One sample at a high rate is none at a low one.
    if not n_samples:
        raise AudioError(name, "has no samples")


def _stacked(
    blocks: Iterable[NDArray[np.float32]], n_mels: int, dtype: type[np.floating]
) -> NDArray[np.floating]:
    """Join blocks of frames without holding them twice: how many will come is not known."""
    S_db = np.empty((0, n_mels), dtype)
    n_frames = 0
    for frames in blocks:
        if n_frames + len(frames) > len(S_db):
            # Nothing else refers to it yet.
            S_db.resize((n_frames + max(len(frames), _GROWTH_FRAMES), n_mels), refcheck=False)
        S_db[n_frames : n_frames + len(frames)] = frames
        n_frames += len(frames)
    S_db.resize((n_frames, n_mels), refcheck=False)
    return S_db
