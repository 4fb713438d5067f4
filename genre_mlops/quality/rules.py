"""What is asked of files, genres and the set, as data: each rule becomes an expectation.

A rule looks at one column of the catalog (some are derived, in `columns`) so that Great
Expectations' own expectations do, and says in words what is wrong with a row that fails it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from genre_mlops.config import QualityConfig
from genre_mlops.splits import SPLITS

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
    "reason": "share of files",
    "n_tracks_of_genre": "tracks",
    "n_groups_of_genre": "groups",
    "n_splits_of_genre": "splits",
    "genre": "genres",
}
"""Of the limits of rules on a column."""

_SPLIT_ANEW = "split.scheme=grouped splits anew, with groups and duplicates on one side"


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


def file_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of each file; a file that fails is set aside."""
    shortest, longest = config.min_duration_s, config.max_duration_s
    rules = [
        _none_of("decodable", "error", "the file decodes"),
        Rule(
            "whole",
            "truncated",
            "ExpectColumnValuesToBeInSet",
            {"value_set": [False]},
            lambda row: f"is truncated: {row['duration_s']:.1f} s decode, the file declares more",
        ),
        _between(
            "duration",
            "duration_s",
            (shortest, longest),
            lambda row: f"is {row['duration_s']:.3g} s long; {shortest:g} to {longest:g} s wanted",
        ),
        _between(
            "sample_rate",
            "sr",
            (config.min_sr, None),
            lambda row: f"is sampled at {row['sr']:.0f} Hz; {config.min_sr} Hz at least",
        ),
        _between(
            "level",
            "rms_dbfs",
            (config.min_rms_dbfs, None),
            lambda row: (
                f"has a level of {row['rms_dbfs']:.0f} dBFS RMS; {config.min_rms_dbfs:g} at least"
            ),
        ),
        _between(
            "silence",
            "silence_share",
            (None, config.max_silence_share),
            lambda row: f"is silent for {row['silence_share']:.0%} of its length",
        ),
        _between(
            "clipping",
            "clipping_share",
            (None, config.max_clipping_share),
            lambda row: f"is clipped in {row['clipping_share']:.0%} of its samples",
        ),
    ]
    if config.genres:
        rules.append(
            Rule(
                "genre_known",
                "genre",
                "ExpectColumnValuesToBeInSet",
                {"value_set": list(config.genres)},
                lambda row: f"has the genre {row['genre']!r}, which quality.genres does not name",
            )
        )
    return rules


def file_warnings(config: QualityConfig) -> list[Rule]:
    """Return what is worth a warning about a file that is used all the same."""
    return [
        replace(
            _between(
                "dc_offset",
                "dc_offset",
                (-config.max_dc_offset, config.max_dc_offset),
                lambda row: f"has a DC offset of {row['dc_offset']:.3f} of full scale",
            ),
            severity="warning",
        ),
        replace(
            _between(
                "bandwidth",
                "bandwidth_hz",
                (config.min_bandwidth_hz, None),
                lambda row: f"has nothing above {row['bandwidth_hz']:.0f} Hz",
            ),
            severity="warning",
        ),
    ]


def copy_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of files that are good in themselves.

    A copy is set aside. Of one recording under two genres nobody can say which is right: all its
    files are set aside, and the set is refused unless the config says otherwise.
    """
    return [
        _none_of(
            "one_genre_a_recording",
            "label_conflict",
            "no recording is there under two genres",
            scope="set" if config.label_conflicts == "refuse" else "row",
            cure="correct the labels, or quality.label_conflicts=set_aside sets such files aside",
        ),
        _none_of("unique_content", "copy_of", "every recording is there once"),
        _none_of(
            "one_genre_a_cluster",
            "near_conflict",
            "near-duplicates have one genre",
            severity="warning",
        ),
    ]


def genre_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of each genre; the files of one that fails are set aside."""
    fewest = config.min_tracks_per_genre
    return [
        _between(
            "tracks_per_genre",
            "n_tracks_of_genre",
            (fewest, None),
            lambda row: (
                f"genre {row['genre']} has {row['n_tracks_of_genre']} usable track(s); "
                f"{fewest} at least"
            ),
        )
    ]


def group_rules(n_parts: int) -> list[Rule]:
    """Return what is asked of each genre's groups, which are to be dealt to so many parts."""
    return [
        _between(
            "groups_per_genre",
            "n_groups_of_genre",
            (n_parts, None),
            lambda row: (
                f"genre {row['genre']} has {row['n_groups_of_genre']} group(s) of tracks that must "
                f"stay together (artists, duplicates); {n_parts} at least, one for each part of "
                "the split (split.by_group=false lets artists be in several, and scores say less)"
            ),
        )
    ]


def set_rules(config: QualityConfig, *, shares_groups: bool = False) -> list[Rule]:
    """Return what is asked of the usable set with its splits; one failure refuses the set.

    Parameters
    ----------
    config : QualityConfig
        The limits.
    shares_groups : bool
        The split is a published one that is known to have groups on both sides: a warning then.
    """
    return [
        Rule(
            "genres",
            "genre",
            "ExpectColumnUniqueValueCountToBeBetween",
            {"min_value": 2},
            lambda _: (
                f"fewer than two genres have {config.min_tracks_per_genre} usable tracks "
                "(quality.min_tracks_per_genre)"
            ),
            "set",
        ),
        _none_of(
            "group_in_one_split",
            "shared_group",
            "a group (an artist, an album) is in one split",
            scope="set",
            severity="warning" if shares_groups else "critical",
            cure=_SPLIT_ANEW,
        ),
        _none_of(
            "content_in_one_split",
            "leaked_copy",
            "copies of a recording are in one split",
            scope="set",
            cure=_SPLIT_ANEW,
        ),
        _none_of(
            "duplicates_in_one_split",
            "leak",
            "near-duplicates are in one split",
            scope="set",
            cure=_SPLIT_ANEW,
        ),
        _between(
            "genre_in_every_split",
            "n_splits_of_genre",
            (len(SPLITS), None),
            lambda row: (
                f"genre {row['genre']} is in {row['n_splits_of_genre']} of {len(SPLITS)} splits: "
                "files are missing, or its groups could not be dealt whole (another split.seed "
                "may do it)"
            ),
            "set",
        ),
    ]


def collection_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of the whole collection, set aside files included."""
    return [
        Rule(
            "usable_share",
            "reason",
            "ExpectColumnValuesToBeNull",
            # A share of exactly the limit is not over it, whatever 1 - x is in binary.
            {"mostly": round(1 - config.max_quarantined_share, 12)},
            lambda row: str(row["reason"]),
            "set",
            words=f"at most {config.max_quarantined_share:.0%} of the files are set aside",
            cure="mend the files, or raise quality.max_quarantined_share",
        )
    ]


def _none_of(
    name: str,
    column: str,
    words: str,
    *,
    scope: Scope = "row",
    severity: Severity = "critical",
    cure: str = "",
) -> Rule:
    """Return a rule on a column that says what is wrong with a row, or nothing."""
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


def _between(
    name: str,
    column: str,
    limits: tuple[float | None, float | None],
    sentence: Callable[[Row], str],
    scope: Scope = "row",
) -> Rule:
    low, high = limits
    arguments = {"min_value": low, "max_value": high}
    return Rule(name, column, "ExpectColumnValuesToBeBetween", arguments, sentence, scope)
