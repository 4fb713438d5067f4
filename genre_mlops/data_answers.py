"""What `genre-mlops data` answers: lines and tables for people, values for JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from genre_mlops.console import out
from genre_mlops.wording import counted, printable

if TYPE_CHECKING:
    import pandas as pd

    from genre_mlops.datasets import Dataset, Listing
    from genre_mlops.datasets.verification import Verification
    from genre_mlops.feature_checks import FeatureCheck
    from genre_mlops.quality import Inspection


def about(dataset: "Dataset", listing: "Listing") -> dict[str, Any]:
    """Return what a source is, for JSON."""
    return {
        "dataset": dataset.name,
        "source": dataset.source,
        "licence": dataset.licence,
        "splits": [*listing.splits],
        "passed_over": listing.passed_over,
    }


def by_genre(catalog: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a row for each genre of a catalog, as `build_catalog` makes it."""
    rows = []
    for genre, files in catalog.groupby("genre"):
        rows.append(
            {
                "genre": str(genre),
                "files": len(files),
                "groups": int(files["group"].nunique()),
                "minutes": round(float(files["duration_s"].sum()) / 60, 1),
                "formats": ", ".join(sorted(files["format"].dropna().unique())),
                "undecodable": int(files["error"].notna().sum()),
            }
        )
    return rows


def as_table(rows: list[dict[str, Any]]) -> Table:
    """Return rows of the same keys as a table; at least one."""
    table = Table(box=None, pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row.values()))
    return table


def tell_checksums(checked: "Verification") -> None:
    """Print what came of the published checksums."""
    if not checked.n_checked and not checked.missing:
        say("checksums: none published for these files")
        return
    say(
        f"checksums: {counted(checked.n_checked, 'file')} compared, {len(checked.changed)} "
        f"changed, {len(checked.missing)} missing, {len(checked.unlisted)} not in the list"
    )
    _print(dict.fromkeys(checked.missing, "is missing"))
    _print({track: f"expected {a}, found {b}" for track, (a, b) in checked.changed.items()})
    if not checked.passed:
        say("checksums: refused: this is not the whole set as it was published")


def tell_features(checked: "FeatureCheck", folder: Path, step: str) -> None:
    """Print what came of comparing a feature store with its files; `step` computes features."""
    from genre_mlops.feature_checks import NOT_COMPUTED

    say(
        f"features: {counted(checked.n_tracks, 'track')}, {len(checked.missing)} missing, "
        f"{len(checked.damaged)} damaged; {checked.n_recomputed} recomputed: "
        f"{checked.n_identical} identical, {len(checked.different)} different"
    )
    for name, offenders in (
        ("missing", checked.missing),
        ("damaged", checked.damaged),
        ("different", checked.different),
    ):
        if offenders:
            say(f"{name}:")
            _print(offenders)
    if NOT_COMPUTED in checked.missing.values():
        say(f"to go on: {step} computes what was not computed")
    if set(checked.missing.values()) - {NOT_COMPUTED}:
        say("to go on: replace or remove the files that cannot be used")
    if checked.damaged:
        say(f"to go on: remove the damaged shards from {folder}, then {step}")
    if checked.different:
        say(f"to go on: remove {folder}, then {step}")


def tell_checks(found: "Inspection") -> None:
    """Print the verdict: why a set is refused, or what is used and what is wrong with the rest."""
    if found.refusals:
        say(f"checks: refused: {', '.join(check.rule.name for check in found.refusals)}")
        for line in found.refusal():
            say(f"  {line}")
        return
    n_genres = found.usable["genre"].nunique()
    n_usable = counted(len(found.usable), "usable track")
    say(f"checks: {n_usable} of {n_genres} genres, split: {found.scheme}")
    if found.n_left_out:
        n_left_out = counted(found.n_left_out, "file")
        say(f"left out: {n_left_out} that the split {found.scheme} does not name")
    if len(found.pairs):
        say(f"near-duplicates: {counted(len(found.pairs), 'pair')}")
    if found.quarantined:
        say(f"set aside: {counted(len(found.quarantined), 'file')}")
        _print(found.quarantined)
    for check in found.warnings:
        say(f"warning: {check.rule.name}: {counted(check.n_failed, 'file')}")
        _print(check.offenders)


def tell_passed_over(listing: "Listing", *, n_shown: int = 0) -> None:
    """Print how many files were passed over, and the first of them."""
    if listing.passed_over:
        say(f"passed over: {counted(len(listing.passed_over), 'file')}")
        for name in listing.passed_over[:n_shown]:
            say(f"  {name}")
        if n_shown and len(listing.passed_over) > n_shown:
            say(f"  and {len(listing.passed_over) - n_shown:,} more")


def _print(offenders: Mapping[str, str]) -> None:
    from genre_mlops.quality import in_lines

    for line in in_lines(offenders):
        say(f"  {line}")


def say(text: str) -> None:
    """Print one line, whatever it holds."""
    # Names of files may hold what rich takes for markup, and line breaks.
    out.print(printable(text), markup=False, soft_wrap=True)
