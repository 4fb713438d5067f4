"""Step 3: search hyperparameters, each trial a nested run; the best becomes a bundle."""

from pathlib import Path

from genre_mlops import tracking
from genre_mlops.engine import Engine, stop_workers
from genre_mlops.learning.bundle import BundleInfo
from genre_mlops.search import BestTrial, SearchPlan, search, study_key
from genre_mlops.splits import TEST
from pipelines import features, validate
from pipelines.job import Job, Validated, start


def run(job: Job, data: Validated) -> tuple[BestTrial, Path]:
    """Search, export the best network, and return it with its bundle's folder."""
    from genre_mlops.learning.export import write_bundle
    from genre_mlops.learning.networks import load_network

    config, folder = job.config, job.workspace / "studies"
    with tracking.open_run("train", tags=data.tags) as run_id:
        plan = SearchPlan(
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
        best = search(plan, Engine(config.search.workers, job.engine.progress))
        tracking.log_best_trial(best.number, best.run_id, best.summary())
        info = BundleInfo(
            genres=data.genres,
            features=best.config.features,
            segment_frames=best.config.network.segment_frames,
            synthetic=data.source.synthetic,
            provenance={
                "dataset": data.source.name,
                "split_digest": data.digest,
                **best.provenance(),
            },
        )
        bundle = folder / best.study / "bundle"
        seen = data.catalog.loc[data.catalog["split"] != TEST, "sha256"]
        write_bundle(bundle, load_network(best.network), info, seen=seen)
    return best, bundle


def line(job: Job) -> None:
    """Run this step after those it needs."""
    data = validate.run(job)
    features.run(job, data)
    run(job, data)


if __name__ == "__main__":
    start("train", line)
