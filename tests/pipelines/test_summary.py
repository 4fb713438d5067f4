from dataclasses import dataclass

import pytest

from genre_mlops.learning.resampling import Estimate
from pipelines.summary import in_doubt


@dataclass(frozen=True)
class Found:
    """What the summary looks at of an evaluation."""

    accuracy: Estimate
    chance: float = 0.2
    few: bool = False
    resampled: str = "40 tracks"


MORE = "it may need more tracks, epochs or trials"


@pytest.mark.parametrize(
    ("low", "above_floor", "doubt"),
    [
        (0.2, (0.1, 0.05, 0.2), "not shown to be better than always answering one genre (0.200)"),
        (
            *(0.3, (-0.1, -0.2, 0.1)),
            "not better than the floor: -0.100, 95 % interval -0.200 to +0.100",
        ),
        (
            *(0.3, (0.05, 0.0, 0.1)),
            "not shown to be better than the floor: +0.050, 95 % interval +0.000 to +0.100",
        ),
        (0.3, (0.05, 0.01, 0.1), ""),
    ],
)
def test_the_summary_doubts_what_chance_or_the_floor_may_reach_too(
    low: float, above_floor: tuple[float, float, float], doubt: str
):
    said = in_doubt(Found(Estimate(0.5, low, 0.9)), Estimate(*above_floor))
    assert said == (f"{doubt}; {MORE}" if doubt else "")


def test_the_summary_doubts_an_interval_over_few_groups():
    few = Found(Estimate(0.9, 0.9, 0.9), few=True, resampled="3 groups of tracks, too few")
    assert (
        in_doubt(few, Estimate(0.2, 0.1, 0.3)) == "the interval is over 3 groups of tracks, too few"
    )
    worse = in_doubt(few, Estimate(-0.1, -0.1, -0.1))
    assert worse.startswith("the interval is over 3 groups of tracks, too few; not better than")
