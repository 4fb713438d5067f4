"""Between a track and the fixed slices that the network sees: cut, and pool what it says."""

import numpy as np
from numpy.typing import NDArray

# float32 probabilities underflow to 0; the smallest that still counts as a finite log.
_SMALLEST = 1e-7


def cut_segments(S_db: NDArray[np.floating], segment_frames: int) -> NDArray[np.float32]:
    """Cut a spectrogram into as few segments as cover every frame, evenly spaced.

    Parameters
    ----------
    S_db : ndarray [shape=(n_frames, n_mels)]
        At least one frame. Shorter than one segment, it is repeated to fill it.
    segment_frames : int
        Frames a segment.

    Returns
    -------
    ndarray [shape=(n_segments, segment_frames, n_mels), dtype=float32]
        n_segments is ceil(n_frames / segment_frames).
    """
    n_frames = len(S_db)
    if n_frames < segment_frames:
        repeats = -(-segment_frames // n_frames)
        return np.tile(S_db, (repeats, 1))[np.newaxis, :segment_frames].astype(np.float32)
    starts = segment_starts(n_frames, segment_frames)
    return np.stack([S_db[start : start + segment_frames] for start in starts]).astype(np.float32)


def segment_starts(n_frames: int, segment_frames: int) -> NDArray[np.int64]:
    """Return the first frame of each segment of `cut_segments`.

    Returns
    -------
    ndarray [shape=(n_segments,), dtype=int64]
        From 0 to n_frames - segment_frames, rounded down; 0 alone for a shorter track.
    """
    n_segments = max(1, -(-n_frames // segment_frames))
    last = max(0, n_frames - segment_frames)
    return np.linspace(0, last, n_segments).astype(np.int64)


def pool_segments(
    probabilities: NDArray[np.floating], temperature: float = 1.0
) -> NDArray[np.float64]:
    """Turn what the network says of each segment into one distribution for the track.

    The mean of the log-probabilities, divided by the temperature and normalised (at temperature 1
    the geometric mean): a segment that rules a genre out counts, as it would not in a vote or in
    the arithmetic mean.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_segments, n_genres), range=[0, 1]]
        Rows sum to 1.
    temperature : float
        Positive; above 1 it makes the answer less certain. The most probable genre stays.

    Returns
    -------
    ndarray [shape=(n_genres,), dtype=float64, range=[0, 1]]
        Sums to 1.
    """
    clipped = np.maximum(probabilities.astype(np.float64), _SMALLEST)
    log_mean = np.log(clipped).mean(axis=0) / temperature
    pooled = np.exp(log_mean - log_mean.max())
    return np.asarray(pooled / pooled.sum(), dtype=np.float64)


def temper(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Change the temperature of what was pooled at temperature 1.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_tracks, n_genres), range=(0, 1]]
        Rows as from `pool_segments`.
    temperature : float
        As there.

    Returns
    -------
    ndarray [shape=(n_tracks, n_genres), dtype=float64, range=[0, 1]]
        What `pool_segments` gives at this temperature.
    """
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) / temperature
    tempered = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(tempered / tempered.sum(axis=1, keepdims=True), dtype=np.float64)
