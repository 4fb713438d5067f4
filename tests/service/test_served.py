"""`bentoml serve` as a process of its own, asked over the loopback interface."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bentoml
import httpx
import pytest

from genre_mlops.learning.bundle import Bundle

pytestmark = pytest.mark.slow

Recording = Callable[..., Path]
START_UP_S = 60.0
# What a clip may take to be answered.
ANSWER_S = 1.0
HEAVY = ("tensorflow", "keras", "librosa", "numba", "mlflow", "pandas", "sklearn", "onnx")


@dataclass(frozen=True)
class Server:
    """A running `bentoml serve`."""

    url: str
    log: Path

    def predict(self, path: Path) -> dict[str, object]:
        """Return the answer to a recording."""
        with path.open("rb") as file:
            answer = httpx.post(f"{self.url}/predict", files={"audio": file}, timeout=30)
        return answer.raise_for_status().json()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serve(tag: str, *, home: Path, folder: Path) -> Iterator[Server]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    log = folder / "server.log"
    environment = {**os.environ, "BENTOML_HOME": str(home), "__BENTOML_DEBUG_USAGE": "True"}
    environment.pop("BENTOML_DO_NOT_TRACK", None)
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(url, process, log)
        yield Server(url, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_UP_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()}")
        try:
            if httpx.get(f"{url}/readyz", timeout=1).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"not ready after {START_UP_S:g} s: {log.read_text()}")


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


def test_the_client_of_bentoml_can_ask(server, recording: Recording):
    with bentoml.SyncHTTPClient(server.url) as client:
        assert len(client.predict(audio=recording())["probabilities"]) == 3
        assert len(client.predict(audio=recording(), top_k=2)["probabilities"]) == 2


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
    assert "/" not in caught.value.response.json()[0]["error"]


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
def test_a_real_clip_is_answered_within_a_second(server, store, path: Path):
    start = time.perf_counter()
    answer = server.predict(path)
    elapsed_s = time.perf_counter() - start
    expected = Bundle(store.bundles[2]).predict(path)
    got = {item["genre"]: item["probability"] for item in answer["probabilities"]}
    assert got == pytest.approx(expected.probabilities, abs=1e-6)
    assert answer["warnings"] == []
    assert elapsed_s < ANSWER_S
