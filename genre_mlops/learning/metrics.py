"""How good track-level probabilities are, with intervals over tracks or groups of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from genre_mlops.learning.resampling import Estimate, Resampling, estimates

_SMALLEST = 1e-12


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
    recall_low, recall_high, f1_low, f1_high : float
        The ends of the 95 % intervals of recall and F1.
    """

    genre: str
    n_tracks: int
    precision: float
    recall: float
    f1: float
    recall_low: float
    recall_high: float
    f1_low: float
    f1_high: float


@dataclass(frozen=True, eq=False)
class Reliability:
    """Tracks in bins of equal width by confidence, the probability of the genre predicted.

    Attributes
    ----------
    n_tracks : ndarray [shape=(n_bins,), dtype=int64]
        In each bin, from 0 to 1; a bin holds its upper edge.
    confidence, accuracy : ndarray [shape=(n_bins,), dtype=float64, range=[0, 1]]
        Means of the bin's tracks; 0 where there are none.
    """

    n_tracks: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is said of a model on one set of tracks.

    Attributes
    ----------
    genres : tuple of str
        Order of rows and columns.
    accuracy, macro_f1, top_k_accuracy, log_loss, calibration_error : Estimate
        Track-level, with 95 % bootstrap intervals; log-loss in nats.
    top_k : int
        Of `top_k_accuracy`.
    per_genre : tuple of GenreScore
        In the order of `genres`.
    confusion : ndarray [shape=(n_genres, n_genres), dtype=int64]
        Rows are true genres, columns predicted ones.
    reliability : Reliability
        What the calibration error sums up.
    resampled : str
        What the intervals are over, for example ``"17 groups of tracks"``.
    few : bool
        Whether these are too few for an interval to be believed.
    """

    genres: tuple[str, ...]
    accuracy: Estimate
    macro_f1: Estimate
    top_k_accuracy: Estimate
    log_loss: Estimate
    calibration_error: Estimate
    top_k: int
    per_genre: tuple[GenreScore, ...]
    confusion: NDArray[np.int64]
    reliability: Reliability
    resampled: str
    few: bool

    @property
    def chance(self) -> float:
        """The accuracy of always answering the most common genre."""
        return float(self.confusion.sum(axis=1).max() / self.confusion.sum())

    def figures(self) -> dict[str, Estimate]:
        """Return the figures with intervals by name, as they are logged."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            f"top_{self.top_k}_accuracy": self.top_k_accuracy,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
        }


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


def top_k_accuracy(probabilities: NDArray[np.float64], labels: NDArray[np.int64], k: int) -> float:
    """Return the share of tracks whose genre is among the `k` most probable."""
    return float(_found(probabilities, labels, k).mean())


def log_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the mean negative log-probability of the true genre, in nats (0 is perfect)."""
    return float(_losses(probabilities, labels).mean())


def log_loss_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the standard error of `log_loss` over the tracks, in nats."""
    losses = _losses(probabilities, labels)
    return float(losses.std() / np.sqrt(len(losses)))


def calibration_error(found: Reliability) -> float:
    """Return how far confidence is from accuracy, averaged over tracks (0 is perfect).

    The expected calibration error of C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of
    modern neural networks" (ICML 2017), equation 3.
    """
    gaps = np.abs(found.accuracy - found.confidence)
    return float((gaps * found.n_tracks).sum() / found.n_tracks.sum())


def reliability(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], n_bins: int
) -> Reliability:
    """Compare confidence and accuracy, bin by bin of confidence."""
    confidence, bins = _bins(probabilities, n_bins)
    right = probabilities.argmax(axis=1) == labels
    n = np.bincount(bins, minlength=n_bins)
    means = [np.bincount(bins, v, minlength=n_bins) / np.maximum(n, 1) for v in (confidence, right)]
    return Reliability(n, *means)


