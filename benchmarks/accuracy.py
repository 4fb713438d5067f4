"""Accuracy by cross-validation: networks against MFCC statistics + SVM, on the same folds.

Run: python -m benchmarks.accuracy [--music FOLDER] [--tracks 300] [--seeds 5] [--ablate]
Without --music on demo music, which is synthetic; with it on a folder of genre folders. Each
network is trained on four fifths of the tracks, with no validation tracks and hence nothing to
choose, and judged on the fifth; so is the baseline. Folds keep artists whole where the source names
them. The table holds the mean over seeds with a 95 % bootstrap interval over groups, the difference
to the baseline resampled along with it, what the networks of all seeds say when their probabilities
of a track are averaged, and the CPU-seconds of training until the held-out tracks were judged as
well as by the baseline. With --ablate its rows leave out one change of the examples each, or the
averaging of weights, and the difference is to the first row, where nothing is left out.
Every training is kept (--keep FOLDER): cut off, the same command goes on. It is found by config,
tracks and folds, not by the code: after a change of how networks learn, take another folder.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from benchmarks.cost import versions
from genre_mlops.config import Config, FeatureConfig, SplitConfig
from genre_mlops.console import ProgressBars
from genre_mlops.datasets.base import Dataset
from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.engine import Engine
from genre_mlops.files import replacing
from genre_mlops.learning.mfcc_svm import make_svm, mfcc_statistics
from genre_mlops.learning.resampling import resampling
from genre_mlops.splits import KFOLD, TEST, assign_splits
from genre_mlops.store import FeatureStore, Source
from genre_mlops.wording import counted

N_FOLDS, N_BOOTSTRAP = 5, 5_000
# Of the epochs, those after which the held-out tracks are judged; only the last one decides.
N_LOOKS = 15
NETWORKS = {kind: f"network.kind={kind}" for kind in ("cnn1d", "cnn2d", "cnn1d+cnn2d")}
ABLATIONS = {
    "all changes": "",
    "no gain": "augment.gain_db=0",
    "no equalizer": "augment.eq_db=0",
    "no time stretch": "augment.time_stretch=0",
    "no pitch shift": "augment.pitch_shift_semitones=0",
    "no masks (SpecAugment)": "augment.n_time_masks=0 augment.n_mel_masks=0",
    "no noise": "augment.noise_share=0",
    "no mixup": "augment.mixup_alpha=0",
    "no averaged weights (EMA)": "training.ema_epochs=0",
}
ABLATIONS["nothing of these"] = " ".join(ABLATIONS.values())


@dataclass(frozen=True)
class Music:
    """Tracks, their folds, and where their spectrograms are."""

    tracks: pd.DataFrame
    features: Path
    genres: tuple[str, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Each track's genre as a number."""
        return np.array([self.genres.index(genre) for genre in self.tracks["genre"]], np.int64)


@dataclass(frozen=True)
class Task:
    """One training."""

    config: Config
    fold: int
    place: Path


@dataclass(frozen=True)
class Trained:
    """What the held-out tracks were judged, and how accuracy grew with CPU time."""

    probabilities: NDArray[np.float64]
    curve: list[tuple[float, float]]


def open_music(source: Dataset, features: FeatureConfig, engine: Engine, keep: Path) -> Music:
    """Compute spectrograms and deal the tracks to folds."""
    source.prepare(engine.map, engine.progress)
    rows = [
        {
            "track_id": track.track_id,
            "genre": track.genre,
            "group": track.group,
            "sha256": hashlib.sha256(track.path.read_bytes()).hexdigest(),
            "path": str(track.path),
        }
        for track in source.listing().tracks
    ]
    tracks = pd.DataFrame(rows).set_index("track_id")
    # Copies of a file stay together where nothing is known of the artist.
    first = tracks.index.to_series().groupby(tracks["sha256"]).transform("first")
    tracks["split_group"] = tracks["group"].fillna(first)
    fold = pd.Series(-1, tracks.index)
    for number in range(N_FOLDS):
        splits = assign_splits(tracks, SplitConfig(scheme=KFOLD, n_folds=N_FOLDS, fold=number))
        fold[splits == TEST] = number
    sources = {
        row.sha256: Source(Path(row.path), soundfile.info(row.path).duration)
        for row in tracks.itertuples()
    }
    report = FeatureStore(keep / "features", features).build(sources, engine.map)
    if report.failures:
        raise SystemExit(f"no features: {report.failures}")
    return Music(tracks.assign(fold=fold), keep / "features", tuple(sorted(set(tracks["genre"]))))


