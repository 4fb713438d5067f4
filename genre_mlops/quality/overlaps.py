"""What tracks share, for the report: clusters of duplicates, and what is in two splits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genre_mlops.quality.columns import split_counts
from genre_mlops.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

CLUSTERS_SHOWN, MEMBERS_SHOWN, LEAKS_SHOWN = 40, 12, 25
# Excerpts are placed to a fraction of a second: this close to an end is at the end.
_AT_THE_END_S = 1.0


@dataclass(frozen=True)
class Likeness:
    """A sentence in three parts, with the names apart: one track, how it is like, another."""

    track_id: str
    how: str
    other_id: str
    alike: str = ""


@dataclass(frozen=True)
class Leak:
    """A pair of tracks that is one recording, and the splits that they are in."""

    likeness: Likeness
    split: str
    other_split: str


@dataclass(frozen=True)
class Member:
    """A track of a cluster, where it is used, and how it is like another."""

    track_id: str
    genre: str
    place: str
    likeness: Likeness | None


@dataclass(frozen=True)
class Cluster:
    """Tracks that are one recording, or parts of it."""

    members: list[Member]
    n_members: int
    genres: list[str]
    splits: list[str]


@dataclass(frozen=True)
class Leakage:
    """How many keys of one kind two splits share.

    Attributes
    ----------
    what : str
        Groups, duplicate clusters or equal recordings.
    rows : list of (str, list of int)
        For each split, what it shares with train, validation and test; with itself: what it has.
    n_crossing : int
        Keys in more than one split.
    """

    what: str
    rows: list[tuple[str, list[int]]]
    n_crossing: int


def with_copies_clustered(catalog: "pd.DataFrame") -> "pd.DataFrame":
    """Add `family`: the near-duplicate cluster, which equal recordings are in too; else null."""
    family = catalog["cluster"].astype(object)
    contents = catalog["pcm_sha256"]
    equal = contents.notna() & contents.duplicated(keep=False)
    twins = catalog.index.to_series()[equal].groupby(contents[equal]).transform("first")
    named = family[equal].groupby(contents[equal]).transform("first")
    return catalog.assign(family=family.fillna(named).fillna(twins))


def duplicate_clusters(catalog: "pd.DataFrame", pairs: "pd.DataFrame") -> tuple[list[Cluster], int]:
    """Describe the clusters, the worst first: with two genres, in two splits, large.

    Parameters
    ----------
    catalog : DataFrame
        With `family`, as `with_copies_clustered` adds it.
    pairs : DataFrame
        Near-duplicates.

    Returns
    -------
    (list of Cluster, int)
        Those to show, and how many there are.
    """
    inside = catalog[catalog["family"].notna()]
    by_family = inside.groupby("family")
    order = by_family.agg(
        genres=("genre", "nunique"), splits=("split", "nunique"), size=("genre", "size")
    ).sort_values(["genres", "splits", "size"], ascending=False, kind="stable")
    shown = [
        _cluster(by_family.get_group(family), pairs) for family in order.index[:CLUSTERS_SHOWN]
    ]
    return shown, len(order)


def leaks(catalog: "pd.DataFrame", pairs: "pd.DataFrame") -> tuple[list[Leak], int]:
    """Find pairs of tracks that are one recording in two splits.

    Parameters
    ----------
    catalog : DataFrame
        Every file, with `split`.
    pairs : DataFrame
        Near-duplicates.

    Returns
    -------
    (list of Leak, int)
        Those to show, equal recordings before near-duplicates and the most alike first, and how
        many there are.
    """
    used = catalog[catalog["split"].notna()]
    split = used["split"]
    equal = used[used["pcm_sha256"].notna() & used["pcm_sha256"].duplicated(keep=False)]
    ids = equal.index.to_series().rename("track_id")
    first = ids.groupby(equal["pcm_sha256"]).transform("first")
    copies = first[equal["split"] != first.map(split)]
    known = pairs[pairs["first"].isin(used.index) & pairs["second"].isin(used.index)]
    contents = used["pcm_sha256"]
    near = known[
        (known["first"].map(split) != known["second"].map(split))
        & (known["first"].map(contents) != known["second"].map(contents))
    ].sort_values("similarity", ascending=False, kind="stable")
    shown = [_copy_of(used, str(a), str(b)) for a, b in copies.head(LEAKS_SHOWN).items()]
    rest = near.head(LEAKS_SHOWN - len(shown)).to_dict("records")
    shown += [_likeness(used, pair, pair["second"]) for pair in rest]
    named = [Leak(like, split[like.track_id], split[like.other_id]) for like in shown]
    return named, len(copies) + len(near)


def leakage(used: "pd.DataFrame") -> list[Leakage]:
    """Count what the splits share: groups, duplicate clusters, equal recordings.

    Parameters
    ----------
    used : DataFrame
        Tracks with a split, with `group`, `family` and `pcm_sha256`.
    """
    kinds = (("group", "groups"), ("family", "clusters"), ("pcm_sha256", "recordings"))
    return [_leakage(used, column, what) for column, what in kinds]


def _leakage(used: "pd.DataFrame", column: str, what: str) -> Leakage:
    there = split_counts(used, column).to_numpy(dtype=np.int64) > 0
    shared = there.T.astype(np.int64) @ there.astype(np.int64)
    rows = [(name, [int(n) for n in row]) for name, row in zip(SPLITS, shared, strict=True)]
    return Leakage(what, rows, int(np.count_nonzero(there.sum(axis=1) > 1)))


def _cluster(tracks: "pd.DataFrame", pairs: "pd.DataFrame") -> Cluster:
    inside = pairs[pairs["first"].isin(tracks.index) & pairs["second"].isin(tracks.index)]
    known = inside.to_dict("records")
    members = []
    for i, (track_id, row) in enumerate(tracks.head(MEMBERS_SHOWN).iterrows()):
        if isinstance(row["split"], str):
            place = row["split"]
        else:
            place = "set aside" if isinstance(row["reason"], str) else "left out"
        likeness = _like_another(tracks, known, str(track_id)) if i else None
        members.append(Member(str(track_id), row["genre"], place, likeness))
    return Cluster(
        members,
        len(tracks),
        sorted(map(str, tracks["genre"].unique())),
        [name for name in SPLITS if name in set(tracks["split"])],
    )


def _like_another(
    tracks: "pd.DataFrame", pairs: "list[dict[Any, Any]]", track_id: str
) -> Likeness | None:
    """Return how a track is like an earlier copy, else the cluster's first, else the likest."""
    content = tracks["pcm_sha256"]
    first = content.index[content == content[track_id]]
    if len(first) and first[0] != track_id:
        return _copy_of(tracks, track_id, str(first[0]))
    mine = [p for p in pairs if track_id in (p["first"], p["second"])]
    if not mine:
        return None
    head = tracks.index[0]
    best = max(mine, key=lambda p: (head in (p["first"], p["second"]), p["similarity"]))
    return _likeness(tracks, best, track_id)


