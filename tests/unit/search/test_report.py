"""What people see of a search: pictures, table, dashboard, commands."""

import json
import shlex
import socket
import subprocess
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial
from pydantic import SecretStr
from typer.testing import CliRunner

from genre_mlops.cli import app
from genre_mlops.fitting import Plan
from genre_mlops.search import search
from genre_mlops.search.budget import Budget
from genre_mlops.search.report import (
    SearchReport,
    SeenTrial,
    dashboard_command,
    importances,
    report_of,
    trial_table,
)
from genre_mlops.search.studies import open_study
from genre_mlops.search_pictures import search_pictures
from tests.searches import EngineHere

N_TRIALS = 15


def report_on(n_objectives: int, n_trials: int = N_TRIALS) -> SearchReport:
    """A search whose every fourth trial was pruned."""
    trials = []
    for place in range(n_trials):
        pruned = place % 4 == 3
        trials.append(
            SeenTrial(
                place=place,
                loss=None if pruned else 1.0 / (place + 1) + place % 2,
                size=None if pruned or n_objectives == 1 else 1e6 * (1 + place),
                loss_error=0.1,
                cut_off=place == n_trials - 1,
                # One that was pruned is far off.
                curve={} if n_objectives > 1 else {1: 2.0, 2: 1.0 + place + 900 * pruned},
                params={
                    "network.dropout": 0.1 + 0.02 * place,
                    "network.kind": ("cnn1d", "cnn2d")[place % 2],
                    "seed": 3,
                },
            )
        )
    importance = {"network.dropout": 0.7, "network.kind": 0.3}
    return SearchReport(
        trials=trials,
        taken=2 * (n_trials > 2),
        n_objectives=n_objectives,
        by_ratio=frozenset({"network.dropout"}),
        importance=importance,
        kind="synthetic ",
        title="Search",
    )


def labels(figure: Figure) -> tuple[str, str]:
    return figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()


def test_one_objective_has_four_pictures_that_say_what_they_show():
    pictures = search_pictures(report_on(1))
    assert {name: labels(figure) for name, figure in pictures.items()} == {
        "history": ("trial", "synthetic validation loss"),
        "intermediate_values": ("epoch", "synthetic validation loss"),
        "parallel_coordinate": ("", ""),
        "importance": ("share in what makes the loss low (PED-ANOVA)", ""),
    }
    names = [
        label.get_text() for label in pictures["parallel_coordinate"].axes[0].get_xticklabels()
    ]
    # What all trials share has no axis.
    assert [name.replace("\n", "") for name in names] == ["network.dropout", "network.kind"]
    n_lines = len(pictures["intermediate_values"].axes[0].get_lines())
    assert n_lines == N_TRIALS + sum(place % 4 == 3 for place in range(N_TRIALS))
    for name in ("history", "intermediate_values"):
        assert pictures[name].axes[0].get_ylim()[1] < 25
        said = [text.get_text() for text in pictures[name].axes[0].texts]
        assert said == ["higher losses are not shown"]
    told = [text.get_text() for text in pictures["history"].legends[0].get_texts()]
    assert "time was over" in told


def test_two_objectives_have_their_front():
    pictures = search_pictures(report_on(2))
    assert pictures.keys() == {"history", "pareto_front", "parallel_coordinate", "importance"}
    assert labels(pictures["pareto_front"]) == (
        "million multiply-adds of a segment",
        "synthetic validation loss",
    )


@pytest.mark.parametrize("n_trials", [1, 2])
@pytest.mark.parametrize("n_objectives", [1, 2])
def test_few_trials_have_what_can_be_drawn_of_them(n_objectives: int, n_trials: int):
    pictures = search_pictures(report_on(n_objectives, n_trials))
    assert "history" in pictures
    assert ("parallel_coordinate" in pictures) == (n_trials > 1)


