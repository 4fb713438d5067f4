"""MLflow, which is imported here and in pyfunc.py alone: runs, those of trials, and models."""

import logging
import os

# Before MLflow is imported: it reads these then.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from genre_mlops.tracking.models import (
    MOST_DESCRIBED,
    StoreError,
    VersionInfo,
    aliases,
    append_version,
    client,
    describe_version,
    download_bundle,
    list_versions,
    log_pyfunc,
    model_tags,
    predict_apart,
    register_model,
    set_alias,
    tag_model,
    tag_version,
    version_numbers,
)
from genre_mlops.tracking.runs import (
    ancestors,
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
    need_store,
    open_run,
    read_text,
    run_link,
    set_tags,
    shown_uri,
    sweep_dead_runs,
    tracking_uri,
    use_tracking_uri,
)
from genre_mlops.tracking.trials import TrialLog

__all__ = [
    "MOST_DESCRIBED",
    "StoreError",
    "TrialLog",
    "VersionInfo",
    "aliases",
    "ancestors",
    "append_version",
    "artifact_place",
    "client",
    "current_experiment",
    "dead_runs",
    "describe",
    "describe_version",
    "download_bundle",
    "has_store",
    "kill_run",
    "list_versions",
    "log_best_trial",
    "log_dataset",
    "log_figure",
    "log_folder",
    "log_metrics",
    "log_params",
    "log_pyfunc",
    "log_table",
    "log_text",
    "model_tags",
    "need_store",
    "open_run",
    "predict_apart",
    "read_text",
    "register_model",
    "run_link",
    "set_alias",
    "set_tags",
    "shown_uri",
    "sweep_dead_runs",
    "tag_model",
    "tag_version",
    "tracking_uri",
    "use_tracking_uri",
    "version_numbers",
]

# It reports every migration of an empty database otherwise.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
