import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.learning.metrics import (
    accuracy,
    confusion_matrix,
    evaluate,
    log_loss,
    macro_f1,
)


def random_case(seed: int, n_tracks: int = 60, n_genres: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_genres, size=n_tracks)
    return rng.dirichlet(np.ones(n_genres), n_tracks), labels


def test_a_perfect_estimate_scores_perfectly():
    labels = np.array([0, 1, 2, 2, 1])
    found = evaluate(np.eye(3)[labels], labels, ("a", "b", "c"), n_bootstrap=100, seed=0)
    for estimate, best in ((found.accuracy, 1), (found.macro_f1, 1), (found.log_loss, 0)):
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((best,) * 3, abs=1e-9)
    np.testing.assert_array_equal(found.confusion, np.diag([1, 2, 2]))


@given(st.integers(0, 1_000))
def test_figures_are_scikit_learns(seed: int):
    probabilities, labels = random_case(seed)
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(predicted, labels, 5)
    np.testing.assert_array_equal(
        confusion, sklearn.metrics.confusion_matrix(labels, predicted, labels=range(5))
    )
    assert accuracy(probabilities, labels) == sklearn.metrics.accuracy_score(labels, predicted)
    assert macro_f1(confusion) == pytest.approx(
        sklearn.metrics.f1_score(labels, predicted, average="macro")
    )
    assert log_loss(probabilities, labels) == pytest.approx(
        sklearn.metrics.log_loss(labels, probabilities, labels=range(5))
    )


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n_covered = 0
    for seed in range(100):
        labels = np.zeros(120, np.int64)
        right = rng.random(120) < 0.7
        found = evaluate(
            np.eye(2)[1 - right.astype(int)], labels, ("a", "b"), n_bootstrap=200, seed=seed
        )
        n_covered += found.accuracy.low <= 0.7 <= found.accuracy.high
    assert 88 <= n_covered <= 100


def test_a_genre_nobody_sang_or_heard_does_not_count():
    labels = np.array([0, 1, 1])
    found = evaluate(np.eye(4)[[0, 1, 1]], labels, ("a", "b", "c", "d"), n_bootstrap=100, seed=0)
    assert found.macro_f1.value == 1
    assert [score.n_tracks for score in found.per_genre] == [1, 2, 0, 0]
    assert (found.per_genre[3].precision, found.per_genre[3].recall) == (0, 0)


def test_certain_and_wrong_is_finite():
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))
