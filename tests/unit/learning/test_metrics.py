import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.learning import resampling
from genre_mlops.learning.metrics import (
    accuracy,
    calibration_error,
    confusion_matrix,
    evaluate,
    log_loss,
    macro_f1,
    reliability,
    top_k_accuracy,
)
from genre_mlops.learning.resampling import Estimate, Resampling

GENRES = ("a", "b", "c", "d", "e")


def random_case(seed: int, n_tracks: int = 60, n_genres: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_genres, size=n_tracks)
    return rng.dirichlet(np.ones(n_genres), n_tracks), labels


def drawn(
    n_tracks: int, *, n_bootstrap: int, seed: int, groups: np.ndarray | None = None
) -> Resampling:
    return resampling.resampling(n_tracks, groups, n_bootstrap=n_bootstrap, seed=seed)


def ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def test_a_perfect_estimate_scores_perfectly():
    labels = np.array([0, 1, 2, 2, 1])
    found = evaluate(
        np.eye(3)[labels], labels, ("a", "b", "c"), drawn(5, n_bootstrap=100, seed=0), top_k=2
    )
    best = {"accuracy": 1, "macro_f1": 1, "top_2_accuracy": 1, "log_loss": 0}
    best["calibration_error"] = 0
    assert found.figures().keys() == best.keys()
    for name, estimate in found.figures().items():
        assert ends(estimate) == pytest.approx((best[name],) * 3, abs=1e-9), name
    np.testing.assert_array_equal(found.confusion, np.diag([1, 2, 2]))


@given(st.integers(0, 1_000), st.integers(2, 4))
def test_figures_are_scikit_learns(seed: int, k: int):
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
    assert top_k_accuracy(probabilities, labels, k) == pytest.approx(
        sklearn.metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=range(5))
    )


@given(st.integers(0, 1_000), st.integers(2, 13))
def test_bins_of_confidence_are_scikit_learns(seed: int, n_bins: int):
    probabilities, labels = random_case(seed)
    confidence = probabilities.max(axis=1)
    right, mean = sklearn.calibration.calibration_curve(
        probabilities.argmax(axis=1) == labels, confidence, n_bins=n_bins, strategy="uniform"
    )
    found = reliability(probabilities, labels, n_bins)
    seen = found.n_tracks > 0
    np.testing.assert_allclose(found.accuracy[seen], right)
    np.testing.assert_allclose(found.confidence[seen], mean)
    gaps = np.abs(right - mean) * found.n_tracks[seen] / len(labels)
    assert calibration_error(found) == pytest.approx(gaps.sum())


def test_as_right_as_confident_has_no_calibration_error():
    labels = np.array([0, 0, 0, 1, 0, 1])
    probabilities = np.array([[0.75, 0.25]] * 4 + [[0.5, 0.5]] * 2)
    found = reliability(probabilities, labels, 10)
    assert calibration_error(found) == pytest.approx(0)
    # An edge is the upper one of its bin.
    assert list(np.flatnonzero(found.n_tracks)) == [4, 7]
    assert calibration_error(reliability(probabilities, 1 - labels, 10)) > 0.3


