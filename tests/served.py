"""`bentoml serve` as a process of its own on the loopback interface."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

START_UP_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running `bentoml serve`."""

    url: str
    log: Path
    pid: int

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
def serve(
    tag: str, *, home: Path, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a bento of a BentoML home until the block ends, with `env` in its environment."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    log = folder / "server.log"
    environment = {
        **os.environ,
        "BENTOML_HOME": str(home),
        "__BENTOML_DEBUG_USAGE": "True",
        **(env or {}),
    }
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
        yield Server(url, log, process.pid)
    finally:
        if process.poll() is None:
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
