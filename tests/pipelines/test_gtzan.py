"""The command of the published comparison, on clips of ours under the published names."""

from pathlib import Path

import pandas as pd
import pytest

from genre_mlops.datasets.gtzan_index import fault_filtered, gtzan_index
from genre_mlops.splits import split_digest
from tests.pipelines.conftest import Place
from tests.pipelines.runs import MODEL, champion_of, client, runs_of
from tests.sources import make_whole_gtzan

SHORT = "quality.min_duration_s=1"
TINY = (
    f"{SHORT} features.sr=8000 features.fmax=4000 features.n_fft=512 features.n_mels=24 "
    "network.kind=cnn1d network.segment_frames=32 network.cnn1d.filters=2 "
    "network.cnn1d.n_blocks=2 network.dense_units=8 "
    "training.crops_per_track=1 training.batch_size=64 evaluation.n_bootstrap=100 "
    "evaluation.robustness_tracks=0 baseline.segment_s=0.5"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gtzan") / "published names"
    make_whole_gtzan(made, duration_s=1.5, sr=8_000)
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_the_published_comparison(place: Place, folder: Path):
    command = ["--dataset", f"gtzan:{folder}", "--split", "fault-filtered"]
    done = place.pipeline([*command, "--trials", "1", "--epochs", "1", "--set", TINY])

    # As published, 443, 197 and 290 tracks; one of the first does not decode.
    tracks = pd.read_parquet(next((place.root / "workspace" / "splits").iterdir()))
    assert tracks["split"].value_counts().to_dict() == {
        "train": 442,
        "validation": 197,
        "test": 290,
    }
    published = fault_filtered(gtzan_index())
    assert tracks["split"].to_dict() == {k: v for k, v in published.items() if k != "jazz.00054"}
    quarantined = next(line for line in done.stdout.splitlines() if "jazz.00054" in line)
    assert "cannot be decoded" in quarantined
    # The split is known to have artists on both sides, which is said and not refused.
    assert "group_in_one_split" in done.stdout

    digest = split_digest(tracks)
    for step in ("main", "validate", "features", "baseline", "train", "register"):
        (run,) = runs_of(place, step)
        assert run.data.tags["genre.split_digest"] == digest, step
        assert run.data.tags["genre.split_scheme"] == "fault-filtered", step
    (version,) = client(place).search_model_versions(f"name = '{MODEL}'")
    assert version.tags["split_digest"] == digest
    floor = runs_of(place, "baseline")[0].data
    assert floor.metrics["baseline_fitted_tracks"] == 442
    assert floor.metrics["baseline_validation_tracks"] == 197
    assert floor.metrics["baseline_test_tracks"] == 290
    # A genre's tunes have a pitch of their own here.
    assert floor.metrics["baseline_test_accuracy"] > 0.3
    assert "Warning, no score" in floor.tags["mlflow.note.content"]
    register = runs_of(place, "register")[0].data.metrics
    assert register["test_tracks"] == 290
    assert 0 <= register["test_accuracy"] <= 1
    # Real names are no real music, but nothing says that it was made.
    assert not any("synthetic" in name for name in [*floor.metrics, *register])
    assert champion_of(place) == 1
    for row in ("test score", "floor", "warning"):
        assert f" {row} " in done.stdout


@pytest.mark.slow
def test_clips_that_are_not_those_published_are_told(place: Place, folder: Path):
    told = place.cli("data", "verify", f"gtzan:{folder}", "--set", SHORT, exit_code=3).stdout
    assert "checksums: 1,000 files compared, 1000 changed, 0 missing, 0 not in the list" in told
    line = next(line for line in told.splitlines() if "blues.00000" in line)
    assert f"expected md5:{gtzan_index()['blues.00000'].md5}, found md5:" in line
    assert "checksums: refused: this is not the whole set as it was published" in told
