"""Ways in which a recording's sound is changed on its way to a listener, by real encoders too."""

import io
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from genre_mlops.audio import decode
from genre_mlops.domain import Clip

Samples = NDArray[np.float32]

# What the format knows, in Hz, and the rates of its three versions: above this, highest and lowest
# constant bit rate in kb/s.
_MP3_SR = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_MP3_KBPS = ((32_000, 320, 32), (16_000, 160, 8), (0, 64, 8))


def write_mp3(file: Path | BinaryIO, y: Samples, sr: int, *, kbps: int) -> None:
    """Write an mp3 file of a constant bit rate.

    Parameters
    ----------
    file : Path or binary file
        Where to.
    y : ndarray [shape=(n_samples,) or (n_samples, n_channels), dtype=float32]
        Amplitude, full scale is 1.0.
    sr : int
        One of the rates that the format knows, in Hz.
    kbps : int
        Bit rate in kb/s; above the lowest of the sampling rate, which libsndfile refuses.
    """
    highest, lowest = next((high, low) for least, high, low in _MP3_KBPS if sr >= least)
    # libsndfile's level: 0 is the highest bit rate of the MPEG version, 1 the lowest.
    level = (highest - kbps) / (highest - lowest)
    soundfile.write(file, y, sr, format="MP3", compression_level=level, bitrate_mode="CONSTANT")


def as_mp3(clip: Clip, *, kbps: int) -> Clip:
    """Encode and decode; at the next sampling rate that mp3 knows, where it has not the clip's."""
    sr = next((known for known in _MP3_SR if known >= clip.sr), _MP3_SR[-1])
    y = clip.y if sr == clip.sr else soxr.resample(clip.y, clip.sr, sr)
    file = io.BytesIO()
    write_mp3(file, y, sr, kbps=kbps)
    return decode(file.getvalue(), track_id=clip.track_id).clip


def amplified(clip: Clip, *, gain_db: float) -> Clip:
    """Make louder or, with a negative gain, quieter."""
    return Clip(clip.track_id, clip.y * np.float32(10 ** (gain_db / 20)), clip.sr)


def with_noise(clip: Clip, *, snr_db: float) -> Clip:
    """Add white noise so far below the clip's mean power; the same noise to a clip each time."""
    rng = np.random.default_rng(zlib.crc32(clip.y.tobytes()))
    noise = rng.standard_normal(clip.y.size, dtype=np.float32)
    power = float(np.mean(np.square(clip.y, dtype=np.float64)))
    y = clip.y + np.float32(np.sqrt(power) * 10 ** (-snr_db / 20)) * noise
    return Clip(clip.track_id, y, clip.sr)


def low_pass(y: Samples, sr: int, *, cutoff_hz: int) -> Samples:
    """Leave nothing above a frequency, by resampling there and back.

    Parameters
    ----------
    y : ndarray [shape=(n_samples,), dtype=float32]
        Of a sampling rate above twice `cutoff_hz`.
    sr, cutoff_hz : int
        In Hz.
    """
    lower = soxr.resample(y, sr, 2 * cutoff_hz)
    passed: Samples = soxr.resample(lower, 2 * cutoff_hz, sr).astype(np.float32)
    return passed


def middle(y: Samples, sr: int, *, duration_s: int) -> Samples:
    """Cut an excerpt from the middle; all of it where it is shorter."""
    n = duration_s * sr
    start = max(0, (len(y) - n) // 2)
    return y[start : start + n]
