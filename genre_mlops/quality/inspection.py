"""From a catalog to a set that can be trusted: set aside, split, refuse."""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genre_mlops.catalog import build_catalog
from genre_mlops.config import Config, QualityConfig, SplitConfig
from genre_mlops.datasets.base import Listing, PublishedSplit
from genre_mlops.domain import Mapper
from genre_mlops.duplicates import clusters, find_duplicates, telling_s
from genre_mlops.errors import DataError
from genre_mlops.quality import columns, rules
from genre_mlops.quality.data_docs import data_docs_page
from genre_mlops.quality.lines import in_lines
from genre_mlops.quality.rule import UNITS, Rule
from genre_mlops.quality.severities import check_severities, with_severities
from genre_mlops.quality.suites import Check, run_suite
from genre_mlops.splits import KFOLD, OURS, assign_splits, choose_scheme, join_groups, split_parts

if TYPE_CHECKING:
    import pandas as pd

WARNINGS_SHOWN = 3
REST = "in the quality report"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspection:
    """The verdict on a catalog.

    Attributes
    ----------
    catalog : DataFrame
        Every file, indexed by `track_id`: the catalog's columns but the fingerprint, and
        `cluster` (of near-duplicates), `split_group` (what stays in one split with it), `split`
        and `reason` (why it is set aside), each null where there is none; and `telling_s`
        (seconds of the fingerprint that can be compared).
    pairs : DataFrame
        Near-duplicates, as `find_duplicates` returns them.
    checks : list of Check
        Every rule with its outcome.
    scheme : str
        How the set was split.
    n_left_out : int
        Files that a published split does not name.
    outcomes : list of ExpectationSuiteValidationResult
        Great Expectations' own account of the checks.
    """

    catalog: "pd.DataFrame"
    pairs: "pd.DataFrame"
    checks: list[Check]
    scheme: str
    n_left_out: int = 0
    outcomes: list[Any] = field(default_factory=list)

    @cached_property
    def usable(self) -> "pd.DataFrame":
        """The rows that may be used."""
        return self.catalog[self.catalog["split"].notna()].drop(columns="reason")

    @cached_property
    def quarantined(self) -> dict[str, str]:
        """Track -> why it is set aside. Files stay where they are."""
        reasons = self.catalog["reason"].dropna().sort_index()
        return {str(track_id): str(reason) for track_id, reason in reasons.items()}

    @property
    def refusals(self) -> list[Check]:
        """The checks for which the whole set is refused."""
        return [c for c in self.checks if c.refuses]

    @property
    def warnings(self) -> list[Check]:
        """The checks that failed and of which nothing comes."""
        return [c for c in self.checks if c.rule.severity == "warning" and not c.passed]

    def refusal(self) -> list[str]:
        """Say why the set cannot be used, what is wrong with which track, and what can be done."""
        lines: list[str] = []
        offenders: dict[str, str] = {}
        for check in self.refusals:
            if not check.offenders:
                lines.append(check.rule.sentence({}))
            offenders |= {t: s for t, s in check.offenders.items() if t not in offenders}
        offenders |= {t: s for t, s in self.quarantined.items() if t not in offenders}
        cures = dict.fromkeys(check.rule.cure for check in self.refusals if check.rule.cure)
        told = [*lines, *in_lines(offenders, rest=REST), *(f"to go on: {cure}" for cure in cures)]
        if any("=" in cure for cure in cures):
            told.append('settings: --set "a.b=c" of this command, or -P set="a.b=c" of mlflow run')
        return told

    def raise_if_refused(self) -> None:
        """Raise where the set cannot be used.

        Raises
        ------
        DataError
            Says which check failed and lists the offenders.
        """
        if self.refusals:
            names = ", ".join(check.rule.name for check in self.refusals)
            raise DataError("\n  ".join([f"the data set is refused: {names}", *self.refusal()]))

    def tell(self, n_passed_over: int) -> None:
        """Log what was found: a line for the whole, and one for each file set aside."""
        _log.info(
            "%d usable track(s) of %d genre(s), split: %s; %d file(s) set aside, %d passed over",
            len(self.usable),
            self.usable["genre"].nunique(),
            self.scheme,
            len(self.quarantined),
            n_passed_over,
        )
        if self.n_left_out:
            _log.info("%d file(s) are not in the split %s", self.n_left_out, self.scheme)
        for line in in_lines(self.quarantined, rest=REST):
            _log.warning("set aside %s", line)
        for check in self.warnings:
            for line in in_lines(check.offenders, n_shown=WARNINGS_SHOWN, rest=REST):
                _log.warning("warning, %s: %s", check.rule.name, line)

    def data_docs(self) -> str:
        """Return Great Expectations' own page."""
        return data_docs_page(self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict in full, for scripts."""
        return {
            "checks": [
                {
                    "rule": check.rule.name,
                    "column": check.rule.column,
                    "expectation": check.rule.expectation,
                    "arguments": check.rule.arguments,
                    "unit": UNITS.get(check.rule.column, ""),
                    "scope": check.rule.scope,
                    "severity": check.rule.severity,
                    "passed": check.passed,
                    "n_checked": check.n_checked,
                    "n_failed": check.n_failed,
                    "offenders": check.offenders,
                }
                for check in self.checks
            ],
            "refused": [check.rule.name for check in self.refusals],
            "warnings": [check.rule.name for check in self.warnings],
            "scheme": self.scheme,
            "genres": {str(g): int(n) for g, n in self.usable["genre"].value_counts().items()},
            "files": len(self.catalog),
            "usable_tracks": len(self.usable),
            "left_out_files": self.n_left_out,
            "quarantined": self.quarantined,
        }

    def metrics(self) -> dict[str, float]:
        """Return counts for the run: files, usable tracks, offenders of each rule."""
        counts: Counter[str] = Counter()
        for check in self.checks:
            counts[f"failed_{check.rule.name}"] += check.n_failed
        return {
            "files": float(len(self.catalog)),
            "left_out_files": float(self.n_left_out),
            "near_duplicate_pairs": float(len(self.pairs)),
            "usable_tracks": float(len(self.usable)),
            "quarantined_files": float(len(self.quarantined)),
            "genres": float(self.usable["genre"].nunique()),
            **{name: float(count) for name, count in counts.items()},
        }


def inspect_listing(listing: Listing, config: Config, *, cache: Path, run: Mapper) -> Inspection:
    """Read what a source holds, find duplicates, and inspect it.

    Parameters
    ----------
    listing : Listing
        The source's.
    config : Config
        Its `quality` and `split`.
    cache : Path
        As `build_catalog` takes it.
    run : Mapper
        Where files are read.

    Raises
    ------
    ConfigError
        The source has no such split, or there is no such check: said before anything is read.
    """
    choose_scheme(config.split.scheme, listing.splits)
    check_severities(config.quality)
    catalog = build_catalog(listing, cache=cache, run=run)
    pairs = find_duplicates(catalog["fingerprint"])
    return inspect(catalog, pairs, config.quality, config.split, listing.splits)


def inspect(
    catalog: "pd.DataFrame",
    pairs: "pd.DataFrame",
    quality: QualityConfig,
    split: SplitConfig,
    published: Mapping[str, PublishedSplit] | None = None,
) -> Inspection:
    """Check files, labels and genres, then split what is left and check the set.

    Parameters
    ----------
    catalog : DataFrame
        As `build_catalog` makes it.
    pairs : DataFrame
        Near-duplicates among its tracks, as `find_duplicates` returns them.
    quality : QualityConfig
        The limits.
    split : SplitConfig
        Scheme, shares and seed.
    published : mapping of str to PublishedSplit, optional
        The splits that the source brings.

    Returns
    -------
    Inspection
        Also for a set that is to be refused: it is reported before anything is raised.

    Raises
    ------
    ConfigError
        The scheme is neither ours nor the source's.
    """
    scheme = choose_scheme(split.scheme, published or {})
    own = (published or {}).get(scheme)
    split = split.model_copy(update={"scheme": scheme})
    files = catalog.drop(columns="fingerprint").assign(
        cluster=clusters(pairs, catalog.index), telling_s=telling_s(catalog["fingerprint"])
    )
    used = files if own is None else files[files.index.isin(own.of)]

    sieve = _Sieve(quality, defaultdict(list), [], [])
    good = sieve.ask("files", used, rules.file_rules(quality))
    # Of a file that is set aside nothing more is to be said.
    good = sieve.ask("warnings", good, rules.file_warnings(quality))
    # Copies join what they are of, though they are set aside next.
    joined = join_groups(used, [used["cluster"], good["pcm_sha256"]], by_group=split.by_group)
    asked = columns.with_copies(good, pairs, own.of if own else None)
    good = sieve.ask("copies", asked, rules.copy_rules(quality))[files.columns]
    good = good.assign(split_group=joined)
    good = sieve.ask("genres", columns.with_genre_counts(good), rules.genre_rules(quality))
    if own is None:
        n_parts = split_parts(split)
        asked = columns.with_joints(good, pairs, n_parts)
        good = sieve.ask("groups", asked, rules.group_rules(n_parts)).drop(columns="joint")
    asked = columns.with_spellings(columns.with_lost_genres(files, good))
    sieve.run("source", asked, rules.source_rules())
    good = good.assign(split=assign_splits(good, split, own) if len(good) else [])
    shares_groups = own.shares_groups if own else not split.by_group
    asked_of_set = rules.set_rules(
        quality, is_published=own is not None, shares_groups=shares_groups
    )
    sieve.run("set", columns.with_leaks(good, pairs), asked_of_set)
    whole = columns.with_reasons(used, sieve.reasons)
    sieve.run("collection", whole, rules.collection_rules(quality))
    found = columns.with_reasons(files, sieve.reasons).assign(
        split_group=good["split_group"].reindex(files.index),
        split=good["split"].reindex(files.index),
    )
    n_left_out = len(files) - len(used)
    return Inspection(found, pairs, sieve.checks, _described(split), n_left_out, sieve.outcomes)


@dataclass(frozen=True)
class _Sieve:
    """Asks suites of frames and keeps what came of it."""

    config: QualityConfig
    reasons: dict[str, list[str]]
    checks: list[Check]
    outcomes: list[Any]

    def run(self, name: str, frame: "pd.DataFrame", asked: list[Rule]) -> list[Check]:
        """Check a frame."""
        found, outcome = run_suite(name, frame, with_severities(asked, self.config))
        self.checks.extend(found)
        self.outcomes.append(outcome)
        return found

    def ask(self, name: str, frame: "pd.DataFrame", asked: list[Rule]) -> "pd.DataFrame":
        """Check a frame and return the rows of which nothing critical is wrong."""
        for check in self.run(name, frame, asked):
            if check.rule.severity == "critical":
                for track_id, sentence in check.offenders.items():
                    self.reasons[track_id].append(sentence)
        return frame[~frame.index.isin(self.reasons)]


def _described(split: SplitConfig) -> str:
    fold = f", fold {split.fold} of {split.n_folds}" if split.scheme == KFOLD else ""
    loose = ", groups in several splits" if split.scheme in OURS and not split.by_group else ""
    return f"{split.scheme}{fold}{loose}"
