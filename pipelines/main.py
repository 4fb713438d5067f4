"""The whole line in one process: validate, features, baseline, train, register, package."""

from genre_mlops import tracking
from pipelines import baseline, features, package, register, train, validate
from pipelines.job import Job, start
from pipelines.summary import summarise


def run(job: Job) -> None:
    """Take audio to a packaged model and say what came of it."""
    data = validate.run(job)
    features.run(job, data)
    floor = baseline.run(job, data)
    best, bundle = train.run(job, data)
    registered = register.run(job, data, bundle)
    bento = package.run(job)
    # The job's own run says what came of it: in the UI the others are folded below it.
    tracking.log_metrics(registered.judged.metrics())
    tracking.log_metrics(floor.metrics(synthetic=data.source.synthetic))
    above = registered.judged.better_than(floor.test.right)
    ends = {"": above.value, "_low": above.low, "_high": above.high}
    prefix = f"{registered.judged.prefix}_accuracy_above_floor"
    tracking.log_metrics({f"{prefix}{end}": value for end, value in ends.items()})
    tracking.set_tags({"version": str(registered.version), "bento": bento})
    tracking.describe(f"{registered.judged.markdown()}\n\n{registered.verdict.reason}")
    summarise(data, best, registered, floor, bento)


if __name__ == "__main__":
    start("main", run)
