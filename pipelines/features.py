"""Step 2: log-mel spectrograms of the usable tracks, of those that have none yet."""

import logging
from pathlib import Path

from genre_mlops import tracking
from genre_mlops.errors import DataError
from genre_mlops.store import FeatureStore
from pipelines import validate
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.features")


def run(job: Job, data: Validated) -> FeatureStore:
    """Build what is missing; raises DataError where a file has changed since it was checked."""
    config = job.config.features
    with tracking.open_run("features", tags=data.tags):
        store = FeatureStore(job.workspace / "features", config)
        sources = dict(zip(data.catalog["sha256"], map(Path, data.catalog["path"]), strict=True))
        report = store.build(sources, job.engine.map)
        tracking.log_params({"digest": config.digest(), **config.model_dump()})
        tracking.log_metrics({"built": report.n_built, "reused": report.n_reused})
        _log.info("features: %d built, %d reused", report.n_built, report.n_reused)
        if report.failures:
            lines = "\n".join(f"  {path}: {why}" for path, why in report.failures.items())
            raise DataError(f"features: {len(report.failures)} file(s) gave none\n{lines}")
    return store


def line(job: Job) -> None:
    """Run this step after those it needs."""
    run(job, validate.run(job))


if __name__ == "__main__":
    start("features", line)
