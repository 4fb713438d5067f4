"""What goes wrong: bad parameters, bad data, a killed job."""

import json
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from genre_mlops.config import Config
from genre_mlops.learning.checkpoints import Checkpoint, Line
from tests import copied
from tests.pipelines.conftest import ALONE, SMALL, Place
from tests.pipelines.runs import champion_of, client, parent_of, runs_of, statuses
from tests.plans import UNCHANGED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "training.epoch=3"], "unknown setting training.epoch; did you mean"),
        (["--set", "training.epochs=0"], "training.epochs: Input should be greater than or equal"),
        (["--trials", "many"], "search.trials: Input should be a valid integer"),
        (["--config", "fast"], "config fast: neither a preset (default, quick, thorough)"),
        (["--trails", "3"], "No such option: --trails"),
        (
            ["--objective", "size"],
            "search.objective: Input should be 'accuracy' or",
        ),
        (["--minutes", "-1"], "search.minutes: Input should be greater than or equal to 0"),
        (["--engine", "ray"], "engine ray: expected local or dask"),
        (["--engine", "dask"], "engine=dask: name the cluster's scheduler, GENRE_DASK_SCHEDULER"),
    ],
)
def test_a_bad_parameter_is_exit_code_2_before_any_work(
    place: Place, arguments: list[str], message: str
):
    done = place.pipeline(arguments, exit_code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(place.root.iterdir()) == []


def test_a_data_set_that_is_not_there_is_exit_code_3(place: Place):
    done = place.pipeline(["--dataset", str(place.root / "gone")], exit_code=3)
    assert "there is no such path; expected one of demo, " in done.stderr


def test_a_database_that_is_not_there_is_said_before_any_work(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GENRE_SEARCH_STORAGE", "postgresql+psycopg://me:secret@127.0.0.1:1/genre")
    done = place.pipeline(["--dataset", "demo"], exit_code=1)
    assert "me:***@127.0.0.1:1/genre cannot be used (GENRE_SEARCH_STORAGE)" in done.stderr
    assert "secret" not in done.stderr
    assert not (place.root / "mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_refused_set_is_exit_code_3_with_its_offenders(
    place: Place, hard_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    # This step needs no studies.
    monkeypatch.setenv("GENRE_SEARCH_STORAGE", "postgresql+psycopg://me@127.0.0.1:1/genre")
    for i in range(5):
        (hard_folder / "whistle" / f"{i}.wav").write_bytes(b"")
    done = place.pipeline(["--dataset", str(hard_folder)], step="validate", exit_code=3)
    assert "the data set is refused: genres" in done.stderr
    assert "hum/zero.wav and 5 more: is empty (0 bytes)" in done.stderr
    validate = runs_of(place, "validate")
    assert [run.info.status for run in validate] == ["FAILED", "FAILED"]
    for run in validate:
        assert run.data.tags["genre.split_digest"]
        assert run.inputs.dataset_inputs
    report = client(place).list_artifacts(validate[1].info.run_id, "quality")
    assert "quality/report.html" in {file.path for file in report}


def wait_until_a_trial_trains(place: Place, process: BaseProcess, n_epochs: int) -> None:
    """Return when the second trial of the main job has ended more than so many epochs."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.is_alive(), "the job ended before it could be killed"
        if len(kept_of(place)) > n_epochs:
            return
        time.sleep(0.2)
    raise AssertionError("no second trial in time")


def kept_of(place: Place) -> list[Line]:
    """Return what the second trial's epochs have left for the next try."""
    states = [*(place.root / "workspace" / "studies").glob("*/001.npz")]
    found = Checkpoint(states[0]).load() if states else None
    return found.lines if found else []


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_killed_job_goes_on_and_leaves_nothing_running(place: Place):
    # Long enough to be killed twice in the second trial, which is not cut short before.
    arguments = [*SMALL, "--epochs", "24", "--network", "cnn1d"]
    # Of the space the learning rate alone, for graphs that are made fast.
    fixed = dict.fromkeys(f"search.space.{key}" for key in Config().search.space)
    del fixed["search.space.training.learning_rate"]
    settings = {"search.pruning": 0, "training.patience": 24, "training.members": 1}
    settings |= UNCHANGED | fixed | {"evaluation.robustness_tracks": 0, "data.demo_tracks": 30}
    texts = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    arguments[arguments.index("--set") + 1] += f" {' '.join(texts)}"
    command, env = place.command("main", arguments)[1:], place.env | ALONE
    kept: list[Line] = []
    for how, exit_code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        with copied.started(command, folder=place.root, env=env, told=place.root) as process:
            wait_until_a_trial_trains(place, process, len(kept))
            os.kill(process.pid, how)
            process.join(60)
            assert process.exitcode == exit_code
        kept = kept_of(place)
        if how == signal.SIGTERM:
            assert "RUNNING" not in statuses(place)
            assert runs_of(place, "trial")[1].info.status == "KILLED"

    done = place.pipeline(arguments)
    assert "features: 0 built, 30 reused" in done.stdout
    assert "RUNNING" not in statuses(place)
    assert champion_of(place) == 1
    trials = runs_of(place, "trial")
    assert "goes on after 1 of 2 trials" in done.stdout
    assert [t.info.status for t in trials] == ["FINISHED", "KILLED", "KILLED", "FINISHED"]
    # The trial that was cut off is tried again with the same parameters, from its last epoch on.
    assert trials[1].data.params == trials[2].data.params == trials[3].data.params
    told = client(place).get_metric_history(trials[3].info.run_id, "step_ms")
    assert [point.value for point in told[: len(kept)]] == [line["step_ms"] for line in kept]
    assert [point.step for point in told] == list(range(1, 25))
    assert parent_of(trials[3]) == runs_of(place, "train")[2].info.run_id
