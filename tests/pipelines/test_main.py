"""The main job, once and again."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from genre_mlops.splits import split_digest
from tests.pipelines.conftest import PROJECT, SMALL, Ran
from tests.pipelines.runs import MODEL, all_runs, client, parent_of, runs_of, statuses, step_of

pytestmark = pytest.mark.slow


def test_every_step_is_a_finished_run_in_the_main_one(main_job: Ran):
    runs = all_runs(main_job.place)[:10]
    main = runs[0]
    assert main.info.run_name == "main: demo (synthetic music)"
    steps = [step_of(run) for run in runs[1:] if parent_of(run) == main.info.run_id]
    assert steps == ["validate", "features", "baseline", "train", "register", "package"]
    trials = runs_of(main_job.place, "trial")[:2]
    train = runs_of(main_job.place, "train")[0]
    assert [parent_of(trial) for trial in trials] == [train.info.run_id] * 2
    member = runs_of(main_job.place, "member")[0]
    assert parent_of(member) == train.info.run_id
    assert all(run.info.status == "FINISHED" for run in runs if step_of(run) != "trial")


def test_a_trial_has_its_parameters_and_a_curve(main_job: Ran):
    trial = runs_of(main_job.place, "trial")[0]
    assert trial.data.params.keys() >= {"training.learning_rate", "network.dropout", "seed"}
    curve = client(main_job.place).get_metric_history(trial.info.run_id, "validation_loss")
    assert [point.step for point in curve] == [1, 2, 3]
    best = min(point.value for point in curve)
    assert trial.data.metrics["best_validation_loss"] == best


def test_a_trial_says_how_large_its_network_is_and_how_long_it_waited(main_job: Ran):
    trial = runs_of(main_job.place, "trial")[0]
    assert int(trial.data.params["multiply_adds"]) > int(trial.data.params["parameters"]) > 0
    assert 0 <= trial.data.metrics["input_wait_share"] < 1
    train = runs_of(main_job.place, "train")[0]
    # Two networks of one size, averaged.
    member = runs_of(main_job.place, "member")[0]
    assert train.data.metrics["parameters"] == 2 * int(member.data.params["parameters"])
    assert train.data.metrics["temperature"] > 0
    artifacts = client(main_job.place).list_artifacts(train.info.run_id)
    assert "network.txt" in {file.path for file in artifacts}


def test_the_best_trial_is_the_one_with_the_least_validation_loss(main_job: Ran):
    train = runs_of(main_job.place, "train")[0]
    trials = [t for t in runs_of(main_job.place, "trial") if parent_of(t) == train.info.run_id]
    losses = {t.info.run_id: t.data.metrics.get("best_validation_loss", 99) for t in trials}
    assert train.data.tags["genre.best_run"] == min(losses, key=losses.__getitem__)
    assert train.data.metrics["best_validation_loss"] == min(losses.values())


def test_the_search_leaves_tables_pictures_and_a_note(main_job: Ran):
    train = runs_of(main_job.place, "train")[0]
    files = client(main_job.place).list_artifacts(train.info.run_id, "search")
    # Importance needs more trials.
    pictures = {"history.png", "intermediate_values.png", "parallel_coordinate.png"}
    assert {Path(file.path).name for file in files} == {"space.json", "trials.json"} | pictures
    assert train.data.metrics["trials"] == 2
    assert 0 < train.data.metrics["tracking_share"] < 1
    assert train.data.metrics["worker_memory_mb"] > 100
    assert "is taken: least validation loss" in train.data.tags["mlflow.note.content"]
    assert train.data.tags["genre.study"].endswith("-001")


def test_the_test_score_says_that_it_is_synthetic(main_job: Ran):
    register = runs_of(main_job.place, "register")[0]
    assert 0 <= register.data.metrics["synthetic_test_accuracy"] <= 1
    assert not any(name.startswith("test_") for name in register.data.metrics)
    assert "synthetic test score" in main_job.output
    version = client(main_job.place).get_model_version(MODEL, "1")
    assert "synthetic" in version.description
    assert version.tags["synthetic"] == "true"


def test_the_job_says_how_far_it_is_above_the_floor(main_job: Ran):
    told = runs_of(main_job.place, "main")[0].data.metrics
    above = told["synthetic_test_accuracy"] - told["synthetic_baseline_test_accuracy"]
    assert told["synthetic_test_accuracy_above_floor"] == pytest.approx(above)
    low, high = (told[f"synthetic_test_accuracy_above_floor_{end}"] for end in ("low", "high"))
    assert low <= above <= high


def test_validate_leaves_a_report_and_the_data_set(main_job: Ran):
    run = runs_of(main_job.place, "validate")[0]
    assert run.data.metrics["usable_tracks"] == 60
    artifacts = {a.path for a in client(main_job.place).list_artifacts(run.info.run_id, "quality")}
    assert artifacts == {
        f"quality/{name}"
        for name in (
            *("report.html", "data_docs.html", "checks.json"),
            *("catalog.parquet", "duplicates.parquet"),
        )
    }


def test_every_run_says_which_data_it_is_about(main_job: Ran):
    runs = all_runs(main_job.place)[:10]
    splits = pd.read_parquet(next((main_job.place.root / "workspace" / "splits").iterdir()))
    digest = split_digest(splits)
    for run in runs:
        assert run.data.tags["genre.split_digest"] == digest, step_of(run)
        assert run.data.tags["genre.dataset"] == "demo"
    for run in (runs[0], runs_of(main_job.place, "validate")[0]):
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("demo", digest)
        assert "composed" in used.dataset.source
        tags = {tag.key: tag.value for tag in used.tags}
        assert tags["licence"].startswith("Compositions: MIT")


def test_register_leaves_pictures_and_tables(main_job: Ran):
    run = runs_of(main_job.place, "register")[0]
    artifacts = {a.path for a in client(main_job.place).list_artifacts(run.info.run_id, "test")}
    both = ("per_genre", "reliability", "abstention", "robustness")
    assert artifacts == {
        *("test/confusion.png", "test/per_track.json"),
        *(f"test/{name}.{kind}" for name in both for kind in ("png", "json")),
    }
    assert run.data.metrics.keys() >= {
        f"synthetic_test_{name}{end}"
        for name in ("calibration_error", "top_3_accuracy", "coverage", "noise_20_db_difference")
        for end in ("", "_low", "_high")
    }


def test_the_summary_names_data_trial_score_version_bento_and_next_commands(main_job: Ran):
    for pattern in (
        r"demo: 60 synthetic tracks of 10 genres, 0 set aside",
        r"best trial +trial \d, of 2",
        r"accuracy 0\.\d{3}, 95 % interval 0\.\d{3} to 0\.\d{3}",
        r"genre-classifier 1, champion",
        r"genre_classifier:v1-",
        r"make serve",
        r"make ui",
    ):
        assert re.search(pattern, main_job.output), pattern


def test_twice_registers_twice_computes_once_and_gives_the_same_numbers(main_job: Ran):
    place = main_job.place
    before = statuses(place)
    again = place.pipeline(SMALL).stdout
    assert "genre-classifier 2, challenger" in again
    assert "not shown to be better" in again
    features = runs_of(place, "features")
    assert features[0].data.metrics["built"] == features[-1].data.metrics["reused"] == 60
    assert features[-1].data.metrics["built"] == 0
    after = statuses(place)
    assert "RUNNING" not in after
    assert after["FINISHED"] > before["FINISHED"]

    model = client(place).get_registered_model(MODEL)
    assert {a: int(v) for a, v in model.aliases.items()} == {"champion": 1, "challenger": 2}
    # Same data, config and seed: the same trials to the last bit, and the same figures.
    curves = [
        [
            [(p.step, p.value) for p in client(place).get_metric_history(t.info.run_id, name)]
            for name in ("train_loss", "validation_loss")
        ]
        for t in runs_of(place, "trial")
    ]
    assert curves[:2] == curves[2:]
    one, two = (run.data.metrics for run in runs_of(place, "register"))
    # How fast it answers, and how long the names in its graph are, is no figure of the network.
    costs = {"latency_ms", "size_mb"}
    assert costs < one.keys()
    assert {k: one[k] for k in one.keys() - costs} == {k: two[k] for k in two.keys() - costs}


def test_doctor_finds_nothing_wrong(main_job: Ran):
    found = json.loads(main_job.place.cli("doctor", "--json").stdout)
    topics = {finding["topic"]: finding for finding in found}
    assert not any(finding["state"] == "wrong" for finding in found)
    assert "trained on synthetic music" in topics["champion"]["text"]
    assert topics["bento"]["text"].startswith("genre_classifier:v1-")


def test_a_single_entry_point_runs_what_it_needs(main_job: Ran):
    done = main_job.place.pipeline(SMALL, step="features")
    assert "features: 0 built, 60 reused" in done.stdout
    packaged = main_job.place.pipeline(SMALL, step="package").stdout
    assert "is packaged already" in packaged


def test_a_bundle_for_another_certainty_is_not_registered(main_job: Ran):
    other = [*SMALL[:-1], f"{SMALL[-1]} evaluation.sure_accuracy=0.5"]
    refused = main_job.place.pipeline(other, step="register", exit_code=2)
    said = "sure_accuracy is 0.5, and the last search's bundle was made for 0.9: run the train"
    assert said in " ".join((refused.stdout + refused.stderr).split())


def test_mlproject_hands_every_parameter_to_every_entry_point():
    project = yaml.safe_load((PROJECT / "MLproject").read_text())
    names = {"dataset", "split", "network", "trials", "epochs", "minutes", "workers"}
    names |= {"objective", "engine", "seed", "config", "set"}
    assert set(project["entry_points"]) == {
        *("main", "validate", "features", "baseline", "train", "register", "package")
    }
    for name, entry in project["entry_points"].items():
        assert set(entry["parameters"]) == names
        assert entry["command"].startswith(f"python -m pipelines.{name} ")
        assert all(f"--{key} {{{key}}}" in entry["command"] for key in names)
        assert (PROJECT / "pipelines" / f"{name}.py").is_file()
