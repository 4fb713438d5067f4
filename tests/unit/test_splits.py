import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlops import splits
from genre_mlops.config import SplitConfig
from genre_mlops.errors import DataError
from genre_mlops.splits import SPLITS, assign_splits


def catalog(groups_of: dict[str, list[int]]) -> pd.DataFrame:
    """Genre -> sizes of its groups."""
    rows = [
        {
            "track_id": f"{genre}/{g}/{i}",
            "genre": genre,
            "group": f"{genre}/{g}" if n > 1 else None,
            "sha256": f"{genre}{g}{i}",
        }
        for genre, sizes in groups_of.items()
        for g, n in enumerate(sizes)
        for i in range(n)
    ]
    return pd.DataFrame(rows).set_index("track_id")


sizes = st.lists(st.integers(1, 5), min_size=3, max_size=12)


@settings(deadline=None)
@given(st.lists(sizes, min_size=2, max_size=4), st.integers(0, 50))
def test_groups_stay_together_and_every_genre_is_everywhere(genres: list, seed: int):
    tracks = catalog({f"g{i}": s for i, s in enumerate(genres)})
    split = assign_splits(tracks, SplitConfig(seed=seed))
    assert split.index.equals(tracks.index)
    groups = tracks["group"].fillna(pd.Series(tracks.index, tracks.index))
    assert split.groupby(groups).nunique().eq(1).all()
    assert split.groupby(tracks["genre"]).nunique().eq(len(SPLITS)).all()


@given(st.integers(0, 50))
def test_shares_are_kept_for_every_genre(seed: int):
    tracks = catalog({"a": [1] * 100, "b": [1] * 40})
    split = assign_splits(tracks, SplitConfig(seed=seed, test_share=0.25, validation_share=0.2))
    counts = split.groupby(tracks["genre"]).value_counts().unstack()
    assert counts.loc["a"].to_dict() == {"test": 25, "train": 55, "validation": 20}
    assert counts.loc["b"].to_dict() == {"test": 10, "train": 22, "validation": 8}


def test_it_follows_the_seed_and_nothing_else():
    tracks = catalog({"a": [2, 3, 1, 1, 2, 2], "b": [1] * 9})
    one, same = (assign_splits(tracks, SplitConfig(seed=1)) for _ in range(2))
    shuffled = assign_splits(tracks.sample(frac=1, random_state=0), SplitConfig(seed=1))
    other = assign_splits(tracks, SplitConfig(seed=2))
    assert one.equals(same)
    assert one.equals(shuffled.reindex(one.index))
    assert not one.equals(other)


def test_a_group_across_genres_stays_in_one_split():
    tracks = catalog({"a": [1] * 8, "b": [1] * 8})
    tracks.loc[["a/0/0", "a/1/0", "b/0/0", "b/1/0"], "group"] = "both"
    split = assign_splits(tracks, SplitConfig())
    assert split[["a/0/0", "a/1/0", "b/0/0", "b/1/0"]].nunique() == 1
    assert split.groupby(tracks["genre"]).nunique().eq(3).all()


def test_too_few_groups_are_refused_by_name():
    tracks = catalog({"a": [4, 4], "b": [1] * 5})
    with pytest.raises(DataError, match=r"a has 2 group\(s\)"):
        assign_splits(tracks, SplitConfig())


def test_digests_follow_content_genre_and_split_and_not_the_path():
    tracks = catalog({"a": [1] * 4, "b": [1] * 4})
    tracks["split"] = assign_splits(tracks, SplitConfig())
    moved = tracks.rename(index=lambda t: f"elsewhere/{t}").iloc[::-1]
    assert splits.split_digest(moved) == splits.split_digest(tracks)
    changed = tracks.copy()
    changed.iloc[0, changed.columns.get_loc("sha256")] = "x"
    assert splits.split_digest(changed) != splits.split_digest(tracks)
    test = tracks["split"] == "test"
    trained_on_more = tracks[test | (tracks.index != tracks[~test].index[0])]
    assert splits.test_digest(trained_on_more) == splits.test_digest(tracks)