def confusion_matrix(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], n_genres: int
) -> NDArray[np.int64]:
    """Count tracks by true (row) and predicted (column) genre."""
    flat = np.bincount(labels * n_genres + predicted, minlength=n_genres**2)
    return flat.reshape(n_genres, n_genres).astype(np.int64)


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Return the mean F1 over the genres that occur, true or predicted."""
    f1 = _f1(np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1))
    return float(np.nanmean(f1))


def evaluate(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    genres: tuple[str, ...],
    resampling: Resampling,
    *,
    top_k: int = 3,
    n_bins: int = 10,
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
    resampling : Resampling
        Of these tracks, for the percentile intervals.
    top_k : int
        A track counts as found where its genre is among this many.
    n_bins : int
        Of confidence, for the calibration error.

    Returns
    -------
    Evaluation
        The figures.
    """
    confusion = confusion_matrix(probabilities.argmax(axis=1), labels, len(genres))
    bins = reliability(probabilities, labels, n_bins)
    values = [
        accuracy(probabilities, labels),
        macro_f1(confusion),
        top_k_accuracy(probabilities, labels, top_k),
        log_loss(probabilities, labels),
        calibration_error(bins),
    ]
    hits, n_predicted, n_true = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    columns = _columns(probabilities, labels, top_k, n_bins)
    drawn = np.concatenate([_figures(sums, len(genres)) for sums in resampling.sums(columns)])
    right, mean_f1, found, loss, error = estimates(np.array(values), drawn[:, :5])
    of_genres = np.concatenate([_shares(hits, n_true), _f1(hits, n_predicted, n_true)])
    # A genre that nobody sang or heard has no recall or F1, and none in any resample.
    drawn[:, 5:][:, np.isnan(of_genres)] = 0
    both = estimates(np.nan_to_num(of_genres), drawn[:, 5:])
    precisions = np.nan_to_num(_shares(hits, n_predicted))
    per_genre = tuple(
        GenreScore(g, int(n), float(p), r.value, f1.value, r.low, r.high, f1.low, f1.high)
        for g, n, p, r, f1 in zip(
            genres, n_true, precisions, both[: len(genres)], both[len(genres) :], strict=True
        )
    )
    return Evaluation(
        genres=genres,
        accuracy=right,
        macro_f1=mean_f1,
        top_k_accuracy=found,
        log_loss=loss,
        calibration_error=error,
        top_k=top_k,
        per_genre=per_genre,
        confusion=confusion,
        reliability=bins,
        resampled=resampling.units,
        few=resampling.few,
    )


def _columns(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], top_k: int, n_bins: int
) -> Any:
    """Return a sparse row a track, of whose sums over tracks all figures are made.

    Right, found, loss, 1; then a column a genre for right, predicted and true; then confidence less
    right in the column of the track's bin.
    """
    predicted, n_genres = probabilities.argmax(axis=1), probabilities.shape[1]
    right = (predicted == labels).astype(np.float64)
    confidence, bins = _bins(probabilities, n_bins)
    found, losses = _found(probabilities, labels, top_k), _losses(probabilities, labels)
    ones = np.ones(len(labels))
    return scipy.sparse.hstack(
        [
            scipy.sparse.csr_array(np.column_stack([right, found, losses, ones])),
            _spread(right, labels, n_genres),
            _spread(ones, predicted, n_genres),
            _spread(ones, labels, n_genres),
            _spread(confidence - right, bins, n_bins),
        ],
        format="csr",
    )


def _figures(sums: NDArray[np.float64], n_genres: int) -> NDArray[np.float64]:
    """Return five figures, recall and F1 of genres [shape=(n_resamples, 5 + 2 * n_genres)]."""
    ends = 4 + n_genres * np.arange(4)
    means, hits, n_predicted, n_true, gaps = np.split(sums, ends, axis=1)
    right, found, loss, n = means.T
    f1 = _f1(hits, n_predicted, n_true)
    error = np.abs(gaps).sum(axis=1) / n
    of_all = [right / n, np.nanmean(f1, axis=1), found / n, loss / n, error]
    return np.column_stack([*of_all, _shares(hits, n_true), f1])


def _spread(values: NDArray[np.float64], columns: NDArray[np.int64], n_columns: int) -> Any:
    """Put each track's value into a column of its own choice; the others are 0."""
    places = (np.arange(len(values)), columns)
    return scipy.sparse.csr_array((values, places), shape=(len(values), n_columns))


def _bins(
    probabilities: NDArray[np.float64], n_bins: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return each track's confidence and the number of its bin."""
    confidence = probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    return confidence, bins


def _found(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], k: int
) -> NDArray[np.bool_]:
    # The first of equal ones counts as the more probable, as in argmax.
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return np.asarray((order == labels[:, np.newaxis]).any(axis=1), dtype=np.bool_)


def _losses(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(own, _SMALLEST)), dtype=np.float64)


def _f1(hits: NDArray[Any], n_predicted: NDArray[Any], n_true: NDArray[Any]) -> NDArray[np.float64]:
    """Return each genre's F1, NaN where it is neither true nor predicted."""
    return _shares(2.0 * hits, n_predicted + n_true)


def _shares(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Return parts of wholes, NaN where there is no whole."""
    shares = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
