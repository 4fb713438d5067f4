"""What is put before the gate: the same tracks, known by their content."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genre_mlops import evidence as module
from genre_mlops import tracking
from genre_mlops.config import Config
from genre_mlops.domain import sequential
from genre_mlops.errors import GenreError
from genre_mlops.evidence import Evidence, decide, gather, read_evidence
from genre_mlops.learning.bundle import Bundle, read_info, save_seen, write_info
from genre_mlops.learning.evaluation import judge_bundle
from genre_mlops.learning.gate import Entrant, Measures, judge
from genre_mlops.learning.resampling import Estimate
from genre_mlops.learning.robustness import LONGEST_CHANGED_S
from genre_mlops.learning.verdict import Verdict
from genre_mlops.registry import ModelVersion
from tests.music import write_tune
from tests.service.conftest import GENRES, make_bundle

CONFIG = Config().override({"evaluation.n_bootstrap": 200, "evaluation.robustness_tracks": 0})
MEASURES = Measures(Estimate(0.1, 0.0, 0.2), {}, 100.0, 1.0, {})
N_TRACKS = 12


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Test tracks of their own."""
    place = tmp_path_factory.mktemp("music")
    paths = [write_tune(place / f"{i}.wav", seed=i, base_hz=90 * 1.3**i) for i in range(N_TRACKS)]
    sha256 = [f"{i:02d}" * 8 for i in range(N_TRACKS)]
    return pd.DataFrame(
        {
            "path": [str(path) for path in paths],
            "genre": [GENRES[i % 3] for i in range(N_TRACKS)],
            "group": None,
            "sha256": sha256,
            "duration_s": 4.0,
            "split": "test",
            "split_group": sha256,
        },
        index=pd.Index([path.name for path in paths], name="track_id"),
    )


def version(folder: Path, number: int, *, seen: list[str]) -> ModelVersion:
    """A version whose run kept nothing."""
    bundle = make_bundle(folder / str(number), seed=30 + number)
    save_seen(bundle, seen)
    write_info(bundle, read_info(bundle))
    return ModelVersion("tunes", number, bundle, {}, run_id="")


def evidence(catalog: pd.DataFrame, right: list[bool]) -> Evidence:
    tracks = catalog[["sha256", "genre"]].assign(group=range(N_TRACKS), right=right)
    return Evidence(Entrant(2, GENRES, synthetic=True), "test", "split", tracks, MEASURES)


def ask(folder: Path, ours: Evidence, tracks: pd.DataFrame | None, seen: list[str]) -> Verdict:
    challenger, champion = version(folder, 2, seen=[]), version(folder, 1, seen=seen)
    return decide(challenger, ours, champion, CONFIG, catalog=lambda: tracks, run=sequential)


def figures(verdict: Verdict) -> dict[str, float]:
    return verdict.rulings[0].figures


def test_a_champion_of_another_test_set_is_judged_on_this_one(
    catalog: pd.DataFrame, tmp_path: Path
):
    judged = judge_bundle(version(tmp_path / "it", 1, seen=[]).bundle, catalog, CONFIG, sequential)
    right = judged.right
    assert 0 < right.sum() < N_TRACKS
    # A challenger that is right where the champion is has nothing to win or lose.
    ours = evidence(catalog, list(right))
    found = figures(ask(tmp_path / "same", ours, catalog, []))
    assert (found["won"], found["lost"]) == (0, 0)
    # Tracks that have changed their names and their order since are the same tracks.
    renamed = catalog.iloc[::-1].set_axis(catalog.index)
    assert figures(ask(tmp_path / "renamed", ours, renamed, [])) == found
    other = figures(ask(tmp_path / "other", evidence(catalog, list(~right)), catalog, []))
    assert (other["won"], other["lost"]) == (N_TRACKS - right.sum(), right.sum())


def test_tracks_that_either_has_learnt_from_are_left_out(catalog: pd.DataFrame, tmp_path: Path):
    ours = evidence(catalog, [True] * N_TRACKS)
    some = ask(tmp_path / "some", ours, catalog, list(catalog["sha256"][:4]))
    assert f"on the same {N_TRACKS - 4} tracks" in some.reason
    none = ask(tmp_path / "none", ours, catalog, list(catalog["sha256"]))
    assert none.decision == "hold"
    assert "has learnt from every test track" in none.reason


def test_without_the_tracks_it_says_where_to_go(catalog: pd.DataFrame, tmp_path: Path):
    with pytest.raises(GenreError, match="not on this machine: promote it where its data is"):
        ask(tmp_path, evidence(catalog, [True] * N_TRACKS), None, [])
    # Where nothing is compared, nothing is needed.
    real = evidence(catalog, [True] * N_TRACKS)
    real = Evidence(Entrant(2, GENRES, synthetic=False), "t", "s", real.tracks, MEASURES)
    assert ask(tmp_path / "real", real, None, []).decision == "promote"
    np.testing.assert_array_equal(real.tracks["right"], True)


Keep = Callable[[str | None], None]


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Return a function that makes a text the evidence that any version's run kept."""

    def kept(text: str | None) -> None:
        monkeypatch.setattr(tracking, "read_text", lambda *_: text)

    return kept


def test_evidence_is_read_as_it_was_written(catalog: pd.DataFrame, tmp_path: Path, keep: Keep):
    written = replace(
        evidence(catalog, [True, False] * 6),
        measures=Measures(
            Estimate(0.1, 0.0, 0.2),
            {"noise": Estimate(-0.3, -0.4, float("nan"))},
            latency_ms=90.0,
            size_mb=2.0,
            differences={"Keras": float("nan")},
            cannot_load="it does not",
            changes_asked=True,
        ),
    )
    keep(written.as_json())
    read = read_evidence(version(tmp_path, 2, seen=[]))
    assert read is not None
    assert read.as_json() == written.as_json()
    assert repr(read.measures) == repr(written.measures)
    pd.testing.assert_frame_equal(read.tracks, written.tracks)
    keep(None)
    assert read_evidence(version(tmp_path / "none", 2, seen=[])) is None


