"""How certain a model may sound, and when it had better say "none of these"."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from genre_mlops.learning.metrics import log_loss
from genre_mlops.learning.resampling import Estimate, Resampling
from genre_mlops.segments import temper

MIN_TRACKS = 20
"""Fewer say too little of certainty: nothing is fitted to them."""
TEMPERATURES = (0.25, 4.0)
"""A temperature beyond these would rest on a few tracks that are all right, or all wrong."""


@dataclass(frozen=True)
class Calibration:
    """What the validation tracks say of a network's certainty.

    Attributes
    ----------
    temperature : float
        Divides the mean log-probability of a track's segments; 1 where too few tracks were there to
        fit it.
    sure_above : float
        A track whose most probable genre is not more probable than this may be none of these; 1,
        and so no track is sure, where no threshold keeps what was asked.
    coverage : float
        Share of the validation tracks that are sure.
    accuracy : float or None
        Share of these that are right; None where there are none.
    """

    temperature: float
    sure_above: float
    coverage: float
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Curve:
    """Accuracy of the tracks that are answered, against how many are.

    Attributes
    ----------
    confidence : ndarray [shape=(n_points,), dtype=float64, range=[0, 1]]
        Tracks at or above this confidence are answered. Falls from point to point.
    coverage : ndarray [shape=(n_points,), dtype=float64, range=(0, 1]]
        Share of the tracks answered; ends at 1.
    accuracy : ndarray [shape=(n_points,), dtype=float64, range=[0, 1]]
        Share of these that are right.
    """

    confidence: NDArray[np.float64]
    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Abstention:
    """What "none of these" does on a set of tracks.

    Attributes
    ----------
    curve : Curve
        Of all thresholds.
    sure_above : float
        The one chosen on the validation tracks.
    coverage : Estimate
        Share of tracks above it.
    accuracy : Estimate or None
        Share of these that are right; None where there are none.
    """

    curve: Curve
    sure_above: float
    coverage: Estimate
    accuracy: Estimate | None


def calibrate(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], *, sure_accuracy: float
) -> Calibration:
    """Fit the temperature, and choose from what confidence on an answer is to be believed.

    The temperature has the least log-loss (C. Guo et al., "On calibration of modern neural
    networks", ICML 2017, section 4.2). The threshold lies half-way between two confidences: the
    least such that the tracks at or above it are right in at least `sure_accuracy` of cases, and
    the next below it (1 / n_genres where there is none). It is held only by as many tracks as can
    show that accuracy with one of them wrong.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_tracks, n_genres), range=(0, 1]]
        Of validation tracks, pooled at temperature 1.
    labels : ndarray [shape=(n_tracks,), range=[0, n_genres)]
        True genres.
    sure_accuracy : float
        In (0, 1).

    Returns
    -------
    Calibration
        Temperature 1 where there are fewer than `MIN_TRACKS` tracks; nothing is sure where no
        threshold keeps `sure_accuracy`.
    """
    temperature = _fit_temperature(probabilities, labels) if len(labels) >= MIN_TRACKS else 1.0
    calibrated = temper(probabilities, temperature)
    curve = abstention_curve(calibrated, labels)
    fewest = math.ceil(1 / (1 - sure_accuracy) - 1e-9)
    enough = np.round(curve.coverage * len(labels)) >= fewest
    kept = np.flatnonzero(enough & (curve.accuracy >= sure_accuracy - 1e-12))
    if not len(kept):
        return Calibration(temperature, 1.0, 0.0, None)
    last = int(kept[-1])
    below = np.append(curve.confidence, 1 / probabilities.shape[1])[last + 1]
    return Calibration(
        temperature,
        float(curve.confidence[last] + below) / 2,
        float(curve.coverage[last]),
        float(curve.accuracy[last]),
    )


def abstention_curve(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Curve:
    """Return coverage and accuracy at each confidence that occurs.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_tracks, n_genres), range=[0, 1]]
        At least one track.
    labels : ndarray [shape=(n_tracks,), range=[0, n_genres)]
        True genres.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    right = (probabilities.argmax(axis=1) == labels)[order]
    n_answered = np.arange(1, len(labels) + 1)
    # Tracks of one confidence are answered together.
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(labels) - 1)
    accuracy = np.cumsum(right) / n_answered
    return Curve(confidence[ends], n_answered[ends] / len(labels), accuracy[ends])


def abstain(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    sure_above: float,
    resampling: Resampling,
) -> Abstention:
    """Measure what a threshold does.

    Parameters
    ----------
    probabilities : ndarray [shape=(n_tracks, n_genres), range=[0, 1]]
        Calibrated.
    labels : ndarray [shape=(n_tracks,), range=[0, n_genres)]
        True genres.
    sure_above : float
        The threshold.
    resampling : Resampling
        Of these tracks.
    """
    sure = (probabilities.max(axis=1) > sure_above).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    coverage = resampling.ratio(sure, np.ones(len(labels)))
    accuracy = resampling.ratio(sure * right, sure) if sure.any() else None
    return Abstention(abstention_curve(probabilities, labels), sure_above, coverage, accuracy)


def _fit_temperature(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature of the least log-loss within `TEMPERATURES`."""
    found = scipy.optimize.minimize_scalar(
        lambda log_t: log_loss(temper(probabilities, math.exp(log_t)), labels),
        bounds=[math.log(t) for t in TEMPERATURES],
        method="bounded",
    )
    return float(math.exp(found.x))
