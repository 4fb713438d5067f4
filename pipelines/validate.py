"""Step 1: catalog the audio, check it, set bad files aside, split the rest."""

import logging
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from genre_mlops import tracking
from genre_mlops.datasets import open_dataset
from genre_mlops.files import replacing
from genre_mlops.quality import inspect_listing
from genre_mlops.quality.evidence import REPORT, write_evidence
from genre_mlops.splits import split_digest
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.validate")


def run(job: Job) -> Validated:
    """Validate the data set of a job; raises DataError where it cannot be used."""
    config, engine = job.config, job.engine
    source = open_dataset(config.data, root=job.workspace / "datasets")
    with ExitStack() as afterwards, tracking.open_run("validate"):
        source.prepare(engine.map, engine.progress)
        listing = source.listing()
        cache = job.workspace / "catalogs"
        found = inspect_listing(listing, config, cache=cache, run=engine.map)
        digest = split_digest(found.usable)
        tracking.log_metrics({**found.metrics(), "passed_over_files": len(listing.passed_over)})
        with TemporaryDirectory() as folder:
            write_evidence(Path(folder), found, listing, source, digest=digest)
            tracking.log_folder(Path(folder), "quality")
        found.tell(len(listing.passed_over))
        _log.info("quality report: %s", tracking.artifact_place(f"quality/{REPORT}"))
        path = job.workspace / "splits" / f"{digest}.parquet"
        genres = tuple(sorted(found.usable["genre"].unique()))
        n_quarantined = len(found.quarantined)
        data = Validated(source, found.usable, path, digest, found.scheme, genres, n_quarantined)
        data.log()
        # The job's own run, open again then, is about the same data; also where it is refused.
        afterwards.callback(data.log)
        found.raise_if_refused()
        with replacing(path) as partial:
            found.usable.to_parquet(partial)
    return data


if __name__ == "__main__":
    start("validate", run)
