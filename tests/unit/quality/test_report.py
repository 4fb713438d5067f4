import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlops.catalog import build_catalog
from genre_mlops.config import QualityConfig, SplitConfig
from genre_mlops.datasets.base import Listing
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import sequential
from genre_mlops.duplicates import find_duplicates
from genre_mlops.quality import inspect
from genre_mlops.quality.charts import BOTTOM, LEFT, RIGHT, TOP, histogram, shares
from genre_mlops.quality.data_docs import data_docs_page
from genre_mlops.quality.overlaps import leakage, with_copies_clustered
from genre_mlops.quality.report import quality_report, shown_name
from genre_mlops.splits import SPLITS
from tests.inspections import MadeSource, join, made_catalog, spoil, verdict
from tests.music import HARD_FOLDER_REASONS

SPITEFUL = "<script>alert(1)</script>\n\u202egnp.\"'&{{ 7 * 7 }}"


class Outline(HTMLParser):
    """What a page is made of: its tags with attributes that run or load, headings, visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.risks: set[str] = set()
        self.levels: list[int] = []
        self.words: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.risks |= {name for name, _ in attrs if name.startswith("on") or name == "src"}
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))

    def handle_data(self, data):
        self.words.append(data)


def report(found, **source):
    made = MadeSource(**source)
    return quality_report(found, made.listing(), made, digest="0123456789ab")


def test_the_verdict_is_the_first_thing_said():
    good = Outline(report(verdict(made_catalog()), synthetic=True)).text
    assert re.search("✔ usable This set can be used: every file passed[.] Synthetic music", good)
    catalog = spoil(made_catalog(), 12)
    some = Outline(report(verdict(catalog))).text
    assert (
        "! usable, with 10 files set aside This set can be used: of 500 files, 490 passed" in some
    )
    catalog["genre"] = "one"
    bad = Outline(report(verdict(catalog))).text
    assert "✖ refused This set cannot be used: 1 rule of the whole set is not met: genres." in bad
    assert "fewer than two genres have 3 usable tracks" in bad
    for text in (good, some, bad):
        assert text.index("This set can") < text.index("Warnings")


def test_a_leak_is_told_with_both_tracks_and_what_is_shared():
    catalog = made_catalog()
    one, other = (catalog.index[catalog["split"] == name][7] for name in ("train", "test"))
    catalog.loc[[one, other], "duration_s"] = [200.0, 15.0]
    found = verdict(catalog, join(catalog, [(one, other, 67.0, 15.0, 0.968)]))
    page = Outline(report(found)).text
    told = f"{other} (test) is 1:07 to 1:22 of {one} (train), 97% alike"
    assert page.index("Why it is refused") < page.index(told) < page.index("Warnings")
    assert "In more than one split: 1 of the clusters." in page
    catalog.loc[other, "pcm_sha256"] = catalog.at[one, "pcm_sha256"]
    copied = Outline(report(verdict(catalog))).text
    assert f"{other} (test) has exactly the samples of {one} (train)" in copied
    assert "Zeros everywhere" not in copied
    assert "Zeros everywhere" in Outline(report(verdict(made_catalog()))).text


@pytest.mark.parametrize(
    ("offset_s", "lengths_s", "overlap_s", "words"),
    [
        (7.0, (30.0, 15.0), 14.3, "is 0:07 to 0:22 of"),
        (-7.0, (15.0, 30.0), 15.0, "has, at 0:07 to 0:22, the whole of"),
        (0.1, (30.0, 30.0), 29.8, "is the whole of"),
        (20.0, (30.0, 61.0), 10.0, "is, at 0:00 to 0:10, 0:20 to 0:30 of"),
        (-51.0, (30.0, 61.0), 10.0, "is, at 0:51 to 1:01, 0:00 to 0:10 of"),
    ],
)
def test_what_two_tracks_share_is_said_in_words(offset_s, lengths_s, overlap_s, words):
    catalog = made_catalog()
    first, second = catalog.index[:2]
    catalog.loc[[first, second], "duration_s"] = lengths_s
    pairs = join(catalog, [(first, second, offset_s, overlap_s, 0.9999)])
    page = Outline(report(verdict(catalog, pairs))).text
    assert f"{words} {first} , 99% alike" in page


def test_a_track_that_is_not_like_the_first_of_its_cluster_is_told_by_another():
    catalog = made_catalog()
    a, b, c = catalog.index[:3]
    catalog.loc[[a, b, c], "duration_s"] = [30.0, 30.0, 15.0]
    pairs = join(catalog, [(a, c, 2.0, 15.0, 0.9), (b, c, 7.0, 15.0, 0.8)])
    page = Outline(report(verdict(catalog, pairs))).text
    assert "1 cluster of tracks" in page
    assert f"has, at 0:07 to 0:22, the whole of {c} , 80% alike" in page
    assert f"is 0:02 to 0:17 of {a} , 90% alike" in page


def test_every_fault_is_listed_under_its_rule_and_warnings_apart():
    found = verdict(spoil(made_catalog(), 12))
    page = Outline(report(found)).text
    warned, wrong = page.index("Warnings bandwidth: 2 files of 490"), page.index("file by file")
    assert warned < page.index("has nothing above 3950 Hz") < wrong
    for words in ("no MP3 frame in 4,096 bytes", "12.5 s decode", "level of -74", "clipped in 31%"):
        assert page.index(words) > wrong
    assert len(found.quarantined) == 10
    for track_id in found.quarantined:
        assert page.index(track_id, wrong)
    for check in found.checks:
        assert check.rule.name in page


def test_a_published_split_tells_what_it_leaves_out_and_which_groups_cross_it():
    catalog = made_catalog()
    crossing = catalog.index[[0, 21]]
    assert list(catalog.loc[crossing, "split"]) == ["train", "test"]
    catalog.loc[crossing, "group"] = "a duo"
    catalog.loc[catalog.index[100:161], "split"] = None
    licensed = catalog["split"].notna() & catalog["licence"].notna()
    found = verdict(catalog, scheme="fault-filtered", shares_groups=True)
    page = Outline(report(found)).text
    assert "every file that the split names passed" in page
    assert "not in the split 61" in page
    assert "fault-filtered, digest 0123456789ab" in page
    assert "a duo 1 0 1" in page
    assert f"CC BY-SA 4.0 ({licensed.sum()})" in page


def test_names_cannot_break_the_page():
    catalog = spoil(made_catalog(), 20)
    plain = Outline(report(verdict(catalog)))
    named = catalog.rename(index=lambda track_id: SPITEFUL + track_id)
    for column in ("genre", "group", "licence", "format"):
        named[column] = SPITEFUL + named[column].astype(str)
    twins = named.index[[100, 101]]
    pairs = join(named, [(*twins, 0.0, 30.0, 0.9)])
    source = MadeSource(SPITEFUL)
    source.licence = source.source = SPITEFUL
    found = verdict(named, pairs, scheme=SPITEFUL)
    page = quality_report(found, Listing((), (SPITEFUL,)), source, digest="x")
    outline = Outline(page)
    assert outline.tags == plain.tags
    assert outline.risks == plain.risks == set()
    assert "\u202e" not in page
    assert r"</script>\n\u202egnp" in outline.text
    assert "{{ 7 * 7 }}" in outline.text


@given(st.text())
def test_any_name_is_shown_as_one_short_line(name):
    shown = shown_name(name)
    assert len(shown) <= 121
    assert shown.isprintable()
    if name.isprintable() and len(name) <= 120:
        assert shown == name


def test_the_page_needs_nothing_and_its_headings_are_in_order():
    page = report(verdict(spoil(made_catalog(), 20)))
    assert "http" not in page
    assert "@import" not in page
    outline = Outline(page)
    assert "script" not in outline.tags
    assert outline.levels[0] == 1
    steps = np.diff(outline.levels)
    assert steps.max() <= 1
    assert outline.levels.count(1) == 1


def test_a_large_set_makes_no_large_page():
    catalog = made_catalog(genres=[f"genre {i}" for i in range(400)], n_per_genre=10)
    catalog.index = pd.Index([f"{'&' * 200}{track_id}" for track_id in catalog.index])
    catalog["licence"] = catalog.index
    catalog.loc[catalog.index[::3], "rms_dbfs"] = -61 - np.arange(len(catalog.index[::3])) / 50
    catalog.loc[catalog.index[1::3], "group"] = "everybody"
    catalog.loc[catalog.index[2::6], "pcm_sha256"] = "same"
    page = report(verdict(catalog))
    assert len(page.encode()) < 2_000_000
    assert "in <code>checks.json</code>" in page
    assert "340 smaller genres more" in page


def test_a_set_of_which_nothing_is_usable_has_a_report_too():
    catalog = made_catalog(genres=["a", "b"], n_per_genre=5)
    measured = catalog.columns[catalog.columns.get_loc("pcm_sha256") : -4]
    catalog[measured] = None
    catalog["error"] = "is empty (0 bytes)"
    page = Outline(report(verdict(catalog))).text
    assert "✖ refused" in page
    assert "is empty (0 bytes)" in page
    assert "no track could be measured" in page


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(SPLITS), st.sampled_from("xyz")),
        min_size=1,
    )
)
@settings(max_examples=40, deadline=None)
def test_the_leakage_matrix_counts_what_two_splits_share(rows):
    used = pd.DataFrame(rows, columns=["group", "split", "pcm_sha256"])
    used["cluster"] = None
    used["split"] = used["split"].astype(object)
    groups, _, contents = leakage(with_copies_clustered(used))
    for found, column in ((groups, 0), (contents, 2)):
        has = {split: {row[column] for row in rows if row[1] == split} for split in SPLITS}
        assert found.rows == [(a, [len(has[a] & has[b]) for b in SPLITS]) for a in SPLITS]
        crossing = {key for key in "abcdxyz" if sum(key in keys for keys in has.values()) > 1}
        assert found.n_crossing == len(crossing)


@given(
    st.lists(st.floats(-1e6, 1e6)),
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan"))),
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e5),
)
def test_a_histogram_counts_every_finite_value_inside_its_frame(used, unused, low, width):
    picture = histogram(
        "x",
        "s",
        used=np.array(used, dtype=float),
        unused=np.array(unused, dtype=float),
        span=(low, low + width),
        limits=[(low + width / 2, "half")],
    )
    n = {
        word: sum(
            int(found[1].replace(",", ""))
            for column in picture.columns
            if (found := re.search(rf"([\d,]+) {word}", column.text))
        )
        for word in ("used", "not used")
    }
    assert n == {"used": len(used), "not used": int(np.isfinite(unused).sum())}
    for column in picture.columns:
        assert column.x >= LEFT
        assert column.x + column.width <= RIGHT + 1
        assert 0 < column.used_height + column.unused_height <= BOTTOM - TOP + 4
    if picture.columns:
        assert [LEFT <= limit.x <= RIGHT for limit in picture.limits] == [True]
        assert 2 <= len(picture.ticks) <= 12


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=3))
def test_bars_are_as_long_as_what_they_count(counts):
    most = max(sum(counts), 1) * 2
    parts = shares(counts, most)
    assert [width for _, width in parts] == pytest.approx(
        [n * 100 / most for n in counts], abs=0.01
    )
    assert all(a[0] + a[1] == pytest.approx(b[0], abs=0.02) for a, b in pairwise(parts))


def test_every_fault_of_a_real_folder_is_on_the_page(hard_folder: Path, tmp_path: Path):
    source = FolderDataset(hard_folder)
    listing = source.listing()
    catalog = build_catalog(listing, cache=tmp_path / "c.parquet", run=sequential)
    pairs = find_duplicates(catalog["fingerprint"])
    found = inspect(catalog, pairs, QualityConfig(), SplitConfig())
    page = Outline(quality_report(found, listing, source)).text
    for track, reason in HARD_FOLDER_REASONS.items():
        assert track in page
        assert reason in page
    for name in listing.passed_over:
        assert name in page
    assert "usable, with 7 files set aside" in page
    assert "whistle/copy.wav whistle set aside is the same file as whistle/3.wav" in page


def test_data_docs_open_offline_and_hold_nothing_from_the_data(tmp_path: Path):
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    frame = pd.DataFrame({"track_id": ["<b>spite</b>"] * 4, "error": [None, *["<i>bad</i>"] * 3]})
    asset = context.data_sources.add_pandas("catalog").add_dataframe_asset("files")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    results = [
        batch.validate(
            gx.ExpectationSuite(
                name=name, expectations=[gx.expectations.ExpectColumnValuesToBeNull(column="error")]
            ),
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": ["track_id"],
            },
        )
        for name in ("files", "collection")
    ]
    page = data_docs_page(results)
    outline = Outline(page)
    assert "values must be null" in outline.text
    assert re.search("3 unexpected values found.*files|files.*3 unexpected values", outline.text)
    assert "collection" in outline.text
    assert not outline.tags & {"script", "link", "img", "b"}
    assert "spite" not in page
    assert "bad" not in outline.text
    assert "http" not in page
    assert results[0].results[0].result["unexpected_list"] == ["<i>bad</i>"] * 3
