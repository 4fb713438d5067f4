"""`bentoml serve` as a process of its own, asked over the loopback interface."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bentoml
import httpx
import pytest

from genre_mlops.drift import Answered, describe
from genre_mlops.learning.bundle import Bundle
from tests.served import Server, serve

pytestmark = pytest.mark.slow

Recording = Callable[..., Path]
HEAVY = ("tensorflow", "keras", "librosa", "numba", "mlflow", "pandas", "sklearn", "onnx")


@pytest.fixture(scope="module")
def server(store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("latest")
    with serve("genre_classifier:latest", home=store.home, folder=folder) as server:
        yield server


@pytest.mark.parametrize("name", ["clip.mp3", "clip.wav"])
def test_latest_answers_what_its_bundle_says(server, store, recording: Recording, name: str):
    path = recording(name)
    answer = server.predict(path)
    expected = Bundle(store.bundles[2]).predict(path)
    got = {item["genre"]: item["probability"] for item in answer["probabilities"]}
    assert got == pytest.approx(expected.probabilities, abs=1e-6)
    assert answer["model"]["version"] == 2


def test_a_bento_keeps_its_model_when_another_is_latest(
    server, store, recording: Recording, tmp_path: Path
):
    path = recording()
    with serve(store.tags[1], home=store.home, folder=tmp_path) as first:
        answer = first.predict(path)
    expected = Bundle(store.bundles[1]).predict(path)
    assert answer["model"]["version"] == 1
    got = {item["genre"]: item["probability"] for item in answer["probabilities"]}
    assert got == pytest.approx(expected.probabilities, abs=1e-6)
    assert got != pytest.approx(Bundle(store.bundles[2]).predict(path).probabilities, abs=1e-3)
    assert server.predict(path)["model"]["version"] == 2
    # What the other started and ended, of the same home, has left this one's figures alone.
    told = httpx.get(f"{server.url}/metrics").text
    assert 'genre_requests_total{path="/predict",status="200"}' in told


def test_the_client_of_bentoml_can_ask(server, recording: Recording):
    with bentoml.SyncHTTPClient(server.url) as client:
        assert len(client.predict(audio=recording())["probabilities"]) == 3
        assert len(client.predict(audio=recording(), top_k=2)["probabilities"]) == 2
        answer = client.predict(audio=recording(), timeline=True)
        assert answer["timeline"][0]["start_s"] == 0
        batch = client.predict_batch(audio=[recording("a.wav"), recording("b.flac")], top_k=1)
        assert [len(item["answer"]["probabilities"]) for item in batch["items"]] == [1, 1]


def test_nothing_is_reported_to_anyone(server, recording: Recording):
    server.predict(recording())
    log = server.log.read_text()
    assert "Service genre_classifier initialized" in log
    assert "Tracking Payload" not in log


def test_bad_audio_is_told_so_without_a_path(server, tmp_path: Path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    with pytest.raises(httpx.HTTPStatusError, match="422") as caught:
        server.predict(bad)
    said = caught.value.response.json()
    assert said["detail"].startswith("audio cannot be decoded")
    assert "/" not in said["detail"]


def test_answers_are_kept_for_the_monitor_counted_and_logged(
    store, recording: Recording, tmp_path: Path
):
    kept = tmp_path / "requests.jsonl"
    env = {"GENRE_REQUEST_LOG": str(kept), "GENRE_API_KEYS": "key-1,key-2"}
    path = recording(duration_s=4.0)
    with serve(store.tags[2], home=store.home, folder=tmp_path, env=env) as server:
        ask = {"url": f"{server.url}/predict", "files": {"audio": path.read_bytes()}}
        assert httpx.post(**ask).status_code == 401
        reply = httpx.post(**ask, headers={"x-api-key": "key-2", "x-request-id": "mine"})
        kept.rename(tmp_path / "rotated.jsonl")
        again = httpx.post(**ask, headers={"authorization": "Bearer key-1"})
        bad = {"files": {"audio": b"text"}, "headers": {"x-api-key": "key-1"}}
        assert httpx.post(ask["url"], **bad).status_code == 422
        told = httpx.get(f"{server.url}/metrics").text
    assert reply.json() == again.json()
    bundle = Bundle(store.bundles[2])
    sound: list[dict[str, float]] = []
    expected = bundle.predict(
        path, listen=lambda S: sound.append(describe(S, bundle.info.features))
    )
    for file, request_id in (("rotated.jsonl", "mine"), ("requests.jsonl", None)):
        (line,) = (tmp_path / file).read_bytes().splitlines()
        answered = Answered.from_line(line)
        assert answered.input == sound[0]
        assert (answered.version, answered.genre) == (2, expected.genre)
        assert answered.confidence == pytest.approx(expected.probabilities[expected.genre])
        assert request_id in {answered.request_id, None}
        assert path.name.encode() not in line
    for metric in (
        'genre_requests_total{path="/predict",status="200"} 2.0',
        'genre_rejected_total{reason="audio"} 1.0',
        'genre_rejected_total{reason="key"} 1.0',
        'genre_stage_seconds_count{stage="network"} 2.0',
        'genre_stage_seconds_count{stage="wait"} 3.0',
        f'genre_predictions_total{{genre="{expected.genre}",sure="true"}} 2.0',
        "genre_confidence_count 2.0",
        'version="2"} 1.0',
        "genre_in_flight 0.0",
    ):
        assert metric in told
    log = server.log.read_text()
    assert '"request_id": "mine", "method": "POST", "path": "/predict", "status": 200' in log
    assert '"status": 401' in log
    # Neither keys nor stacks of what clients did wrong.
    assert "key-2" not in log
    assert "Traceback" not in log


def test_a_request_log_that_cannot_be_written_is_said(store, tmp_path: Path):
    env = {"GENRE_REQUEST_LOG": str(tmp_path / "no" / "folder")}
    with (
        pytest.raises(pytest.fail.Exception, match=r"GENRE_REQUEST_LOG: .* cannot be written"),
        serve(store.tags[2], home=store.home, folder=tmp_path, env=env),
    ):
        pass


def test_sigterm_lets_what_is_at_work_end(store, recording: Recording, tmp_path: Path):
    path = recording(duration_s=300.0)
    with ThreadPoolExecutor(4) as pool:
        with serve(store.tags[2], home=store.home, folder=tmp_path) as server:
            asked = [pool.submit(server.predict, path) for _ in range(4)]
            while "genre_in_flight 4.0" not in httpx.get(f"{server.url}/metrics").text:
                if all(one.done() for one in asked):
                    break
        answers = [one.result() for one in asked]
    assert [answer["duration_s"] for answer in answers] == pytest.approx([300.0] * 4)


def test_a_prediction_imports_nothing_heavy_and_only_what_is_in_the_bento(
    store, recording: Recording, tmp_path: Path
):
    script = """
