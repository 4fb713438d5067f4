"""Step 5: measure the bundle once on the test tracks, register it, and let the gate decide."""

import logging
from collections import Counter
from pathlib import Path

from genre_mlops import tracking
from genre_mlops.card import Setting
from genre_mlops.errors import ConfigError
from genre_mlops.files import alone
from genre_mlops.fitting import database_of
from genre_mlops.learning.bundle import read_info
from genre_mlops.learning.evaluation import judge_bundle
from genre_mlops.processes import this_process
from genre_mlops.registration import Registered, enter
from genre_mlops.search import end_study, find_study, newest_bundle
from genre_mlops.splits import count_shared
from pipelines import validate
from pipelines.evidence import log_judged
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.register")


def run(job: Job, data: Validated, bundle: Path) -> Registered:
    """Register a bundle; it becomes the champion where the gate lets it."""
    setting = Setting(
        splits=Counter(data.catalog["split"]),
        scheme=data.scheme,
        n_quarantined=data.n_quarantined,
        faults=data.source.faults,
        n_shared=count_shared(data.catalog),
    )
    # Jobs that share a search register what it left one after the other.
    busy = "waiting for a job that registers the same bundle"
    with tracking.open_run("register", tags=data.tags), alone(bundle, busy=busy):
        study = find_study(bundle, database_of(job.storage, job.workspace / "studies"))
        judged = judge_bundle(bundle, data.catalog, job.config, job.engine.map, changed=True)
        log_judged(judged)
        data.log_tracks(judged.tracks, digest=judged.digest, context="test")
        made = enter(bundle, judged, data.catalog, setting, config=job.config, run=job.engine.map)
        tracking.describe(f"{made.markdown()}\n\n{judged.markdown()}")
        # From here on the same command starts a new search; until here it goes on with this one.
        end_study(bundle, study, this_process())
    return made


def line(job: Job) -> None:
    """Register the newest trained bundle for this data and config."""
    data = validate.run(job)
    bundle = newest_bundle(job.workspace / "studies", job.config, data.digest)
    asked = job.config.evaluation.sure_accuracy
    made_for = read_info(bundle).provenance.get("sure_accuracy")
    if asked != made_for:
        raise ConfigError(
            f"evaluation.sure_accuracy is {asked}, and the last search's bundle was made for "
            f"{made_for}: run the train entry point with the same parameters first"
        )
    made = run(job, data, bundle)
    _log.info(
        "registered %s %d from %s: %s; %s",
        made.name,
        made.version,
        bundle.parent.name,
        made.alias,
        made.verdict.reason,
    )


if __name__ == "__main__":
    start("register", line)
