from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.audio import decode, resample
from genre_mlops.domain import sequential
from genre_mlops.learning import robustness
from genre_mlops.learning.bundle import Bundle
from genre_mlops.learning.resampling import resampling
from genre_mlops.learning.robustness import CHANGES, Change, Unchanged, draw, judge_changed
from tests.music import write_tune
from tests.service.conftest import make_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "bundle", seed=30)


@pytest.fixture(scope="module")
def tracks(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Unchanged:
    """Three tracks that all changes change, two of a low sampling rate, two short ones."""
    place = tmp_path_factory.mktemp("music")
    kinds = [(22_050, 7.0)] * 3 + [(16_000, 7.0)] * 2 + [(22_050, 4.0)] * 2
    paths = [
        write_tune(place / f"{i}.wav", seed=i, sr=sr, duration_s=s, base_hz=110 * 1.5**i)
        for i, (sr, s) in enumerate(kinds)
    ]
    bundle = Bundle(folder)
    genres = [bundle.predict(path).genre for path in paths]
    genres[0] = next(genre for genre in bundle.info.genres if genre != genres[0])
    right = np.array([False, *[True] * 6])
    groups = np.array([0, 0, 1, 2, 3, 4, 4])
    return Unchanged(paths, genres, right, resampling(7, groups, n_bootstrap=200, seed=3))


@pytest.fixture(scope="module")
def table(folder: Path, tracks: Unchanged) -> tuple[Change, ...]:
    return judge_changed(folder, tracks, n_tracks=100, run=sequential)


def test_a_track_counts_where_the_change_changes_it(table: tuple[Change, ...]):
    assert [change.name for change in table] == list(CHANGES)
    assert [change.n_tracks for change in table] == [7, 7, 7, 5, 5]
    assert [change.unchanged for change in table] == [6 / 7, 6 / 7, 6 / 7, 4 / 5, 4 / 5]


def test_accuracy_is_that_of_predicting_the_changed_sound(
    folder: Path, tracks: Unchanged, table: tuple[Change, ...]
):
    bundle = Bundle(folder)
    for row in table:
        right = []
        for path, genre in zip(tracks.paths, tracks.genres, strict=True):
            changed = CHANGES[row.name](decode(path).clip)
            if changed is not None:
                right.append(bundle.predict(resample(changed, 8_000)).genre == genre)
        assert row.accuracy.value == pytest.approx(np.mean(right)), row.name
        assert row.difference.value == pytest.approx(row.accuracy.value - row.unchanged)
        assert row.difference.low <= row.difference.value <= row.difference.high
    # A bundle that any change leaves alone would show nothing.
    assert any(row.difference.value for row in table)


def test_pairs_that_agree_leave_no_doubt(
    folder: Path, tracks: Unchanged, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(robustness, "CHANGES", {"nothing": lambda clip: clip})
    (row,) = judge_changed(folder, tracks, n_tracks=100, run=sequential)
    assert (row.difference.low, row.difference.value, row.difference.high) == (0, 0, 0)
    assert row.accuracy.low < row.accuracy.value == row.unchanged


def test_a_change_that_changes_nothing_has_no_row(folder: Path, tracks: Unchanged):
    low = tracks.among(np.array([3, 4]))
    names = [change.name for change in judge_changed(folder, low, n_tracks=9, run=sequential)]
    assert names == [name for name in CHANGES if name != "low-pass 8 kHz"]


def test_no_tracks_no_table(folder: Path, tracks: Unchanged):
    assert judge_changed(folder, tracks, n_tracks=0, run=sequential) == ()
    few = judge_changed(folder, tracks, n_tracks=2, run=sequential)
    assert max(change.n_tracks for change in few) == 2


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 200), st.integers(0, 99)
)
def test_tracks_are_drawn_in_the_proportions_of_the_genres(sizes: list[int], n: int, seed: int):
    genres = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    chosen = draw(list(genres.astype(str)), n, seed=seed)
    assert len(chosen) == len(set(chosen)) == min(n, len(genres))
    assert (np.diff(chosen) > 0).all()
    shares = np.array(sizes) / len(genres)
    counts = np.bincount(genres[chosen], minlength=len(sizes))
    assert np.abs(counts - shares * len(chosen)).max() <= 2


def test_the_seed_decides_which_are_drawn():
    genres = ["a"] * 40 + ["b"] * 20
    one, again, other = (list(draw(genres, 9, seed=seed)) for seed in (1, 1, 2))
    assert one == again != other
