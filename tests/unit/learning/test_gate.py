import pytest

from genre_mlops.learning.gate import Score, judge


def score(version: int, accuracy: float, log_loss: float, *, synthetic: bool = False) -> Score:
    return Score(version, accuracy, log_loss, synthetic)


def test_the_first_becomes_champion():
    assert judge(score(1, 0.1, 3.0), None).promote


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
    assert "champion version 1 on the same tracks" in verdict.reason


def test_synthetic_music_never_unseats_real_music():
    real, synthetic = score(1, 0.2, 3.0), score(2, 0.9, 0.1, synthetic=True)
    assert not judge(synthetic, real).promote
    assert judge(score(3, 0.9, 0.1), synthetic).promote is False
    assert judge(score(3, 0.95, 0.1), synthetic).promote
