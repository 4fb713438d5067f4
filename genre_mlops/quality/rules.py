"""What is asked of files, genres and the set."""

from genre_mlops.config import QualityConfig
from genre_mlops.duplicates import MIN_OVERLAP_S
from genre_mlops.quality.rule import Rule, between, none_of
from genre_mlops.splits import SPLITS

_SPLIT_ANEW = "split.scheme=grouped splits anew, with groups and duplicates on one side"


def file_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of each file; a file that fails is set aside."""
    shortest, longest = config.min_duration_s, config.max_duration_s
    rules = [
        none_of("decodable", "error", "the file decodes"),
        Rule(
            "whole",
            "truncated",
            "ExpectColumnValuesToBeInSet",
            {"value_set": [False]},
            lambda row: f"is truncated: {row['duration_s']:.1f} s decode, the file declares more",
        ),
        between(
            "duration",
            "duration_s",
            (shortest, longest),
            lambda row: f"is {row['duration_s']:.3g} s long; {shortest:g} to {longest:g} s wanted",
        ),
        between(
            "sample_rate",
            "sr",
            (config.min_sr, None),
            lambda row: f"is sampled at {row['sr']:.0f} Hz; {config.min_sr} Hz at least",
        ),
        between(
            "level",
            "rms_dbfs",
            (config.min_rms_dbfs, None),
            lambda row: (
                f"has a level of {row['rms_dbfs']:.0f} dBFS RMS; {config.min_rms_dbfs:g} at least"
            ),
        ),
        between(
            "silence",
            "silence_share",
            (None, config.max_silence_share),
            lambda row: f"is silent for {row['silence_share']:.0%} of its length",
        ),
        between(
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
        between(
            "dc_offset",
            "dc_offset",
            (-config.max_dc_offset, config.max_dc_offset),
            lambda row: f"has a DC offset of {row['dc_offset']:.3f} of full scale",
            severity="warning",
        ),
        between(
            "bandwidth",
            "bandwidth_hz",
            (config.min_bandwidth_hz, None),
            lambda row: f"has nothing above {row['bandwidth_hz']:.0f} Hz",
            severity="warning",
        ),
        between(
            "comparable",
            "telling_s",
            (MIN_OVERLAP_S, None),
            lambda _: (
                f"has less than {MIN_OVERLAP_S:g} s that tell it from others: copies of it would "
                "not be found"
            ),
            severity="warning",
            words=f"{MIN_OVERLAP_S:g} s or more tell the recording from others",
        ),
    ]


def copy_rules(config: QualityConfig) -> list[Rule]:
    """Return what is asked of files that are good in themselves.

    A copy is set aside. Of one recording under two genres nobody can say which is right: all its
    files are set aside, and the set is refused unless the config says otherwise.
    """
    return [
        none_of(
            "one_genre_a_recording",
            "label_conflict",
            "no recording is there under two genres",
            scope="set" if config.label_conflicts == "refuse" else "row",
            cure="correct the labels, or quality.label_conflicts=set_aside sets such files aside",
        ),
        none_of("unique_content", "copy_of", "every recording is there once"),
        none_of(
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
        between(
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
        between(
            "groups_per_genre",
            "n_groups_of_genre",
            (n_parts, None),
            lambda row: (
                f"genre {row['genre']} has {row['n_groups_of_genre']} group(s) of tracks that must "
                f"stay together (artists, duplicates); {n_parts} at least, one for each part of "
                f"the split{' (split.n_folds)' if n_parts != len(SPLITS) else ''}"
                f"{'; ' + row['joint'] if isinstance(row['joint'], str) else ''}"
            ),
        )
    ]


def set_rules(
    config: QualityConfig, *, is_published: bool = False, shares_groups: bool = False
) -> list[Rule]:
    """Return what is asked of the usable set with its splits; one failure refuses the set.

    Parameters
    ----------
    config : QualityConfig
        The limits.
    is_published : bool
        The split came with the source.
    shares_groups : bool
        The split is known to have groups on both sides: a warning then.
    """
    why = (
        "the split that came with the source gives it none, or those were set aside"
        if is_published
        else "groups of several genres could not be dealt so; another split.seed may do it"
    )
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
        none_of(
            "group_in_one_split",
            "shared_group",
            "a group (an artist, an album) is in one split",
            scope="set",
            severity="warning" if shares_groups else "critical",
            cure=_SPLIT_ANEW,
        ),
        none_of(
            "content_in_one_split",
            "leaked_copy",
            "copies of a recording are in one split",
            scope="set",
            cure=_SPLIT_ANEW,
        ),
        none_of(
            "duplicates_in_one_split",
            "leak",
            "near-duplicates are in one split",
            scope="set",
            cure=_SPLIT_ANEW,
        ),
        between(
            "genre_in_every_split",
            "n_splits_of_genre",
            (len(SPLITS), None),
            lambda row: (
                f"genre {row['genre']} has no usable track in {row['missing_splits']}: {why}"
            ),
            scope="set",
            cure=f"give every genre tracks of each split, or {_SPLIT_ANEW}" if is_published else "",
        ),
    ]


def source_rules() -> list[Rule]:
    """Return what is asked of all files, those that a published split leaves out among them.

    Files may be set aside or left out; that a genre is gone with them is seldom meant.
    """
    return [
        none_of(
            "every_genre_used",
            "lost_genre",
            "every genre of the source has usable tracks",
            scope="set",
            severity="warning",
            cure="mend the files, or add the genre to the split",
        ),
        none_of(
            "one_spelling_a_genre",
            "other_spelling",
            "a genre is written in one way",
            scope="set",
            severity="warning",
            cure="give the genre one name",
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
            cure="mend what files were set aside for, or raise quality.max_quarantined_share",
        )
    ]