def train_one(music: Music, task: Task) -> str:
    """Train on four folds, judge the fifth, and keep both in the task's place."""
    from genre_mlops.learning.backend import keras
    from genre_mlops.learning.batches import TrackSet
    from genre_mlops.learning.learner import Learner
    from genre_mlops.learning.metrics import accuracy
    from genre_mlops.learning.training import be_deterministic, predict_tracks

    keras.backend.clear_session()
    be_deterministic(task.config.seed, threads=1)
    store, labels = FeatureStore(music.features, task.config.features), music.labels
    held_out = (music.tracks["fold"] == task.fold).to_numpy()
    learnt, judged = (
        TrackSet(store.sequence(list(music.tracks["sha256"][chosen])), labels[chosen])
        for chosen in (~held_out, held_out)
    )
    learner = Learner(task.config, learnt, n_genres=len(music.genres))
    n_epochs, cpu_s, curve = task.config.training.epochs, 0.0, []
    looks = {round(n_epochs * (i + 1) / N_LOOKS) for i in range(N_LOOKS)}
    for epoch in range(n_epochs):
        began = time.process_time()
        learner.run_epoch(epoch)
        cpu_s += time.process_time() - began
        if epoch + 1 in looks:
            probabilities = predict_tracks(learner.averaged, judged)
            curve.append((cpu_s, accuracy(probabilities, judged.labels)))
    with replacing(task.place) as partial_file:
        partial_file.write_text(
            json.dumps({"probabilities": probabilities.tolist(), "curve": curve})
        )
    return task.place.name


def train_all(
    music: Music, named: dict[str, Config], seeds: Sequence[int], keep: Path, engine: Engine
) -> dict[str, list[list[Trained]]]:
    """Train what is not kept yet; return for each name, seed and fold what came of it."""
    tasks = {
        (name, seed, fold): _task(music, config.override({"seed": seed}), fold, keep)
        for seed in seeds
        for fold in range(N_FOLDS)
        for name, config in named.items()
    }
    missing = [task for task in tasks.values() if not task.place.exists()]
    for _ in engine.map(partial(train_one, music), missing, label="train"):
        pass
    return {
        name: [[_read(tasks[name, seed, fold].place) for fold in range(N_FOLDS)] for seed in seeds]
        for name in named
    }


def _task(music: Music, config: Config, fold: int, keep: Path) -> Task:
    what = config.model_dump(mode="json", include={"seed", "features", "network", "augment"})
    what |= {"training": config.training.model_dump(mode="json"), "fold": fold}
    what["tracks"] = sorted(
        zip(music.tracks["sha256"], map(int, music.tracks["fold"]), strict=True)
    )
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    return Task(config, fold, keep / "trainings" / f"{digest}.json")


def _read(place: Path) -> Trained:
    kept = json.loads(place.read_text())
    return Trained(np.array(kept["probabilities"]), kept["curve"])


def judge_baseline(music: Music, config: Config) -> NDArray[np.bool_]:
    """Return which tracks MFCC statistics + SVM gets right when they are held out."""
    store, labels = FeatureStore(music.features, config.features), music.labels
    rows = store.sequence(list(music.tracks["sha256"]))
    examples = np.stack([mfcc_statistics(S_db, config.baseline.n_mfcc) for S_db in rows])
    right = np.zeros(len(labels), bool)
    for fold in range(N_FOLDS):
        held_out = (music.tracks["fold"] == fold).to_numpy()
        model = make_svm(config.baseline).fit(examples[~held_out], labels[~held_out])
        right[held_out] = model.predict(examples[held_out]) == labels[held_out]
    return right


def interval(values: NDArray[np.float64], groups: pd.Series) -> str:
    """Return mean and 95 % bootstrap interval of values by track, groups drawn whole."""
    drawn = resampling(len(values), groups.to_numpy(), n_bootstrap=N_BOOTSTRAP, seed=0)
    return str(drawn.ratio(values, np.ones(len(values))))


