"""A bundle judged on a small catalog, and how the figures are told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from genre_mlops import pictures
from genre_mlops.config import Config
from genre_mlops.domain import sequential
from genre_mlops.learning.bundle import Bundle
from genre_mlops.learning.evaluation import judge_bundle
from genre_mlops.learning.judged import Judged
from genre_mlops.learning.robustness import LONGEST_CHANGED_S
from genre_mlops.splits import groups_of
from tests.music import write_tune
from tests.service.conftest import GENRES, make_bundle

CONFIG = Config().override(
    {"evaluation.n_bootstrap": 200, "evaluation.robustness_tracks": 3, "evaluation.top_k": 2}
)
# Some of the tracks are above it.
THRESHOLD = 0.455


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Eight test tracks of four artists and a copy, and one that trains."""
    place = tmp_path_factory.mktemp("music")
    paths = [write_tune(place / f"{i}.wav", seed=i, base_hz=90 * 1.4**i) for i in range(9)]
    artists = ["w", "w", "x", "x", "y", "y", None, None, "z"]
    return pd.DataFrame(
        {
            "path": [str(path) for path in paths],
            # One that the bundle does not know among them.
            "genre": ["blues", "disco", "metal", "polka"] * 2 + ["blues"],
            "group": artists,
            "sha256": [f"{i}" * 8 for i in range(9)],
            "duration_s": 4.0,
            "split": ["test"] * 8 + ["train"],
            # Tracks 6 and 7 are copies of each other, and all else as if by track.
            "split_group": [*"abcdef", "g", "g", "h"],
        },
        index=pd.Index([path.name for path in paths], name="track_id"),
    )


def judge(folder: Path, catalog: pd.DataFrame, **settings: float) -> Judged:
    bundle = make_bundle(folder, seed=30, **settings)
    return judge_bundle(bundle, catalog, CONFIG, sequential, changed=True)


@pytest.fixture(scope="module")
def judged(catalog: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return judge(tmp_path_factory.mktemp("bundle") / "bundle", catalog, sure_above=THRESHOLD)


def test_what_belongs_together_is_resampled_together(catalog: pd.DataFrame, judged: Judged):
    tests = catalog[catalog["split"] == "test"]
    numbers = list(groups_of(tests))
    assert [numbers.index(number) for number in numbers] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert judged.evaluation.resampled == "4 groups of tracks, too few for a sure interval"
    alone = tests.assign(group=None, split_group=tests["sha256"])
    assert len(set(groups_of(alone))) == 8


def test_the_figures_are_of_what_the_bundle_says(
    catalog: pd.DataFrame, judged: Judged, tmp_path: Path
):
    bundle = Bundle(make_bundle(tmp_path / "bundle", seed=30, sure_above=THRESHOLD))
    said = [bundle.predict(Path(path)) for path in catalog["path"][:8]]
    right = [p.genre == genre for p, genre in zip(said, catalog["genre"], strict=False)]
    sure = [p.sure for p in said]
    assert 0 < sum(sure) < 8
    metrics = judged.metrics()
    assert metrics["synthetic_test_tracks"] == 8
    assert metrics["synthetic_test_accuracy"] == np.mean(right)
    assert metrics["synthetic_test_coverage"] == np.mean(sure)
    assert metrics["synthetic_test_sure_accuracy"] == np.array(right)[sure].mean()
    table = judged.tables()["per_track"]
    assert list(table["predicted"]) == [p.genre for p in said]
    assert list(table["sure"]) == sure


def test_every_figure_has_an_interval(judged: Judged):
    figures = {name for name in judged.metrics() if not name.endswith(("_low", "_high"))}
    names = {
        *("accuracy", "macro_f1", "top_2_accuracy", "log_loss", "calibration_error"),
        *("coverage", "sure_accuracy"),
        *("mp3_64_kb_s_accuracy", "mp3_64_kb_s_difference"),
        *("12_db_quieter_accuracy", "12_db_quieter_difference"),
        *("noise_20_db_accuracy", "noise_20_db_difference"),
        *("low_pass_8_khz_accuracy", "low_pass_8_khz_difference"),
    }
    assert figures == {f"synthetic_test_{name}" for name in (*names, "tracks")}
    for name in names:
        low, high = (judged.metrics()[f"synthetic_test_{name}_{end}"] for end in ("low", "high"))
        assert low <= high, name


def test_the_description_says_all_of_it(judged: Judged):
    text = judged.markdown()
    for said in (
        "**synthetic** music",
        "8 synthetic test tracks",
        "intervals over 4 groups of tracks",
        f"| accuracy | {judged.evaluation.accuracy.value:.3f} |",
        "among the 2 most probable",
        "expected calibration error",
        "Temperature 2.00",
        f"sure above probability {THRESHOLD:.2f}",
        "| polka | 2 | 0.00 | 0.00 | 0.00 to 0.00 | 0.00 | 0.00 to 0.00 |",
        "| noise 20 dB | 3 |",
    ):
        assert said in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {4, 7, 8}


def test_a_genre_of_any_name_leaves_the_tables_whole(judged: Judged):
    soul = "R&B|Soul *live*"
    names = {"blues": soul, "polka": "a`b`|c"}
    genres = tuple(names.get(genre, genre) for genre in judged.evaluation.genres)
    scores = tuple(
        replace(score, genre=genre)
        for score, genre in zip(judged.evaluation.per_genre, genres, strict=True)
    )
    info = judged.info.model_copy(
        update={"genres": (soul, "disco"), "provenance": {"dataset": "x`y*z*"}}
    )
    evaluation = replace(judged.evaluation, genres=genres, per_genre=scores)
    page = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(replace(judged, info=info, evaluation=evaluation).markdown())
    )
    assert "<td>R&amp;B|Soul *live*</td>" in page
    assert "<td>a`b`|c</td>" in page
    assert "data set x`y*z*: R&amp;B|Soul *live*, disco." in page


