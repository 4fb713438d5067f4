import pytest

from genre_mlops.learning.gate import Score, judge


def score(
    version: int, accuracy: float, log_loss: float, *, synthetic: bool = False, n_tracks: int = 40
) -> Score:
    return Score(version, n_tracks, accuracy, log_loss, synthetic)


@pytest.mark.parametrize(
    ("ours", "theirs", "promote"),
    [
        ((0.8, 1.0), (0.7, 0.5), True),
        ((0.7, 0.5), (0.8, 1.0), False),
        ((0.7, 0.5), (0.7, 0.6), True),
        ((0.7, 0.6), (0.7, 0.5), False),
        ((0.7, 0.6), (0.7, 0.6), False),
    ],
)
def test_better_is_more_accurate_then_less_surprised(ours, theirs, promote: bool):
    verdict = judge(score(2, *ours), score(1, *theirs))
    assert verdict.promote is promote
    assert "champion version 1 on the same 40 tracks" in verdict.reason


def test_synthetic_and_real_music_are_no_contest():
    real, synthetic = score(1, 0.2, 3.0), score(2, 0.9, 0.1, synthetic=True)
    assert not judge(synthetic, real).promote
    assert judge(real, synthetic).promote


def test_a_score_on_synthetic_music_says_so():
    one, two = (score(version, 0.5, 1.0, synthetic=True) for version in (1, 2))
    assert "synthetic test accuracy" in judge(two, one).reason


def test_without_a_fair_track_nobody_is_promoted():
    verdict = judge(score(2, 0.0, 0.0, n_tracks=0), score(1, 0.0, 0.0, n_tracks=0))
    assert not verdict.promote
    assert "has learnt from every test track" in verdict.reason
