"""Benchmarks that are quick at a small size still run, and their tables say what they should."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import Music, Trained, in_order, print_table, to_baseline


@pytest.mark.slow
def test_the_checks_of_a_made_table_run():
    command = [sys.executable, "-m", "benchmarks.checks", "--tracks", "1000", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "near-duplicates" in done.stdout
    assert "10 pairs" in done.stdout
    assert "ratio, scikit-learn's to ours" in done.stdout


@pytest.mark.slow
def test_features_beside_their_peers_run():
    sizes = ["--tracks", "30", "--rounds", "1", "--long", "60"]
    command = [sys.executable, "-m", "benchmarks.features", *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ratio of wall times, ours on one core to ours on two" in done.stdout
    assert "30 tracks again, unchanged" in done.stdout


def fold_of(n: int, *curve: tuple[float, int]) -> Trained:
    """A fold of `n` tracks: after so many seconds, so many of them right."""
    return Trained(np.full((n, 2), 0.5), [(s, right / n) for s, right in curve])


def test_the_time_to_the_baseline_is_that_until_as_many_tracks_are_right():
    # By means of folds, some of these would be a rounding error below 59 / 70.
    folds = [
        [fold_of(14, (10.0, 3), (20.0, right)) for right in rights]
        for rights in ((12, 12, 12, 12, 11), (14, 14, 14, 9, 8), (13, 9, 13, 13, 11))
    ]
    for seed in folds:
        assert to_baseline([seed], 59) == "20"
        assert to_baseline([seed], 60) == "never"
    # The sixth track of seven counts as much as the one of three.
    unequal = [fold_of(7, (1.0, 6), (2.0, 7)), fold_of(3, (1.0, 1), (2.0, 1))]
    assert to_baseline([unequal], 7) == "1"
    assert to_baseline([unequal, folds[0]], 8) == "6"
    assert to_baseline([unequal, folds[0]], 9) == "10, 1 of 2 never"
    assert to_baseline([unequal, folds[0]], 60) == "never"


def test_a_row_less_another_is_compared_track_by_track(capsys: pytest.CaptureFixture[str]):
    tracks = pd.DataFrame(
        {"genre": ["a", "b"] * 4, "fold": [0, 0, 1, 1, 0, 0, 1, 1], "split_group": [*"pqrstuvw"]}
    )
    music = Music(tracks, Path(), ("a", "b"))

    def says(labels: list[int]) -> list[list[Trained]]:
        said, fold = np.eye(2)[labels], tracks["fold"].to_numpy()
        return [[Trained(said[fold == number], [(5.0, 0.5)]) for number in (0, 1)]]

    all_right, one_wrong = [0, 1] * 4, [0, 1, 0, 1, 0, 1, 0, 0]
    np.testing.assert_array_equal(in_order(music, says(one_wrong)[0]).argmax(axis=1), one_wrong)
    floor = np.array([True] * 4 + [False] * 4)
    found = {"all": says(all_right), "less": says(one_wrong)}
    print_table(music, found, floor, "all")
    rows = capsys.readouterr().out.splitlines()
    assert "minus all" in rows[0]
    assert rows[2].startswith("| MFCC statistics + SVM | 0.500 (")
    assert rows[3].startswith("| all | 1.000 (1.000 to 1.000) |  | 1.000 |")
    assert rows[4].startswith("| less | 0.875 (")
    assert "| -0.125 (-0.375 to 0.000) |" in rows[4]
    print_table(music, found, floor, "baseline")
    assert "| 0.500 (" in capsys.readouterr().out.splitlines()[3]
