"""What is asked of files, genres and the set, as data: each rule becomes an expectation.

A rule looks at one column of the catalog (some are derived here) so that Great Expectations'
own expectations do, and says in words what is wrong with a row that fails it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from genre_mlops.config import QualityConfig
from genre_mlops.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

Scope = Literal["row", "set"]
Row = Mapping[str, Any]


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
    """

    name: str
    column: str
    expectation: str
    arguments: dict[str, Any]
    sentence: Callable[[Row], str]
    scope: Scope = "row"

    @property
    def wanted(self) -> str:
        """What is expected of the column, in words."""
        low, high = self.arguments.get("min_value"), self.arguments.get("max_value")
        match self.expectation:
            case "ExpectColumnValuesToBeNull" if "mostly" in self.arguments:
                return f"is empty in {self.arguments['mostly']:.0%} of the rows or more"
            case "ExpectColumnValuesToBeNull":
                return "is empty"
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
        _null("decodable", "error", lambda row: str(row["error"])),
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


def copy_rules() -> list[Rule]:
    """Return what is asked of files that are good in themselves; a copy is set aside."""
    return [_null("unique_content", "copy_of", lambda row: str(row["copy_of"]))]


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
        ),
        _between(
            "groups_per_genre",
            "n_groups_of_genre",
            (len(SPLITS), None),
            lambda row: (
                f"genre {row['genre']} has {row['n_groups_of_genre']} group(s) of tracks; "
                f"{len(SPLITS)} at least, one for each split"
            ),
        ),
    ]


def set_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of the usable set with its splits; one failure refuses the set."""
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
        _between(
            "group_in_one_split",
            "n_splits_of_group",
            (1, 1),
            lambda row: f"group {row['group']} is in {row['n_splits_of_group']} splits",
            "set",
        ),
        _between(
            "content_in_one_split",
            "n_splits_of_content",
            (1, 1),
            lambda row: f"the same audio is in {row['n_splits_of_content']} splits",
            "set",
        ),
        _between(
            "genre_in_every_split",
            "n_splits_of_genre",
            (len(SPLITS), None),
            lambda row: (
                f"genre {row['genre']} is in {row['n_splits_of_genre']} of {len(SPLITS)} splits: "
                "too few of its groups are its own"
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
            {"mostly": 1 - config.max_quarantined_share},
            lambda row: str(row["reason"]),
            "set",
        )
    ]


def with_copies(catalog: "pd.DataFrame") -> "pd.DataFrame":
    """Add `copy_of`: what is wrong with a row whose audio another row has too, else None.

    The first of several equal recordings stays. Where equal recordings carry different genres
    nobody can say which is right, and none stays.
    """
    sentences: dict[str, str] = {}
    decoded = catalog[catalog["pcm_sha256"].notna()]
    for _, twins in decoded.groupby("pcm_sha256", sort=False):
        first = str(twins.index[0])
        if twins["genre"].nunique() > 1:
            for track_id in twins.index:
                other = twins[twins["genre"] != twins.at[track_id, "genre"]].index[0]
                sentences[str(track_id)] = f"is the same audio as {other}, of another genre"
        else:
            sentences |= {str(t): f"is the same audio as {first}" for t in twins.index[1:]}
    copies = [sentences.get(str(track_id)) for track_id in catalog.index]
    return _with_text(catalog, copy_of=copies)


def with_genre_counts(usable: "pd.DataFrame") -> "pd.DataFrame":
    """Add `n_tracks_of_genre` and `n_groups_of_genre`."""
    counted = usable.assign(_group=_groups(usable))
    by_genre = counted.groupby("genre")["_group"]
    return usable.assign(
        n_tracks_of_genre=by_genre.transform("size"),
        n_groups_of_genre=by_genre.transform("nunique"),
    )


def with_split_counts(usable: "pd.DataFrame") -> "pd.DataFrame":
    """Add in how many splits each row's group, content and genre are."""
    keys = {"group": _groups(usable), "content": usable["pcm_sha256"], "genre": usable["genre"]}
    return usable.assign(
        **{
            f"n_splits_of_{name}": usable["split"].groupby(key).transform("nunique")
            for name, key in keys.items()
        }
    )


def with_reasons(catalog: "pd.DataFrame", reasons: Mapping[str, list[str]]) -> "pd.DataFrame":
    """Add `reason`: why a row is set aside, else None."""
    texts = ["; ".join(reasons[str(t)]) if str(t) in reasons else None for t in catalog.index]
    return _with_text(catalog, reason=texts)


def _with_text(frame: "pd.DataFrame", **columns: list[str | None]) -> "pd.DataFrame":
    import pandas as pd

    return frame.assign(
        **{
            name: pd.Series(values, index=frame.index, dtype=object)
            for name, values in columns.items()
        }
    )


def _groups(frame: "pd.DataFrame") -> "pd.Series[str]":
    return frame["group"].where(frame["group"].notna(), frame.index.to_series())


def _null(name: str, column: str, sentence: Callable[[Row], str]) -> Rule:
    return Rule(name, column, "ExpectColumnValuesToBeNull", {}, sentence)


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
