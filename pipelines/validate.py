"""Step 1: catalog the audio, check it, set bad files aside, split the rest."""

import logging

from genre_mlops import tracking
from genre_mlops.catalog import build_catalog
from genre_mlops.datasets import Dataset, Listing, open_dataset
from genre_mlops.duplicates import find_duplicates
from genre_mlops.files import replacing
from genre_mlops.quality import Inspection, inspect
from genre_mlops.quality.report import quality_report
from genre_mlops.splits import choose_scheme, split_digest
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.validate")


def run(job: Job) -> Validated:
    """Validate the data set of a job; raises DataError where it cannot be used."""
    config, engine = job.config, job.engine
    source = open_dataset(config.data, root=job.workspace / "datasets")
    with tracking.open_run("validate"):
        source.prepare(engine.map, engine.progress)
        listing = source.listing()
        # Before hours of reading: a split that the source does not have.
        choose_scheme(config.split.scheme, listing.splits)
        catalog = build_catalog(listing, cache=job.workspace / "catalogs", run=engine.map)
        pairs = find_duplicates(catalog["fingerprint"])
        found = inspect(catalog, pairs, config.quality, config.split, listing.splits)
        digest = split_digest(found.usable)
        path = job.workspace / "splits" / f"{digest}.parquet"
        with replacing(path) as partial:
            found.usable.to_parquet(partial)
        genres = tuple(sorted(found.usable["genre"].unique()))
        n_quarantined = len(found.quarantined)
        data = Validated(source, found.usable, path, digest, found.scheme, genres, n_quarantined)
        data.log()
        log_evidence(found, listing, source, digest)
        found.tell(len(listing.passed_over))
        _log.info("quality report: %s", tracking.artifact_place("quality/report.html"))
        found.raise_if_refused()
    # The job's own run is about the same data.
    data.log()
    return data


def log_evidence(found: Inspection, listing: Listing, source: Dataset, digest: str) -> None:
    """Keep in the open run what was found, for people and for scripts."""
    tracking.log_metrics({**found.metrics(), "passed_over_files": len(listing.passed_over)})
    tracking.log_text(quality_report(found, listing, source, digest=digest), "quality/report.html")
    tracking.log_text(found.data_docs(), "quality/data_docs.html")
    tracking.log_json(found.as_json(), "quality/checks.json")
    tracking.log_frame(found.catalog, "quality/catalog.parquet")
    tracking.log_frame(found.pairs, "quality/duplicates.parquet")


if __name__ == "__main__":
    start("validate", run)
