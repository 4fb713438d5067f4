"""The quality report: one page of HTML that needs nothing else, online or off."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genre_mlops.datasets.base import Dataset, Listing
from genre_mlops.quality import charts, overlaps
from genre_mlops.quality.charts import Histogram, histogram, number, shares
from genre_mlops.quality.columns import shared_keys, split_counts
from genre_mlops.quality.inspection import Inspection
from genre_mlops.quality.rule import UNITS
from genre_mlops.quality.suites import Check
from genre_mlops.splits import SPLITS
from genre_mlops.wording import printable

if TYPE_CHECKING:
    import pandas as pd

# A page of everything would be as long as the data; the rest is in the files beside it.
ROWS_SHOWN, EXAMPLES_SHOWN, GENRES_SHOWN, NAMES_SHOWN = 50, 10, 60, 300
# Of files with one and the same fault.
FILES_SHOWN, FEW_FILES_SHOWN = 8, 3
NAME_LENGTH, TEXT_LENGTH = 120, 400
_SCALES = {"duration_s": 1.0, "rms_dbfs": 1.0, "bandwidth_hz": 1e-3}
_MEASURES = {
    "duration_s": ("duration, s", "{:,.1f}"),
    "rms_dbfs": ("level, dBFS RMS", "{:z.1f}"),
    "peak_dbfs": ("peak, dBFS", "{:z.1f}"),
    "clipping_share": ("share of samples clipped", "{:.2%}"),
    "silence_share": ("share of time silent", "{:.1%}"),
    "dc_offset": ("DC offset, of full scale", "{:z.4f}"),
    "bandwidth_hz": ("bandwidth, Hz", "{:,.0f}"),
}


@dataclass(frozen=True)
class _Bar:
    genre: str
    counts: list[int]
    parts: list[tuple[float, float]]
    total: int


@dataclass(frozen=True)
class _Offence:
    """What is wrong, the first files of which it is said, and of how many more."""

    why: str
    tracks: list[str]
    n_more: int


@dataclass(frozen=True)
class _Few:
    """The first rows of a list, and how many more there are."""

    rows: list[Any]
    n_more: int


def quality_report(
    found: Inspection, listing: Listing, source: Dataset, *, digest: str = ""
) -> str:
    """Render the report.

    Parameters
    ----------
    found : Inspection
        The verdict.
    listing : Listing
        What the source holds.
    source : Dataset
        Named on the page, with its licence.
    digest : str, optional
        Of the split, as runs log it.

    Returns
    -------
    str
        A whole HTML page; everything from file names is escaped. Lists are cut, so that a large
        set makes no large page.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("genre_mlops.quality", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["name"] = shown_name
    environment.filters["text"] = shown_text
    environment.filters["words"] = lambda rule_name: rule_name.replace("_", " ")
    catalog = overlaps.with_copies_clustered(found.catalog)
    used = catalog[catalog["split"].notna()]
    leaks, n_leaks = overlaps.leaks(catalog, found.pairs)
    clusters, n_clusters = overlaps.duplicate_clusters(catalog, found.pairs)
    return environment.get_template("report.html.j2").render(
        found=found,
        source=source,
        digest=digest,
        splits=SPLITS,
        facts=_facts(found, used),
        licences=_few(_counted(used["licence"].fillna("not stated for the track")), ROWS_SHOWN),
        has_licences=bool(used["licence"].notna().any()),
        first_of=lambda check: _few(_offences(check, FEW_FILES_SHOWN), EXAMPLES_SHOWN),
        faults=[(c, _few(_offences(c, FILES_SHOWN), ROWS_SHOWN)) for c in _faults(found)],
        warned=[(c, _few(_offences(c, FILES_SHOWN), ROWS_SHOWN)) for c in found.warnings],
        genres=_few(_bars(used), GENRES_SHOWN),
        all_counts=[int((used["split"] == name).sum()) for name in SPLITS],
        histograms=_histograms(found),
        frame=charts.FRAME,
        measures=_measures(used),
        kinds=_kinds(catalog),
        clusters=clusters,
        n_clusters=n_clusters,
        leakage=overlaps.leakage(used),
        leaks=leaks,
        n_leaks=n_leaks,
        leaks_of=lambda check: _few(_leaks_of(check, leaks), EXAMPLES_SHOWN),
        has_groups=bool(used["group"].notna().any()),
        shared_groups=_few(_shared_groups(used), ROWS_SHOWN),
        units=UNITS,
        passed_over=_few(listing.passed_over, NAMES_SHOWN),
    )


def shown_name(name: object) -> str:
    """Return a file's name or a genre as one line, without the middle of a very long one."""
    text = printable(name)
    if len(text) <= NAME_LENGTH:
        return text
    half = NAME_LENGTH // 2 - 1
    return f"{text[:half]} … {text[-half:]}"


def shown_text(sentence: object) -> str:
    """Return a sentence, which may hold names, as one line of bounded length."""
    text = printable(sentence)
    return text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH]} …"


def _few(rows: Sequence[Any], n_shown: int) -> _Few:
    return _Few(list(rows[:n_shown]), max(0, len(rows) - n_shown))


