import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_mlops.catalog import build_catalog
from genre_mlops.config import QualityConfig, SplitConfig
from genre_mlops.datasets.base import PublishedSplit
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import sequential
from genre_mlops.duplicates import find_duplicates
from genre_mlops.errors import ConfigError, DataError
from genre_mlops.quality import Inspection, in_lines, inspect
from genre_mlops.quality.severities import check_severities
from tests.music import HARD_FOLDER_REASONS


def good_catalog(n_per_genre: int = 6) -> pd.DataFrame:
    rows = [
        {
            "track_id": f"{genre}/{i}",
            "genre": genre,
            "group": None,
            "sha256": f"{genre}{i}",
            "pcm_sha256": f"{genre}{i}",
            "sr": 22_050,
            "duration_s": 30.0,
            "rms_dbfs": -20.0,
            "peak_dbfs": -3.0,
            "clipping_share": 0.0,
            "silence_share": 0.0,
            "dc_offset": 0.0,
            "bandwidth_hz": 9_000.0,
            "truncated": False,
            "error": None,
            "fingerprint": None,
        }
        for genre in ("a", "b")
        for i in range(n_per_genre)
    ]
    return pd.DataFrame(rows).set_index("track_id")


def look(catalog: pd.DataFrame, **limits: object) -> Inspection:
    return checked(catalog, QualityConfig(**limits))


def checked(
    catalog: pd.DataFrame,
    quality: QualityConfig | None = None,
    split: SplitConfig | None = None,
    published: dict[str, PublishedSplit] | None = None,
) -> Inspection:
    pairs = find_duplicates(catalog["fingerprint"])
    return inspect(catalog, pairs, quality or QualityConfig(), split or SplitConfig(), published)


def look_at_split(catalog: pd.DataFrame, of: dict[str, str], *, shares_groups: bool = False):
    published = {"own": PublishedSplit(of, shares_groups)}
    return checked(catalog, published=published)


def six_six(*, test: str, validation: str) -> dict[str, str]:
    """Of 6 tracks of each genre one tests, one validates."""
    parts = {test: "test", validation: "validation"}
    return {f"{g}/{i}": parts.get(str(i), "train") for g in "ab" for i in range(6)}


def words(seed: int, n_words: int = 640) -> bytes:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 2**32, n_words, dtype=np.uint32).tobytes()


def nearly(data: bytes) -> bytes:
    """One bit in sixteen flipped, as after another encoding."""
    flips = np.random.default_rng(0).random((len(data), 8)) < 1 / 16
    return (np.frombuffer(data, np.uint8) ^ np.packbits(flips, axis=1)[:, 0]).tobytes()


def test_good_data_passes_every_check():
    found = look(good_catalog())
    assert [c.rule.name for c in found.checks if not c.passed] == []
    assert (len(found.usable), found.quarantined) == (12, {})
    found.raise_if_refused()


@pytest.mark.parametrize(
    ("column", "value", "rule", "reason"),
    [
        ("error", "is empty (0 bytes)", "decodable", "is empty"),
        ("truncated", True, "whole", "is truncated: 30.0 s decode"),
        ("duration_s", 0.5, "duration", "is 0.5 s long; 3 to 3600 s wanted"),
        ("duration_s", 4000.0, "duration", "is 4e[+]03 s long"),
        ("sr", 6_000, "sample_rate", "sampled at 6000 Hz; 8000 Hz at least"),
        ("rms_dbfs", -75.0, "level", "level of -75 dBFS RMS; -60 at least"),
        ("silence_share", 0.9, "silence", "silent for 90% of its length"),
        ("clipping_share", 0.3, "clipping", "clipped in 30% of its samples"),
        ("genre", "c", "genre_known", "has the genre 'c', which quality.genres does not name"),
    ],
)
def test_each_fault_sets_its_file_aside_with_its_reason(column, value, rule, reason):
    catalog = good_catalog()
    catalog.loc["a/2", column] = value
    found = look(catalog, genres=("a", "b"))
    assert list(found.quarantined) == ["a/2"]
    assert re.search(reason, found.quarantined["a/2"])
    assert found.metrics()[f"failed_{rule}"] == 1
    assert "a/2" not in found.usable.index
    found.raise_if_refused()


