"""Step 5: measure the bundle once on the test tracks, register it, and let the gate decide."""

import logging
from dataclasses import dataclass
from pathlib import Path

from genre_mlops import registry, tracking
from genre_mlops.errors import ConfigError
from genre_mlops.fitting import database_of
from genre_mlops.learning.bundle import read_info
from genre_mlops.learning.evaluation import judge_bundle, unseen_tests
from genre_mlops.learning.gate import Verdict, judge
from genre_mlops.learning.judged import Judged
from genre_mlops.processes import this_process
from genre_mlops.search import end_study, find_study, newest_bundle
from pipelines import validate
from pipelines.evidence import log_judged
from pipelines.job import Job, Validated, start

_log = logging.getLogger("genre_mlops.register")


@dataclass(frozen=True)
class Registered:
    """A new version, its figures on the test tracks, and the gate's decision."""

    name: str
    version: int
    judged: Judged
    verdict: Verdict


def run(job: Job, data: Validated, bundle: Path) -> Registered:
    """Register a bundle; it becomes the champion if there is none or if it is better."""
    name, how = job.config.registry.model, (data.catalog, job.config, job.engine.map)
    with tracking.open_run("register", tags=data.tags):
        study = find_study(bundle, database_of(job.storage, job.workspace / "studies"))
        # Before anything is registered: a champion that cannot be read is to be mended first.
        rival = registry.find_champion(name)
        ours = judge_bundle(bundle, *how, changed=True)
        log_judged(ours)
        data.log_tracks(ours.tracks, digest=ours.digest, context="test")
        version = registry.register(
            bundle, ours.info, name=name, tags=ours.tags(), description=ours.markdown()
        )
        verdict = Verdict(True, "there was no champion")
        if rival:
            fair = unseen_tests(data.catalog, rival.bundle)
            theirs = judge_bundle(rival.bundle, *how).score(rival.version, among=fair)
            verdict = judge(ours.score(version, among=fair), theirs)
        if verdict.promote:
            registry.promote(name, version)
        registry.note_verdict(name, version, verdict)
        # From here on the same command starts a new search; until here it goes on with this one.
        end_study(bundle, study, this_process())
    return Registered(name, version, ours, verdict)


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
        "champion" if made.verdict.promote else "challenger",
        made.verdict.reason,
    )


if __name__ == "__main__":
    start("register", line)
