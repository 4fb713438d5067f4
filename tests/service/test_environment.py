"""A bento where nothing else is: its own requirements, no checkout, a network that is watched."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bentoml
import httpx
import pytest
from uv import find_uv_bin

from genre_mlops.learning.bundle import Bundle
from tests.served import free_port, wait_until_ready
from tests.service.conftest import Store, noise, write_audio

pytestmark = pytest.mark.slow

NOT_TO_SERVE = {
    *("tensorflow", "tensorflow-cpu", "keras", "librosa", "numba", "mlflow", "mlflow-skinny"),
    *("pandas", "scikit-learn", "onnx", "optuna", "great-expectations", "joblib", "dask"),
    *("genre-mlops", "pytest"),
}
# Python imports it before anything else. What is written in C is not seen by it: for that, there
# are a proxy that nobody is to ask and a home that is to stay empty.
WATCH = """
import os, sys

def is_far(address):
    host = address[0] if isinstance(address, tuple) else None
    return isinstance(host, str) and not host.startswith(("127.", "::1"))

def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        told = is_far(args[1]) and str(args[1])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        told = is_far((args[0],)) and str(args[0])
    else:
        told = event == "pickle.find_class" and str(args)
    if told:
        with open(os.environ.get("NOTES") or {notes!r}, "a") as notes:
            notes.write(event + " " + told + "\\n")
        raise PermissionError(event + ": not here")

sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class Moved:
    """A bento that was exported, and an environment made of what it says that it needs.

    Attributes
    ----------
    bento : Path
        The folder, as it lies in a container.
    python : Path
        Of the environment.
    notes : Path
        A line for each try to reach beyond loopback, or to unpickle something; else not there.
    """

    bento: Path
    python: Path
    notes: Path


@dataclass(frozen=True)
class Alone:
    """A server of it, of which nothing around is known."""

    url: str
    log: Path
    home: Path
    proxy: socket.socket


def instructions(bento: Path) -> list[tuple[str, str]]:
    """Return the lines of its Dockerfile, such as USER and bentoml."""
    text = (bento / "env" / "docker" / "Dockerfile").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, value) for word, _, value in (line.partition(" ") for line in lines)]


def install(bento: Path, place: Path, venv: Path) -> subprocess.CompletedProcess[str]:
    """Install packages by the command of a bento's Dockerfile, from the requirements of a place."""
    said = instructions(bento)
    (command,) = [value for word, value in said if word == "RUN" and "pip install -r" in value]
    settings = dict(value.split("=") for word, value in said if word == "ARG" and "UV_" in value)
    assert settings == {"UV_NO_BUILD": "1"}
    env = os.environ | settings | {"BENTO_PATH": str(place), "VIRTUAL_ENV": str(venv)}
    env["PATH"] = f"{Path(find_uv_bin()).parent}{os.pathsep}{env['PATH']}"
    return subprocess.run(
        ["bash", "-c", command], cwd=place, env=env, capture_output=True, text=True, check=False
    )