import json, sys
import bentoml
from starlette.testclient import TestClient

tag, path = sys.argv[1:]
service = bentoml.load(tag)
with TestClient(service.to_asgi()) as client, open(path, "rb") as file:
    client.post("/predict", files={"audio": file}).raise_for_status()
files = [m.__file__ for n, m in sys.modules.items() if n.startswith("genre_mlops")]
print(json.dumps({"modules": sorted(sys.modules), "files": files}))
"""
    command = [sys.executable, "-c", script, store.tags[1], str(recording("clip.mp3"))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "onnxruntime" in seen["modules"]
    assert [name for name in seen["modules"] if name.split(".")[0] in HEAVY] == []
    source = store.bento(1).resolve() / "src"
    assert [path for path in seen["files"] if not Path(path).resolve().is_relative_to(source)] == []


def clips() -> list[Path]:
    data = os.environ.get("GENRE_TEST_DATA")
    return sorted(Path(data, "cc").glob("*.mp3")) if data else []


@pytest.mark.skipif(not clips(), reason="GENRE_TEST_DATA names no folder with cc/*.mp3")
@pytest.mark.parametrize("path", clips(), ids=lambda path: path.stem)
def test_a_real_clip_is_answered(server, store, path: Path):
    answer = server.predict(path)
    expected = Bundle(store.bundles[2]).predict(path)
    got = {item["genre"]: item["probability"] for item in answer["probabilities"]}
    assert got == pytest.approx(expected.probabilities, abs=1e-6)
    assert answer["warnings"] == []
