"""What the main job registers: gate, promotion, rollback, evidence."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from genre_mlops.learning.bundle import INFO, LINEAGE, ONNX, SEEN
from tests.music import write_tune
from tests.pipelines.conftest import SMALL, Place, Ran, serving
from tests.pipelines.runs import MODEL, aliases_of, artifacts_of, client, statuses

pytestmark = pytest.mark.slow


def cli(place: Place, *arguments: str, exit_code: int = 0) -> str:
    """Run a command; return what it printed, in one line."""
    done = place.cli(*arguments, exit_code=exit_code)
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def place(main_job: Ran) -> Place:
    """Version 1 is the champion; 2 came of the same job once more, and knows what 1 knows."""
    place = main_job.place
    if "challenger" not in aliases_of(place):
        place.pipeline(SMALL)
    assert aliases_of(place) == {"champion": 1, "challenger": 2}
    return place


def of_model(name: str) -> list[str]:
    """The main job's arguments, for a model of another name, without changed music."""
    return [*SMALL[:-1], f"{SMALL[-1]} registry.model={name} evaluation.robustness_tracks=0"]


def test_the_first_is_champion_and_the_second_stood_before_the_gate(place: Place):
    first, second = (client(place).get_model_version(MODEL, v) for v in "12")
    assert first.tags["reason"] == "there was no champion"
    assert second.tags["verdict"] == "hold"
    assert "of champion version 1 on the same 20 tracks" in second.tags["reason"]
    assert "comparison.png" in artifacts_of(place, "2", "gate")
    for version in "12":
        verdict = artifacts_of(place, version, "gate")["verdict.md"].read_text()
        assert "parity with Keras | passed" in verdict
        assert "parity with pyfunc | passed" in verdict
        assert "loads | passed" in verdict


def test_each_version_has_a_card_and_a_bill_of_materials(place: Place):
    found = artifacts_of(place, "1")
    card = found["card.md"].read_text()
    for told in (
        "synthetic",
        "Not for music of other genres",
        "95 % interval",
        ONNX,
        "CPU-seconds",
    ):
        assert told in card
    assert "<h2>Scores</h2>" in found["card.html"].read_text()
    version = client(place).get_model_version(MODEL, "1")
    assert version.description.startswith(f"# {MODEL} 1\n")
    assert len(version.description) <= 5_000
    assert f"(#/experiments/0/runs/{version.run_id})" in version.description
    text = found["bom.cdx.json"].read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert {c["name"] for c in bill["components"] if c["type"] == "file"} >= {ONNX, "lineage.json"}


def test_promotion_asks_the_gate_and_force_needs_a_reason(place: Place):
    assert "not shown to be better" in cli(place, "promote", exit_code=4)
    assert "by --reason" in cli(place, "promote", "2", "--force", exit_code=2)
    assert aliases_of(place) == {"champion": 1, "challenger": 2}
    told = cli(place, "promote", "2", "--force", "--reason", "for a test")
    assert f"{MODEL} 2 is champion (the gate says hold): for a test" in told
    assert "next: genre-mlops package makes its bento" in told
    assert aliases_of(place) == {"champion": 2, "previous": 1}
    assert "is the champion already" in cli(place, "promote", "2", exit_code=1)
    assert "no version 9" in cli(place, "promote", "9", exit_code=1)
    assert "Version 1 brought back instead of version 2" in cli(place, "rollback")
    assert aliases_of(place) == {"champion": 1}
    told = cli(place, "models", "history")
    assert "there was no champion" in told
    assert "brought back" in told
    entries = json.loads(place.cli("models", "history", "--json").stdout)
    assert [entry["version"] for entry in entries] == [1, 2, 1]
    listed = json.loads(place.cli("models", "list", "--json").stdout)
    assert [(row["version"], row["aliases"]) for row in listed] == [(2, []), (1, ["champion"])]