def other_forms(text: str) -> dict[str, str]:
    """Evidence that this code cannot read as a challenger's, by what is wrong with it."""
    said: dict[str, Any] = json.loads(text)
    measures = {k: v for k, v in said["measures"].items() if k != "size_mb"}
    return {
        "no version": json.dumps({k: v for k, v in said.items() if k != "format_version"}),
        "a later one": json.dumps(said | {"format_version": 2}),
        "a measure less": json.dumps(said | {"measures": measures}),
        "no table": json.dumps(said | {"tracks": {"sha256": ["a"], "right": [True]}}),
        "no list": json.dumps(said | {"tracks": 3}),
        "cut off": text[: len(text) // 2],
        "empty": "",
    }


def test_evidence_of_another_form_says_what_to_do(
    catalog: pd.DataFrame, tmp_path: Path, keep: Keep
):
    challenger = version(tmp_path, 2, seen=[])
    for text in other_forms(evidence(catalog, [True] * N_TRACKS).as_json()).values():
        keep(text)
        with pytest.raises(
            GenreError, match=r"evidence of tunes 2 is not of this .* anew, or `gen"
        ):
            read_evidence(challenger)


def test_of_a_champions_evidence_no_more_is_read_than_is_needed(
    catalog: pd.DataFrame, tmp_path: Path, keep: Keep
):
    ours = evidence(catalog, [True] * N_TRACKS)
    # What the champion's bundle says is otherwise: these answers can only be the kept ones.
    theirs = json.loads(evidence(catalog, [False] * N_TRACKS).as_json())
    measures = {"of another": "form"}
    keep(json.dumps(theirs | {"format_version": 9, "measures": measures, "entrant": None}))
    found = figures(ask(tmp_path / "kept", ours, None, []))
    assert (found["won"], found["lost"]) == (N_TRACKS, 0)


def test_a_champion_whose_evidence_cannot_be_read_is_judged_anew(
    catalog: pd.DataFrame, tmp_path: Path, keep: Keep
):
    ours = evidence(catalog, [True] * N_TRACKS)
    text = evidence(catalog, [False] * N_TRACKS).as_json()
    said = json.loads(text)
    tracks = said["tracks"]
    unreadable = {
        "cut off": text[: len(text) // 2],
        "no digest": json.dumps({k: v for k, v in said.items() if k != "test_digest"}),
        "no list": json.dumps(said | {"tracks": 3}),
        "fewer": json.dumps(said | {"tracks": tracks | {"right": tracks["right"][1:]}}),
        "another test set": json.dumps(said | {"test_digest": "other"}),
    }
    for name, kept in unreadable.items():
        keep(kept)
        found = figures(ask(tmp_path / name, ours, catalog, []))
        assert 0 < found["won"] < N_TRACKS, name


Answering = Callable[..., None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Return a function that has a bundle answer by pyfunc too, all files but some numbers."""

    def answer(folder: Path, *, but: set[int]) -> None:
        bundle = Bundle(folder, threads=1)

        def row(path: Path, *, error: str) -> dict[str, Any]:
            said = bundle.predict(path).probabilities
            return {f"p_{genre}": None if error else said[genre] for genre in GENRES} | {
                "error": error
            }

        def by_pyfunc(model: str, paths: list[Path]) -> list[dict[str, Any]]:
            errors = ["is locked" * (number in but) for number in range(len(paths))]
            return [row(path, error=error) for path, error in zip(paths, errors, strict=True)]

        def by_keras(_: Bundle, paths: list[Path]) -> list[dict[str, float]]:
            return [bundle.predict(path).probabilities for path in paths]

        monkeypatch.setattr(tracking, "predict_apart", by_pyfunc)
        monkeypatch.setattr(module, "keras_answers", by_keras)

    return answer


@pytest.mark.parametrize("but", [{0, 1, 2, 3}, {2}], ids=["all", "one"])
def test_a_version_that_cannot_answer_its_test_tracks_is_refused(
    catalog: pd.DataFrame, tmp_path: Path, answering: Answering, but: set[int]
):
    ours = version(tmp_path, 2, seen=[])
    judged = judge_bundle(ours.bundle, catalog, CONFIG, sequential, changed=True)
    answering(ours.bundle, but=set())
    measures = gather(ours, judged, split_digest="split").measures
    assert (measures.cannot_load, [*measures.differences]) == ("", ["Keras", "pyfunc"])
    answering(ours.bundle, but=but)
    found = gather(ours, judged, split_digest="split")
    verdict = judge(found.entrant, None, None, found.measures, CONFIG.gate)
    assert verdict.decision == "refuse"
    assert verdict.reason.endswith("models:/tunes/2 does not answer in a clean process: is locked")


def test_tracks_too_long_to_be_changed_hold_where_that_was_asked(
    catalog: pd.DataFrame, tmp_path: Path, answering: Answering
):
    ours = version(tmp_path, 2, seen=[])
    answering(ours.bundle, but=set())
    long = catalog.assign(duration_s=LONGEST_CHANGED_S + 1)
    for n_tracks, decision in ((3, "hold"), (0, "promote")):
        config = CONFIG.override({"evaluation.robustness_tracks": n_tracks})
        judged = judge_bundle(ours.bundle, long, config, sequential, changed=True)
        found = gather(ours, judged, split_digest="split")
        verdict = judge(found.entrant, None, None, found.measures, CONFIG.gate)
        assert verdict.decision == decision, verdict.reason
