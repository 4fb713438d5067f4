"""The model card: what it says of a version, and how it is shortened and shown."""

import re
from collections import Counter
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_mlops.card import Setting, as_page, in_short, model_card
from genre_mlops.config import Config
from genre_mlops.datasets.gtzan import GtzanDataset
from genre_mlops.learning.bundle import BundleInfo
from genre_mlops.learning.calibration import abstain
from genre_mlops.learning.judged import Judged
from genre_mlops.learning.metrics import evaluate
from genre_mlops.learning.resampling import Estimate, resampling
from genre_mlops.learning.robustness import Change
from genre_mlops.lineage import Code, Lineage, Machine
from genre_mlops.registry import ModelVersion
from genre_mlops.wording import in_cell

GENRES = ("R&B|Soul", "blues", "disco")
CONFIG = Config()
VERSION = ModelVersion("tunes", 7, Path("nowhere"), {}, run_id="run")
SETTING = Setting(
    splits=Counter(train=61, validation=17, test=24),
    scheme="grouped",
    n_quarantined=5,
    faults="labels *of a kind*",
    n_shared=0,
)
LINEAGE = Lineage(
    config=CONFIG.model_dump(mode="json"),
    genres=GENRES,
    dataset="my|music",
    source="/music",
    licence="CC BY 4.0 <mostly>",
    synthetic=False,
    data_digest="d1",
    split_digest="d2",
    features_digest="d3",
    code=Code(version="0.1", git_commit="a" * 40, git_dirty=True, lock_sha256=""),
    libraries={},
    machine=Machine(
        system="Linux", processor="P 9", python="3.11", cores=6, memory_gb=8.0, gpus=()
    ),
    threads=1,
    runs={},
    cut_short=False,
    chosen_by="least validation loss",
    n_trials=13,
    cpu_s=9_000.0,
    weights_sha256="",
)


def made(*, synthetic: bool = False, members: int = 1) -> Judged:
    """24 test tracks, eight of each genre, of which every fourth is taken for another."""
    labels = np.arange(24) % 3
    said = np.where(np.arange(24) % 4 == 0, (labels + 1) % 3, labels)
    probabilities = np.full((24, 3), 0.15)
    probabilities[np.arange(24), said] = 0.7
    drawn = resampling(24, None, n_bootstrap=200, seed=1)
    info = BundleInfo(
        genres=GENRES,
        features=CONFIG.features,
        segment_frames=CONFIG.network.segment_frames,
        temperature=1.5,
        sure_above=0.6,
        synthetic=synthetic,
        provenance={"dataset": "my|music", "members": members, "sure_accuracy": 0.9},
        sha256={"network.onnx": "5" * 64},
    )
    lost = Estimate(-0.31, -0.42, -0.23)
    return Judged(
        info,
        pd.DataFrame({"genre": [GENRES[label] for label in labels]}),
        "digest",
        probabilities,
        evaluate(probabilities, labels, GENRES, drawn, top_k=2),
        abstain(probabilities, labels, sure_above=0.6, resampling=drawn),
        drawn,
        robustness_asked=True,
        robustness=(Change("noise 20 dB", 19, 0.75, Estimate(0.44, 0.3, 0.6), lost),),
    )


JUDGED = made()


@pytest.fixture(scope="module")
def card() -> str:
    return model_card(VERSION, LINEAGE, JUDGED, SETTING)


def rows(card: str) -> dict[str, list[str]]:
    """The rows of all tables of the card's page, by their first cell."""
    found = re.findall(r"<tr>(.*?)</tr>", as_page(card), re.DOTALL)
    cells = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL) for row in found]
    return {unescape(first): [unescape(cell) for cell in others] for first, *others in cells}


def test_the_card_says_what_it_is_from(card: str):
    said = rows(card)
    assert said["data set"] == ["my|music"]
    assert said["from"] == ["/music"]
    assert said["licence of the audio"] == ["CC BY 4.0 <mostly>"]
    assert said["tracks"] == ["61 train, 17 validation, 24 test; 5 set aside"]
    assert said["split"] == ["grouped"]
    assert said["known faults"] == ["labels *of a kind*"]
    assert said["code"] == [
        f"genre-mlops 0.1, commit {'a' * 12}, with changes that are in no commit"
    ]
    assert said["machine"] == ["P 9, 6 cores; Linux"]
    assert said["digests"] == ["data d1, split d2, features d3"]
    assert said["network.onnx"] == [f"<code>{'5' * 64}</code>"]
    none = model_card(VERSION, LINEAGE, JUDGED, replace(SETTING, faults=""))
    assert rows(none)["known faults"][0].startswith("none is noted")


