"""A place of its own for runs, data and bentos, and the real line at a small size in it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests import copied
from tests.stores import make_store

PROJECT = Path(__file__).parents[2]
# Whole steps on little music: 60 tracks of 10 s, two trials of three epochs, an ensemble of two.
SMALL = [
    *("--dataset", "demo", "--trials", "2", "--epochs", "3"),
    "--set",
    "data.demo_tracks=60 data.demo_duration_s=10 network.segment_frames=64 network.cnn1d.filters=4 "
    "network.cnn1d.n_blocks=3 network.cnn2d.filters=4 network.cnn2d.n_blocks=3 "
    "training.batch_size=16 training.members=2 evaluation.n_bootstrap=200",
]


# Beside another test there is no core to be had, and workers for files take seconds to start.
ALONE = {"LOKY_MAX_CPU_COUNT": "1"}


@dataclass(frozen=True)
class Place:
    """Where a test's runs, data and bentos live."""

    root: Path

    @property
    def env(self) -> dict[str, str]:
        """Environment of the commands."""
        # A run adopted from the outside would not be ours.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_RUN")}
        return inherited | {
            "GENRE_WORKSPACE": str(self.root / "workspace"),
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "BENTOML_HOME": str(self.root / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            # Started in the place itself, where MLflow then puts its artifacts.
            "PYTHONPATH": str(PROJECT),
            "COLUMNS": "120",
        }

    @property
    def tracking_uri(self) -> str:
        """A database of its own."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def command(self, step: str, arguments: Sequence[str]) -> list[str]:
        """Return the command of an entry point."""
        return [sys.executable, "-m", f"pipelines.{step}", *arguments]

    def run(
        self, command: Sequence[str], *, exit_code: int = 0, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python command in the place and check how it ends.

        It finds the big libraries imported, unless it is to be fresh: as a user starts it.
        """
        if fresh:
            done = subprocess.run(
                command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False
            )
        else:
            assert command[0] == sys.executable
            done = copied.run(command[1:], folder=self.root, env=self.env | ALONE)
        assert done.returncode == exit_code, f"{done.stdout}\n{done.stderr}"
        return done

    def pipeline(
        self,
        arguments: Sequence[str],
        *,
        step: str = "main",
        exit_code: int = 0,
        fresh: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run an entry point."""
        return self.run(self.command(step, arguments), exit_code=exit_code, fresh=fresh)

    def cli(
        self, *arguments: str, exit_code: int = 0, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run `genre-mlops`."""
        command = [sys.executable, "-m", "genre_mlops", *arguments]
        return self.run(command, exit_code=exit_code, fresh=fresh)


@contextmanager
def serving(
    env: Mapping[str, str], folder: Path, command: Sequence[str], ready: str
) -> Iterator[str]:
    """Run a module that serves on loopback until the block ends; give its address once it answers.

    `ready` is a path that answers 200 then.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env={
            **env,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Judges of language models: eight processes more.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{address}/{ready}").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address
    finally:
        # Also what it has started, in whatever group.
        started = [
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        ]
        process.terminate()
        _, alive = psutil.wait_procs(started, timeout=20)
        for left in alive:
            left.kill()
        process.wait(30)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    return Place(tmp_path)


@pytest.fixture
def store(place: Place) -> None:
    """The place's runs have a database already."""
    make_store(place.root / "mlflow.db")


@dataclass(frozen=True)
class Ran:
    """A place where the main job has run, and what it printed."""

    place: Place
    output: str


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The main job at a small size; tests that change its place say so in their names."""
    place = Place(tmp_path_factory.mktemp("main"))
    return Ran(place, place.pipeline(SMALL, fresh=True).stdout)
