"""`mlflow run` itself, as `make run` calls it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.music import write_tune
from tests.pipelines.conftest import ALONE, PROJECT, Place
from tests.pipelines.runs import all_runs

SET = "quality.min_duration_s=1 quality.min_sr=9000"


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_parameters_pass_through_mlflow_and_a_bad_one_ends_the_run_as_failed(place: Place):
    mlflow = Path(sys.executable).with_name("mlflow")
    env = place.env | ALONE | {"PATH": f"{mlflow.parent}:{place.env['PATH']}"}

    def project_run(*parameters: str) -> subprocess.CompletedProcess[str]:
        command = [str(mlflow), "run", ".", "--env-manager", "local", "-e", "validate"]
        for parameter in parameters:
            command += ["-P", parameter]
        return subprocess.run(
            command, cwd=PROJECT, env=env, check=False, capture_output=True, text=True
        )

    music = place.root / "hum or whistle"
    for i, genre in enumerate(("hum", "whistle") * 3):
        write_tune(music / genre / f"{i}.wav", seed=i, duration_s=1.5, base_hz=200 + 100 * i)
    done = project_run(f"dataset={music}", f"set={SET}", "seed=3")
    assert done.returncode == 0, done.stderr
    outer, inner = all_runs(place)
    assert outer.data.tags["mlflow.source.type"] == "PROJECT"
    assert outer.data.params["cfg.seed"] == "3"
    assert outer.data.params["cfg.quality.min_sr"] == "9000"
    assert outer.info.run_name == "validate: hum or whistle"
    assert inner.data.metrics["usable_tracks"] == 6

    failed = project_run("seed=none")
    assert failed.returncode == 1
    assert "seed: Input should be a valid integer" in failed.stderr
    assert [run.info.status for run in all_runs(place)] == ["FINISHED", "FINISHED", "FAILED"]
