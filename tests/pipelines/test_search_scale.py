"""Searches by several processes: on SQLite, PostgreSQL and a cluster, and while they are killed."""

import os
import pickle
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.trial import FrozenTrial, TrialState
from pydantic import SecretStr

from genre_mlops import tracking
from genre_mlops.cluster import count_workers
from genre_mlops.domain import ITEM, RESULT, Mapper
from genre_mlops.engine import Engine
from genre_mlops.fitting import Plan, sources_of
from genre_mlops.search import search
from genre_mlops.search.attributes import DONE, JOB, PLACE, RUN, WORKER
from genre_mlops.store import FeatureStore
from tests import copied, postgres
from tests.clusters import scheduler, worker
from tests.plans import CONFIG, UNCHANGED, make_plan, with_runs
from tests.searches import SPACE, newest, only
from tests.unit.search.conftest import fresh

pytestmark = pytest.mark.slow
STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "KILLED"}
N_TRIALS = 24
# Trainings of a second, some of them pruned after the second of four epochs.
SHORT = {
    "network.kind": "cnn1d",
    "network.cnn1d.n_blocks": 1,
    "training.epochs": 4,
    "search.trials": N_TRIALS,
    "search.startup_trials": 8,
    "search.pruning_warmup_share": 0.5,
    "features.n_mels": 20,
}
N_MELS = {"features.n_mels": [20, 24]}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    config = CONFIG.override(UNCHANGED | SHORT | only(SPACE | N_MELS))
    return with_runs(make_plan(tmp_path_factory.mktemp("music"), config))


@pytest.fixture
def plan(music: Plan, tmp_path: Path) -> Plan:
    return fresh(music, tmp_path / "studies")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    programs = postgres.find_programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs are not installed")
    with postgres.server(programs) as address:
        yield address


def runs_of(plan: Plan) -> dict[str, Run]:
    client = MlflowClient(plan.tracking_uri)
    return {run.info.run_id: run for run in client.search_runs([plan.experiment_id])}


def ended_ones(plan: Plan, n_trials: int) -> list[FrozenTrial]:
    """Return the trials that ended, once they were seen to be as many as asked, each with its run.

    None of them, and none of the others, may still run; each place is filled once, and no two
    trials are alike.
    """
    trials = newest(plan).get_trials()
    ended = [trial for trial in trials if trial.state in DONE]
    assert sorted(trial.user_attrs[PLACE] for trial in ended) == list(range(n_trials))
    assert {trial.state for trial in trials} <= {*DONE, TrialState.FAIL}
    assert len({str(sorted(trial.params.items())) for trial in ended}) == n_trials
    runs = runs_of(plan)
    assert "RUNNING" not in {run.info.status for run in runs.values()}
    for trial in trials:
        if RUN not in trial.user_attrs:
            assert trial.state is TrialState.FAIL
            continue
        run = runs[trial.user_attrs[RUN]]
        assert run.info.status == STATUS[trial.state], run.data.tags
        assert run.data.tags["mlflow.parentRunId"] == plan.parent_run_id
        assert run.data.tags["genre.reason"]
        if trial.state is TrialState.COMPLETE:
            assert run.data.metrics["best_validation_loss"] == trial.values[0]
        if trial.state in DONE:
            for key, value in trial.params.items():
                assert run.data.params[key] == str(value)
            curve = MlflowClient(plan.tracking_uri).get_metric_history(
                run.info.run_id, "validation_loss"
            )
            told = {point.step: point.value for point in curve}
            assert told == trial.intermediate_values
    return ended


def test_two_workers_on_sqlite(plan: Plan):
    tracking.use_tracking_uri(plan.tracking_uri)
    best = search(plan, Engine(2))
    ended = ended_ones(plan, N_TRIALS)
    assert len(newest(plan).get_trials()) == len(runs_of(plan)) == N_TRIALS
    states = Counter(trial.state for trial in ended)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == N_TRIALS
    assert states[TrialState.PRUNED] == best.n_pruned > 0
    losses = [trial.values[0] for trial in ended if trial.state is TrialState.COMPLETE]
    assert best.validation_loss == min(losses)
    assert best.network.is_file()
    assert 0 < best.tracking_share < 0.5  # of trials of a second; see docs/search.md


def test_the_same_seed_and_one_worker_give_the_same_trials_bit_for_bit(music: Plan, tmp_path: Path):
    tracking.use_tracking_uri(music.tracking_uri)
    found = []
    for name in "ab":
        plan = fresh(music, tmp_path / name)
        few = {"search.trials": 5, "search.startup_trials": 2}
        plan = replace(plan, config=plan.config.override(few))
        best = search(plan, Engine(1))
        trials = sorted(ended_ones(plan, 5), key=lambda trial: trial.user_attrs[PLACE])
        told = [(t.state, t.params, t.values, t.intermediate_values) for t in trials]
        found.append((told, best.choice.place, weights_of(best.network)))
    assert found[0] == found[1]


def weights_of(network: Path) -> list[bytes]:
    from genre_mlops.learning.networks import load_network

    return [weights.tobytes() for weights in load_network(network).get_weights()]


def searching(plan: Plan, folder: Path) -> AbstractContextManager[BaseProcess]:
    """Run the same search in a process of its own."""
    pickled = folder / "plan.pickle"
    pickled.write_bytes(pickle.dumps(plan))
    command = ["-m", "tests.pipelines.searching", str(pickled)]
    return copied.started(command, folder=folder, env=os.environ, told=folder)


