import re
from pathlib import Path

import pandas as pd
import pytest

from genre_mlops.catalog import build_catalog
from genre_mlops.config import QualityConfig, SplitConfig
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import sequential
from genre_mlops.errors import DataError
from genre_mlops.quality import inspect
from genre_mlops.quality.report import quality_report
from genre_mlops.quality.rules import set_rules, with_split_counts
from genre_mlops.quality.suites import run_suite
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
            "truncated": False,
            "error": None,
        }
        for genre in ("a", "b")
        for i in range(n_per_genre)
    ]
    return pd.DataFrame(rows).set_index("track_id")


def look(catalog: pd.DataFrame, **limits: object):
    return inspect(catalog, QualityConfig(**limits), SplitConfig())


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


def test_of_equal_recordings_the_first_stays_and_with_two_genres_none():
    catalog = good_catalog()
    catalog.loc[["a/1", "a/4"], "pcm_sha256"] = "same"
    assert look(catalog).quarantined == {"a/4": "is the same audio as a/1"}
    catalog.loc["b/0", "pcm_sha256"] = "same"
    assert look(catalog).quarantined == {
        "a/1": "is the same audio as b/0, of another genre",
        "a/4": "is the same audio as b/0, of another genre",
        "b/0": "is the same audio as a/1, of another genre",
    }


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
    with pytest.raises(DataError, match=r"refused: genres\n(.*\n)*  b/0: is empty") as caught:
        found.raise_if_refused()
    assert "fewer than two genres" in str(caught.value)
    assert caught.value.exit_code == 3
    catalog["error"] = "is empty (0 bytes)"
    with pytest.raises(DataError, match="refused: genres, usable_share"):
        look(catalog).raise_if_refused()


def test_leaks_across_splits_are_found():
    usable = good_catalog().assign(split=["train"] * 4 + ["validation", "test"] + ["train"] * 6)
    usable.loc[["a/0", "a/5"], "group"] = "artist"
    usable.loc[["a/1", "a/4"], "pcm_sha256"] = "same"
    checks = {
        c.rule.name: c
        for c in run_suite("set", with_split_counts(usable), set_rules(QualityConfig()))
    }
    assert checks["group_in_one_split"].offenders == {
        "a/0": "group artist is in 2 splits",
        "a/5": "group artist is in 2 splits",
    }
    assert set(checks["content_in_one_split"].offenders) == {"a/1", "a/4"}
    assert set(checks["genre_in_every_split"].offenders) == {f"b/{i}" for i in range(6)}
    assert checks["genres"].passed


def test_every_fault_of_a_real_folder_is_named(hard_folder: Path, tmp_path: Path):
    source = FolderDataset(hard_folder)
    listing = source.listing()
    catalog = build_catalog(listing, cache=tmp_path / "c.parquet", run=sequential)
    found = look(catalog)
    assert set(found.quarantined) == set(HARD_FOLDER_REASONS)
    for track, reason in HARD_FOLDER_REASONS.items():
        assert reason in found.quarantined[track]
    assert found.usable["genre"].value_counts().to_dict() == {"hum": 6, "whistle": 6}
    found.raise_if_refused()

    page = quality_report(found, listing, source)
    for text in (*HARD_FOLDER_REASONS, *listing.passed_over, "usable, with 7 files set aside"):
        assert text in page
    assert "http" not in page


def test_a_name_cannot_inject_into_the_report(tmp_path: Path):
    catalog = good_catalog().rename(index={"a/2": "a/<script>alert(1)</script>"})
    catalog.iloc[2, catalog.columns.get_loc("error")] = "is <b>bad</b>"
    found = look(catalog)
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "x.wav").write_bytes(b"")
    source = FolderDataset(tmp_path)
    page = quality_report(found, source.listing(), source)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>bad" not in page
