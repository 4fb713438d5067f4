"""Processes: who is at work, and what C libraries write past Python."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def this_process() -> dict[str, str]:
    """Return host, pid and start time: a later process with the same pid has another."""
    me = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": str(me.pid),
        "process_started": f"{me.create_time():.2f}",
    }


def is_gone(process: dict[str, str]) -> bool:
    """Whether a process named by `this_process` has ended; False for other machines' ones."""
    if process.get("host") != socket.gethostname():
        return False
    try:
        started = psutil.Process(int(process["pid"])).create_time()
    except psutil.NoSuchProcess:
        return True
    return f"{started:.2f}" != process.get("process_started")


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
