"""Ways in which a recording is copied, by real encoders: what a search for duplicates must find."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from genre_mlops.changes import low_pass, middle, write_mp3

Audio = tuple[NDArray[np.float32], int]


def mp3(kbps: int) -> Callable[[Path, Audio], Path]:
    """Return a writer of mp3 files of a constant bit rate."""

    def write(stem: Path, audio: Audio) -> Path:
        y, sr = audio
        path = stem.with_suffix(".mp3")
        write_mp3(path, y, sr, kbps=kbps)
        told = path.stat().st_size * 8 / 1e3 / (len(y) / sr)
        if abs(told / kbps - 1) > 0.05:
            raise RuntimeError(f"asked for mp3 of {kbps} kb/s, got {told:.0f}")
        return path

    return write


def plainly(stem: Path, audio: Audio, *, suffix: str, subtype: str) -> Path:
    """Write as the library does when it is asked for nothing more."""
    path = stem.with_suffix(suffix)
    soundfile.write(path, *audio, subtype=subtype)
    return path


ogg = partial(plainly, suffix=".ogg", subtype="VORBIS")
wav = partial(plainly, suffix=".wav", subtype="PCM_16")


def quieter(audio: Audio) -> Audio:
    """Take 12 dB off."""
    return audio[0] * np.float32(10 ** (-12 / 20)), audio[1]


def stereo(audio: Audio) -> Audio:
    """Resample to 44.1 kHz, with a right side 3 dB weaker and half a millisecond later."""
    y = soxr.resample(audio[0], audio[1], 44_100).astype(np.float32)
    n_late = round(5e-4 * 44_100)
    right = 0.7 * np.concatenate([np.zeros(n_late, np.float32), y[:-n_late]])
    return np.stack([y, right], axis=1), 44_100


def excerpt(audio: Audio) -> Audio:
    """Cut 15 s from the middle."""
    return middle(*audio, duration_s=15), audio[1]


def dull(audio: Audio) -> Audio:
    """Leave nothing above 4 kHz."""
    return low_pass(*audio, cutoff_hz=4_000), audio[1]


def faster(audio: Audio, factor: float) -> Audio:
    """Change speed and pitch together."""
    y, sr = audio
    return soxr.resample(y, sr * factor, sr).astype(np.float32), sr


def unchanged(audio: Audio) -> Audio:
    """Leave as it is."""
    return audio


KINDS = {
    "mp3 128 kb/s": (unchanged, mp3(128)),
    "mp3 64 kb/s": (unchanged, mp3(64)),
    "ogg": (unchanged, ogg),
    "gain -12 dB": (quieter, wav),
    "44.1 kHz stereo": (stereo, wav),
    "15 s of the middle": (excerpt, wav),
}
EXTRA_KINDS = {
    "mp3 32 kb/s": (unchanged, mp3(32)),
    "15 s of the middle, mp3 64 kb/s": (excerpt, mp3(64)),
    "low-pass 4 kHz": (dull, wav),
    "0.2 % faster": (partial(faster, factor=1.002), wav),
    "0.5 % faster": (partial(faster, factor=1.005), wav),
    "1 % faster": (partial(faster, factor=1.01), wav),
    "1 % slower": (partial(faster, factor=0.99), wav),
}
