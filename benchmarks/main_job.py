"""Wall time, CPU time and peak memory of the main job, with all its processes.

Run: python -m benchmarks.main_job [ARGUMENTS OF pipelines.main]
Runs the job in a new, empty place, then again there with nothing changed, and prints both and the
ratio.
"""

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.cost import measure


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        env = os.environ | {
            "GENRE_WORKSPACE": str(root / "workspace"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
            "BENTOML_HOME": str(root / "bentoml"),
        }
        command = [sys.executable, "-m", "pipelines.main", *sys.argv[1:]]
        first, second = (measure(command, env) for _ in range(2))
    for name, cost in (("first", first), ("second", second)):
        print(
            f"{name} run: {cost.wall_s:.0f} s wall, {cost.cpu_s:.0f} s CPU, "
            f"peak {cost.peak_mb:.0f} MB"
        )
    print(f"ratio of wall times, first to second: {first.wall_s / second.wall_s:.2f}")


if __name__ == "__main__":
    main()
