"""A folder of everything that goes wrong, and a gate that then lets nobody through."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from genre_mlops.search.studies import list_studies
from tests.music import HARD_FOLDER_REASONS, make_hard_folder
from tests.pipelines.conftest import Place, Ran
from tests.pipelines.runs import aliases_of, artifacts_of, client, runs_of, statuses
from tests.stores import make_store

pytestmark = pytest.mark.slow
MODEL = "refused"
TINY = (
    "network.kind=cnn1d network.segment_frames=64 network.cnn1d.filters=2 "
    "network.cnn1d.n_blocks=2 evaluation.n_bootstrap=100 evaluation.robustness_tracks=0"
)


def arguments_of(place: Place) -> list[str]:
    return [
        *("--dataset", str(place.root / "music"), "--trials", "3", "--epochs", "2"),
        *("--workers", "2", "--objective", "accuracy+size", "--minutes", "30"),
        *("--set", f"{TINY} gate.max_size_mb=0.001 registry.model={MODEL}"),
    ]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The main job on it, with a database for its studies."""
    place = Place(tmp_path_factory.mktemp("hard"))
    make_store(place.root / "mlflow.db")
    make_hard_folder(place.root / "music")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRE_SEARCH_STORAGE", f"sqlite:///{place.root / 'team.db'}")
        yield Ran(place, place.pipeline(arguments_of(place)).stdout)


def test_a_hard_folder_is_cleaned_named_and_used(job: Ran):
    place, lines = job.place, job.output.splitlines()
    assert len(runs_of(place, "trial")) == 3
    train = runs_of(place, "train")[0]
    assert train.data.tags["genre.objective"] == "accuracy+size"
    pictures = client(place).list_artifacts(train.info.run_id, "search")
    assert "search/pareto_front.png" in {file.path for file in pictures}
    assert "; taken " in job.output
    [study] = list_studies(f"sqlite:///{place.root / 'team.db'}")
    assert (study.name, study.n_ended, study.finished) == (train.data.tags["genre.study"], 3, True)
    assert not (place.root / "workspace" / "studies" / "search.db").exists()
    for track, reason in HARD_FOLDER_REASONS.items():
        line = next(line for line in lines if track in line)
        assert reason in line
    assert "2 passed over" in job.output
    report = next(line for line in lines if "quality report: " in line)
    assert Path(report.partition("quality report: ")[2]).is_file()
    assert "music: 12 tracks of 2 genres, 7 set aside" in job.output
    assert runs_of(place, "register")[0].data.metrics.keys() >= {"test_accuracy", "test_log_loss"}
    assert set(statuses(place)) <= {"FINISHED", "KILLED"}  # a pruned trial is KILLED


def test_where_the_gate_lets_nobody_through_there_is_no_bento_and_the_job_says_so(job: Ran):
    place, told = job.place, " ".join(job.output.split())
    assert f"{MODEL} 1, challenger" in told
    assert "none: there is no champion to serve" in told
    assert f"genre-mlops promote 1 --model {MODEL}" in told
    assert aliases_of(place, MODEL) == {"challenger": 1}
    done = place.pipeline(arguments_of(place), step="package", exit_code=1)
    assert "the gate said refuse of version 1 (size: " in " ".join(done.stderr.split())
    # By the rules as they are it may, also where the machine was busy when it was measured.
    kept = artifacts_of(place, "1", "gate", model=MODEL)["evidence.json"]
    said = json.loads(kept.read_text())
    said["measures"]["latency_ms"] = 1e9
    kept.write_text(json.dumps(said))
    done = place.cli("promote", "--model", MODEL)
    assert f"{MODEL} 1 is champion" in " ".join((done.stdout + done.stderr).split())
    assert json.loads(kept.read_text())["measures"]["latency_ms"] < 1e9
    assert aliases_of(place, MODEL) == {"champion": 1}
