"""From a catalog to a set that can be trusted: set aside, split, refuse."""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genre_mlops.config import QualityConfig, SplitConfig
from genre_mlops.errors import DataError
from genre_mlops.quality import rules
from genre_mlops.quality.suites import Check, run_suite
from genre_mlops.splits import assign_splits

if TYPE_CHECKING:
    import pandas as pd

OFFENDERS_SHOWN = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspection:
    """The verdict on a catalog.

    Attributes
    ----------
    usable : DataFrame
        The catalog's rows that may be used, with `split`.
    quarantined : dict of str to str
        Track -> why it is set aside. Files stay where they are.
    checks : list of Check
        Every rule with its outcome.
    """

    usable: "pd.DataFrame"
    quarantined: dict[str, str]
    checks: list[Check]

    @property
    def refusals(self) -> list[Check]:
        """The checks for which the whole set is refused."""
        return [c for c in self.checks if c.rule.scope == "set" and not c.passed]

    def raise_if_refused(self) -> None:
        """Raise where the set cannot be used.

        Raises
        ------
        DataError
            Says which check failed and lists the offenders.
        """
        if not self.refusals:
            return
        lines = [
            f"the data set is refused: {', '.join(check.rule.name for check in self.refusals)}"
        ]
        offenders = dict(self.quarantined)
        for check in self.refusals:
            if not check.offenders:
                lines.append(f"  {check.rule.sentence({})}")
            offenders |= {t: s for t, s in check.offenders.items() if t not in offenders}
        lines += [f"  {track}: {why}" for track, why in list(offenders.items())[:OFFENDERS_SHOWN]]
        if len(offenders) > OFFENDERS_SHOWN:
            lines.append(f"  and {len(offenders) - OFFENDERS_SHOWN} more, in the quality report")
        raise DataError("\n".join(lines))

    def tell(self, n_passed_over: int) -> None:
        """Log what was found: a line for the whole, and one for each file set aside."""
        _log.info(
            "%d usable track(s) of %d genre(s); %d file(s) set aside, %d passed over",
            len(self.usable),
            self.usable["genre"].nunique(),
            len(self.quarantined),
            n_passed_over,
        )
        for track_id, reason in list(self.quarantined.items())[:OFFENDERS_SHOWN]:
            _log.warning("set aside %s: %s", track_id, reason)
        if len(self.quarantined) > OFFENDERS_SHOWN:
            _log.warning(
                "and %d more, in the quality report", len(self.quarantined) - OFFENDERS_SHOWN
            )

    def as_json(self) -> dict[str, Any]:
        """Return the verdict in full, for scripts."""
        return {
            "checks": [
                {
                    "rule": check.rule.name,
                    "column": check.rule.column,
                    "expectation": check.rule.expectation,
                    "arguments": check.rule.arguments,
                    "passed": check.passed,
                    "n_checked": check.n_checked,
                    "n_failed": check.n_failed,
                }
                for check in self.checks
            ],
            "quarantined": self.quarantined,
        }

    def metrics(self) -> dict[str, float]:
        """Return counts for the run: files, usable tracks, offenders of each rule."""
        counts: Counter[str] = Counter()
        for check in self.checks:
            counts[f"failed_{check.rule.name}"] += check.n_failed
        return {
            "files": float(len(self.usable) + len(self.quarantined)),
            "usable_tracks": float(len(self.usable)),
            "quarantined_files": float(len(self.quarantined)),
            "genres": float(self.usable["genre"].nunique()),
            **{name: float(count) for name, count in counts.items()},
        }


def inspect(catalog: "pd.DataFrame", quality: QualityConfig, split: SplitConfig) -> Inspection:
    """Check files, then genres, then split what is left and check the set.

    Parameters
    ----------
    catalog : DataFrame
        As `build_catalog` makes it.
    quality : QualityConfig
        The limits.
    split : SplitConfig
        Shares and seed.

    Returns
    -------
    Inspection
        Also for a set that is to be refused: it is reported before anything is raised.
    """
    reasons: dict[str, list[str]] = defaultdict(list)
    checks: list[Check] = []

    def set_aside(name: str, frame: "pd.DataFrame", asked: list[rules.Rule]) -> "pd.DataFrame":
        found = run_suite(name, frame, asked)
        checks.extend(found)
        for check in found:
            for track_id, sentence in check.offenders.items():
                reasons[track_id].append(sentence)
        return frame[~frame.index.isin(reasons)]

    usable = set_aside("files", catalog, rules.file_rules(quality))
    if len(usable):
        usable = set_aside("copies", rules.with_copies(usable), rules.copy_rules())
    if len(usable):
        usable = set_aside("genres", rules.with_genre_counts(usable), rules.genre_rules(quality))
    usable = usable[catalog.columns.to_list()]
    usable = usable.assign(split=assign_splits(usable, split) if len(usable) else [])
    checks += run_suite("set", rules.with_split_counts(usable), rules.set_rules(quality))
    whole = rules.with_reasons(catalog, reasons)
    checks += run_suite("collection", whole, rules.collection_rules(quality))
    quarantined = {t: "; ".join(texts) for t, texts in sorted(reasons.items())}
    return Inspection(usable, quarantined, checks)
