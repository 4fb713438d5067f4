"""MLflow, which is imported here and in pyfunc.py alone: runs, those of trials, and models."""

import logging
import os

# Before MLflow is imported: it reads these then.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from genre_mlops.tracking.models import client, download_bundle, find_model, log_pyfunc
from genre_mlops.tracking.runs import (
    artifact_place,
    current_experiment,
    dead_runs,
    describe,
    has_store,
    kill_run,
    log_best_trial,
    log_dataset,
    log_figure,
    log_folder,
    log_metrics,
    log_params,
    log_table,
    log_text,
    open_run,
    set_tags,
    sweep_dead_runs,
    tracking_uri,
    use_tracking_uri,
)
from genre_mlops.tracking.trials import TrialLog

__all__ = [
    "TrialLog",
    "artifact_place",
    "client",
    "current_experiment",
    "dead_runs",
    "describe",
    "download_bundle",
    "find_model",
    "has_store",
    "kill_run",
    "log_best_trial",
    "log_dataset",
    "log_figure",
    "log_folder",
    "log_metrics",
    "log_params",
    "log_pyfunc",
    "log_table",
    "log_text",
    "open_run",
    "set_tags",
    "sweep_dead_runs",
    "tracking_uri",
    "use_tracking_uri",
]

# It reports every migration of an empty database otherwise.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
