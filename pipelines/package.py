"""Step 6: the champion becomes a BentoML model and a bento."""

import logging
from contextlib import suppress

from genre_mlops import registry, tracking
from genre_mlops.errors import GenreError
from genre_mlops.serving.packaging import package
from pipelines.job import PROJECT, Job, start

_log = logging.getLogger("genre_mlops.package")


def run(job: Job) -> str:
    """Package the champion and return the bento's tag."""
    with tracking.open_run("package"):
        champion = registry.load_champion(job.config.registry.model)
        kept = ("dataset", "split_digest", "features_digest", "synthetic", "trial_run_id")
        labels = {key: champion.tags[key] for key in kept if key in champion.tags}
        with suppress(GenreError):  # of a bundle that an older genre-mlops made
            labels["git_commit"] = registry.read_lineage(champion.bundle).code.git_commit or "none"
        tag = package(
            champion.bundle,
            version=champion.version,
            labels=labels,
            project=PROJECT,
            card=tracking.read_text(champion.run_id, "card.md"),
        )
        about = {f"genre.{key}": value for key, value in labels.items()}
        tracking.set_tags({"bento": tag, "version": str(champion.version), **about})
        _log.info("bento %s serves version %d", tag, champion.version)
    return tag


if __name__ == "__main__":
    start("package", run)
