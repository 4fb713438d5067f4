from dataclasses import dataclass

import pytest

from genre_mlops.learning.baseline import Floor
from genre_mlops.learning.resampling import Estimate
from pipelines.summary import in_doubt


@dataclass(frozen=True)
class Found:
    """What the summary looks at of an evaluation."""

    accuracy: Estimate
    chance: float = 0.2
    few: bool = False
    resampled: str = "40 tracks"


@pytest.mark.parametrize(
    ("accuracy", "low", "doubt"),
    [
        (0.5, 0.2, "not shown to be better than always answering one genre (0.200): "),
        (0.5, 0.3, "not better than MFCC statistics + SVM (0.600): "),
        (0.6, 0.3, "not better than MFCC statistics + SVM (0.600): "),
        (0.61, 0.3, ""),
    ],
)
def test_the_summary_doubts_what_chance_or_the_floor_reach_too(
    accuracy: float, low: float, doubt: str
):
    floor = Floor(30, Estimate(0.6, 0.4, 0.8), Estimate(0.6, 0.4, 0.8), "tracks")
    said = in_doubt(Found(Estimate(accuracy, low, 0.9)), floor)
    assert said == (f"{doubt}it may need more tracks, epochs or trials" if doubt else "")


def test_the_summary_doubts_an_interval_over_few_groups():
    floor = Floor(30, Estimate(0.6, 0.4, 0.8), Estimate(0.6, 0.4, 0.8), "tracks")
    few = Found(Estimate(0.9, 0.9, 0.9), few=True, resampled="3 groups of tracks, too few")
    assert in_doubt(few, floor) == "the interval is over 3 groups of tracks, too few"
    worse = Found(Estimate(0.5, 0.5, 0.5), few=True, resampled="3 groups of tracks, too few")
    assert in_doubt(worse, floor).startswith(
        "the interval is over 3 groups of tracks, too few; not"
    )
