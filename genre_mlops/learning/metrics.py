"""How good track-level probabilities are, with intervals over tracks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 1e-12
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class GenreScore:
    """How one genre fared.

    Attributes
    ----------
    genre : str
        Its name.
    n_tracks : int
        Test tracks of the genre.
    precision, recall, f1 : float
        In [0, 1]; 0 where nothing was predicted or nothing was there.
    """

    genre: str
    n_tracks: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is said of a model on one set of tracks.

    Attributes
    ----------
    genres : tuple of str
        Order of rows and columns.
    accuracy, macro_f1, log_loss : Estimate
        Track-level, with 95 % bootstrap intervals over tracks; log-loss in nats.
    per_genre : tuple of GenreScore
        In the order of `genres`.
    confusion : ndarray [shape=(n_genres, n_genres), dtype=int64]
        Rows are true genres, columns predicted ones.
    """

    genres: tuple[str, ...]
    accuracy: Estimate
    macro_f1: Estimate
    log_loss: Estimate
    per_genre: tuple[GenreScore, ...]
    confusion: NDArray[np.int64]

    @property
    def chance(self) -> float:
        """The accuracy of always answering the most common genre."""
        return float(self.confusion.sum(axis=1).max() / self.confusion.sum())


def accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the share of tracks whose most probable genre is theirs.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_tracks, n_genres), range=[0, 1]]
        Rows sum to 1.
    labels : ndarray [shape=(n_tracks,), range=[0, n_genres)]
        True genres.
    """
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the mean negative log-probability of the true genre, in nats (0 is perfect)."""
    return float(_losses(probabilities, labels).mean())


def confusion_matrix(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], n_genres: int
) -> NDArray[np.int64]:
    """Count tracks by true (row) and predicted (column) genre."""
    flat = np.bincount(labels * n_genres + predicted, minlength=n_genres**2)
    return flat.reshape(n_genres, n_genres).astype(np.int64)


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Return the mean F1 over the genres that occur, true or predicted."""
    _, _, f1 = _scores(confusion)
    seen = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return float(f1[seen].mean())


def evaluate(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    genres: tuple[str, ...],
    *,
    n_bootstrap: int,
    seed: int,
) -> Evaluation:
    """Measure track-level probabilities.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_tracks, n_genres), range=[0, 1]]
        Rows sum to 1.
    labels : ndarray [shape=(n_tracks,), range=[0, n_genres)]
        True genres.
    genres : tuple of str
        Names, in the order of the columns.
    n_bootstrap : int
        Resamples of the tracks for the percentile intervals.
    seed : int
        Of the resampling.

    Returns
    -------
    Evaluation
        The figures.
    """
    n = len(genres)
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(predicted, labels, n)
    losses = _losses(probabilities, labels)
    rng = np.random.default_rng(seed)
    right = predicted == labels
    resampled = np.empty((n_bootstrap, 3))
    for row in resampled:
        i = rng.integers(len(labels), size=len(labels))
        row[:] = (
            right[i].mean(),
            macro_f1(confusion_matrix(predicted[i], labels[i], n)),
            losses[i].mean(),
        )
    low, high = np.percentile(resampled, _INTERVAL, axis=0)

    def estimate(which: int, value: float) -> Estimate:
        return Estimate(value, float(low[which]), float(high[which]))

    precision, recall, f1 = _scores(confusion)
    return Evaluation(
        genres,
        estimate(0, float(right.mean())),
        estimate(1, macro_f1(confusion)),
        estimate(2, float(losses.mean())),
        tuple(
            GenreScore(
                g, int(confusion[i].sum()), float(precision[i]), float(recall[i]), float(f1[i])
            )
            for i, g in enumerate(genres)
        ),
        confusion,
    )


def _losses(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(own, _SMALLEST)), dtype=np.float64)


def _scores(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1 of each genre, 0 where undefined."""
    hits = np.diag(confusion).astype(np.float64)
    n_predicted, n_true = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(n_predicted, 1)
    recall = hits / np.maximum(n_true, 1)
    f1 = 2 * hits / np.maximum(n_predicted + n_true, 1)
    return precision, recall, f1
