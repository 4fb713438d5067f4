"""A Dask scheduler and its workers, processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DASK = Path(sys.executable).with_name("dask")
# An item that kills its worker is given up after two of them, not after four.
ENVIRONMENT = {"PYTHONPATH": str(PROJECT), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


@contextmanager
def dask(*arguments: str, folder: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | ENVIRONMENT | settings
    environment["DASK_TEMPORARY_DIRECTORY"] = str(folder)
    with (folder / "dask.log").open("ab") as log:
        process = subprocess.Popen(
            [DASK, *arguments, "--no-dashboard"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # With what it started, and without waiting for tasks that sleep.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    told = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told))
    with dask("scheduler", *options, folder=folder) as process:
        while not told.is_file():
            assert process.poll() is None, (folder / "dask.log").read_text()
            time.sleep(0.05)
        yield json.loads(told.read_text())["address"], process


def worker(folder: Path, n_threads: int = 1, nanny: bool = True):
    options = ("--nworkers", "1", "--nthreads", str(n_threads), "--memory-limit", "2GB")
    told = ("--scheduler-file", str(folder / "scheduler.json"))
    return dask("worker", *told, *options, "--nanny" if nanny else "--no-nanny", folder=folder)
