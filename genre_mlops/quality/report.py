"""The quality report: one page of HTML that needs nothing else, online or off."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genre_mlops.datasets.base import Dataset, Listing
from genre_mlops.quality.inspection import Inspection
from genre_mlops.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

ROWS_SHOWN = 500
_MEASURES = {
    "duration_s": ("duration, s", "{:.1f}"),
    "sr": ("sampling rate, Hz", "{:.0f}"),
    "rms_dbfs": ("level, dBFS RMS", "{:.1f}"),
    "peak_dbfs": ("peak, dBFS", "{:.1f}"),
    "clipping_share": ("share of samples clipped", "{:.2%}"),
    "silence_share": ("share of time silent", "{:.1%}"),
}


@dataclass(frozen=True)
class _Measure:
    name: str
    least: str
    median: str
    most: str


def quality_report(found: Inspection, listing: Listing, source: Dataset) -> str:
    """Render the report.

    Parameters
    ----------
    found : Inspection
        The verdict.
    listing : Listing
        What the source holds.
    source : Dataset
        Named on the page, with its licence.

    Returns
    -------
    str
        A whole HTML page; everything from file names is escaped.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("genre_mlops.quality", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        source=source,
        checks=found.checks,
        refused=[check.rule.name for check in found.refusals],
        splits=SPLITS,
        counts=_counts(found.usable),
        measures=_measures(found.usable),
        quarantined=list(found.quarantined.items())[:ROWS_SHOWN],
        n_quarantined=len(found.quarantined),
        passed_over=listing.passed_over[:ROWS_SHOWN],
        n_passed_over=len(listing.passed_over),
    )


def _counts(usable: "pd.DataFrame") -> list[tuple[str, list[int], int]]:
    """Return genre, tracks in each split, and tracks, for each genre and for all."""
    rows = []
    for genre, tracks in usable.groupby("genre"):
        rows.append((str(genre), [int((tracks["split"] == s).sum()) for s in SPLITS], len(tracks)))
    every = [sum(counts[i] for _, counts, _ in rows) for i in range(len(SPLITS))]
    return [*rows, ("all", every, len(usable))]


def _measures(usable: "pd.DataFrame") -> list[_Measure]:
    if usable.empty:
        return []
    return [
        _Measure(
            name,
            *(form.format(getattr(usable[column], which)()) for which in ("min", "median", "max")),
        )
        for column, (name, form) in _MEASURES.items()
    ]