def test_a_model_without_a_threshold_says_so(catalog: pd.DataFrame, tmp_path: Path):
    never = judge(tmp_path / "never", catalog, sure_above=1.0)
    assert never.metrics()["synthetic_test_coverage"] == 0
    assert "synthetic_test_sure_accuracy" not in never.metrics()
    assert "No answer counts as sure" in never.markdown()
    always = judge(tmp_path / "always", catalog)
    assert "Every answer counts as sure" in always.markdown()


def test_tables_are_of_the_same_tracks(judged: Judged):
    tables = judged.tables()
    assert tables["reliability"]["n_tracks"].sum() == 8
    assert tables["per_genre"]["n_tracks"].sum() == 8
    assert list(tables["per_genre"]["genre"]) == [*sorted({*GENRES, "polka"})]
    assert tables["abstention"]["coverage"].iloc[-1] == 1
    assert list(tables["robustness"]["n_tracks"]) == [3, 3, 3, 3]


def test_every_picture_is_drawn_white_and_says_synthetic(judged: Judged, tmp_path: Path):
    from matplotlib.image import imread

    drawn = pictures.pictures_of(judged)
    assert list(drawn) == ["confusion", "per_genre", "reliability", "abstention", "robustness"]
    for name, figure in drawn.items():
        assert "(synthetic)" in figure.axes[0].get_title(loc="left"), name
        figure.savefig(tmp_path / f"{name}.png")
        pixels = imread(tmp_path / f"{name}.png")
        assert pixels.shape[1] == 700, name
        assert (pixels[[0, -1], :, :3] == 1).all(), name
        assert pixels.min() < 0.5, name


def test_pictures_show_the_figures(judged: Judged):
    drawn = pictures.pictures_of(judged)
    bars = drawn["robustness"].axes[0].patches
    assert [bar.get_width() for bar in bars] == [c.accuracy.value for c in judged.robustness]
    bars = drawn["per_genre"].axes[0].patches
    assert [bar.get_width() for bar in bars] == [s.f1 for s in judged.evaluation.per_genre]
    marks = [mark.get_xydata() for mark in drawn["abstention"].axes[0].get_lines()]
    sure = judged.abstention
    assert sure.accuracy is not None
    assert any(
        np.allclose(mark, [[sure.coverage.value, sure.accuracy.value]])
        for mark in marks
        if len(mark) == 1
    )
    texts = [text.get_text() for text in drawn["confusion"].axes[0].texts]
    assert sorted(map(int, texts)) == sorted(
        judged.evaluation.confusion[judged.evaluation.confusion > 0]
    )


def test_a_very_long_track_is_judged_but_not_changed(catalog: pd.DataFrame, tmp_path: Path):
    lengths = [4.0] * 7 + [LONGEST_CHANGED_S + 1, 4.0]
    found = judge(tmp_path / "bundle", catalog[6:].assign(duration_s=lengths[6:]))
    assert len(found.tracks) == 2
    assert {change.n_tracks for change in found.robustness} == {1}
    none = judge(tmp_path / "again", catalog.assign(duration_s=LONGEST_CHANGED_S + 1))
    assert (none.robustness_asked, none.robustness) == (True, ())


def test_what_was_not_asked_is_told_from_what_could_not_be_done(
    catalog: pd.DataFrame, tmp_path: Path
):
    bundle = make_bundle(tmp_path / "bundle", seed=30)
    off = CONFIG.override({"evaluation.robustness_tracks": 0})
    for config, changed in ((off, True), (CONFIG, False)):
        found = judge_bundle(bundle, catalog[6:], config, sequential, changed=changed)
        assert (found.robustness_asked, found.robustness) == (False, ())


def test_it_is_compared_with_another_track_by_track(judged: Judged):
    ours = judged.right
    assert list(ours) == [*(judged.tables()["per_track"].eval("predicted == genre"))]
    assert 0 < ours.sum() < 8
    above = judged.lead_over(np.zeros(8, bool))
    assert (above.value, above.low) == (
        judged.evaluation.accuracy.value,
        judged.evaluation.accuracy.low,
    )
    same = judged.lead_over(ours)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    other = judged.lead_over(~ours)
    assert other.value == pytest.approx(2 * ours.mean() - 1)
    assert other.low < other.value < other.high
