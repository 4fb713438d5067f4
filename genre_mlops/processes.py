"""Processes: who is at work, and what C libraries write past Python."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

# Start times follow the wall clock, which may be set while a process runs.
_CLOCK_SLACK_S = 60.0
_LOOK_EVERY_S = 1.0
JOB_TAG = "genre.job"
"""Of a run that a worker writes: the process it works for, its `this_process`, `in_one_line`."""


def this_process() -> dict[str, str]:
    """Return host, pid and start time: a later process with the same pid has another."""
    me = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": str(me.pid),
        "process_started": f"{me.create_time():.2f}",
    }


def in_one_line(process: Mapping[str, str]) -> str:
    """Return what `this_process` returned, as a name."""
    return " ".join(process.values())


def is_elsewhere(process: Mapping[str, str]) -> bool:
    """Whether a process named by `this_process` is one of another machine."""
    return process.get("host") != socket.gethostname()


def is_gone(process: Mapping[str, str]) -> bool:
    """Whether a process named by `this_process` has ended; False for other machines' ones."""
    if is_elsewhere(process):
        return False
    try:
        found = psutil.Process(int(process["pid"]))
        if found.status() == psutil.STATUS_ZOMBIE:
            return True
        later_s = found.create_time() - float(process["process_started"])
    except psutil.NoSuchProcess:
        return True
    return abs(later_s) > _CLOCK_SLACK_S


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what C libraries write to file descriptor 2; Python's exceptions still pass."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def repeating(function: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call a function every so many seconds, by a thread, as long as the block runs."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(every_s):
            function()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def end_with(parent: int) -> None:
    """End this process soon after the one that started it, by a thread that looks.

    Nothing is cleaned up: runs and half-written files are left for the next job to sweep.

    Parameters
    ----------
    parent : int
        The process that started this one: killed, it cannot end its workers itself.
    """

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()