def test_the_card_says_what_the_version_was_shown_to_do(card: str):
    said, figures = rows(card), JUDGED.evaluation
    for name, estimate in {
        "accuracy": figures.accuracy,
        "macro-F1": figures.macro_f1,
        "expected calibration error": figures.calibration_error,
        "share of tracks that are sure": JUDGED.abstention.coverage,
        "accuracy of those that are sure": JUDGED.abstention.accuracy,
    }.items():
        assert estimate is not None
        ends = f"{estimate.low:.3f} to {estimate.high:.3f}"
        assert said[name] == [f"{estimate.value:.3f}", ends]
    assert said["accuracy"][0] == "0.750"
    assert said["noise 20 dB"] == ["19", "0.750", "0.440", "-0.310", "-0.420 to -0.230"]
    assert "Temperature 1.50." in card
    assert "An answer is sure above probability 0.60" in card
    assert "chosen for 90 % of right ones, on the validation tracks" in card
    assert "95 % bootstrap intervals over 24 tracks" in card


def test_each_genre_has_its_scores_with_intervals(card: str):
    said = rows(card)
    assert said["genre"] == [
        *("tracks", "precision", "recall", "95 % interval", "F1", "95 % interval")
    ]
    for score in JUDGED.evaluation.per_genre:
        assert score.recall_low < score.recall < score.recall_high
        assert score.f1_low < score.f1 < score.f1_high
        assert said[score.genre] == [
            "8",
            f"{score.precision:.2f}",
            f"{score.recall:.2f}",
            f"{score.recall_low:.2f} to {score.recall_high:.2f}",
            f"{score.f1:.2f}",
            f"{score.f1_low:.2f} to {score.f1_high:.2f}",
        ]


def test_the_card_says_what_training_cost_and_what_is_not_in_that(card: str):
    (search,) = rows(card)["search"]
    assert search == (
        "13 trials, taken: least validation loss; 2.5 CPU-hours, without tries that were cut off; "
        "its energy was not measured"
    )
    lineage = LINEAGE.model_copy(update={"cpu_s": 90.4})
    several = rows(model_card(VERSION, lineage, made(members=3), SETTING))
    assert several["search"][0].endswith(
        "; 90 CPU-seconds, without tries that were cut off and the training of the other networks "
        "averaged; its energy was not measured"
    )
    assert "3 averaged" in several["network"][0]


def test_the_card_names_the_three_ways_of_use(card: str):
    use = card.partition("\n## Use\n")[2].partition("\n## ")[0]
    assert "curl -F audio=@song.mp3 http://127.0.0.1:3000/predict" in use
    assert "genre-mlops predict song.mp3" in use
    assert "mlflow models predict -m models:/tunes/7 " in use
    assert 'mlflow.pyfunc.load_model("models:/tunes/7")' in use


def test_a_card_of_synthetic_music_begins_with_a_warning(card: str):
    assert "synthetic" not in card
    lineage = LINEAGE.model_copy(update={"synthetic": True})
    warned = model_card(VERSION, lineage, made(synthetic=True), SETTING)
    warning = "> Trained on **synthetic** music, made for testing."
    assert warned.startswith(f"# tunes 7\n\n{warning}")
    assert "24 synthetic test tracks" in warned
    assert rows(warned)["data set"] == ["my|music, synthetic"]
    assert "<blockquote>" in as_page(warned)


def test_the_faults_of_gtzan_reach_its_card():
    card = model_card(VERSION, LINEAGE, JUDGED, replace(SETTING, faults=GtzanDataset.faults))
    (faults,) = rows(card)["known faults"]
    assert faults == GtzanDataset.faults
    for fault in ("Exact replicas", "tracks of one artist", "wrong labels", "distorted", "Sturm"):
        assert fault in faults


@pytest.mark.parametrize(
    ("n_shared", "sentence"),
    [
        (0, "No artist or recording is known to have tracks both among them and among the others."),
        (1, "1 artist or recording is known to have tracks both among them and among the others."),
        (
            2_000,
            "2,000 artists or recordings are known to have tracks both among them and among the "
            "others.",
        ),
    ],
)
def test_the_card_says_who_is_among_the_test_tracks_and_elsewhere(n_shared: int, sentence: str):
    card = model_card(VERSION, LINEAGE, JUDGED, replace(SETTING, n_shared=n_shared))
    before = "The test tracks were not learnt from, and chose neither epoch nor trial."
    assert f"\n\n{before} {sentence}\n\n" in card


def test_what_is_too_long_for_the_registry_loses_its_last_sections():
    card = "# tunes 1\n\nhead\n" + "".join(f"\n## {i}\n\n{'x' * 90}\n" for i in range(9))
    short = in_short(card, end="[run](#/runs/1)\n", most=400)
    assert len(short) <= 400
    assert short.startswith("# tunes 1")
    assert short.endswith("\n\n[run](#/runs/1)\n")
    assert "## 2" in short
    assert "## 3" not in short
    assert in_short(card, end="it\n").count("\n## ") == 9
    assert len(in_short("y" * 900, end="it\n", most=400)) == 400


def test_a_name_is_no_markdown_and_no_page():
    name = "a|b *c* <script>alert(1)</script> [d](e)"
    page = as_page(f"# tunes 1\n\n| | |\n|---|---|\n| name | {in_cell(name)} |\n")
    assert "<script>" not in page
    assert "<em>" not in page
    assert "<a " not in page
    assert "a|b *c*" in page