@pytest.mark.parametrize("seed", [0, 1])
def test_intervals_are_those_of_drawing_groups_one_after_the_other(seed: int):
    probabilities, labels = random_case(seed, n_tracks=31)
    groups = np.random.default_rng(seed).integers(7, size=31).astype(str)
    found = evaluate(
        probabilities,
        labels,
        GENRES,
        drawn(31, n_bootstrap=40, seed=seed, groups=groups),
        top_k=2,
    )
    names = np.unique(groups)
    resamples = []
    for numbers in np.random.default_rng(seed).integers(len(names), size=(40, len(names))):
        rows = np.concatenate([np.flatnonzero(groups == names[number]) for number in numbers])
        p, truth = probabilities[rows], labels[rows]
        predicted = p.argmax(axis=1)
        one = [
            sklearn.metrics.accuracy_score(truth, predicted),
            sklearn.metrics.f1_score(truth, predicted, average="macro"),
            sklearn.metrics.top_k_accuracy_score(truth, p, k=2, labels=range(5)),
            sklearn.metrics.log_loss(truth, p, labels=range(5)),
            calibration_error(reliability(p, truth, 10)),
        ]
        of_genres = sklearn.metrics.f1_score(
            truth, predicted, average=None, labels=range(5), zero_division=np.nan
        )
        recalls = sklearn.metrics.recall_score(
            truth, predicted, average=None, labels=range(5), zero_division=np.nan
        )
        resamples.append([*one, *of_genres, *recalls])
    low, high = np.nanpercentile(resamples, (2.5, 97.5), axis=0)
    figures = [*found.figures().values()]
    np.testing.assert_allclose([e.low for e in figures], low[:5], atol=1e-9)
    np.testing.assert_allclose([e.high for e in figures], high[:5], atol=1e-9)
    np.testing.assert_allclose([s.f1_low for s in found.per_genre], low[5:10], atol=1e-9)
    np.testing.assert_allclose([s.f1_high for s in found.per_genre], high[5:10], atol=1e-9)
    np.testing.assert_allclose([s.recall_low for s in found.per_genre], low[10:], atol=1e-9)
    np.testing.assert_allclose([s.recall_high for s in found.per_genre], high[10:], atol=1e-9)
    assert found.resampled.startswith(f"{len(names)} groups of tracks")
    assert found.few == (len(names) < 10)


def test_copies_in_one_group_make_no_interval_narrower():
    probabilities, labels = random_case(3)
    alone = evaluate(probabilities, labels, GENRES, drawn(60, n_bootstrap=300, seed=1))
    copies = (np.repeat(probabilities, 4, axis=0), np.repeat(labels, 4))
    groups = np.repeat(np.arange(60), 4)
    grouped = evaluate(*copies, GENRES, drawn(240, n_bootstrap=300, seed=1, groups=groups))
    for name, estimate in alone.figures().items():
        assert ends(grouped.figures()[name]) == pytest.approx(ends(estimate)), name
    naive = evaluate(*copies, GENRES, drawn(240, n_bootstrap=300, seed=1))
    width = alone.accuracy.high - alone.accuracy.low
    assert naive.accuracy.high - naive.accuracy.low < 0.7 * width
    assert alone.resampled == "60 tracks"
    assert grouped.resampled == "60 groups of tracks"
    assert (alone.few, grouped.few) == (False, False)


def test_how_many_are_drawn_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    probabilities, labels = random_case(5)
    one = evaluate(probabilities, labels, GENRES, drawn(60, n_bootstrap=110, seed=2))
    monkeypatch.setattr(resampling, "_DRAWS", 60 * 7)
    two = evaluate(probabilities, labels, GENRES, drawn(60, n_bootstrap=110, seed=2))
    assert [ends(e) for e in one.figures().values()] == [ends(e) for e in two.figures().values()]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n_covered = 0
    for seed in range(100):
        labels = np.zeros(120, np.int64)
        right = rng.random(120) < 0.7
        found = evaluate(
            np.eye(2)[1 - right.astype(int)],
            labels,
            ("a", "b"),
            drawn(120, n_bootstrap=200, seed=seed),
        )
        n_covered += found.accuracy.low <= 0.7 <= found.accuracy.high
    assert 88 <= n_covered <= 100


def test_a_genre_nobody_sang_or_heard_does_not_count():
    labels = np.array([0, 1, 1])
    found = evaluate(np.eye(4)[[0, 1, 1]], labels, tuple("abcd"), drawn(3, n_bootstrap=100, seed=0))
    assert found.macro_f1.value == 1
    assert [score.n_tracks for score in found.per_genre] == [1, 2, 0, 0]
    last = found.per_genre[3]
    assert (last.precision, last.recall, last.f1, last.f1_low, last.f1_high) == (0,) * 5
    assert (last.recall_low, last.recall_high) == (0, 0)


def test_certain_and_wrong_is_finite():
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))