def study_of(n_trials: int) -> optuna.Study:
    study = optuna.create_study()
    space = {"network.dropout": FloatDistribution(0.1, 0.5)}
    space |= {"network.kind": CategoricalDistribution(("cnn1d", "cnn2d"))}
    for place in range(n_trials):
        params = {
            "network.dropout": 0.1 + 0.02 * place,
            "network.kind": ("cnn1d", "cnn2d")[place % 2],
        }
        told = {"params": params, "distributions": space}
        study.add_trial(create_trial(value=1.0 / (place + 1) + place % 2, **told))
    return study


def test_importances_are_shares_and_of_few_trials_there_are_none():
    found = importances(study_of(15))
    assert found.keys() == {"network.dropout", "network.kind"}
    assert sum(found.values()) == pytest.approx(1)
    assert importances(study_of(9)) == {}


def test_a_search_is_reported_by_its_places(plan: Plan, trainings):
    from genre_mlops.learning.training import TrainingDivergedError

    trainings({2: TrainingDivergedError("no numbers")})
    best = search(plan, EngineHere())
    budget = Budget(plan, best.study)
    found = report_of(plan, best, budget)
    assert [trial.place for trial in found.trials] == [0, 1, 2, 3]
    assert [trial.loss is None for trial in found.trials] == [False, True, False, False]
    assert found.taken == best.choice.place
    assert found.title.startswith("Synthetic search key-001")
    table = trial_table(budget)
    assert list(table["trial"]) == [0, 1, 2, 3]
    assert list(table["state"]) == ["complete", "pruned", "complete", "complete"]
    assert table["why"][1] == "no numbers"
    assert {"validation_loss", "network.dropout", "seconds", "worker_memory_mb"} <= set(table)


def test_the_dashboard_command_shows_the_study(plan: Plan):
    plan = replace(plan, folder=plan.folder.with_name("with blanks"))
    name = open_study(plan).study_name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program, *arguments = shlex.split(dashboard_command(plan))
    process = subprocess.Popen(
        [program, *arguments, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                    told = json.load(answer)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(30)
    assert [study["study_name"] for study in told["study_summaries"]] == [name]


def test_the_dashboard_command_holds_no_password(plan: Plan):
    plan = replace(plan, storage=SecretStr("postgresql+psycopg://me:secret@10.0.0.5/genre"))
    told = dashboard_command(plan)
    assert told.endswith('optuna-dashboard "$GENRE_SEARCH_STORAGE" --host 127.0.0.1')


def run(*arguments: str, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, ["search", *arguments])
    assert done.exit_code == exit_code, done.output
    return done.output


def test_the_space_is_printed_as_a_table():
    changed = 'network.dropout=0.2 search.space.augment.eq_db={"low":1,"high":9}'
    lines = {line.split()[0]: line.strip() for line in run("space", "--set", changed).splitlines()}
    assert lines["network.dropout"].split(maxsplit=2)[1:] == [
        "0.2",
        "not searched: set, or null in the space",
    ]
    assert lines["augment.eq_db"].split() == ["augment.eq_db", "4.0", "1", "to", "9"]
    rows = json.loads(run("space", "--json"))
    assert {row["key"] for row in rows} >= {"network.kind", "features.n_mels"}
    assert "unknown setting" in run("space", "--set", "network.dropot=1", exit_code=2)


def test_studies_are_listed(plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("GENRE_SEARCH_STORAGE", raising=False)
    monkeypatch.setenv("GENRE_WORKSPACE", str(tmp_path))
    assert "no studies yet" in run("studies")
    assert not (tmp_path / "studies").exists()
    name = open_study(plan).study_name
    [found] = json.loads(run("studies", "--json"))
    assert (found["name"], found["n_ended"], found["finished"]) == (name, 0, False)
    assert name in run("studies")
    monkeypatch.setenv("GENRE_SEARCH_STORAGE", f"sqlite:///{tmp_path / 'typo' / 'x.db'}")
    assert f"{tmp_path / 'typo' / 'x.db'} is not there" in run("studies").replace("\n", "")
    assert not (tmp_path / "typo").exists()
    monkeypatch.setenv("GENRE_SEARCH_STORAGE", "mysql://x")
    assert "not the address of a database" in run("studies", exit_code=2)
