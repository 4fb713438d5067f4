"""Runs of trials, written from any process, in batches."""

from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from genre_mlops import tracking
from genre_mlops.processes import this_process
from genre_mlops.tracking import trials
from tests.stores import make_store


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    uri = make_store(tmp_path / "mlflow.db")
    tracking.use_tracking_uri(uri)
    return MlflowClient(uri)


@pytest.fixture
def log(client: MlflowClient, tmp_path: Path) -> tracking.TrialLog:
    experiment = client.create_experiment(str(tmp_path))
    parent = client.create_run(experiment).info.run_id
    return tracking.TrialLog(experiment, parent, "trial 007", {"genre.dataset": "tunes"})


def run_of(client: MlflowClient, log: tracking.TrialLog) -> Run:
    return client.get_run(log.run_id)


def test_what_is_measured_is_written_in_batches_and_whole_at_the_end(
    client: MlflowClient, log: tracking.TrialLog, monkeypatch: pytest.MonkeyPatch
):
    log.params({f"p{i}": i for i in range(230)})
    for step in range(1, 701):
        log.metrics({"a": step / 2, "b": step}, step=step)
    assert "a" not in run_of(client, log).data.metrics
    monkeypatch.setattr(trials, "_FLUSH_S", 0.0)
    log.metrics({"a": 1e3, "b": 0.0}, step=701)
    assert run_of(client, log).data.metrics["a"] == 1e3
    monkeypatch.setattr(trials, "_FLUSH_S", 1e3)
    log.metrics({"a": 1e4, "b": 0.0}, step=702)
    spent_s = log.spent_s
    assert spent_s > 0
    log.close("KILLED", tags={"genre.reason": "pruned"})
    run = run_of(client, log)
    assert (run.info.status, run.data.tags["genre.reason"]) == ("KILLED", "pruned")
    assert len(run.data.params) == 230
    told = client.get_metric_history(log.run_id, "a")
    assert [(point.step, point.value) for point in told] == [
        *((step, step / 2) for step in range(1, 701)),
        (701, 1e3),
        (702, 1e4),
    ]
    assert run.data.metrics["tracking_s"] >= spent_s


def test_a_run_is_killed_also_one_that_had_ended_before_its_trial_was_told(
    client: MlflowClient, log: tracking.TrialLog
):
    log.close("FINISHED", tags={})
    tracking.kill_run(log.run_id, "its worker is gone")
    run = run_of(client, log)
    assert (run.info.status, run.data.tags["genre.reason"]) == ("KILLED", "its worker is gone")
    # When and why it ended is told once.
    tracking.kill_run(log.run_id, "its process is gone")
    again = run_of(client, log)
    assert again.data.tags["genre.reason"] == "its worker is gone"
    assert again.info.end_time == run.info.end_time
    tracking.kill_run("0" * 32, "it was never there")


def test_runs_of_processes_that_are_gone_are_ended_with_the_reason(
    client: MlflowClient, log: tracking.TrialLog
):
    tracking.sweep_dead_runs()
    assert run_of(client, log).info.status == "RUNNING"
    client.set_tag(log.run_id, "genre.process_started", "0.00")
    tracking.sweep_dead_runs()
    run = run_of(client, log)
    assert (run.info.status, run.data.tags["genre.reason"]) == ("KILLED", "its process is gone")


def test_what_workers_anywhere_write_for_this_process_ends_with_it(
    client: MlflowClient, log: tracking.TrialLog
):
    client.set_tag(log.run_id, "genre.host", "elsewhere")
    client.set_tag(log.run_id, "genre.job", " ".join(this_process().values()))
    tracking.sweep_dead_runs()
    assert run_of(client, log).info.status == "RUNNING"
    tracking.sweep_dead_runs(own=True)
    assert run_of(client, log).info.status == "KILLED"
