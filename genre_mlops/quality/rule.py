"""What a rule is: data, of which an expectation is made.

A rule looks at one column of the catalog (some are derived, in `columns`) so that Great
Expectations' own expectations do, and says in words what is wrong with a row that fails it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Scope = Literal["row", "set"]
Severity = Literal["critical", "warning"]
Row = Mapping[str, Any]
UNITS = {
    "duration_s": "s",
    "sr": "Hz",
    "bandwidth_hz": "Hz",
    "rms_dbfs": "dBFS",
    "silence_share": "share of time",
    "clipping_share": "share of samples",
    "dc_offset": "of full scale",
    "telling_s": "s",
    "reason": "share of files",
    "n_tracks_of_genre": "tracks",
    "n_groups_of_genre": "groups",
    "n_splits_of_genre": "splits",
    "genre": "genres",
}
"""Of the limits of rules on a column."""


@dataclass(frozen=True)
class Rule:
    """One thing asked of a column.

    Attributes
    ----------
    name : str
        For people, reports and metrics: lower case, no blanks.
    column : str
        The column looked at.
    expectation : str
        The name of a class of `great_expectations.expectations`.
    arguments : dict
        The expectation's own, beside the column.
    sentence : callable of a row
        What is wrong with a row that fails.
    scope : "row" or "set"
        A row that fails is set aside; a set that fails is refused as a whole.
    severity : "critical" or "warning"
        A warning is told, and nothing comes of it.
    words : str
        What is expected, for people; needed where the column is one that says what is wrong.
    cure : str
        What can be done about it.
    """

    name: str
    column: str
    expectation: str
    arguments: dict[str, Any]
    sentence: Callable[[Row], str]
    scope: Scope = "row"
    severity: Severity = "critical"
    words: str = ""
    cure: str = ""

    @property
    def wanted(self) -> str:
        """What is expected, in words."""
        return self.words or f"{self.column} {self._limits}"

    @property
    def _limits(self) -> str:
        low, high = self.arguments.get("min_value"), self.arguments.get("max_value")
        match self.expectation:
            case "ExpectColumnValuesToBeInSet":
                return f"is {' or '.join(map(str, self.arguments['value_set']))}"
            case "ExpectColumnUniqueValueCountToBeBetween":
                return f"has {low} or more different values"
        if low is None:
            return f"is {high:g} or less"
        if high is None:
            return f"is {low:g} or more"
        return f"is {low:g}" if low == high else f"is between {low:g} and {high:g}"


def none_of(
    name: str,
    column: str,
    words: str,
    *,
    scope: Scope = "row",
    severity: Severity = "critical",
    cure: str = "",
) -> Rule:
    """Return a rule on a column of sentences: what is wrong with a row, null where nothing is.

    Parameters are those of `Rule`.
    """
    return Rule(
        name,
        column,
        "ExpectColumnValuesToBeNull",
        {},
        lambda row: str(row[column]),
        scope,
        severity,
        words,
        cure,
    )


def between(
    name: str,
    column: str,
    limits: tuple[float | None, float | None],
    sentence: Callable[[Row], str],
    *,
    scope: Scope = "row",
    severity: Severity = "critical",
    words: str = "",
    cure: str = "",
) -> Rule:
    """Return a rule on a measure with a least or a greatest value, or both.

    Parameters are those of `Rule`, and `limits`, in the column's unit; None where there is none.
    """
    low, high = limits
    arguments = {"min_value": low, "max_value": high}
    return Rule(
        name,
        column,
        "ExpectColumnValuesToBeBetween",
        arguments,
        sentence,
        scope,
        severity,
        words,
        cure,
    )
