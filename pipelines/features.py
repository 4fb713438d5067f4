"""Step 2: log-mel spectrograms of the usable tracks, of those that have none yet."""

import logging

from genre_mlops import tracking
from genre_mlops.errors import DataError
from genre_mlops.fitting import sources_of
from genre_mlops.quality import in_lines
from genre_mlops.store import Estimate, FeatureStore
from genre_mlops.wording import counted, printable
from pipelines import validate
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.features")


def run(job: Job, data: Validated) -> FeatureStore:
    """Build what is missing; raises DataError where a file has changed since it was checked."""
    config = job.config.features
    with tracking.open_run("features", tags=data.tags):
        store = FeatureStore(job.workspace / "features", config)
        sources = sources_of(data.catalog)
        estimate = store.estimate(sources)
        if estimate.n_tracks:
            _log.info("features: %s", in_words(estimate, job.engine.workers))
        report = store.build(sources, job.engine.map)
        tracking.log_params({"digest": config.digest(), **config.model_dump()})
        counts = {"built": report.n_built, "reused": report.n_reused}
        tracking.log_metrics({**counts, "failed": len(report.failures)})
        _log.info("features: %d built, %d reused", report.n_built, report.n_reused)
        if report.failures:
            told = (f"{printable(path)}: {printable(why)}" for path, why in report.failures.items())
            tracking.log_text("\n".join([*told, ""]), "failures.txt")
            lines = "\n".join(f"  {line}" for line in in_lines(report.failures))
            raise DataError(
                f"features: {counted(len(report.failures), 'file')} gave none (all of them: "
                f"failures.txt of the run)\n{lines}\n"
                "  to go on: replace or remove them, then run the same command"
            )
    return store


def in_words(estimate: Estimate, workers: int) -> str:
    """Say what a build will cost; 0 workers are as many as a cluster has."""
    words = f"{estimate.n_tracks:,} to build, about {estimate.n_bytes / 1e6:,.0f} MB"
    if estimate.cpu_s is None:
        return words
    if not workers:
        return f"{words}, about {estimate.cpu_s:,.0f} s shared by the cluster's workers"
    return f"{words}, about {estimate.cpu_s / workers:,.0f} s on {counted(workers, 'worker')}"


def line(job: Job) -> None:
    """Run this step after those it needs."""
    run(job, validate.run(job))


if __name__ == "__main__":
    start("features", line)