def make_venv(folder: Path) -> Path:
    subprocess.run([find_uv_bin(), "venv", "--quiet", "-p", sys.executable, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def moved(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    folder = tmp_path_factory.mktemp("moved")
    bento = folder / "bento"
    bentoml.export_bento(store.tags[1], str(bento), output_format="folder")
    venv = make_venv(folder / "venv")
    done = install(bento, bento, venv)
    assert done.returncode == 0, done.stderr
    (site,) = venv.glob("lib/python*/site-packages")
    notes = folder / "notes.txt"
    (site / "sitecustomize.py").write_text(WATCH.format(notes=str(notes)))
    return Moved(bento, venv / "bin" / "python", notes)


@pytest.fixture(scope="module")
def alone(moved: Moved, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    folder = tmp_path_factory.mktemp("alone")
    home, log, port = folder / "home", folder / "server.log", free_port()
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), address)
        # Nothing of this process's: neither switches of telemetry nor CI, which switches it too.
        env = {
            **{"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(home)},
            **{"BENTOML_HOME": str(folder / "bentoml"), "TMPDIR": str(folder)},
            **proxies,
            **{name.upper(): address for name in proxies},
        }
        command = [str(moved.python), "-m", "bentoml", "serve", str(moved.bento)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield Alone(f"http://127.0.0.1:{port}", log, home, proxy)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def ask(url: str, path: Path) -> dict[str, float]:
    with path.open("rb") as file:
        answer = httpx.post(f"{url}/predict", files={"audio": file}, timeout=60)
    rows = answer.raise_for_status().json()["probabilities"]
    return {row["genre"]: row["probability"] for row in rows}


def test_the_image_runs_as_nobody_special_and_knows_no_secret(moved: Moved):
    said = instructions(moved.bento)
    assert said[0] == ("FROM", "python:3.11-slim AS base-container")
    assert [value for word, value in said if word == "USER"] == ["bentoml"]
    assert ("ARG", "BENTO_USER_UID=1034") in said
    assert [word for word, _ in said][-2:] == ["USER", "ENTRYPOINT"]
    assert {value.partition("=")[0] for word, value in said if word in {"ARG", "ENV"}} == {
        *("BENTO_USER", "BENTO_USER_UID", "BENTO_USER_GID", "BENTO_PATH", "VIRTUAL_ENV", "PATH"),
        *("BENTOML_HOME", "BENTOML_HF_CACHE_DIR", "BENTOML_CONTAINERIZED", "BENTOML_DO_NOT_TRACK"),
        *("LANG", "LC_ALL", "PYTHONIOENCODING", "PYTHONUNBUFFERED"),
        *("UV_NO_BUILD", "UV_COMPILE_BYTECODE", "UV_NO_PROGRESS"),
    }


def test_what_is_installed_is_the_lock_and_nothing_to_train_with(moved: Moved, store: Store):
    command = [find_uv_bin(), "pip", "list", "--format", "json", "--python", str(moved.python)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    installed = {package["name"]: package["version"] for package in json.loads(listed)}
    lock = (store.project / "requirements" / "serving.txt").read_text()
    locked = set(re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.M))
    assert {*installed.items()} <= locked
    assert installed.keys() >= {"bentoml", "onnxruntime", "soundfile"}
    assert not installed.keys() & NOT_TO_SERVE


def test_a_package_that_is_not_the_locked_one_is_not_installed(moved: Moved, tmp_path: Path):
    requirements = (moved.bento / "env" / "python" / "requirements.txt").read_text()
    # BentoML names itself once more, without a digest.
    (block,) = re.findall(r"^bentoml==(?:.*\\\n)+.*$", requirements, re.M)
    other = re.sub(r"sha256:\w{8}", "sha256:00000000", block)
    (tmp_path / "env" / "python").mkdir(parents=True)
    changed = requirements.replace(block, other)
    (tmp_path / "env" / "python" / "requirements.txt").write_text(changed)
    done = install(moved.bento, tmp_path, make_venv(tmp_path / "venv"))
    assert done.returncode != 0
    assert "Hash mismatch for `bentoml==" in done.stderr


def test_the_checkout_is_not_there(moved: Moved, tmp_path: Path):
    done = subprocess.run(
        [moved.python, "-c", "import genre_mlops"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No module named 'genre_mlops'" in done.stderr


def test_who_reaches_out_or_unpickles_is_noted_and_stopped(moved: Moved, tmp_path: Path):
    tries = (
        "import socket; socket.create_connection(('192.0.2.1', 80))",
        "import urllib.request; urllib.request.urlopen('http://example.invalid')",
        "import pickle, os; pickle.loads(pickle.dumps(os.getpid))",
    )
    env = {"NOTES": str(tmp_path / "notes.txt")}
    for code in tries:
        done = subprocess.run(
            [moved.python, "-c", code], env=env, capture_output=True, text=True, check=False
        )
        assert "not here" in done.stderr
    assert [line.split()[0] for line in Path(env["NOTES"]).read_text().splitlines()] == [
        "socket.getaddrinfo",
        "socket.getaddrinfo",
        "pickle.find_class",
    ]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "mono.wav", "mono.mp3"])
def test_it_answers_what_the_bundle_says_here(
    alone: Alone, store: Store, tmp_path: Path, name: str
):
    sr, n_channels = (22_050, 1) if name.startswith("mono") else (44_100, 2)
    y = noise(duration_s=4.0, sr=sr, n_channels=n_channels, seed=len(name))
    path = write_audio(tmp_path / name, y, sr)
    expected = Bundle(store.bundles[1]).predict(path).probabilities
    # One that says nothing would agree with anything.
    assert max(expected.values()) - min(expected.values()) > 0.01
    assert ask(alone.url, path) == pytest.approx(expected, abs=1e-4)


def test_it_reports_to_nobody_asks_nobody_and_unpickles_nothing(
    moved: Moved, alone: Alone, tmp_path: Path
):
    path = write_audio(tmp_path / "a.wav", noise(duration_s=2.0, sr=44_100, n_channels=2), 44_100)
    ask(alone.url, path)
    for part in ("", "model", "docs.json", "metrics", "readyz"):
        assert httpx.get(f"{alone.url}/{part}").is_success
    assert "Service genre_classifier initialized" in alone.log.read_text()
    assert not moved.notes.exists()
    assert select.select([alone.proxy], [], [], 0)[0] == []
    # ONNX Runtime's telemetry would keep an id of the machine there.
    assert [*alone.home.rglob("*")] == []