def _copy_of(catalog: "pd.DataFrame", track_id: str, other_id: str) -> Likeness:
    bytes_of = catalog["sha256"].loc
    same_file = str(bytes_of[track_id]) == str(bytes_of[other_id])
    how = "is the same file as" if same_file else "has exactly the samples of"
    return Likeness(track_id, how, other_id)


def _likeness(catalog: "pd.DataFrame", pair: "dict[Any, Any]", track_id: str) -> Likeness:
    """Put a pair into words, from the side of one of its tracks."""
    is_second = track_id == pair["second"]
    other_id = pair["first"] if is_second else pair["second"]
    # Where the other track is when this one begins.
    offset_s = pair["offset_s"] if is_second else -pair["offset_s"]
    length_s = pair["overlap_s"]
    durations_s = catalog["duration_s"].loc
    mine, its = float(durations_s[track_id]), float(durations_s[other_id])
    all_of_mine, all_of_its = (length_s > whole - _AT_THE_END_S for whole in (mine, its))
    # What was compared ends a little before the sound does.
    if all_of_mine or all_of_its:
        length_s = min(mine, its)
    here = f"{_clock(max(0.0, -offset_s))} to {_clock(max(0.0, -offset_s) + length_s)}"
    there = f"{_clock(max(0.0, offset_s))} to {_clock(max(0.0, offset_s) + length_s)}"
    if all_of_mine and all_of_its:
        how = "is the whole of"
    elif all_of_mine:
        how = f"is {there} of"
    elif all_of_its:
        how = f"has, at {here}, the whole of"
    else:
        how = f"is, at {here}, {there} of"
    # What is not equal to the last sample is not called 100 %.
    alike = f"{min(pair['similarity'], 0.99):.0%} alike"
    return Likeness(track_id, how, other_id, alike)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
