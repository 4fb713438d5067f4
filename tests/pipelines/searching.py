"""A job that only searches; run it by -m with a file that holds a pickled plan."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

from genre_mlops import tracking
from genre_mlops.engine import Engine
from genre_mlops.processes import this_process
from genre_mlops.search import search

if __name__ == "__main__":
    made = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301
    plan = replace(made, job=this_process())
    tracking.use_tracking_uri(plan.tracking_uri)
    tracking.sweep_dead_runs()
    search(plan, Engine(2))
