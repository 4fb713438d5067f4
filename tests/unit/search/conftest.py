"""Plans of searches, each with a database and an experiment of its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from genre_mlops import tracking
from genre_mlops.fitting import Plan
from tests.searches import SPACE, Trainings, only


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Tracks and a database of runs, for all tests here."""
    from tests.plans import CONFIG, UNCHANGED, make_plan, with_runs

    few = {"search.trials": 4, "search.startup_trials": 3, "network.kind": "cnn1d"}
    config = CONFIG.override(UNCHANGED | few | only(SPACE))
    return with_runs(make_plan(tmp_path_factory.mktemp("music"), config))


@pytest.fixture
def plan(music: Plan, tmp_path: Path) -> Plan:
    """A plan whose studies nobody has begun."""
    return fresh(music, tmp_path / "studies")


def fresh(plan: Plan, folder: Path) -> Plan:
    """Return a plan with another place for its studies and another experiment."""
    tracking.use_tracking_uri(plan.tracking_uri)
    experiment = MlflowClient(plan.tracking_uri).create_experiment(str(folder))
    return replace(plan, folder=folder, experiment_id=experiment)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trainings]:
    """Let no network be trained."""

    def instead(wrong: dict[int, BaseException] | None = None, **how: bool) -> Trainings:
        stand_in = Trainings(wrong, **how)
        monkeypatch.setattr("genre_mlops.search.trials.fit", stand_in)
        return stand_in

    return instead