def test_registering_that_is_killed_between_two_steps_is_ended_by_the_next_run(place: Place):
    arguments = of_model("killed")
    killed = [sys.executable, "-m", "tests.pipelines.killed"]
    # The version is there, and nothing points to it.
    place.run([*killed, "0", "register", *arguments], exit_code=-signal.SIGKILL)
    assert aliases_of(place, "killed") == {}
    # It is decided, and the aliases do not say so.
    place.run([*killed, "2", "register", *arguments], exit_code=-signal.SIGKILL)
    assert aliases_of(place, "killed") == {"challenger": 1}
    assert "champion should be 1" in cli(place, "doctor", "--model", "killed", exit_code=1)
    place.pipeline(arguments, step="register")
    assert aliases_of(place, "killed") == {"champion": 1}
    (version,) = client(place).search_model_versions("name = 'killed'")
    assert version.tags["verdict"] == "promote"
    assert len(json.loads(cli(place, "models", "history", "--json", "--model", "killed"))) == 1
    assert "RUNNING" not in statuses(place)


def test_the_doctor_finds_and_mends_aliases_that_are_behind(place: Place):
    client(place).set_registered_model_alias(MODEL, "champion", "2")
    assert "champion should be 1" in cli(place, "doctor", exit_code=1)
    assert "should be" not in cli(place, "doctor", "--mend")
    assert aliases_of(place)["champion"] == 1


def test_a_tampered_file_is_refused_by_name(place: Place, tmp_path: Path):
    tune = write_tune(tmp_path / "tune.wav", seed=1, duration_s=4, sr=22_050)
    code = f"from genre_mlops.registry import load_champion;print(load_champion('{MODEL}').bundle)"
    bundle = Path(place.run([sys.executable, "-c", code]).stdout.strip())
    for name in (ONNX, INFO, LINEAGE, SEEN):
        whole = (bundle / name).read_bytes()
        # A byte that leaves JSON what it is.
        at = len(whole) // 2 if name == ONNX else whole.rindex(b"0")
        (bundle / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            for command in (["predict", str(tune)], ["doctor", "--json"]):
                assert name in cli(place, *command, exit_code=1)
            pyfunc = f"import mlflow;mlflow.pyfunc.load_model('models:/{MODEL}@champion')"
            done = place.run([sys.executable, "-c", pyfunc], exit_code=1)
            assert name in done.stderr.splitlines()[-1]
        finally:
            (bundle / name).write_bytes(whole)
    assert cli(place, "predict", str(tune))


def test_a_version_says_where_it_comes_from_and_can_be_made_again(place: Place):
    said = json.loads(place.cli("models", "show", "champion", "--json").stdout)
    assert said["runs"].keys() == {"main", "train", "trial"}
    assert said["config"]["training"]["epochs"] == 3
    assert said["code"]["lock_sha256"]
    same = f"the same weights to the last bit, sha256 {said['weights_sha256']}"
    assert same in cli(place, "models", "reproduce", "1")
    # Nothing is left that the next call could take for its own work.
    assert not [*(place.root / "workspace" / "reproduced").glob("[!.]*")]


def test_anyones_client_answers_without_this_project_and_without_pickle(
    place: Place, real_data: Path, tmp_path: Path
):
    clips = [real_data / "cc" / "raylib_country.mp3"]
    clips.append(write_tune(tmp_path / "tune.wav", seed=1, duration_s=4, sr=22_050))
    table = tmp_path / "paths.csv"
    table.write_text("".join(f"{line}\n" for line in ["path", *clips]))
    env = place.env | {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    # Nothing of the project is on the way of its environment's Python.
    del env["PYTHONPATH"]
    which = ["--env-manager", "uv", "-m", f"models:/{MODEL}@champion"]
    command = [sys.executable, "-m", "mlflow", "models", "predict", *which]
    done = subprocess.run(
        [*command, "-i", str(table), "-t", "csv"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    predicted = json.loads(done.stdout.splitlines()[-1])["predictions"]
    with serving(env, tmp_path, ["mlflow", "models", "serve", *which], "ping") as address:
        asked = {"dataframe_split": {"columns": ["path"], "data": [[str(clip)] for clip in clips]}}
        reply = httpx.post(f"{address}/invocations", json=asked, timeout=60)
    served = reply.json()["predictions"]
    ours = json.loads(place.cli("predict", *map(str, clips), "--json").stdout)
    for answers in (predicted, served):
        for answer, own in zip(answers, ours, strict=True):
            assert answer["genre"] == own["genre"]
            for genre, probability in own["probabilities"].items():
                assert answer[f"p_{genre}"] == pytest.approx(probability, abs=1e-6)
