"""What a bundle costs, and whether other ways to its answer give the same."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from genre_mlops.domain import Clip
from genre_mlops.learning.bundle import FILTERS, KERAS, ONNX, Bundle
from genre_mlops.segments import cut_segments, pool_segments
from genre_mlops.spectrograms import read_spectrogram

CLIP_S = 30.0
_ROUNDS = 5


def latency_ms(bundle: Bundle) -> float:
    """Return the median time to answer 30 s of audio that is decoded already, in milliseconds.

    Parameters
    ----------
    bundle : Bundle
        Loaded with as many threads as it is to have.
    """
    sr = bundle.info.features.sr
    noise = np.random.default_rng(0).standard_normal(int(CLIP_S * sr)).astype(np.float32)
    clip = Clip("noise", 0.1 * noise, sr)
    bundle.predict(clip)
    took_s = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        bundle.predict(clip)
        took_s.append(time.perf_counter() - began)
    return 1e3 * median(took_s)


def size_mb(folder: Path) -> float:
    """Return the size of what a service holds of a bundle, in 10^6 bytes."""
    return sum((folder / name).stat().st_size for name in (ONNX, FILTERS)) / 1e6


def keras_answers(bundle: Bundle, paths: Sequence[Path]) -> list[dict[str, float]]:
    """Predict audio files with the network as it was trained.

    Parameters
    ----------
    bundle : Bundle
        Holds both networks.
    paths : sequence of Path
        Audio files known to be usable.

    Returns
    -------
    list of dict of str to float
        Genre -> probability, for each file.
    """
    # TensorFlow, which only this needs.
    from genre_mlops.learning.networks import load_network
    from genre_mlops.learning.training import predict_segments

    network = load_network(bundle.folder / KERAS)
    answers = []
    for path in paths:
        S_db = read_spectrogram(path, bundle.log_mel).S_db
        segments = predict_segments(network, cut_segments(S_db, bundle.info.segment_frames))
        pooled = pool_segments(segments, bundle.info.temperature)
        answers.append(dict(zip(bundle.info.genres, map(float, pooled), strict=True)))
    return answers


def largest_difference(
    ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]
) -> float:
    """Return the largest difference of a probability between two ways to answer the same files."""
    # NumPy's maximum, in which what is no number is not lost.
    return float(
        np.max(
            [
                abs(probability - other[genre])
                for answer, other in zip(ours, theirs, strict=True)
                for genre, probability in answer.items()
            ]
        )
    )
