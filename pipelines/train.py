"""Step 4: search hyperparameters, each trial a nested run; the best becomes a bundle."""

from pathlib import Path

from genre_mlops import tracking
from genre_mlops.engine import stop_workers
from genre_mlops.fitting import Plan
from genre_mlops.members import train_members
from genre_mlops.search import BestTrial, search, study_key
from genre_mlops.shipping import ship
from pipelines import features, validate
from pipelines.job import Job, Validated, start


def run(job: Job, data: Validated) -> tuple[BestTrial, Path]:
    """Search, train the other members, and return the best trial with the bundle's folder."""
    config, folder = job.config, job.workspace / "studies"
    # Its figures are of validation tracks, and do not say themselves what these are.
    name = "train" + " (synthetic music)" * data.source.synthetic
    with tracking.open_run("train", name, tags=data.tags) as run_id:
        plan = Plan(
            config=config,
            genres=data.genres,
            catalog=data.path,
            features=job.workspace / "features",
            folder=folder,
            key=study_key(config, data.digest),
            tracking_uri=tracking.tracking_uri(),
            experiment_id=tracking.current_experiment(),
            parent_run_id=run_id,
            synthetic=data.source.synthetic,
            tags=data.tags,
        )
        stop_workers()
        engine = job.engine.with_workers(config.search.workers)
        best = search(plan, engine)
        tracking.log_best_trial(best.number, best.run_id, best.summary())
        members = train_members(plan, best.config, folder / best.study, engine)
        origin = {"dataset": data.source.name, "split_digest": data.digest, **best.provenance()}
        shipped = ship(plan, best.config, [best.network, *members], folder / best.study, origin)
        tracking.log_metrics(shipped.metrics)
        tracking.log_text(shipped.summary, "network.txt")
    return best, shipped.folder


def line(job: Job) -> None:
    """Run this step after those it needs."""
    data = validate.run(job)
    features.run(job, data)
    run(job, data)


if __name__ == "__main__":
    start("train", line)