def in_order(music: Music, folds: list[Trained]) -> NDArray[np.float64]:
    """Return the probabilities of all tracks, each by the network that had not learnt from it."""
    found = np.zeros((len(music.tracks), len(music.genres)))
    for fold, trained in enumerate(folds):
        found[(music.tracks["fold"] == fold).to_numpy()] = trained.probabilities
    return found


def print_table(
    music: Music, found: dict[str, list[list[Trained]]], floor: NDArray[np.bool_], reference: str
) -> None:
    """Print a row for the baseline and one for each name, less the row `reference`."""
    groups, labels = music.tracks["split_group"], music.labels
    judged = {
        name: np.stack([in_order(music, folds) for folds in seeds]) for name, seeds in found.items()
    }
    right = {name: judged[name].argmax(axis=2) == labels for name in found}
    less = right.get(reference, floor[np.newaxis]).mean(axis=0)
    print(
        f"| | accuracy | minus {reference} | each seed | seeds averaged | CPU-s, all "
        "| to baseline's accuracy |"
    )
    print("|---|---|---|---|---|---|---|")
    print(f"| MFCC statistics + SVM | {interval(floor.astype(float), groups)} | | | | | |")
    for name, seeds in found.items():
        averaged = (judged[name].mean(axis=0).argmax(axis=1) == labels).astype(float)
        cpu_s = median(folds.curve[-1][0] for seed in seeds for folds in seed)
        difference = interval(right[name].mean(axis=0) - less, groups)
        print(
            f"| {name} | {interval(right[name].mean(axis=0), groups)} "
            f"| {difference if name != reference else ''} "
            f"| {' '.join(f'{x:.3f}' for x in right[name].mean(axis=1))} "
            f"| {interval(averaged, groups)} | {cpu_s:.0f} | {to_baseline(seeds, floor.sum())} |"
        )


def to_baseline(seeds: list[list[Trained]], n_right: int) -> str:
    """Return the median CPU time a fold took until all folds had that many tracks right."""
    took = []
    for folds in seeds:
        # Whole tracks: means of folds would miss a bar that they meet, by rounding.
        sums = np.sum(
            [[round(a * len(fold.probabilities)) for _, a in fold.curve] for fold in folds], axis=0
        )
        cpu_s = np.mean([[s for s, _ in fold.curve] for fold in folds], axis=0)
        took += list(cpu_s[sums >= n_right][:1])
    missed = f", {len(seeds) - len(took)} of {len(seeds)} never" if len(took) < len(seeds) else ""
    return f"{median(took):.0f}{missed}" if took else "never"


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--music", type=Path, help="a folder of genre folders; else demo music")
    parser.add_argument("--tracks", type=int, default=300, help="of the demo music")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ablate", action="store_true", help="leave out one thing at a time")
    parser.add_argument("--set", default="", help="overrides for all, separated by spaces")
    parser.add_argument("--keep", type=Path, default=Path("workspace/accuracy"))
    asked = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    base = Config().override_texts(asked.set.split())
    rows = ABLATIONS if asked.ablate else NETWORKS
    named = {name: base.override_texts(text.split()) for name, text in rows.items()}
    source: Dataset = (
        FolderDataset(asked.music)
        if asked.music
        else DemoDataset(asked.keep / "datasets", n_tracks=asked.tracks)
    )
    with ProgressBars() as progress:
        engine = Engine(progress=progress)
        music = open_music(source, base.features, engine, asked.keep)
        found = train_all(music, named, range(asked.seeds), asked.keep, engine)
    n_groups = music.tracks["split_group"].nunique()
    print(
        f"{'synthetic ' * source.synthetic}{source.name}: {len(music.tracks)} tracks of "
        f"{len(music.genres)} genres, {n_groups} groups, {N_FOLDS} folds, "
        f"{counted(asked.seeds, 'seed')}, {base.training.epochs} epochs, "
        f"{base.training.crops_per_track} crops a track"
    )
    print(versions("keras", "scikit-learn"))
    reference = next(iter(rows)) if asked.ablate else "baseline"
    print_table(music, found, judge_baseline(music, base), reference)


if __name__ == "__main__":
    main()
