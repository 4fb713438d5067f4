import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.learning.calibration import (
    MIN_TRACKS,
    TEMPERATURES,
    abstain,
    abstention_curve,
    calibrate,
)
from genre_mlops.learning.metrics import log_loss
from genre_mlops.learning.resampling import resampling
from genre_mlops.segments import temper

Case = tuple[np.ndarray, np.ndarray]


def honest_case(n_tracks: int, *, seed: int, n_genres: int = 4) -> Case:
    """Draw labels from the probabilities themselves: as right as confident."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_genres, 0.4), n_tracks).clip(1e-6)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    draws = rng.random((n_tracks, 1)) > np.cumsum(probabilities, axis=1)[:, :-1]
    return probabilities, draws.sum(axis=1)


def certain_case(confidence: list[float], right: list[bool]) -> Case:
    """Return tracks of two genres, all of the first, with what is predicted and how surely."""
    high = np.array(confidence)
    probabilities = np.stack([high, 1 - high], axis=1)
    return probabilities, np.where(right, 0, 1)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.0])
def test_the_temperature_that_was_applied_is_found(true_temperature: float):
    probabilities, labels = honest_case(4_000, seed=1)
    found = calibrate(temper(probabilities, 1 / true_temperature), labels, sure_accuracy=0.9)
    assert found.temperature == pytest.approx(true_temperature, rel=0.1)


@given(st.integers(0, 10_000), st.integers(MIN_TRACKS, 80))
def test_no_temperature_near_by_has_less_loss(seed: int, n_tracks: int):
    probabilities, labels = honest_case(n_tracks, seed=seed)
    found = calibrate(probabilities, labels, sure_accuracy=0.9).temperature
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]
    best = log_loss(temper(probabilities, found), labels)
    for other in (1.0, found * 0.9, found * 1.1):
        if TEMPERATURES[0] <= other <= TEMPERATURES[1]:
            assert best <= log_loss(temper(probabilities, other), labels) + 1e-6


@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.75, 0.9]))
def test_the_threshold_keeps_what_was_asked_and_no_lower_one_does(seed: int, asked: float):
    probabilities, labels = honest_case(60, seed=seed)
    found = calibrate(probabilities, labels, sure_accuracy=asked)
    calibrated = temper(probabilities, found.temperature)
    confidence, right = calibrated.max(axis=1), calibrated.argmax(axis=1) == labels
    sure = confidence > found.sure_above
    assert found.coverage == pytest.approx(sure.mean())
    fewest = round(1 / (1 - asked))
    if found.accuracy is None:
        assert found.sure_above == 1
        assert not sure.any()
        lower = confidence
    else:
        assert found.accuracy == pytest.approx(right[sure].mean())
        assert found.accuracy >= asked
        assert sure.sum() >= fewest
        lower = confidence[~sure]
    for threshold in lower:
        above = confidence >= threshold
        assert above.sum() < fewest or right[above].mean() < asked


def test_the_threshold_is_half_way_to_the_next_confidence():
    confidence = [0.95, 0.9, 0.85, 0.8, 0.6, 0.55]
    probabilities, labels = certain_case(confidence, [True, True, True, True, False, False])
    found = calibrate(probabilities, labels, sure_accuracy=0.75)
    assert found.temperature == 1
    # At 0.6 four of five are right, at 0.55 four of six.
    assert found.sure_above == pytest.approx((0.6 + 0.55) / 2)
    assert (found.coverage, found.accuracy) == pytest.approx((5 / 6, 0.8))
    everything = calibrate(probabilities, labels, sure_accuracy=0.6)
    assert everything.sure_above == pytest.approx((0.55 + 0.5) / 2)
    assert everything.coverage == 1


def test_tracks_of_one_confidence_go_together():
    probabilities, labels = certain_case([0.9] * 4 + [0.8], [True, True, False, False, True])
    assert list(abstention_curve(probabilities, labels).coverage) == [0.8, 1]
    assert calibrate(probabilities, labels, sure_accuracy=0.6).sure_above == pytest.approx(0.65)


def test_few_tracks_or_few_right_promise_nothing():
    all_right = certain_case([0.9] * 9, [True] * 9)
    found = calibrate(*all_right, sure_accuracy=0.9)
    assert (found.temperature, found.sure_above, found.coverage) == (1, 1, 0)
    assert found.accuracy is None
    # Ten can show nine in ten.
    assert calibrate(*certain_case([0.9] * 10, [True] * 10), sure_accuracy=0.9).coverage == 1
    all_wrong = certain_case([0.9] * 40, [False] * 40)
    assert calibrate(*all_wrong, sure_accuracy=0.9).sure_above == 1


def test_tracks_that_are_all_right_do_not_make_it_certain_without_bounds():
    probabilities, labels = certain_case([0.7] * MIN_TRACKS, [True] * MIN_TRACKS)
    found = calibrate(probabilities, labels, sure_accuracy=0.9)
    assert math.isclose(found.temperature, TEMPERATURES[0], rel_tol=1e-3)


def test_the_curve_ends_at_the_accuracy_of_all():
    probabilities, labels = honest_case(57, seed=3)
    curve = abstention_curve(probabilities, labels)
    assert (np.diff(curve.confidence) < 0).all()
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())


def test_abstaining_counts_what_is_above_the_threshold():
    probabilities, labels = certain_case([0.9, 0.8, 0.7, 0.6], [True, True, False, False])
    drawn = resampling(4, None, n_bootstrap=200, seed=0)
    found = abstain(probabilities, labels, sure_above=0.7, resampling=drawn)
    assert found.accuracy is not None
    assert (found.coverage.value, found.accuracy.value) == (0.5, 1)
    assert 0 <= found.coverage.low < 0.5 < found.coverage.high <= 1
    assert abstain(probabilities, labels, sure_above=0.95, resampling=drawn).accuracy is None
