"""What Prometheus is told at `/metrics`."""

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from genre_mlops.serving.answers import ModelName

MEDIA_TYPE = CONTENT_TYPE_LATEST
# The variable by which BentoML names where its processes keep their figures.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
REQUESTS = Counter("genre_requests_total", "Answered requests.", ["path", "status"])
REQUEST_S = Histogram(
    "genre_request_seconds",
    "From the first byte of a request to the last of its answer, waiting included.",
    ["path"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
STAGE_S = Histogram(
    "genre_stage_seconds",
    "Stages of an answer: wait (upload and queue), decode (with resampling), features (log-mel), "
    "network.",
    ["stage"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
IN_FLIGHT = Gauge("genre_in_flight", "Requests worked on or waiting.", multiprocess_mode="livesum")
REJECTED = Counter(
    "genre_rejected_total", "Requests that were not answered, by reason.", ["reason"]
)
PREDICTIONS = Counter("genre_predictions_total", "Answers by best guess.", ["genre", "sure"])
CONFIDENCE = Histogram(
    "genre_confidence",
    "Probability of the best guess.",
    buckets=tuple(share / 10 for share in range(1, 11)),
)
_MODEL = Gauge(
    "genre_model_info",
    "1 for the model that answers, 0 for those that did.",
    ["name", "version", "tag"],
    multiprocess_mode="livemostrecent",
)
LOOKS = Counter(
    "genre_champion_looks_total",
    "Looks for another champion: same, new, refused (its files), failed (the registry).",
    ["outcome"],
)


def forget_the_dead() -> None:
    """Leave out what a process that was killed told of its own: what it worked on, and by what."""
    if _FOLDER not in os.environ:
        return
    for path in Path(os.environ[_FOLDER]).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if is_dead(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


def is_dead(pid: int) -> bool:
    """Whether there is no process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another's
    return False


def show(model: ModelName, *, instead_of: ModelName | None = None) -> None:
    """Say which model answers."""
    if instead_of is not None:
        _label(instead_of).set(0)
    _label(model).set(1)


def _label(model: ModelName) -> Gauge:
    return _MODEL.labels(model.name, str(model.version), model.tag)


def text() -> bytes:
    """Return all of them, as Prometheus reads them."""
    registry = REGISTRY
    # Where BentoML serves, figures are kept in files, which a worker that ended leaves to the next.
    if _FOLDER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
