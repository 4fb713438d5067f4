"""Measure the demo music: how fast it is rendered, and how well a linear model tells it apart.

Prints the score of each fold and draws one log-mel spectrogram a genre::

    python benchmarks/demo_music.py --cores 2 --figure docs/images/demo-music.png
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import librosa
import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genre_mlops.datasets.demo import GENRES, DemoDataset
from genre_mlops.domain import Track

ITEM = TypeVar("ITEM")
RESULT = TypeVar("RESULT")
SR = 22_050
N_FOLDS = 5
MIN_TRACKS = 120
SHOWN_S = 15.0
MODELS = {
    "MFCC means": slice(0, 20),
    "MFCC means and spread, delta, contrast, tempogram, chroma": slice(None),
}


def features(track: Track) -> NDArray[np.float64]:
    """Return 20 MFCC means, then what a model needs to hear dynamics, rhythm and harmony."""
    y, _ = sf.read(track.path, dtype="float32")
    mfcc = librosa.feature.mfcc(y=y, sr=SR)
    contrast = librosa.feature.spectral_contrast(y=y, sr=SR)
    onsets = librosa.onset.onset_strength(y=y, sr=SR)
    tempogram = librosa.feature.tempogram(onset_envelope=onsets, sr=SR)
    chroma = librosa.feature.chroma_stft(y=y, sr=SR)
    return np.concatenate(
        [
            mfcc.mean(axis=1),
            mfcc.std(axis=1),
            np.diff(mfcc).std(axis=1),
            contrast.mean(axis=1),
            contrast.std(axis=1),
            tempogram.mean(axis=1)[::4],
            np.sort(chroma.mean(axis=1)),
            [chroma.std(axis=1).mean(), onsets.mean(), onsets.std()],
        ]
    )


def render(dataset: DemoDataset, pool: ProcessPoolExecutor) -> float:
    """Render the tracks and return how long it took, in seconds."""

    def run(
        function: Callable[[ITEM], RESULT], items: Sequence[ITEM], *, label: str
    ) -> Iterable[RESULT]:
        del label
        return pool.map(function, items)

    started = time.perf_counter()
    dataset.prepare(run)
    return time.perf_counter() - started


def print_scores(tracks: Sequence[Track], rows: Sequence[NDArray[np.float64]]) -> None:
    """Cross-validate logistic regression by artist on few and on many features."""
    genres, artists = [t.genre for t in tracks], [t.group for t in tracks]
    for name, columns in MODELS.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=3_000))
        scores = cross_val_score(
            model,
            np.stack(rows)[:, columns],
            genres,
            groups=artists,
            cv=StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0),
        )
        folds = " ".join(f"{score:.2f}" for score in scores)
        print(f"synthetic demo music, {name}: {scores.mean():.3f} (folds {folds})")


def draw(tracks: Sequence[Track], path: Path) -> None:
    """Draw the log-mel spectrogram of the first track of each genre."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(5, 2, figsize=(10, 11), layout="constrained", sharex=True)
    image = None
    for genre, ax in zip(GENRES, axes.ravel(), strict=True):
        track = next(one for one in tracks if one.genre == genre)
        y, _ = sf.read(track.path, dtype="float32", frames=round(SHOWN_S * SR))
        S = librosa.feature.melspectrogram(y=y, sr=SR, hop_length=512)
        S_db = librosa.power_to_db(S, ref=np.max, top_db=70)
        extent = (0.0, SHOWN_S, 0.0, S.shape[0])
        image = ax.imshow(S_db, origin="lower", aspect="auto", cmap="Blues", extent=extent)
        hz = np.array([100, 500, 1_000, 2_000, 4_000, 8_000])
        ax.set_yticks(librosa.hz_to_mel(hz) / librosa.hz_to_mel(SR / 2) * S.shape[0], hz)
        ax.set_title(genre, loc="left", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("time (s)", fontsize=10)
    figure.supylabel("frequency (Hz)", fontsize=10)
    figure.colorbar(image, ax=axes, label="dB below the loudest", shrink=0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, facecolor="white")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tracks", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--figure", type=Path, help="where to draw; nothing is drawn without")
    options = parser.parse_args()
    if options.tracks < MIN_TRACKS:
        parser.error(f"{N_FOLDS} folds by artist need {MIN_TRACKS} tracks, got {options.tracks}")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(options.cores) as pool:
        dataset = DemoDataset(Path(folder), n_tracks=options.tracks, seed=options.seed)
        took_s = render(dataset, pool)
        print(
            f"{options.tracks} tracks of 30 s rendered in {took_s:.1f} s on {options.cores} cores"
        )
        tracks = dataset.listing().tracks
        print_scores(tracks, list(pool.map(features, tracks)))
        if options.figure:
            draw(tracks, options.figure)


if __name__ == "__main__":
    main()
