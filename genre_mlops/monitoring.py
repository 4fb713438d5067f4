"""`genre-mlops monitor`: a request log, the version that answered, and what has shifted since."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from genre_mlops import registry, tracking
from genre_mlops.config import MonitorConfig
from genre_mlops.drift import DEFINITION
from genre_mlops.drift_page import drift_page
from genre_mlops.drift_report import DriftReport
from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.files import replacing
from genre_mlops.learning.bundle import ONNX, read_info
from genre_mlops.learning.reference import read_reference
from genre_mlops.learning.shift import compare
from genre_mlops.request_log import Wanted, find_logs, read_log

PAGE = "drift/report.html"


def monitor(
    model: str,
    version: int | None,
    logs: Sequence[Path],
    rules: MonitorConfig,
    *,
    since: datetime | None = None,
) -> DriftReport:
    """Compare the requests of a log with the validation tracks of the version that answered them.

    Parameters
    ----------
    model : str
        The registered model's name.
    version : int or None
        Its version; None for the champion.
    logs : sequence of Path
        Files, or patterns of their names.
    rules : MonitorConfig
        From where on a shift counts.
    since : datetime or None
        From when on requests count, with its time zone.

    Raises
    ------
    DataError
        A file is not there, or cannot be read.
    GenreError
        There is no such version, or its bundle has nothing to compare with.
    """
    files = find_logs(logs)
    if version is None:
        found = registry.load_champion(model)
    else:
        tracking.need_store()
        found = registry.find_version(model, version)
    reference = read_reference(found.bundle)
    if reference.definition != DEFINITION:
        raise GenreError(
            f"{model} {found.version} is of another genre-mlops, which describes recordings in "
            "another way: train and promote a new version"
        )
    info = read_info(found.bundle)
    requests = read_log(files, Wanted(found.version, info.sha256[ONNX], since))
    return DriftReport(
        name=found.name,
        version=found.version,
        synthetic=info.synthetic,
        features=info.features,
        reference=reference.heard(),
        requests=requests,
        shifts=compare(reference.heard(), requests.heard, rules),
        rules=rules,
    )


def moment(text: str) -> datetime:
    """Read a date, with a time or without; one that names no zone is of UTC.

    Raises
    ------
    ConfigError
        It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--since {text}: no date such as 2026-11-30 or 2026-11-30T08:00") from (
            error
        )
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def write_page(report: DriftReport, path: Path) -> None:
    """Write a report as a page of HTML."""
    with replacing(path) as partial:
        partial.write_text(drift_page(report), encoding="utf-8")


def keep(report: DriftReport) -> str:
    """Log a report to MLflow, as a run of its own; return the run's id."""
    tags = {
        "genre.model": report.name,
        "genre.version": str(report.version),
        "genre.synthetic": str(report.synthetic).lower(),
        "genre.drift": report.verdict,
    }
    with tracking.open_run("monitor", f"monitor: {report.title}", tags) as run_id:
        tracking.log_params(report.rules.model_dump(), prefix="monitor.")
        tracking.log_metrics(report.metrics())
        tracking.log_text(drift_page(report), PAGE)
        tracking.log_text(json.dumps(report.as_json(), indent=2), "drift/report.json")
        tracking.describe(report.sentence)
    return run_id


def as_table(report: DriftReport) -> Table:
    """Lay the figures out, a row each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("figure")
    for head in ("validation", "requests", "PSI", "limit", "p, Holm"):
        table.add_column(head, justify="right")
    table.add_column("")
    for shift in report.shifts:
        title, unit = report.words(shift.name)
        then, now = map(Text, report.in_numbers(shift))
        p = "<0.0001" if shift.p < 1e-4 else f"{shift.p:.4f}"
        figures = (f"{shift.psi:.3f}", f"{shift.threshold:.3f}", p)
        outcome = Text("shifted", style="bold red") if shift.drifted else Text("")
        table.add_row(f"{title}, {unit}" if unit else title, then, now, *figures, outcome)
    return table
