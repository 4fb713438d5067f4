"""The floor beside a network's score: MFCC statistics and a support vector machine.

And a warning beside both: what the same machine would seem to reach if segments, not tracks or
groups of them, were dealt to train and test.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import BaselineConfig, Config
from genre_mlops.learning.metrics import evaluate
from genre_mlops.learning.mfcc_svm import make_svm, mfcc_statistics
from genre_mlops.learning.resampling import Estimate, resampling
from genre_mlops.splits import TEST, TRAIN, VALIDATION, groups_of
from genre_mlops.store import FeatureStore

if TYPE_CHECKING:
    import pandas as pd

# The time to fit grows with the square of the examples: these take some ten seconds each.
MAX_TRACKS = 20_000
MAX_SEGMENTS = 4_000
# Of an hour of music a few are enough, and leave room for other tracks.
MAX_SEGMENTS_OF_TRACK = 20
N_FOLDS = 5
# Random numbers of one seed for two uses, so that neither depends on what the other drew.
_TRACKS, _SEGMENTS = 1, 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Floor:
    """What the machine reaches on the tracks of one split.

    Attributes
    ----------
    right : tuple of bool
        Whether it knew each track of the split, in the catalog's order.
    accuracy, macro_f1 : Estimate
        Track-level, with 95 % bootstrap intervals.
    resampled : str
        What the intervals are over.
    """

    right: tuple[bool, ...]
    accuracy: Estimate
    macro_f1: Estimate
    resampled: str

    @property
    def n_tracks(self) -> int:
        """How many tracks the split has."""
        return len(self.right)

    def __str__(self) -> str:
        a = self.accuracy
        return (
            f"accuracy {a.value:.3f}, 95 % interval {a.low:.3f} to {a.high:.3f}, "
            f"{self.n_tracks} tracks"
        )


@dataclass(frozen=True)
class SegmentSplits:
    """The same segments dealt to five folds in two ways; accuracies are of segments.

    Attributes
    ----------
    n_tracks, n_segments : int
        What was dealt: of train and validation tracks.
    segment_s : float
        Length of a segment.
    by_segment : float
        Accuracy where segments were dealt at random, in [0, 1].
    by_group : float
        Accuracy where all segments of what must stay together (an artist's tracks, duplicates)
        were dealt to one fold, in [0, 1]; NaN where there is one group only.
    """

    n_tracks: int
    n_segments: int
    segment_s: float
    by_segment: float
    by_group: float

    @property
    def leak_points(self) -> float:
        """How much of `by_segment` is leak, in points of 0.01."""
        return 100 * (self.by_segment - self.by_group)

    def __str__(self) -> str:
        shown = f"accuracy {self.by_segment:.3f} is what a split by segment would report"
        if math.isnan(self.by_group):
            return f"{shown}; how much of it is leak cannot be said: all tracks are one group"
        points = round(self.leak_points)
        leak = f"{points} points of it are leak" if points > 0 else "no leak is seen"
        return (
            f"{shown}; {leak} ({self.by_group:.3f} where a track's segments, and groups of tracks, "
            "stay together)"
        )


@dataclass(frozen=True)
class BaselineReport:
    """The floor and the warning.

    Attributes
    ----------
    n_fitted : int
        Train tracks that the machine learnt from.
    validation, test : Floor
        Of the machine fitted on train tracks, as the network's weights are.
    segments : SegmentSplits
        The warning.
    """

    n_fitted: int
    validation: Floor
    test: Floor
    segments: SegmentSplits

    def metrics(self, *, synthetic: bool) -> dict[str, float]:
        """Return the figures by name; one on synthetic music says so."""
        found = {
            "fitted_tracks": float(self.n_fitted),
            "by_segment_accuracy": self.segments.by_segment,
            "by_group_accuracy": self.segments.by_group,
            "leak_points": self.segments.leak_points,
        }
        for split, floor in (("validation", self.validation), ("test", self.test)):
            found[f"{split}_tracks"] = float(floor.n_tracks)
            for name in ("accuracy", "macro_f1"):
                found |= getattr(floor, name).named(f"{split}_{name}")
        prefix = "synthetic_baseline" if synthetic else "baseline"
        known = {name: value for name, value in found.items() if not math.isnan(value)}
        return {f"{prefix}_{name}": value for name, value in known.items()}

    def markdown(self, *, synthetic: bool) -> str:
        """Describe the figures for the people who find the run."""
        kind = "**synthetic** " if synthetic else ""
        lines = [
            "MFCC statistics and a support vector machine: the floor beside the network's score.",
            "",
            f"Fitted on {self.n_fitted} {kind}train tracks; 95 % bootstrap intervals.",
            "",
            "| split | tracks | intervals over | accuracy | macro-F1 |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {split} | {f.n_tracks} | {f.resampled} | {f.accuracy} | {f.macro_f1} |"
            for split, f in (("validation", self.validation), ("test", self.test))
        ]
        s = self.segments
        lines += [
            "",
            f"**Warning, no score:** {s}. {s.n_segments} {kind}segments of {s.segment_s:g} s of "
            f"{s.n_tracks} train and validation tracks, the same machine, five folds.",
        ]
        return "\n".join(lines)


def fit_and_score(
    catalog: "pd.DataFrame", store: FeatureStore, genres: tuple[str, ...], config: Config
) -> BaselineReport:
    """Fit on train tracks, score on validation and test tracks, and work out the warning.

    Parameters
    ----------
    catalog : DataFrame
        With `sha256`, `genre`, `group`, `split` and `split_group`.
    store : FeatureStore
        Holds every sha256 of the catalog; no audio is read.
    genres : tuple of str
        All there are.
    config : Config
        Baseline, bootstrap and seed.

    Returns
    -------
    BaselineReport
        The same for the same catalog, config and seed.
    """
    train = catalog[catalog["split"] == TRAIN]
    if len(train) > MAX_TRACKS:
        _log.info("floor: fitted on %d of %d train tracks", MAX_TRACKS, len(train))
        rng = np.random.default_rng((config.seed, _TRACKS))
        train = train.iloc[np.sort(rng.permutation(len(train))[:MAX_TRACKS])]
    machine = make_svm(config.baseline)
    machine.fit(_examples(train, store, config.baseline), _labels(train, genres))
    scores = {}
    for split in (VALIDATION, TEST):
        tracks = catalog[catalog["split"] == split]
        # The machine gives no probabilities: all of it to what it says.
        said = machine.predict(_examples(tracks, store, config.baseline))
        labels = _labels(tracks, genres)
        found = evaluate(
            np.eye(len(genres))[said],
            labels,
            genres,
            resampling(
                len(tracks),
                groups_of(tracks),
                n_bootstrap=config.evaluation.n_bootstrap,
                seed=config.seed,
            ),
        )
        scores[split] = Floor(
            tuple(said == labels), found.accuracy, found.macro_f1, found.resampled
        )
    warning = compare_segment_splits(catalog, store, genres, config)
    return BaselineReport(len(train), scores[VALIDATION], scores[TEST], warning)


def compare_segment_splits(
    catalog: "pd.DataFrame", store: FeatureStore, genres: tuple[str, ...], config: Config
) -> SegmentSplits:
    """Score segments of train and validation tracks, dealt at random and dealt by whole groups.

    Takes what `fit_and_score` does. Test tracks are not looked at.

    Returns
    -------
    SegmentSplits
        Of whole tracks in drawn order, until there are `MAX_SEGMENTS`: a few segments of each of
        more tracks would hide the leak.
    """
    rng = np.random.default_rng((config.seed, _SEGMENTS))
    heard = catalog[catalog["split"] != TEST]
    heard = heard.iloc[rng.permutation(len(heard))]
    n_frames = round(config.baseline.segment_s * store.config.sr / store.config.hop_length)
    rows: list[NDArray[np.float32]] = []
    track: list[int] = []
    for i, S_db in enumerate(store.sequence(list(heard["sha256"]))):
        segments = _cut(S_db, max(1, n_frames))
        if rows and len(rows) + len(segments) > MAX_SEGMENTS:
            break
        rows += [mfcc_statistics(segment, config.baseline.n_mfcc) for segment in segments]
        track += [i] * len(segments)
    examples, tracks = np.stack(rows), heard.iloc[track]
    labels = _labels(tracks, genres)
    groups = np.unique(groups_of(heard)[track], return_inverse=True)[1]
    by_segment, by_group = (
        _cross_validated(examples, labels, _deal(units, labels, rng), config.baseline)
        for units in (np.arange(len(rows)), groups)
    )
    n_tracks = track[-1] + 1
    return SegmentSplits(n_tracks, len(rows), config.baseline.segment_s, by_segment, by_group)


def _examples(
    tracks: "pd.DataFrame", store: FeatureStore, config: BaselineConfig
) -> NDArray[np.float32]:
    spectrograms = store.sequence(list(tracks["sha256"]))
    return np.stack([mfcc_statistics(S_db, config.n_mfcc) for S_db in spectrograms])


def _labels(tracks: "pd.DataFrame", genres: Sequence[str]) -> NDArray[np.int64]:
    return np.array([genres.index(genre) for genre in tracks["genre"]], np.int64)


def _cut(S_db: NDArray[np.floating], n_frames: int) -> Sequence[NDArray[np.floating]]:
    """Cut segments that share no frame, some of a long track; a short one is one segment."""
    starts = range(0, max(1, len(S_db) - n_frames + 1), n_frames)
    step = -(-len(starts) // MAX_SEGMENTS_OF_TRACK)
    return [S_db[start : start + n_frames] for start in starts[::step]]


def _deal(
    units: NDArray[np.int64], labels: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Deal units to folds, genre after genre, and return each segment's fold.

    Parameters
    ----------
    units : ndarray [shape=(n_segments,)]
        Equal for segments that stay together, numbered from 0.
    labels : ndarray [shape=(n_segments,)]
        Genres; a unit of several counts under that of its first segment.
    rng : Generator
        Draws the order within a genre.

    Returns
    -------
    ndarray [shape=(n_segments,), dtype=int64, range=[0, N_FOLDS)]
        A genre's units are spread as evenly as can be.
    """
    _, first = np.unique(units, return_index=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % N_FOLDS
    return fold[units]


def _cross_validated(
    examples: NDArray[np.float32],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    config: BaselineConfig,
) -> float:
    """Return the share of segments that a machine fitted on the other folds gets right."""
    n_right = 0
    for fold in np.unique(folds):
        held_out = folds == fold
        known = labels[~held_out]
        if not len(known):
            # All is one group: of nothing, nothing is learnt.
            return math.nan
        if len(np.unique(known)) > 1:
            said = make_svm(config).fit(examples[~held_out], known).predict(examples[held_out])
        else:
            # The machine needs two genres to tell apart; of one only that one can be said.
            said = known[:1]
        n_right += int(np.sum(said == labels[held_out]))
    return n_right / len(labels)
