"""`GENRE_FOLLOW_CHAMPION`: a real registry, whose champion changes while requests are answered."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from genre_mlops import registry, tracking
from genre_mlops.learning.bundle import ONNX, Bundle, seal_of
from genre_mlops.names import CHAMPION, REGISTERED_MODEL, REGISTERED_SEAL
from genre_mlops.serving.packaging import package
from tests.pipelines.conftest import serving
from tests.served import Server, serve
from tests.service.conftest import Store, make_bundle, noise, write_audio

pytestmark = pytest.mark.slow

NAME = "tunes"
WAIT_S = 60.0


@dataclass
class Registry:
    """A tracking server with versions of a registered model."""

    url: str
    folder: Path
    tag: str
    bundles: dict[int, Path] = field(default_factory=dict)

    def crown(self, version: int) -> None:
        """Make a version the champion."""
        tracking.set_alias(NAME, CHAMPION, version)


@pytest.fixture(scope="module")
def champions(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    bundles = {
        version: make_bundle(folder / f"b{version}", seed=10 + version) for version in (1, 2, 3)
    }
    labels = {REGISTERED_MODEL: NAME, REGISTERED_SEAL: seal_of(bundles[1])}
    with pytest.MonkeyPatch.context() as patch:
        # Of its own: in the home that tests share, another bento is the latest.
        patch.setenv("BENTOML_HOME", str(folder / "home"))
        tag = package(bundles[1], version=1, labels=labels, project=store.project)
    before = tracking.tracking_uri()
    command = ["mlflow", "server", "--workers", "1", "--backend-store-uri", "sqlite:///runs.db"]
    with serving(dict(os.environ), folder, command, "health") as url:
        tracking.use_tracking_uri(url)
        for version, bundle in bundles.items():
            with tracking.open_run("register"):
                assert registry.register(bundle, Bundle(bundle).info, name=NAME, tags={}) == version
        yield Registry(url, folder, tag, bundles)
    tracking.use_tracking_uri(before)


@contextmanager
def following(champions: Registry, folder: Path) -> Iterator[Server]:
    """Serve version 1, which follows the champion."""
    env = {
        "GENRE_FOLLOW_CHAMPION": "1",
        "GENRE_FOLLOW_EVERY_S": "0.3",
        "MLFLOW_TRACKING_URI": champions.url,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        "TMPDIR": str(folder / "tmp"),
    }
    (folder / "tmp").mkdir()
    with serve(champions.tag, home=champions.folder / "home", folder=folder, env=env) as server:
        yield server
    # What was brought is gone, and what MLflow made of its own.
    assert [path.name for path in (folder / "tmp").iterdir() if path.is_file()] == []
    assert list((folder / "tmp").glob("genre-champion-*")) == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def version(server: Server) -> int:
    return model(server)["version"]


def model(server: Server) -> dict[str, object]:
    return httpx.get(f"{server.url}/model", timeout=WAIT_S).json()["model"]


def processes(word: str) -> list[psutil.Process]:
    """What this process has started, by a word of its command."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [process] * (word in process.cmdline())
    return found


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, also where nobody asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def spoil(champions: Registry, number: int) -> None:
    """Change a byte of a version's network where the tracking server keeps it."""
    sealed = (champions.bundles[number] / ONNX).read_bytes()
    (kept,) = (
        f for f in champions.folder.glob(f"mlartifacts/**/{ONNX}") if f.read_bytes() == sealed
    )
    kept.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=WAIT_S).is_success
    except httpx.TransportError:
        return False


def looks(server: Server, outcome: str) -> float:
    wanted = f'genre_champion_looks_total{{outcome="{outcome}"}} '
    told = httpx.get(f"{server.url}/metrics", timeout=WAIT_S).text
    return next(
        (float(line.removeprefix(wanted)) for line in told.splitlines() if line.startswith(wanted)),
        0,
    )


