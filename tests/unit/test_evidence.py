"""What is put before the gate: the same tracks, known by their content."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_mlops.config import Config
from genre_mlops.domain import sequential
from genre_mlops.errors import GenreError
from genre_mlops.evidence import Evidence, decide
from genre_mlops.learning.bundle import read_info, save_seen, write_info
from genre_mlops.learning.evaluation import judge_bundle
from genre_mlops.learning.gate import Entrant, Measures
from genre_mlops.learning.resampling import Estimate
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
    right = judged.probabilities.argmax(axis=1) == judged.labels()
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
