"""`mlflow run` itself, as `make run` calls it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import PROJECT, Place
from tests.pipelines.runs import all_runs

SET = "data.demo_tracks=30 data.demo_duration_s=10"


@pytest.mark.slow
def test_parameters_pass_through_mlflow_and_a_bad_one_ends_the_run_as_failed(place: Place):
    mlflow = Path(sys.executable).with_name("mlflow")
    env = place.env | {"PATH": f"{mlflow.parent}:{place.env['PATH']}"}

    def project_run(*parameters: str) -> subprocess.CompletedProcess[str]:
        command = [str(mlflow), "run", ".", "--env-manager", "local", "-e", "validate"]
        for parameter in parameters:
            command += ["-P", parameter]
        return subprocess.run(
            command, cwd=PROJECT, env=env, check=False, capture_output=True, text=True
        )

    assert project_run(f"set={SET}", "seed=3").returncode == 0
    outer, inner = all_runs(place)
    assert outer.data.tags["mlflow.source.type"] == "PROJECT"
    assert outer.data.params["cfg.seed"] == "3"
    assert outer.info.run_name == "validate: demo (synthetic music)"
    assert inner.data.metrics["usable_tracks"] == 30

    failed = project_run("seed=none")
    assert failed.returncode == 1
    assert "seed: Input should be a valid integer" in failed.stderr
    assert [run.info.status for run in all_runs(place)] == ["FINISHED", "FINISHED", "FAILED"]
