"""Step 4: search hyperparameters, each trial a nested run; the best becomes a bundle."""

import logging
from pathlib import Path

from genre_mlops import tracking
from genre_mlops.engine import stop_workers
from genre_mlops.files import alone
from genre_mlops.fitting import Plan
from genre_mlops.members import train_members
from genre_mlops.search import BestTrial, in_use, search, shipped_before, study_key
from genre_mlops.search.report import dashboard_command, log_search, log_space
from genre_mlops.search_pictures import search_pictures
from genre_mlops.shipping import Origin, ship
from pipelines import features, validate
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.train")


def run(job: Job, data: Validated) -> tuple[BestTrial, Path]:
    """Search, train the other members, and return the best trial with the bundle's folder."""
    config, folder = job.config, job.workspace / "studies"
    # Its figures are of validation tracks, and do not say themselves what these are.
    title = "train" + " (synthetic music)" * data.source.synthetic
    with tracking.open_run("train", title, tags=data.tags) as run_id:
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
            storage=job.storage,
        )
        stop_workers()
        log_space(config)
        _log.info("the search can be watched: %s", dashboard_command(plan))
        engine = job.engine.with_workers(config.search.workers)
        best = search(plan, engine)
        with in_use(plan, best.study):
            for name, picture in search_pictures(log_search(plan, best)).items():
                tracking.log_figure(picture, f"search/{name}.png")
            # Jobs that share a study ship it one after the other.
            with alone(folder / best.study, busy="waiting for a job that ships the same search"):
                bundle = shipped_before(best)
                if bundle is None:
                    members = train_members(plan, best.config, best.network, engine)
                    bundle = _ship(plan, best, [best.network, *members], data)
    return best, bundle


def _ship(plan: Plan, best: BestTrial, networks: list[Path], data: Validated) -> Path:
    provenance = {"dataset": data.source.name, "split_digest": data.digest, **best.provenance()}
    runs = {**tracking.ancestors(plan.parent_run_id), "trial": best.choice.run_id}
    origin = Origin(
        source=data.source.source,
        threads=best.choice.threads,
        runs=runs,
        cut_short=best.choice.cut_short,
        chosen_by=best.choice.why,
        n_trials=best.n_trials,
        cpu_s=best.cpu_s,
    )
    shipped = ship(plan, best.config, networks, best.bundle, provenance, origin=origin)
    tracking.log_metrics(shipped.metrics)
    tracking.log_text(shipped.summary, "network.txt")
    return shipped.folder


def line(job: Job) -> None:
    """Run this step after those it needs."""
    data = validate.run(job)
    features.run(job, data)
    run(job, data)


if __name__ == "__main__":
    start("train", line)
