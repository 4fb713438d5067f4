"""What a bundle still gets right when the sound of the test tracks is changed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre_mlops.audio import decode, resample
from genre_mlops.changes import amplified, as_mp3, low_pass, middle, with_noise
from genre_mlops.domain import Clip, Mapper
from genre_mlops.learning.bundle import Bundle
from genre_mlops.learning.resampling import Estimate, Resampling
from genre_mlops.processes import quiet_stderr

CUTOFF_HZ, EXCERPT_S = 8_000, 5
# Changed as a whole, in several copies: about 0.5 GB at 44.1 kHz.
LONGEST_CHANGED_S = 600.0
FILES_PER_TASK = 4


def _dull(clip: Clip) -> Clip | None:
    if clip.sr <= 2 * CUTOFF_HZ:
        return None
    return Clip(clip.track_id, low_pass(clip.y, clip.sr, cutoff_hz=CUTOFF_HZ), clip.sr)


def _excerpt(clip: Clip) -> Clip | None:
    if clip.duration_s <= EXCERPT_S:
        return None
    return Clip(clip.track_id, middle(clip.y, clip.sr, duration_s=EXCERPT_S), clip.sr)


CHANGES: dict[str, Callable[[Clip], Clip | None]] = {
    "mp3 64 kb/s": partial(as_mp3, kbps=64),
    "12 dB quieter": partial(amplified, gain_db=-12),
    "noise 20 dB": partial(with_noise, snr_db=20),
    "low-pass 8 kHz": _dull,
    "5-s excerpt": _excerpt,
}
"""Name -> a clip at its file's own sampling rate changed; None where the change would change
nothing, as a low-pass of a recording that has nothing up there."""


@dataclass(frozen=True)
class Change:
    """How a bundle did on tracks whose sound was changed.

    Attributes
    ----------
    name : str
        Of `CHANGES`.
    n_tracks : int
        Test tracks that it changes.
    unchanged : float
        Share of these right as they are.
    accuracy : Estimate
        Share of these right when changed.
    difference : Estimate
        `accuracy` less `unchanged`, track by track.
    """

    name: str
    n_tracks: int
    unchanged: float
    accuracy: Estimate
    difference: Estimate

    @property
    def key(self) -> str:
        """The name as part of a figure's name."""
        return re.sub(r"\W+", "_", self.name.lower())


@dataclass(frozen=True, eq=False)
class Unchanged:
    """Test tracks as they are.

    Attributes
    ----------
    paths : sequence of Path
        Audio files known to be usable.
    genres : sequence of str
        Each track's.
    right : ndarray [shape=(n_tracks,), dtype=bool]
        Whether the bundle knew it.
    resampling : Resampling
        Of these tracks.
    """

    paths: Sequence[Path]
    genres: Sequence[str]
    right: NDArray[np.bool_]
    resampling: Resampling

    def among(self, rows: NDArray[np.int64]) -> "Unchanged":
        """Return some of the tracks, by their places."""
        paths, genres = ([values[row] for row in rows] for values in (self.paths, self.genres))
        return Unchanged(paths, genres, self.right[rows], self.resampling.among(rows))


def judge_changed(
    folder: Path, tracks: Unchanged, *, n_tracks: int, run: Mapper
) -> tuple[Change, ...]:
    """Measure a bundle on test tracks whose sound is changed.

    Parameters
    ----------
    folder : Path
        The bundle's.
    tracks : Unchanged
        The test tracks.
    n_tracks : int
        Of these, at the most so many, drawn in the proportions of the genres with the seed of
        their resampling; 0 for no table.
    run : Mapper
        Where the work happens.

    Returns
    -------
    tuple of Change
        In the order of `CHANGES`, without those that change none of the tracks.
    """
    chosen = tracks.among(draw(tracks.genres, n_tracks, seed=tracks.resampling.seed))
    rows = np.arange(len(chosen.paths))
    tasks = [rows[start : start + FILES_PER_TASK] for start in rows[::FILES_PER_TASK]]
    right = np.full((len(rows), len(CHANGES)), np.nan)
    for places, found in run(partial(_right, folder, chosen), tasks, label="judge changed tracks"):
        right[places] = found
    table = []
    for name, after in zip(CHANGES, right.T, strict=True):
        own = ~np.isnan(after)
        if own.any():
            pairs = np.column_stack([chosen.right, after])[own]
            table.append(_compared(name, pairs, chosen.resampling.among(own)))
    return tuple(table)


def draw(genres: Sequence[str], n: int, *, seed: int) -> NDArray[np.int64]:
    """Draw at most `n` tracks in the proportions of their genres.

    Parameters
    ----------
    genres : sequence of str
        Each track's.
    n : int
        At the most.
    seed : int
        Of the drawing.

    Returns
    -------
    ndarray [shape=(min(n, n_tracks),), dtype=int64]
        Places in `genres`, rising.
    """
    rng = np.random.default_rng(seed)
    of = np.asarray(genres)
    # How far into its genre a track comes: the first 30 % of all are 30 % of each.
    depth = np.empty(len(of))
    for genre in np.unique(of):
        own = rng.permutation(np.flatnonzero(of == genre))
        depth[own] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.sort(np.argsort(depth, kind="stable")[:n])


def _right(
    folder: Path, tracks: Unchanged, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each track and change 1 where it was right, NaN where nothing was changed."""
    bundle = Bundle(folder, threads=1)
    right = np.full((len(rows), len(CHANGES)), np.nan)
    for place, row in enumerate(rows):
        # The mp3 decoder writes its warnings past Python.
        with quiet_stderr():
            clip = decode(tracks.paths[row]).clip
            for column, change in enumerate(CHANGES.values()):
                changed = change(clip)
                if changed is not None:
                    heard = bundle.predict(resample(changed, bundle.info.features.sr))
                    right[place, column] = heard.genre == tracks.genres[row]
    return rows, right


def _compared(name: str, pairs: NDArray[np.float64], resampling: Resampling) -> Change:
    """Compare what was right before (first column) and after, on the same resamples."""
    before, after = pairs.T
    all_ = np.ones(len(pairs))
    return Change(
        name,
        len(pairs),
        float(before.mean()),
        resampling.ratio(after, all_),
        resampling.ratio(after - before, all_),
    )
