"""A bundle's figures on the test tracks, and how they are told: metrics, tables, tags, words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genre_mlops.learning.bundle import BundleInfo
from genre_mlops.learning.calibration import Abstention
from genre_mlops.learning.metrics import Evaluation
from genre_mlops.learning.resampling import Estimate, Resampling
from genre_mlops.learning.robustness import Change
from genre_mlops.wording import in_cell

if TYPE_CHECKING:
    import pandas as pd

# Of the abstention curve's table: a point for each track of thousands would tell no more.
_MOST_POINTS = 200


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
    abstention : Abstention
        What "none of these" does.
    resampling : Resampling
        Of these tracks, for intervals.
    robustness_asked : bool
        Whether to be judged with its sound changed too was asked for.
    robustness : tuple of Change
        What changes of the sound do; empty where that was not asked, or no track could be changed.
    """

    info: BundleInfo
    tracks: "pd.DataFrame"
    digest: str
    probabilities: NDArray[np.float64]
    evaluation: Evaluation
    abstention: Abstention
    resampling: Resampling
    robustness_asked: bool = False
    robustness: tuple[Change, ...] = ()

    @property
    def prefix(self) -> str:
        """What the figures' names begin with: a score on synthetic music says so."""
        return "synthetic_test" if self.info.synthetic else "test"

    @property
    def title(self) -> str:
        """What pictures of the figures are called."""
        kind = " (synthetic)" if self.info.synthetic else ""
        return f"Test tracks, {self.info.provenance.get('dataset', '?')}{kind}"

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each track's most probable genre is its own [shape=(n_tracks,), dtype=bool]."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels(), dtype=np.bool_)

    def metrics(self) -> dict[str, float]:
        """Return every figure with the ends of its 95 % interval."""
        found = {"tracks": float(len(self.tracks))}
        for name, estimate in self._figures().items():
            found |= estimate.named(name)
        return {f"{self.prefix}_{name}": value for name, value in found.items()}

    def lead_over(self, right: Sequence[bool]) -> Estimate:
        """Return by how much the accuracy is above another's, which is right on these tracks."""
        theirs = np.asarray(right, float)
        return self.resampling.ratio(self.right - theirs, np.ones(len(theirs)))

    def labels(self) -> NDArray[np.int64]:
        """Return each track's genre as its place in `evaluation.genres`."""
        return np.array([self.evaluation.genres.index(g) for g in self.tracks["genre"]], np.int64)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """Return what is worth keeping beside the metrics, by name."""
        import pandas as pd

        curve, bins = self.abstention.curve, self.evaluation.reliability
        last = len(curve.confidence) - 1
        points = np.unique(np.linspace(0, last, _MOST_POINTS).round().astype(np.int64))
        found = {
            "per_genre": pd.DataFrame([vars(score) for score in self.evaluation.per_genre]),
            "per_track": self._per_track(),
            "reliability": pd.DataFrame(vars(bins)),
            "abstention": pd.DataFrame({name: v[points] for name, v in vars(curve).items()}),
        }
        if self.robustness:
            found["robustness"] = pd.DataFrame(
                [
                    {"change": c.name, "n_tracks": c.n_tracks, "unchanged": c.unchanged}
                    | c.accuracy.named("accuracy")
                    | c.difference.named("difference")
                    for c in self.robustness
                ]
            )
        return found

    def tags(self) -> dict[str, str]:
        """Return what a registered version notes of this."""
        origin = {key: str(value) for key, value in self.info.provenance.items()}
        return origin | {
            "synthetic": str(self.info.synthetic).lower(),
            "test_digest": self.digest,
            f"{self.prefix}_accuracy": str(self.evaluation.accuracy),
            "temperature": f"{self.info.temperature:.3f}",
            "sure_above": f"{self.info.sure_above:.3f}",
        }

    def markdown(self) -> str:
        """Describe the version for the people who find it in the registry."""
        e, origin = self.evaluation, self.info.provenance
        kind = "**synthetic** music" if self.info.synthetic else "music"
        lines = [
            f"Trained on {kind} of the data set {in_cell(origin.get('dataset', '?'))}: "
            f"{', '.join(map(in_cell, self.info.genres))}.",
            "",
            f"On {len(self.tracks)} {'synthetic ' * self.info.synthetic}test tracks, looked at "
            f"once, with 95 % bootstrap intervals over {e.resampled}:",
            "",
            *_table("| | value | 95 % interval |", self._named()),
            "",
            self._certainty(),
            "",
            *_table(
                "| genre | tracks | precision | recall | 95 % interval | F1 | 95 % interval |",
                [
                    f"{in_cell(s.genre)} | {s.n_tracks} | {s.precision:.2f} | "
                    f"{s.recall:.2f} | {s.recall_low:.2f} to {s.recall_high:.2f} | "
                    f"{s.f1:.2f} | {s.f1_low:.2f} to {s.f1_high:.2f}"
                    for s in e.per_genre
                ],
            ),
        ]
        return "\n".join([*lines, *self._changes()])

    def _figures(self) -> dict[str, Estimate]:
        """Return every figure with an interval by the name under which it is logged."""
        found = {**self.evaluation.figures(), "coverage": self.abstention.coverage}
        if self.abstention.accuracy:
            found["sure_accuracy"] = self.abstention.accuracy
        for change in self.robustness:
            found[f"{change.key}_accuracy"] = change.accuracy
            found[f"{change.key}_difference"] = change.difference
        return found

    def _per_track(self) -> "pd.DataFrame":
        """Return a row a test track: what it is, what was said, how probable both were."""
        import pandas as pd

        genres = np.array(self.evaluation.genres)
        rows = np.arange(len(self.tracks))
        predicted = self.probabilities.argmax(axis=1)
        p_predicted = self.probabilities[rows, predicted]
        return pd.DataFrame(
            {
                "track_id": self.tracks.index,
                "genre": self.tracks["genre"].to_numpy(),
                "predicted": genres[predicted],
                "sure": p_predicted > self.abstention.sure_above,
                "p_predicted": p_predicted.round(4),
                "p_genre": self.probabilities[rows, self.labels()].round(4),
            }
        )

    def _named(self) -> list[str]:
        e = self.evaluation
        named = {
            "accuracy": e.accuracy,
            "macro-F1": e.macro_f1,
            f"genre among the {e.top_k} most probable": e.top_k_accuracy,
            "log-loss, nats": e.log_loss,
            "expected calibration error": e.calibration_error,
            "share of tracks that are sure": self.abstention.coverage,
        }
        if self.abstention.accuracy:
            named["accuracy of those that are sure"] = self.abstention.accuracy
        return [f"{n} | {x.value:.3f} | {x.low:.3f} to {x.high:.3f}" for n, x in named.items()]

    def _certainty(self) -> str:
        told = f"Temperature {self.info.temperature:.2f}. "
        above = self.info.sure_above
        if above == 0:
            return f"{told}Every answer counts as sure: no threshold was chosen."
        if above == 1:
            return (
                f"{told}No answer counts as sure: no threshold kept the accuracy asked on the "
                "validation tracks."
            )
        asked = self.info.provenance.get("sure_accuracy")
        share = f"for {100 * float(asked):g} % of right ones, " if asked else ""
        return (
            f"{told}An answer is sure above probability {above:.2f}, otherwise it may be none of "
            f"these: chosen {share}on the validation tracks."
        )

    def _changes(self) -> list[str]:
        rows = [
            f"{c.name} | {c.n_tracks} | {c.unchanged:.3f} | {c.accuracy.value:.3f} | "
            f"{c.difference.value:+.3f} | {c.difference.low:+.3f} to {c.difference.high:+.3f}"
            for c in self.robustness
        ]
        head = "| changed sound | tracks | unchanged | accuracy | difference | 95 % interval |"
        return ["", *_table(head, rows)] if rows else []


def _table(head: str, rows: list[str]) -> list[str]:
    return [head, "|---" * (head.count("|") - 1) + "|", *(f"| {row} |" for row in rows)]
