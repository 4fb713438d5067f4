"""What an inspection leaves behind: the report for people, and files for scripts beside it."""

import json
from pathlib import Path

from genre_mlops.datasets.base import Dataset, Listing
from genre_mlops.files import replacing
from genre_mlops.quality.inspection import Inspection
from genre_mlops.quality.report import quality_report

REPORT = "report.html"


def write_evidence(
    folder: Path, found: Inspection, listing: Listing, source: Dataset, *, digest: str = ""
) -> None:
    """Write the report and what it refers to.

    `report.html`; `checks.json`, every check with its limits and offenders; `catalog.parquet`,
    every file; `duplicates.parquet`, the pairs; and `data_docs.html`, Great Expectations' own page.

    Parameters
    ----------
    folder : Path
        Made where it is missing; files of these names in it are replaced.
    found : Inspection
        The verdict.
    listing : Listing
        What the source holds.
    source : Dataset
        Named in the report.
    digest : str, optional
        Of the split.
    """
    texts = {
        REPORT: quality_report(found, listing, source, digest=digest),
        "checks.json": json.dumps(found.as_json(), indent=2) + "\n",
        "data_docs.html": found.data_docs(),
    }
    for name, text in texts.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
    for name, frame in (("catalog", found.catalog), ("duplicates", found.pairs)):
        with replacing(folder / f"{name}.parquet") as partial:
            frame.to_parquet(partial)
