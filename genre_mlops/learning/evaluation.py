"""How a bundle, as it is shipped, does on the test tracks: from the audio, as it is served."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genre_mlops.config import Config
from genre_mlops.domain import Mapper
from genre_mlops.learning.bundle import Bundle, BundleInfo, read_info, read_seen
from genre_mlops.learning.gate import Score
from genre_mlops.learning.metrics import Evaluation, accuracy, evaluate, log_loss
from genre_mlops.processes import quiet_stderr
from genre_mlops.splits import TEST, test_digest

FILES_PER_TASK = 16


@dataclass(frozen=True, eq=False)
class Judged:
    """A bundle's figures on the test tracks of a catalog.

    Attributes
    ----------
    info : BundleInfo
        The bundle's.
    tracks : DataFrame
        The test tracks, indexed by `track_id`.
    digest : str
        Of their content and genres.
    probabilities : ndarray [shape=(n_tracks, n_genres), dtype=float64, range=[0, 1]]
        Columns in the order of `evaluation.genres`.
    evaluation : Evaluation
        The figures.
    """

    info: BundleInfo
    tracks: pd.DataFrame
    digest: str
    probabilities: NDArray[np.float64]
    evaluation: Evaluation

    @property
    def prefix(self) -> str:
        """What the figures' names begin with: a score on synthetic music says so."""
        return "synthetic_test" if self.info.synthetic else "test"

    @property
    def title(self) -> str:
        """What pictures of the figures are called."""
        kind = " (synthetic)" if self.info.synthetic else ""
        return f"Test tracks, {self.info.provenance.get('dataset', '?')}{kind}"

    def metrics(self) -> dict[str, float]:
        """Return accuracy, macro-F1 and log-loss with the ends of their 95 % intervals."""
        found = {"tracks": float(len(self.tracks))}
        for name in ("accuracy", "macro_f1", "log_loss"):
            estimate = getattr(self.evaluation, name)
            found |= {name: estimate.value, f"{name}_low": estimate.low}
            found[f"{name}_high"] = estimate.high
        return {f"{self.prefix}_{name}": value for name, value in found.items()}

    def score(self, version: int, *, among: pd.Index) -> Score:
        """Return what the gate compares, on those of the test tracks that are `among` these."""
        chosen = self.tracks.index.isin(among)
        probabilities, labels = self.probabilities[chosen], self.labels()[chosen]
        if not len(labels):
            return Score(version, 0, 0.0, 0.0, self.info.synthetic)
        return Score(
            version,
            len(labels),
            accuracy(probabilities, labels),
            log_loss(probabilities, labels),
            self.info.synthetic,
        )

    def labels(self) -> NDArray[np.int64]:
        """Return each track's genre as its place in `evaluation.genres`."""
        return np.array([self.evaluation.genres.index(g) for g in self.tracks["genre"]], np.int64)

    def per_genre(self) -> pd.DataFrame:
        """Return a row a genre: tracks, precision, recall, F1."""
        return pd.DataFrame([vars(score) for score in self.evaluation.per_genre])

    def per_track(self) -> pd.DataFrame:
        """Return a row a test track: what it is, what was said, how probable both were."""
        genres = np.array(self.evaluation.genres)
        rows = np.arange(len(self.tracks))
        labels = self.labels()
        predicted = self.probabilities.argmax(axis=1)
        return pd.DataFrame(
            {
                "track_id": self.tracks.index,
                "genre": self.tracks["genre"].to_numpy(),
                "predicted": genres[predicted],
                "p_predicted": self.probabilities[rows, predicted].round(4),
                "p_genre": self.probabilities[rows, labels].round(4),
            }
        )

    def tags(self) -> dict[str, str]:
        """Return what a registered version notes of this."""
        origin = {key: str(value) for key, value in self.info.provenance.items()}
        return origin | {
            "synthetic": str(self.info.synthetic).lower(),
            "test_digest": self.digest,
            f"{self.prefix}_accuracy": str(self.evaluation.accuracy),
        }

    def markdown(self) -> str:
        """Describe the version for the people who find it in the registry."""
        e, origin = self.evaluation, self.info.provenance
        kind = "**synthetic** music, made for testing" if self.info.synthetic else "music"
        lines = [
            f"Trained on {kind} of the data set `{origin.get('dataset', '?')}`: "
            f"{', '.join(self.info.genres)}.",
            "",
            f"On {len(self.tracks)} {'synthetic ' if self.info.synthetic else ''}test tracks, "
            "looked at once, with 95 % bootstrap intervals over tracks:",
            "",
            "| | value | 95 % interval |",
            "|---|---|---|",
        ]
        named = {"accuracy": e.accuracy, "macro-F1": e.macro_f1, "log-loss, nats": e.log_loss}
        lines += [
            f"| {n} | {x.value:.3f} | {x.low:.3f} to {x.high:.3f} |" for n, x in named.items()
        ]
        lines += ["", "| genre | tracks | precision | recall | F1 |", "|---|---|---|---|---|"]
        lines += [
            f"| {s.genre} | {s.n_tracks} | {s.precision:.2f} | {s.recall:.2f} | {s.f1:.2f} |"
            for s in e.per_genre
        ]
        return "\n".join(lines)


def judge_bundle(folder: Path, catalog: pd.DataFrame, config: Config, run: Mapper) -> Judged:
    """Measure a bundle on the test tracks of a catalog.

    Parameters
    ----------
    folder : Path
        The bundle's.
    catalog : DataFrame
        Indexed by `track_id`, with `path`, `genre`, `sha256` and `split`.
    config : Config
        Bootstrap and seed.
    run : Mapper
        Where the predicting happens.

    Returns
    -------
    Judged
        A genre that the bundle does not know has probability 0; one that the tracks do not have
        can only be wrong.
    """
    info = read_info(folder)
    tracks = catalog[catalog["split"] == TEST]
    asked = sorted(catalog["genre"].unique())
    genres = (*asked, *(genre for genre in info.genres if genre not in asked))
    probabilities = judge_files(folder, [Path(p) for p in tracks["path"]], genres, run)
    labels = np.array([genres.index(genre) for genre in tracks["genre"]], np.int64)
    found = evaluate(
        probabilities,
        labels,
        genres,
        n_bootstrap=config.evaluation.n_bootstrap,
        seed=config.seed,
    )
    return Judged(info, tracks, test_digest(catalog), probabilities, found)


def unseen_tests(catalog: pd.DataFrame, folder: Path) -> pd.Index:
    """Return the test tracks that a bundle's network has not learnt from.

    Splits change when data is added: what tests now may have trained an older version.
    """
    return catalog.index[(catalog["split"] == TEST) & ~catalog["sha256"].isin(read_seen(folder))]


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
