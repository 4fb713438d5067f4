"""What a command costs: wall time, CPU time and peak memory, with all its processes.

Memory is the sum of the proportional set sizes (shared pages counted once) on Linux, of the
resident set sizes elsewhere, sampled fifty times a second.
"""

import importlib.metadata
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.02


@dataclass(frozen=True)
class Cost:
    """What one run took, and what it printed where that was asked for."""

    wall_s: float
    cpu_s: float
    peak_mb: float | None
    said: str


def memory_mb(process: psutil.Process) -> float:
    """Return what a process and its descendants hold, in MB."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            full = member.memory_full_info()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        total += getattr(full, "pss", full.rss)
    return total / 1e6


def peak_mb() -> float:
    """Return what this process held at most, in MB."""
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    listen: bool = False,
    watch_memory: bool = True,
) -> Cost:
    """Run a command, interpreter and imports included; with `listen` keep what it prints.

    To watch memory takes a fifth of a core where there are several processes: where all cores are
    timed it is left out.
    """
    began, before = time.monotonic(), os.times()
    running = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE if listen else None, text=True
    )
    process, peak = psutil.Process(running.pid), 0.0
    while watch_memory and running.poll() is None:
        try:
            peak = max(peak, memory_mb(process))
        except psutil.NoSuchProcess:
            break
        time.sleep(SAMPLE_S)
    said = running.communicate()[0] or ""
    if running.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {running.returncode}")
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Cost(time.monotonic() - began, used, peak if watch_memory else None, said.strip())


def versions(*packages: str) -> str:
    """Return the versions of installed packages, as a line to print."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def measure_part(module: str, *arguments: object, watch_memory: bool = True) -> Cost:
    """Run a part of a benchmark in a process of its own, and keep what it prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return measure(command, listen=True, watch_memory=watch_memory)
