"""The whole line in one process: validate, features, baseline, train, register, package."""

from genre_mlops import tracking
from genre_mlops.registry import CHAMPION, version_of
from pipelines import baseline, features, package, register, train, validate
from pipelines.job import Job, start
from pipelines.summary import Outcome, summarise


def run(job: Job) -> None:
    """Take audio to a packaged model and say what came of it."""
    data = validate.run(job)
    features.run(job, data)
    floor = baseline.run(job, data)
    best, bundle = train.run(job, data)
    registered = register.run(job, data, bundle)
    # The gate may have let nobody through yet.
    bento = package.run(job) if version_of(registered.name, CHAMPION) is not None else None
    outcome = Outcome(data, best, registered, floor, bento)
    # The job's own run says what came of it: in the UI the others are folded below it.
    judged = registered.judged
    tracking.log_metrics(judged.metrics())
    tracking.log_metrics(floor.metrics(synthetic=data.source.synthetic))
    tracking.log_metrics(outcome.lead.named(f"{judged.prefix}_accuracy_above_floor"))
    tracking.set_tags({"version": str(registered.version), "bento": bento or "none"})
    told = (judged.markdown(), registered.markdown(), outcome.doubt)
    tracking.describe("\n\n".join(filter(None, told)))
    summarise(outcome)


if __name__ == "__main__":
    start("main", run)
