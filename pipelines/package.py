"""Step 6: the champion becomes a BentoML model and a bento."""

import logging

from genre_mlops import tracking
from genre_mlops.bentos import pack
from pipelines.job import PROJECT, Job, start

_log = logging.getLogger("genre_mlops.package")


def run(job: Job) -> str:
    """Package the champion and return the bento's tag."""
    with tracking.open_run("package"):
        packed = pack(job.config.registry.model, None, PROJECT)
        about = {f"genre.{key}": value for key, value in packed.labels.items()}
        tracking.set_tags({"bento": packed.bento, "version": str(packed.version), **about})
        _log.info("bento %s serves version %d", packed.bento, packed.version)
    return packed.bento


if __name__ == "__main__":
    start("package", run)
