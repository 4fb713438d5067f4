"""The scripts that start a cluster, with certificates; who has none is refused."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.clusters import PROJECT

CLIENT = """
import sys
import time
from genre_mlops.cluster import count_workers
from genre_mlops.engine import Engine
from genre_mlops.errors import GenreError
from tests import errands

try:
    while count_workers(sys.argv[1], patience_s=60) < 2: pass
    print(sorted(Engine(dask=sys.argv[1]).map(errands.square, range(4), label="squares")))
except GenreError as error:
    print("refused:", error)
"""


@contextmanager
def started(*command: str, env: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [PROJECT / "infra" / "dask" / command[0], *command[1:]],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def client(address: str, env: dict[str, str]) -> str:
    """Return what a job prints whose environment has `settings.sh` in it."""
    line = f'. infra/dask/settings.sh; exec "{sys.executable}" -c "$1" {address}'
    command = ["bash", "-c", line, "-", CLIENT]
    return subprocess.run(
        command, cwd=PROJECT, env=env, capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.slow
def test_the_scripts_start_an_encrypted_cluster_that_works(tmp_path: Path):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(PROJECT)}
    env["DASK_TEMPORARY_DIRECTORY"] = str(tmp_path)
    plain = dict(env)
    asked = "req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=genre"
    command = ["openssl", *asked.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    env["GENRE_DASK_CERTS"] = str(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tls://127.0.0.1:{port}"
    with (
        started("scheduler.sh", "127.0.0.1", port, env=env),
        started("workers.sh", address, "2", env=env),
    ):
        wait_for(int(port))
        assert client(address, env) == "[0, 1, 4, 9]\n"
        # Who has no key does not get in.
        assert client(address, plain).startswith("refused: no Dask scheduler can be reached")


def wait_for(port: int) -> None:
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return

        time.sleep(0.1)
    raise AssertionError("the scheduler did not start")