def test_another_champion_takes_its_place_and_no_request_fails(champions, tmp_path: Path):
    champions.crown(1)
    path = write_audio(
        tmp_path / "clip.wav", noise(duration_s=3.0, sr=11_025, n_channels=2), 11_025
    )
    expected = {
        v: Bundle(bundle).predict(path).probabilities for v, bundle in champions.bundles.items()
    }
    answers, enough = [], threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=WAIT_S) as client:
            while not enough.is_set():
                answers.append(
                    client.post(f"{server.url}/predict", files={"audio": path.read_bytes()})
                )

    with following(champions, tmp_path) as server:
        # What was packaged is the champion already.
        wait_for(lambda: looks(server, "same") > 0)
        assert model(server)["name"] == "genre_classifier"
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for champion in (2, 1, 2):
                champions.crown(champion)
                wait_for(lambda wanted=champion: version(server) == wanted)
        finally:
            enough.set()
            for asker in askers:
                asker.join()
        told = httpx.get(f"{server.url}/metrics", timeout=WAIT_S).text
    assert {answer.status_code for answer in answers} == {200}
    said = [answer.json() for answer in answers]
    assert {answer["model"]["version"] for answer in said} == {1, 2}
    for answer in said:
        got = {item["genre"]: item["probability"] for item in answer["probabilities"]}
        assert got == pytest.approx(expected[answer["model"]["version"]], abs=1e-6)
    assert f'genre_model_info{{name="{NAME}",tag="models:/{NAME}/2",version="2"}} 1.0' in told
    assert f'genre_model_info{{name="{NAME}",tag="models:/{NAME}/1",version="1"}} 0.0' in told


def test_whatever_goes_wrong_the_model_that_answers_goes_on(champions, tmp_path: Path):
    path = write_audio(
        tmp_path / "clip.wav", noise(duration_s=3.0, sr=11_025, n_channels=2), 11_025
    )
    champions.crown(2)
    with following(champions, tmp_path) as server:
        wait_for(lambda: version(server) == 2)

        # A file of the new champion was changed.
        spoil(champions, 3)
        champions.crown(3)
        # It is not tried again, and told as long as it is champion.
        wait_for(lambda: looks(server, "refused") > 2)
        assert server.predict(path)["model"]["version"] == 2
        assert server.log.read_text().count(f"{NAME}/3") == 1
        n_same = looks(server, "same")
        champions.crown(2)
        wait_for(lambda: looks(server, "same") > n_same)
        assert looks(server, "new") == 1
        assert f"{ONNX} is not the file that was sealed" in server.log.read_text()

        # The registry does not answer.
        held, n_failed = processes(champions.url.rpartition(":")[2]), looks(server, "failed")
        for process in held:
            process.suspend()
        try:
            wait_for(lambda: looks(server, "failed") > n_failed)
            assert server.predict(path)["model"]["version"] == 2
        finally:
            for process in held:
                process.resume()
        champions.crown(1)
        wait_for(lambda: version(server) == 1)

        # What looks is killed, then the service itself.
        (looking,) = processes("genre_mlops.serving.champion")
        looking.kill()
        champions.crown(2)
        wait_for(lambda: version(server) == 2)
        (looking,) = processes("genre_mlops.serving.champion")
        looking.parent().kill()
        wait_for(lambda: is_gone(looking))
        wait_for(lambda: answers(server) and version(server) == 2)


def test_a_start_without_a_registry_ends_in_words(champions, tmp_path: Path):
    env = {"GENRE_FOLLOW_CHAMPION": "1", "MLFLOW_TRACKING_URI": ""}
    with (
        pytest.raises(
            pytest.fail.Exception, match=r"GENRE_FOLLOW_CHAMPION: .* MLFLOW_TRACKING_URI"
        ),
        serve(champions.tag, home=champions.folder / "home", folder=tmp_path, env=env),
    ):
        pass
