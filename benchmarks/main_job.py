"""Wall time, CPU time and peak memory of the main job, with all its processes.

Run: python -m benchmarks.main_job [ARGUMENTS OF pipelines.main]
Runs the job in a new, empty place, then again there with nothing changed, and prints both and the
ratio. Memory is the sum of the proportional set sizes (shared pages counted once) on Linux, of the
resident set sizes elsewhere, sampled twenty times a second.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_S = 0.05


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


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


def measure(arguments: list[str], env: dict[str, str]) -> Cost:
    """Run the job once."""
    began, cpu = time.monotonic(), os.times()
    running = subprocess.Popen([sys.executable, "-m", "pipelines.main", *arguments], env=env)
    process, peak = psutil.Process(running.pid), 0.0
    while running.poll() is None:
        try:
            peak = max(peak, memory_mb(process))
        except psutil.NoSuchProcess:
            break
        time.sleep(SAMPLE_S)
    if running.wait():
        sys.exit(f"the job ended with exit code {running.returncode}")
    after = os.times()
    used = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    return Cost(time.monotonic() - began, used, peak)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        env = os.environ | {
            "GENRE_WORKSPACE": str(root / "workspace"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
            "BENTOML_HOME": str(root / "bentoml"),
        }
        first, second = (measure(sys.argv[1:], env) for _ in range(2))
    for name, cost in (("first", first), ("second", second)):
        print(
            f"{name} run: {cost.wall_s:.0f} s wall, {cost.cpu_s:.0f} s CPU, "
            f"peak {cost.peak_mb:.0f} MB"
        )
    print(f"ratio of wall times, first to second: {first.wall_s / second.wall_s:.2f}")


if __name__ == "__main__":
    main()
