"""Log-mel speed: ours against librosa, interleaved in one run on the same clips.

Run: python -m benchmarks.logmel [FOLDER OF AUDIO]
Prints CPU time a 30-s clip on one thread, and the ratio; machines are noisy, ratios less so.
"""

import os

# Before NumPy is imported: one thread for both.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import sys
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np

from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import Clip
from genre_mlops.logmel import LogMel, mel_filters

ROUNDS = 15
CONFIG = FeatureConfig()


def by_librosa(clip: Clip) -> np.ndarray:
    """Compute the same with librosa alone."""
    S = librosa.feature.melspectrogram(
        y=clip.y,
        sr=clip.sr,
        n_fft=CONFIG.n_fft,
        hop_length=CONFIG.hop_length,
        n_mels=CONFIG.n_mels,
        fmax=CONFIG.fmax,
    )
    return librosa.power_to_db(S, ref=(CONFIG.n_fft / 4) ** 2, top_db=None)


def cpu_ms(function: Callable[[Clip], object], clip: Clip) -> float:
    """Return the CPU time of one call in milliseconds."""
    began = time.process_time()
    function(clip)
    return 1e3 * (time.process_time() - began)


def clips() -> list[Clip]:
    """Return clips of a folder, or noise."""
    if len(sys.argv) > 1:
        tracks = FolderDataset(Path(sys.argv[1])).listing().tracks[:10]
        return [load_clip(track.path, sr=CONFIG.sr, track_id=track.track_id) for track in tracks]
    rng = np.random.default_rng(0)
    y = rng.standard_normal(30 * CONFIG.sr).astype(np.float32)
    return [Clip("noise", 0.1 * y, CONFIG.sr)]


def main() -> None:
    """Measure and print."""
    log_mel = LogMel(CONFIG, mel_filters(CONFIG))
    chosen = clips()
    for clip in chosen:  # caches, lazy imports and compilation before the clock starts
        log_mel(clip), by_librosa(clip)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        for clip in chosen:
            scale = 30 / clip.duration_s
            ours.append(scale * cpu_ms(log_mel, clip))
            theirs.append(scale * cpu_ms(by_librosa, clip))
    a, b = np.median(ours), np.median(theirs)
    print(f"CPU ms a 30-s clip, medians of {len(ours)}: ours {a:.1f}, librosa {b:.1f}")
    print(f"ratio {b / a:.2f}")


if __name__ == "__main__":
    main()
