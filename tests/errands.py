"""What tests let a cluster's workers do, in a module that they import fast."""

import os
import signal
import time
from pathlib import Path


def square(x: int) -> int:
    return x * x


def begin_and_end(x: int) -> tuple[float, float]:
    began = time.monotonic()
    time.sleep(0.1)
    return began, time.monotonic()


def kill_worker(name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def square_at_second_try(task: tuple[Path, int]) -> int:
    """Leave a note of each try; 3 is cut short by kill -9 the first time."""
    folder, x = task
    n_tries = len(list(folder.glob(f"{x}-*")))
    (folder / f"{x}-{n_tries}").touch()
    if x == 3 and n_tries == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


def sleep_or_fail(task: tuple[Path, bool]) -> None:
    """Fail, once the other sleeps; its note is named by its process."""
    folder, fails = task
    if fails:
        while not list(folder.iterdir()):
            time.sleep(0.05)
        raise ValueError("no good")
    (folder / str(os.getpid())).touch()
    time.sleep(600)