def end_of(process: BaseProcess, seconds: float) -> int | None:
    """Wait for its end, and return its exit code."""
    process.join(seconds)
    return process.exitcode


def test_two_jobs_of_two_workers_each_share_a_study_on_postgresql(
    plan: Plan, database: str, tmp_path: Path
):
    plan = replace(plan, storage=SecretStr(database))
    with searching(plan, tmp_path) as one, searching(plan, tmp_path) as other:
        jobs = (one, other)
        assert [end_of(job, 500) for job in jobs] == [0, 0]
    ended = ended_ones(plan, N_TRIALS)
    assert len(newest(plan).get_trials()) == len(runs_of(plan)) == N_TRIALS
    assert {trial.user_attrs[JOB]["pid"] for trial in ended} == {str(job.pid) for job in jobs}
    assert len({trial.user_attrs[WORKER]["pid"] for trial in ended}) >= 4


def trials_of(plan: Plan) -> list[FrozenTrial]:
    """Return the trials of a study that another process may just be beginning."""
    try:
        return newest(plan).get_trials()
    except (ValueError, KeyError):
        return []


def n_epochs(plan: Plan) -> int:
    return sum(len(trial.intermediate_values) for trial in trials_of(plan))


def kill_a_worker(process: BaseProcess, turn: int) -> int:
    """Kill one of a search's workers, and return how many were killed."""
    workers = [
        child
        for child in psutil.Process(process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]
    if workers:
        workers[turn % len(workers)].kill()
    return bool(workers)


def test_nothing_is_lost_by_killing_workers_and_the_search_itself(plan: Plan, tmp_path: Path):
    plan = replace(plan, config=plan.config.override({"search.trials": 9}))
    n_killed, deadline = 0, time.monotonic() + 400
    # Workers die every few seconds, but for where none gets an epoch further meanwhile.
    with searching(plan, tmp_path) as process:
        while n_killed < 2 or not any(t.state is TrialState.COMPLETE for t in trials_of(plan)):
            before = n_epochs(plan)
            time.sleep(3)
            while n_epochs(plan) == before:
                assert time.monotonic() < deadline
                assert process.is_alive()
                time.sleep(0.2)
            n_killed += kill_a_worker(process, n_killed)
    before = [t for t in newest(plan).get_trials() if t.state is TrialState.COMPLETE]
    best_before = min(trial.values[0] for trial in before)
    with searching(plan, tmp_path) as process:
        assert end_of(process, 400) == 0
    ended = ended_ones(plan, 9)
    kept = {trial.number: trial.values for trial in ended}
    assert all(kept[trial.number] == trial.values for trial in before)
    losses = [trial.values[0] for trial in ended if trial.state is TrialState.COMPLETE]
    assert min(losses) <= best_before
    # Each that was cut off has left a trial, with its run, that is over too.
    assert len(newest(plan).get_trials()) > 9


def test_a_cluster_goes_on_when_a_worker_is_killed(plan: Plan, tmp_path: Path):
    """Features are built and a search ends, both on two workers of which one is killed."""
    tracking.use_tracking_uri(plan.tracking_uri)
    # Of many epochs, so that there is a middle to be killed in.
    longer = {"search.trials": 4, "training.epochs": 20, "search.pruning": 0}
    plan = replace(plan, config=plan.config.override(longer))
    catalog = pd.read_parquet(plan.catalog)
    with scheduler(tmp_path) as (address, _), worker(tmp_path):
        engine = Engine(2, dask=address, shared=tmp_path)
        with worker(tmp_path) as second:
            there = FeatureStore(tmp_path / "there", plan.config.features)
            found = there.build(sources_of(catalog), killing(engine, second))
        assert (found.n_built, found.failures) == (len(catalog), {})
        here = FeatureStore(plan.features, plan.config.features)
        for sha256 in catalog["sha256"]:
            np.testing.assert_array_equal(there[sha256], here[sha256])
        with worker(tmp_path) as second:
            while count_workers(address, patience_s=60.0) < 2:
                time.sleep(0.1)
            killer = Thread(target=kill_in_a_trial, args=(plan, second), daemon=True)
            killer.start()
            best = search(plan, engine)
            killer.join(10)
            assert second.wait(0) is not None
    assert best.n_trials == len(ended_ones(plan, 4))
    assert TrialState.FAIL in {trial.state for trial in newest(plan).get_trials()}


def killing(engine: Engine, process: "subprocess.Popen[bytes]") -> Mapper:
    """Return the engine's map, which kills a worker when the first result is there."""

    def run(function: Callable[[ITEM], RESULT], items: Sequence[ITEM], *, label: str):
        assert len(items) > 2
        while count_workers(engine.dask, patience_s=60.0) < 2:
            time.sleep(0.1)
        for number, result in enumerate(engine.map(function, items, label=label)):
            if number == 0:
                os.killpg(process.pid, signal.SIGKILL)
            yield result

    return run


def kill_in_a_trial(plan: Plan, process: "subprocess.Popen[bytes]") -> None:
    """Kill a worker that is in the middle of a trial."""
    nanny = psutil.Process(process.pid)
    while True:
        time.sleep(0.05)
        running = [t for t in trials_of(plan) if t.state is TrialState.RUNNING]
        ours = {str(child.pid) for child in nanny.children(recursive=True)}
        if any(t.intermediate_values and t.user_attrs[WORKER]["pid"] in ours for t in running):
            os.killpg(process.pid, signal.SIGKILL)
            return