@pytest.mark.parametrize(("column", "value"), [("dc_offset", -0.05), ("bandwidth_hz", 3_900.0)])
def test_a_warning_is_told_and_nothing_comes_of_it(column: str, value: float, caplog):
    catalog = good_catalog()
    catalog.loc["a/2", column] = value
    found = look(catalog)
    assert (len(found.usable), found.quarantined) == (12, {})
    assert [check.offenders.keys() for check in found.warnings] == [{"a/2"}]
    found.raise_if_refused()
    with caplog.at_level("INFO"):
        found.tell(0)
    assert ": a/2: has" in caplog.text


def test_a_file_that_could_not_be_opened_is_set_aside_like_any_other():
    catalog = good_catalog()
    missing = ["sha256", "pcm_sha256", "duration_s", "rms_dbfs"]
    catalog.loc["a/2", missing] = None
    catalog.loc["a/2", "error"] = "cannot be read: Permission denied"
    found = look(catalog)
    assert found.quarantined == {"a/2": "cannot be read: Permission denied"}
    found.raise_if_refused()


def test_severities_follow_the_config():
    catalog = good_catalog()
    catalog.loc["a/2", "bandwidth_hz"] = 3_900.0
    catalog.loc["b/1", "clipping_share"] = 0.9
    found = look(catalog, critical=["bandwidth"], warn_only=["clipping"])
    assert list(found.quarantined) == ["a/2"]
    assert [(c.rule.name, list(c.offenders)) for c in found.warnings] == [("clipping", ["b/1"])]
    of = six_six(test="5", validation="0")
    catalog.loc[["b/5", "b/3"], "group"] = "an artist"
    published = {"own": PublishedSplit(of)}
    loose = QualityConfig(warn_only=("group_in_one_split",))
    checked(catalog, loose, published=published).raise_if_refused()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"critical": ["bandwith"]},
            "critical: there is no check bandwith; did you mean bandwidth",
        ),
        ({"warn_only": ["x"]}, "warn_only: there is no check x"),
        *[
            ({"warn_only": [name]}, f"{name} is needed")
            for name in (
                *("decodable", "genres", "tracks_per_genre", "groups_per_genre"),
                "genre_in_every_split",
            )
        ],
    ],
)
def test_names_of_checks_are_checked_before_anything_is_read(names: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        check_severities(QualityConfig(**names))


def test_of_a_file_that_is_set_aside_there_is_no_warning():
    catalog = good_catalog()
    catalog.loc["a/2", ["silence_share", "bandwidth_hz"]] = [1.0, 0.0]
    assert look(catalog).warnings == []


def test_of_equal_recordings_the_first_stays():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/4"], "pcm_sha256"] = "same"
    found = look(catalog)
    assert found.quarantined == {"a/4": "is the same audio as a/1"}
    found.raise_if_refused()


def test_one_recording_under_two_genres_refuses_the_set_and_names_both():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/4", "b/0"], "pcm_sha256"] = "same"
    reasons = {
        "a/1": "is the same audio as b/0: the genre is a here, b there",
        "a/4": "is the same audio as b/0: the genre is a here, b there",
        "b/0": "is the same audio as a/1: the genre is b here, a there",
    }
    found = look(catalog)
    assert found.quarantined == reasons
    message = "refused: one_genre_a_recording\n  a/1: is the same audio as b/0"
    with pytest.raises(DataError, match=message):
        found.raise_if_refused()
    spared = look(catalog, label_conflicts="set_aside")
    assert spared.quarantined == reasons
    spared.raise_if_refused()


def test_near_duplicates_stay_in_one_split_and_two_genres_of_one_are_a_warning():
    catalog = good_catalog(20)
    catalog["fingerprint"] = [words(i) for i in range(40)]
    of_one = ["a/3", "a/7", "b/9"]
    catalog.at["a/7", "fingerprint"] = nearly(catalog.at["a/3", "fingerprint"])
    catalog.at["b/9", "fingerprint"] = catalog.at["a/3", "fingerprint"]
    found = look(catalog)
    assert found.quarantined == {}
    assert found.usable.loc[of_one, "split"].nunique() == 1
    assert found.usable.loc[of_one, "cluster"].to_list() == ["a/3"] * 3
    assert found.usable["cluster"].notna().sum() == 3
    assert {frozenset(pair) for pair in found.pairs[["first", "second"]].to_numpy()} == {
        frozenset(pair) for pair in (("a/3", "a/7"), ("a/3", "b/9"), ("a/7", "b/9"))
    }
    (warning,) = found.warnings
    assert warning.rule.name == "one_genre_a_cluster"
    assert set(warning.offenders) == {"a/3", "a/7", "b/9"}
    assert "100% the same as a/3: the genre is b here, a there" in warning.offenders["b/9"]


def test_a_published_split_with_duplicates_across_is_refused_by_pairs():
    catalog = good_catalog()
    catalog["fingerprint"] = [words(i) for i in range(12)]
    catalog.at["a/5", "fingerprint"] = nearly(catalog.at["a/2", "fingerprint"])
    found = look_at_split(catalog, six_six(test="5", validation="0"))
    assert found.scheme == "own"
    leaks = next(c for c in found.checks if c.rule.name == "duplicates_in_one_split").offenders
    assert leaks.keys() == {"a/5"}
    assert re.fullmatch("is 9[0-9]% the same as a/2, which is in train", leaks["a/5"])
    with pytest.raises(DataError, match="refused: duplicates_in_one_split\n  a/5: is 9"):
        found.raise_if_refused()


def test_an_exact_copy_is_set_aside_in_its_split_and_a_leak_in_another():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/2"], "pcm_sha256"] = "same"
    inside = look_at_split(catalog, six_six(test="5", validation="0"))
    assert inside.quarantined == {"a/2": "is the same audio as a/1"}
    inside.raise_if_refused()
    across = look_at_split(catalog, six_six(test="2", validation="0"))
    assert across.quarantined == {}
    with pytest.raises(DataError, match=r"content_in_one_split\n  a/2: .* as a/1, in train"):
        across.raise_if_refused()


@pytest.mark.parametrize("fate", ["set aside", "left out"])
def test_a_leak_by_way_of_a_file_that_is_not_used_is_refused(fate: str):
    # a/2 trains, a/5 tests; each is a part of a/3, which nobody uses.
    catalog = good_catalog()
    of = six_six(test="5", validation="0")
    if fate == "set aside":
        catalog.loc["a/3", "clipping_share"] = 0.9
    else:
        del of["a/3"]
    long = words(3)
    catalog["fingerprint"] = [words(100 + i) for i in range(12)]
    catalog.at["a/3", "fingerprint"] = long
    catalog.at["a/2", "fingerprint"] = long[: len(long) // 2]
    catalog.at["a/5", "fingerprint"] = long[len(long) // 2 :]
    found = look_at_split(catalog, of)
    assert "a/3" not in found.usable.index
    leaks = next(c for c in found.checks if c.rule.name == "duplicates_in_one_split").offenders
    assert leaks.keys() == {"a/5"}
    assert "by way of other files, as a/2, in train" in leaks["a/5"]
    with pytest.raises(DataError, match="refused: duplicates_in_one_split"):
        found.raise_if_refused()


def test_copies_that_are_set_aside_join_their_groups_all_the_same():
    catalog = good_catalog(20)
    catalog.loc[["a/0", "a/1"], "group"] = "one"
    catalog.loc[["a/2", "a/3"], "group"] = "two"
    catalog.loc[["a/1", "a/2"], "pcm_sha256"] = "same"
    found = look(catalog)
    assert len(found.quarantined) == 1
    together = found.usable.index.intersection(["a/0", "a/1", "a/2", "a/3"])
    assert found.usable.loc[together, "split_group"].nunique() == 1
    assert found.usable.loc[together, "split"].nunique() == 1


def test_which_copy_stays_depends_on_content_not_on_names():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/4"], "pcm_sha256"] = "same"
    renamed = catalog.rename(index={"a/1": "a/9"}).sort_index()
    kept = [set(look(frame).usable["sha256"]) for frame in (catalog, renamed)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize(("share", "n_bad"), [(0.7, 28), (0.5, 20), (0.1, 4)])
def test_a_share_of_exactly_the_cap_is_not_over_it(share: float, n_bad: int):
    catalog = good_catalog(20)
    bad = [f"{genre}/{i}" for i in range(20) for genre in "ab"]
    catalog.loc[bad[:n_bad], "error"] = "is empty (0 bytes)"
    look(catalog, max_quarantined_share=share).raise_if_refused()
    catalog.loc[bad[: n_bad + 1], "error"] = "is empty (0 bytes)"
    with pytest.raises(DataError, match="refused: usable_share"):
        look(catalog, max_quarantined_share=share).raise_if_refused()


def test_groups_across_a_published_split_are_refused_unless_it_is_known_for_it():
    catalog = good_catalog()
    catalog.loc[["b/5", "b/3"], "group"] = "an artist"
    of = six_six(test="5", validation="0")
    with pytest.raises(DataError, match="b/5: is of an artist, of whom b/3 is in train"):
        look_at_split(catalog, of).raise_if_refused()
    known = look_at_split(catalog, of, shares_groups=True)
    assert [check.rule.name for check in known.warnings] == ["group_in_one_split"]
    known.raise_if_refused()


def test_files_that_a_published_split_leaves_out_are_counted_and_not_judged():
    catalog = good_catalog()
    of = six_six(test="5", validation="0")
    del of["a/3"]
    catalog.loc["a/3", "error"] = "is empty (0 bytes)"
    found = look_at_split(catalog, of)
    assert (found.n_left_out, len(found.usable), found.quarantined) == (1, 11, {})
    assert found.catalog.loc["a/3", ["split", "reason"]].isna().all()
    assert found.as_json()["left_out_files"] == 1


def lost(found: Inspection) -> dict[str, str]:
    (check,) = [c for c in found.checks if c.rule.name == "every_genre_used"]
    return check.offenders


def test_a_genre_that_a_published_split_leaves_out_whole_is_a_warning_that_names_it():
    catalog = good_catalog()
    catalog.loc[["b/1", "b/2"], "genre"] = "jazz"
    of = six_six(test="5", validation="0")
    for track_id in ("b/1", "b/2", "a/3"):
        del of[track_id]
    found = look_at_split(catalog, of)
    assert lost(found) == dict.fromkeys(("b/1", "b/2"), "no file of the genre jazz is used")
    assert [c.rule.name for c in found.warnings] == ["every_genre_used"]
    found.raise_if_refused()
    strict = QualityConfig(critical=("every_genre_used",))
    with pytest.raises(DataError, match="refused: every_genre_used"):
        checked(catalog, strict, published={"own": PublishedSplit(of)}).raise_if_refused()


def test_a_genre_of_which_every_file_is_set_aside_is_a_warning():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/2"], "genre"] = "jazz"
    assert lost(look(catalog)).keys() == {"a/1", "a/2"}
    catalog.loc["a/3", "genre"] = "jazz"
    assert lost(look(catalog)) == {}
    catalog.loc[["a/1", "a/2", "a/3"], "error"] = "is empty (0 bytes)"
    assert lost(look(catalog)).keys() == {"a/1", "a/2", "a/3"}


def test_genres_that_differ_in_case_or_blanks_are_a_warning():
    catalog = good_catalog(9)
    catalog.loc[["a/0", "a/1", "a/2"], "genre"] = "A "
    (check,) = [c for c in look(catalog).warnings if c.rule.name == "one_spelling_a_genre"]
    why = "the genre A  is written a elsewhere"
    assert check.offenders == {"a/0": why, "a/1": why, "a/2": why}
    assert look(good_catalog()).warnings == []


def test_a_track_too_short_to_be_compared_is_a_warning():
    catalog = good_catalog()
    catalog.at["a/1", "fingerprint"] = words(1, 86)  # 4.0 s are 86.1 words.
    catalog.at["a/2", "fingerprint"] = words(2, 87)
    catalog.at["a/3", "fingerprint"] = bytes(4 * 600)
    (check,) = [c for c in look(catalog).warnings if c.rule.name == "comparable"]
    why = "has less than 4 s that tell it from others: copies of it would not be found"
    assert check.offenders == {"a/1": why, "a/3": why}


def test_a_mix_that_joins_a_genre_is_named_and_groups_are_not_blamed():
    catalog = good_catalog(4)
    parts = {f"a/{i}": words(i, 200) for i in range(3)}
    for track_id, part in parts.items():
        catalog.at[track_id, "fingerprint"] = part
    catalog.at["a/3", "fingerprint"] = b"".join(parts.values())
    found = look(catalog)
    assert "a/3 has parts of 3 others and may be what joins them" in found.quarantined["a/0"]
    assert "by_group" not in found.quarantined["a/0"]
    catalog["group"] = "one artist"
    assert "split.by_group=false lets" in look(catalog).quarantined["a/0"]


def test_a_published_split_without_validation_says_so_and_what_to_do():
    of = {t: "test" if t.endswith("0") else "train" for t in six_six(test="0", validation="0")}
    told = "\n".join(look_at_split(good_catalog(), of).refusal())
    assert "genre a has no usable track in validation: the split that came with" in told
    assert "split.scheme=grouped splits anew" in told
    assert "split.seed" not in told


def test_what_a_file_that_is_set_aside_is_of_joins_its_groups():
    catalog = good_catalog(8)
    catalog["group"] = [f"artist {i // 2}" for i in range(16)]
    for track_id in ("a/0", "a/2"):
        catalog.at[track_id, "fingerprint"] = words(1)
    catalog.loc["a/2", "rms_dbfs"] = -90.0
    groups = look(catalog).catalog["split_group"]
    assert groups["a/0"] == groups["a/1"] == groups["a/3"]
    assert groups.nunique() == 7


def test_groups_may_be_let_loose_and_every_place_says_so():
    catalog = good_catalog()
    catalog["group"] = ["one artist"] * 3 + ["another"] * 9
    assert "genre a has 2 group(s)" in look(catalog).quarantined["a/0"]
    found = checked(catalog, split=SplitConfig(by_group=False))
    assert found.quarantined == {}
    assert found.scheme == "grouped, groups in several splits"
    assert [check.rule.name for check in found.warnings] == ["group_in_one_split"]
    found.raise_if_refused()


def test_many_files_with_one_reason_share_a_line():
    offenders = {f"a/{i}": "is empty" for i in range(6)} | {"b/1": "is quiet", "b/2": "is quiet"}
    lines = ["a/0 and 5 more: is empty", "b/1: is quiet", "b/2: is quiet"]
    assert in_lines(offenders) == lines
    assert in_lines(offenders, n_shown=2) == [*lines[:2], "and 1 more"]
    assert in_lines(offenders, n_shown=2, rest="in a file")[-1] == "and 1 more, in a file"


def test_a_name_of_two_lines_is_one_line():
    assert in_lines({"a/b\nerror: c": "is quiet"}) == [r"a/b\nerror: c: is quiet"]


def test_a_refusal_says_what_to_do():
    catalog = good_catalog()
    catalog.loc[["a/2", "b/5"], "pcm_sha256"] = "same"
    with pytest.raises(DataError, match=r"to go on: .*quality.label_conflicts=set_aside"):
        look(catalog).raise_if_refused()


def test_kfold_needs_a_group_for_each_fold_and_says_which():
    config = SplitConfig(scheme="kfold", n_folds=6, fold=2)
    found = checked(good_catalog(), split=config)
    assert found.scheme == "kfold, fold 2 of 6"
    assert found.usable.groupby("genre")["split"].value_counts().min() == 1
    few = checked(good_catalog(5), split=config)
    assert (
        "5 group(s) of tracks that must stay together (artists, duplicates); 6 at least"
        in few.quarantined["a/0"]
    )


def test_a_bad_file_takes_no_good_one_with_it():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/4"], "pcm_sha256"] = "same"
    catalog.loc["a/1", "truncated"] = True
    assert list(look(catalog).quarantined) == ["a/1"]
    catalog.loc["b/3", ["genre", "pcm_sha256"]] = ["not wanted", "same"]
    assert list(look(catalog, genres=("a", "b")).quarantined) == ["a/1", "b/3"]


def test_a_small_genre_is_set_aside_and_the_rest_goes_on():
    catalog = good_catalog()
    catalog.loc["a/1", "genre"] = "c"
    found = look(catalog)
    assert list(found.quarantined) == ["a/1"]
    assert "genre c has 1 usable track(s); 3 at least" in found.quarantined["a/1"]
    catalog.loc[["b/0", "b/1", "b/2"], "genre"] = "d"
    catalog.loc[["b/0", "b/1", "b/2"], "group"] = "one artist"
    assert "genre d has 1 group(s)" in look(catalog).quarantined["b/0"]


def test_a_set_that_cannot_be_used_is_refused_with_its_offenders():
    catalog = good_catalog()
    catalog.loc[catalog["genre"] == "b", "error"] = "is empty (0 bytes)"
    found = look(catalog)
    message = r"refused: genres\n(.*\n)*  b/0 and 5 more: is empty"
    with pytest.raises(DataError, match=message) as caught:
        found.raise_if_refused()
    assert "fewer than two genres" in str(caught.value)
    assert caught.value.exit_code == 3
    catalog["error"] = "is empty (0 bytes)"
    with pytest.raises(DataError, match="refused: genres, usable_share"):
        look(catalog).raise_if_refused()


def test_every_fault_of_a_real_folder_is_named(hard_folder: Path, tmp_path: Path):
    source = FolderDataset(hard_folder)
    listing = source.listing()
    catalog = build_catalog(listing, cache=tmp_path / "catalogs", run=sequential)
    found = look(catalog)
    assert set(found.quarantined) == set(HARD_FOLDER_REASONS)
    for track, reason in HARD_FOLDER_REASONS.items():
        assert reason in found.quarantined[track]
    assert found.usable["genre"].value_counts().to_dict() == {"hum": 6, "whistle": 6}
    found.raise_if_refused()