def _facts(found: Inspection, used: "pd.DataFrame") -> list[tuple[str, str]]:
    hours = float(used["duration_s"].sum()) / 3_600
    counts = {
        "files": len(found.catalog),
        "tracks used": len(used),
        "set aside": len(found.quarantined),
        "not in the split": found.n_left_out,
        "genres": used["genre"].nunique(),
    }
    audio = f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    return [*((what, f"{count:,}") for what, count in counts.items()), ("audio used", audio)]


def _faults(found: Inspection) -> list[Check]:
    """Return the checks that files fail; the share of files set aside only repeats them."""
    return [
        check
        for check in found.checks
        if check.offenders and check.rule.severity == "critical" and check.rule.column != "reason"
    ]


def _offences(check: Check, n_shown: int) -> list[_Offence]:
    """Put files of which the same is said together."""
    tracks_of: dict[str, list[str]] = defaultdict(list)
    for track_id, sentence in check.offenders.items():
        tracks_of[sentence].append(track_id)
    return [
        _Offence(why, tracks[:n_shown], max(0, len(tracks) - n_shown))
        for why, tracks in tracks_of.items()
    ]


def _leaks_of(check: Check, leaks: Sequence[overlaps.Leak]) -> list[overlaps.Leak]:
    """Return the pairs for which a rule of the set fails, where it fails for pairs."""
    if check.rule.column == "leaked_copy":
        return [leak for leak in leaks if not leak.likeness.alike]
    if check.rule.column == "leak":
        return [leak for leak in leaks if leak.likeness.alike]
    return []


def _bars(used: "pd.DataFrame") -> list[_Bar]:
    """Return a bar for each genre, the largest first."""
    counts = split_counts(used, "genre")
    totals = counts.sum(axis=1).sort_values(ascending=False, kind="stable")
    most = int(totals.max()) if len(totals) else 0
    return [
        _Bar(str(genre), parts, shares(parts, most), sum(parts))
        for genre in totals.index
        for parts in [[int(n) for n in counts.loc[genre]]]
    ]


def _histograms(found: Inspection) -> list[Histogram]:
    durations = found.catalog["duration_s"].dropna()
    rates = found.catalog["sr"].dropna()
    # A few very long files would leave no room for the others.
    longest = min(durations.max(), 3 * durations.quantile(0.95)) if len(durations) else 1.0
    highest = float(rates.max()) / 2_000 if len(rates) else 1.0
    least_level = min([-60.0, *(low for low, _ in _limits(found.checks, "rms_dbfs"))])
    return [
        _histogram(found, "duration_s", "Duration", "s", (0.0, 1.05 * float(longest))),
        _histogram(found, "rms_dbfs", "Level", "dBFS RMS", (least_level - 20, 0.0)),
        _histogram(found, "bandwidth_hz", "Bandwidth", "kHz", (0.0, highest)),
    ]


def _histogram(
    found: Inspection, column: str, title: str, unit: str, span: tuple[float, float]
) -> Histogram:
    import numpy as np

    scale = _SCALES[column]
    values = found.catalog[column].astype(float).to_numpy() * scale
    is_used = found.catalog["split"].notna().to_numpy()
    limits = [
        (value * scale, f"{which} {number(value * scale)}")
        for value, which in _limits(found.checks, column)
    ]
    return histogram(
        title,
        unit,
        used=np.asarray(values[is_used]),
        unused=np.asarray(values[~is_used]),
        span=span,
        limits=limits,
    )


def _limits(checks: Sequence[Check], column: str) -> list[tuple[float, str]]:
    words = {"critical": ("at least", "at most"), "warning": ("warned below", "warned above")}
    return [
        (float(check.rule.arguments[key]), words[check.rule.severity][i])
        for check in checks
        if check.rule.column == column
        for i, key in enumerate(("min_value", "max_value"))
        if check.rule.arguments.get(key) is not None
    ]


def _measures(used: "pd.DataFrame") -> list[tuple[str, list[str]]]:
    """Return least, median and most of each measure of the tracks used."""
    if used.empty:
        return []
    return [
        (name, [form.format(getattr(used[column], which)()) for which in ("min", "median", "max")])
        for column, (name, form) in _MEASURES.items()
        if used[column].notna().any()
    ]


def _kinds(catalog: "pd.DataFrame") -> list[tuple[str, _Few]]:
    """Return how many files there are of each format, sampling rate and number of channels."""
    rates = catalog["sr"].dropna().map("{:,.0f} Hz".format)
    channels = catalog["n_channels"].dropna().map("{:.0f}".format)
    columns = {"format": catalog["format"], "sampling rate": rates, "channels": channels}
    return [(name, _few(_counted(values), EXAMPLES_SHOWN)) for name, values in columns.items()]


def _counted(values: "pd.Series[Any]") -> list[tuple[str, int]]:
    return [(str(value), int(n)) for value, n in values.value_counts().items()]


def _shared_groups(used: "pd.DataFrame") -> list[tuple[str, list[int]]]:
    shared = shared_keys(used, "group")
    return [(str(group), [int(n) for n in row]) for group, row in shared.iterrows()]
