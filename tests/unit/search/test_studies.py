"""Studies in their database: found again, shared, ended."""

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import sqlalchemy

from genre_mlops.config import Config
from genre_mlops.errors import GenreError
from genre_mlops.fitting import Plan
from genre_mlops.processes import in_one_line
from genre_mlops.search import (
    end_study,
    find_study,
    newest_bundle,
    storage,
    studies,
    study_key,
)
from genre_mlops.search.attributes import (
    WORKSPACE,
)
from genre_mlops.search.storage import open_storage, reachable
from genre_mlops.search.studies import in_use, note_searched, open_study, searched_s
from tests.searches import GONE

N_ASKED = 10


def ask(address: str, ready, numbers) -> None:
    study = optuna.load_study(study_name="x", storage=open_storage(address))
    ready.wait(timeout=60)
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    numbers.put([study.ask(space).number for _ in range(N_ASKED)])


def test_no_two_processes_get_the_same_waiting_trial(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, numbers = context.Barrier(3), context.Queue()
    address = f"sqlite:///{tmp_path / 'search.db'}"
    study = optuna.create_study(study_name="x", storage=open_storage(address))
    for i in range(3 * N_ASKED):
        study.enqueue_trial({"x": i / 100})
    processes = [
        context.Process(target=ask, args=(address, ready, numbers), daemon=True) for _ in range(3)
    ]
    for process in processes:
        process.start()
    asked = [number for _ in processes for number in numbers.get(timeout=120)]
    for process in processes:
        process.join(60)
    assert sorted(asked) == list(range(3 * N_ASKED))


def test_a_study_is_found_by_data_config_and_code(monkeypatch: pytest.MonkeyPatch):
    key = study_key(Config(), "data")
    alike = {"search.workers": 3, "search.trials": 9, "search.minutes": 5, "quality.min_sr": 16_000}
    alike |= {"gate.alpha": 0.01, "monitor.alpha": 0.02}
    assert study_key(Config().override(alike), "data") == key
    changes = [
        {"network.dropout": 0.2},
        {"search.pruning": 4},
        {"search.objective": "accuracy+size"},
        {"search.space.network.dropout": {"low": 0.1, "high": 0.4}},
    ]
    others = {study_key(Config().override(change), "data") for change in changes}
    others.add(study_key(Config(), "other data"))
    monkeypatch.setattr(studies, "_TRAINING_MODULES", ("learning/augment.py",))
    others.add(study_key(Config(), "data"))
    assert len(others - {key}) == 6


def test_the_newest_bundle_is_of_the_highest_number(tmp_path: Path):
    with pytest.raises(GenreError, match="nothing to register: no search"):
        newest_bundle(tmp_path, Config(), "data")
    for number in (998, 1000, 999):
        (tmp_path / f"{study_key(Config(), 'data')}-{number:03d}" / "bundle-003").mkdir(
            parents=True
        )
    newest = tmp_path / f"{study_key(Config(), 'data')}-1000" / "bundle-001"
    newest.mkdir()
    os.utime(newest.with_name("bundle-003"), (1, 1))
    assert newest_bundle(tmp_path, Config(), "data") == newest


def test_a_database_that_cannot_be_used_is_said_without_its_password(tmp_path: Path):
    address = "postgresql+psycopg://me:secret@127.0.0.1:1/genre"
    with pytest.raises(GenreError, match=r"me:\*\*\*@127.0.0.1:1/genre cannot be used") as caught:
        open_storage(address)
    assert "secret" not in str(caught.value)
    (tmp_path / "text.db").write_text("no database " * 1_000)
    with pytest.raises(GenreError, match=r"GENRE_SEARCH_STORAGE\): file is not a database"):
        open_storage(f"sqlite:///{tmp_path / 'text.db'}")


def test_what_ails_a_database_is_said_in_its_words_not_in_optunas():
    cause = sqlalchemy.exc.OperationalError("INSERT", {}, OSError("the disk is full"))
    with pytest.raises(GenreError, match="to go on: the disk is full"), reachable():
        raise optuna.exceptions.StorageInternalError("An exception is raised") from cause


def test_what_an_address_says_is_not_overruled():
    settings = storage._engine_settings(
        "postgresql+psycopg://me@db/genre?options=-csearch_path%3Dteam"
    )
    assert "options" not in settings["connect_args"]
    assert settings["connect_args"]["connect_timeout"] == 10


def test_a_study_is_shared_until_it_has_ended(plan: Plan, tmp_path: Path):
    assert open_study(plan).study_name == "key-001"
    assert open_study(plan).study_name == "key-001"
    folder = plan.folder / "key-001"
    bundle = folder / "bundle-000"
    bundle.mkdir(parents=True)
    networks = ("trial-000.keras", "trial-000-member-001.keras")
    for name in (*networks, "trial-000-member-002.npz", "001.npz"):
        (folder / name).touch()
        (bundle / name).touch()
    study = find_study(bundle, plan.database)
    # While another job is at it, between two trials or at its members, it stays open, and its
    # trials keep their files.
    note_searched(study, plan.job, time.time() - 9)
    searching, shipping = ({**plan.job, "host": name} for name in ("elsewhere", "there"))
    note_searched(study, searching, time.time() - 9)
    end_study(bundle, study, plan.job)
    study.set_user_attr(f"genre.searched.{in_one_line(searching)}", {"job": searching, "seen": 0.0})
    with in_use(replace(plan, job=shipping), "key-001"):
        end_study(bundle, find_study(bundle, plan.database), plan.job)
    assert (folder / "001.npz").exists()
    assert open_study(plan).study_name == "key-001"
    # One that was killed needs nothing any more.
    note_searched(study, GONE, time.time() - 9)
    end_study(bundle, find_study(bundle, plan.database), plan.job)
    assert sorted(path.name for path in folder.iterdir()) == ["bundle-000", WORKSPACE]
    assert len([*bundle.iterdir()]) == 4
    assert open_study(plan).study_name == "key-002"
    with pytest.raises(GenreError, match="not in the studies' database: name the one that its"):
        find_study(folder.with_name("other-001") / "bundle-000", plan.database)


def test_networks_of_another_workspace_are_not_counted_on(plan: Plan, tmp_path: Path):
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    secret = type(plan.storage)(address)
    here, there = (replace(plan, folder=tmp_path / name, storage=secret) for name in "ab")
    assert open_study(here).study_name == "key-001"
    assert open_study(there).study_name == "key-002"
    # Nor do they keep a search from going on.
    assert open_study(here).study_name == "key-001"
    assert address not in repr(here)


def test_a_search_in_another_database_leaves_this_ones_study_and_bundle_alone(
    plan: Plan, tmp_path: Path
):
    assert open_study(plan).study_name == "key-001"
    secret = type(plan.storage)(f"sqlite:///{tmp_path / 'team.db'}")
    elsewhere = replace(plan, storage=secret)
    assert open_study(elsewhere).study_name == "key-002"
    assert open_study(plan).study_name == "key-001"
    assert open_study(elsewhere).study_name == "key-002"


def test_time_that_jobs_search_together_counts_once(plan: Plan):
    study = open_study(plan)
    assert searched_s(study) == 0.0
    now = time.time()
    note_searched(study, {"pid": "1"}, now - 100)
    note_searched(study, {"pid": "2"}, now - 130)
    study.set_user_attr("genre.searched.3", {"searched": [now - 300, now - 250]})
    # To keep its networks is not to search.
    with in_use(plan, study.study_name):
        time.sleep(0.1)
    study = open_study(plan)
    assert searched_s(study) == pytest.approx(180, abs=2)
