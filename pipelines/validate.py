"""Step 1: catalog the audio, check it, set bad files aside, split the rest."""

import logging

from genre_mlops import tracking
from genre_mlops.catalog import READING_VERSION, build_catalog
from genre_mlops.datasets import open_dataset
from genre_mlops.files import replacing
from genre_mlops.quality import inspect
from genre_mlops.quality.report import quality_report
from genre_mlops.splits import split_digest
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.validate")


def run(job: Job) -> Validated:
    """Validate the data set of a job; raises DataError where it cannot be used."""
    source = open_dataset(job.config.data, root=job.workspace / "datasets")
    with tracking.open_run("validate"):
        source.prepare(job.engine.map)
        listing = source.listing()
        cache = job.workspace / "catalogs" / f"{source.name}.v{READING_VERSION}.parquet"
        catalog = build_catalog(listing, cache=cache, run=job.engine.map)
        found = inspect(catalog, job.config.quality, job.config.split)
        digest, usable = split_digest(found.usable), found.usable
        path = job.workspace / "splits" / f"{digest}.parquet"
        with replacing(path) as partial:
            usable.to_parquet(partial)
        tracking.log_metrics({**found.metrics(), "passed_over_files": len(listing.passed_over)})
        tracking.log_text(quality_report(found, listing, source), "quality/report.html")
        tracking.log_json(found.as_json(), "quality/checks.json")
        tracking.log_dataset(usable, name=source.name, digest=digest, context="splits")
        found.tell(len(listing.passed_over))
        _log.info("quality report: %s", tracking.artifact_place("quality/report.html"))
        found.raise_if_refused()
    genres = tuple(sorted(usable["genre"].unique()))
    return Validated(source, usable, path, digest, genres, len(found.quarantined))


if __name__ == "__main__":
    start("validate", run)
