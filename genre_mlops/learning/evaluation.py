"""How a bundle, as it is shipped, does on the test tracks: from the audio, as it is served."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre_mlops.config import Config
from genre_mlops.domain import Mapper
from genre_mlops.learning.bundle import Bundle, read_info
from genre_mlops.learning.calibration import abstain
from genre_mlops.learning.judged import Judged
from genre_mlops.learning.metrics import evaluate
from genre_mlops.learning.resampling import resampling
from genre_mlops.learning.robustness import LONGEST_CHANGED_S, Unchanged, judge_changed
from genre_mlops.processes import quiet_stderr
from genre_mlops.splits import TEST, groups_of, test_digest

if TYPE_CHECKING:
    import pandas as pd

FILES_PER_TASK = 16


def judge_bundle(
    folder: Path, catalog: "pd.DataFrame", config: Config, run: Mapper, *, changed: bool = False
) -> Judged:
    """Measure a bundle on the test tracks of a catalog.

    Parameters
    ----------
    folder : Path
        The bundle's.
    catalog : DataFrame
        Indexed by `track_id`, with `path`, `duration_s`, `genre`, `group`, `sha256`, `split` and
        `split_group`.
    config : Config
        How to judge, and the seed.
    run : Mapper
        Where the predicting happens.
    changed : bool
        Whether to judge some of the tracks again with their sound changed.

    Returns
    -------
    Judged
        A genre that the bundle does not know has probability 0; one that the tracks do not have
        can only be wrong.
    """
    info, how = read_info(folder), config.evaluation
    tracks = catalog[catalog["split"] == TEST]
    asked = sorted(catalog["genre"].unique())
    genres = (*asked, *(genre for genre in info.genres if genre not in asked))
    paths = [Path(path) for path in tracks["path"]]
    probabilities = judge_files(folder, paths, genres, run)
    labels = np.array([genres.index(genre) for genre in tracks["genre"]], np.int64)
    drawn = resampling(
        len(labels), groups_of(tracks), n_bootstrap=how.n_bootstrap, seed=config.seed
    )
    found = evaluate(
        probabilities, labels, genres, drawn, top_k=how.top_k, n_bins=how.calibration_bins
    )
    sure = abstain(probabilities, labels, sure_above=info.sure_above, resampling=drawn)
    judged = Judged(info, tracks, test_digest(catalog), probabilities, found, sure, drawn)
    if not (changed and how.robustness_tracks):
        return judged
    unchanged = Unchanged(paths, list(tracks["genre"]), judged.right, drawn)
    short = unchanged.among(np.flatnonzero(tracks["duration_s"] <= LONGEST_CHANGED_S))
    robustness = judge_changed(folder, short, n_tracks=how.robustness_tracks, run=run)
    return replace(judged, robustness_asked=True, robustness=robustness)


def judge_files(
    folder: Path, paths: Sequence[Path], genres: Sequence[str], run: Mapper
) -> NDArray[np.float64]:
    """Predict audio files with a bundle's ONNX network.

    Parameters
    ----------
    folder : Path
        The bundle's.
    paths : sequence of Path
        Audio files known to be usable.
    genres : sequence of str
        The columns wanted; one the bundle does not know has probability 0.
    run : Mapper
        Where the work happens.

    Returns
    -------
    ndarray [shape=(n_tracks, n_genres), dtype=float64, range=[0, 1]]
        In the order of `paths`.
    """
    tasks = [
        (start, list(paths[start : start + FILES_PER_TASK]))
        for start in range(0, len(paths), FILES_PER_TASK)
    ]
    judged = np.zeros((len(paths), len(genres)))
    for start, rows in run(partial(_predict, folder, list(genres)), tasks, label="judge tracks"):
        judged[start : start + len(rows)] = rows
    return judged


def _predict(
    folder: Path, genres: list[str], task: tuple[int, list[Path]]
) -> tuple[int, NDArray[np.float64]]:
    start, paths = task
    bundle = Bundle(folder, threads=1)
    # The mp3 decoder writes its warnings past Python.
    with quiet_stderr():
        found = [bundle.predict(path).probabilities for path in paths]
    return start, np.array([[track.get(genre, 0.0) for genre in genres] for track in found])
