"""Step 3, beside the network: what MFCC statistics + SVM reach, and a warning."""

import logging

from genre_mlops import tracking
from genre_mlops.learning.baseline import BaselineReport, fit_and_score
from genre_mlops.store import FeatureStore
from pipelines import features, validate
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.baseline")


def run(job: Job, data: Validated) -> BaselineReport:
    """Score the floor on validation and test tracks; the features are there already."""
    config, synthetic = job.config, data.source.synthetic
    with tracking.open_run("baseline", tags=data.tags):
        tracking.set_tags({"genre.model": "MFCC statistics + SVM, the floor beside the network"})
        tracking.log_params(config.baseline.model_dump())
        store = FeatureStore(job.workspace / "features", config.features)
        found = fit_and_score(data.catalog, store, data.genres, config)
        tracking.log_metrics(found.metrics(synthetic=synthetic))
        tracking.describe(found.markdown(synthetic=synthetic))
        kind = "synthetic " * synthetic
        fitted = f"MFCC statistics + SVM, fitted on {found.n_fitted} train tracks"
        _log.info("%sfloor, validation: %s; %s", kind, found.validation, fitted)
        _log.info("%sfloor, test: %s; %s", kind, found.test, fitted)
        _log.info("%swarning, no score: %s", kind, found.segments)
    return found


def line(job: Job) -> None:
    """Run this step after those it needs."""
    data = validate.run(job)
    features.run(job, data)
    run(job, data)


if __name__ == "__main__":
    start("baseline", line)
