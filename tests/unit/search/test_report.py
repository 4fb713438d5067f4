"""What people see of a search: pictures, table, dashboard, commands."""

import json
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from pydantic import SecretStr
from typer.testing import CliRunner

from genre_mlops.cli import app
from genre_mlops.fitting import Plan
from genre_mlops.search.attributes import ACCURACY, PLACE, REASON, RUN, SECONDS
from genre_mlops.search.report import dashboard_command, importances, search_pictures, trial_table
from genre_mlops.search.studies import open_study

N_TRIALS = 15


def study_of(n_objectives: int, n_trials: int = N_TRIALS) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * n_objectives)
    space = {"network.dropout": FloatDistribution(0.1, 0.5)}
    space |= {"network.kind": CategoricalDistribution(("cnn1d", "cnn2d"))}
    for place in range(n_trials):
        pruned = place % 4 == 3
        values = [1.0 / (place + 1) + place % 2, 100.0 * place][:n_objectives]
        told = {PLACE: n_trials - place, RUN: "r", REASON: "why", SECONDS: 2.0, ACCURACY: 0.5}
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                values=None if pruned else values,
                params={
                    "network.dropout": 0.1 + 0.02 * place,
                    "network.kind": ("cnn1d", "cnn2d")[place % 2],
                },
                distributions=space,
                user_attrs=told,
                intermediate_values={} if n_objectives > 1 else {1: 2.0, 2: 1.0},
            )
        )
    return study


def test_one_objective_has_four_pictures_that_say_what_they_show():
    pictures = search_pictures(study_of(1), kind="synthetic ")
    assert pictures.keys() == {
        "history",
        "intermediate_values",
        "parallel_coordinate",
        "importance",
    }
    for name in ("history", "intermediate_values"):
        assert pictures[name].axes[0].get_ylabel() == "synthetic validation loss"
    assert "synthetic validation loss" in pictures["importance"].axes[0].get_xlabel()


def test_two_objectives_have_their_front():
    pictures = search_pictures(study_of(2), kind="")
    assert "pareto_front" in pictures
    assert "intermediate_values" not in pictures
    axes = pictures["pareto_front"].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "validation loss",
        "multiply-adds of a segment",
    )


@pytest.mark.parametrize("n_trials", [1, 4])
def test_few_trials_have_what_can_be_drawn_of_them(n_trials: int):
    assert "history" in search_pictures(study_of(1, n_trials), kind="")


def test_importances_are_shares():
    found = importances(study_of(1))
    assert found.keys() == {"network.dropout", "network.kind"}
    assert sum(found.values()) == pytest.approx(1)
    assert importances(study_of(1, 9)) == {}


def test_the_table_has_a_row_for_each_trial_in_the_order_of_places():
    table = trial_table(study_of(1).get_trials())
    assert list(table["trial"]) == list(range(1, N_TRIALS + 1))
    assert set(table["state"]) == {"complete", "pruned"}
    assert {"validation_loss", "network.dropout", "why", "seconds"} <= set(table.columns)


def test_the_dashboard_command_shows_the_study(plan: Plan):
    plan = replace(plan, folder=plan.folder.with_name("with blanks"))
    name = open_study(plan).study_name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program, *arguments = shlex.split(dashboard_command(plan))
    process = subprocess.Popen(
        [Path(sys.executable).with_name(program), *arguments, "--port", str(port)],
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
    assert dashboard_command(plan) == ('optuna-dashboard "$GENRE_SEARCH_STORAGE" --host 127.0.0.1')


def run(*arguments: str, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, ["search", *arguments])
    assert done.exit_code == exit_code, done.output
    return done.output


def test_the_space_is_printed_as_a_table():
    changed = 'network.dropout=0.2 search.space.augment.eq_db={"low":1,"high":9}'
    lines = {line.split()[0]: line.strip() for line in run("space", "--set", changed).splitlines()}
    assert lines["network.dropout"].split(maxsplit=2)[1:] == ["0.2", "not searched: set"]
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
    monkeypatch.setenv("GENRE_SEARCH_STORAGE", "mysql://x")
    assert "not the address of a database" in run("studies", exit_code=2)
