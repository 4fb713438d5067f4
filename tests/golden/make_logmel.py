"""Make logmel.npz by librosa alone: python -m tests.golden.make_logmel.

It is made anew only when the definition is meant to change.
"""

from pathlib import Path

import librosa
import numpy as np

GOLDEN = Path(__file__).with_name("logmel.npz")
SR, N_FFT, HOP_LENGTH, N_MELS, FMIN, FMAX = 16_000, 512, 200, 40, 50.0, 7_000.0


def chirp() -> np.ndarray:
    """A chirp from 100 to 6,000 Hz that fades into noise [shape=(9_600,), float32]."""
    t = np.arange(round(0.6 * SR)) / SR
    phase = 2 * np.pi * (100 * t + (6_000 - 100) / (2 * 0.6) * t**2)
    noise = np.random.default_rng(0).standard_normal(t.size)
    return (np.exp(-6 * t) * np.sin(phase) + 0.02 * noise).astype(np.float32)


def main() -> None:
    S = librosa.feature.melspectrogram(
        y=chirp(),
        sr=SR,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        n_mels=N_MELS,
        fmin=FMIN,
        fmax=FMAX,
        pad_mode="constant",
    )
    S_db = librosa.power_to_db(S, ref=(N_FFT / 4) ** 2, amin=1e-20, top_db=None).T
    np.savez_compressed(GOLDEN, S_db=np.maximum(S_db, -100).astype(np.float32))


if __name__ == "__main__":
    main()
