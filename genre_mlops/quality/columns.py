"""Columns derived from the catalog for the rules: what a row shares with other rows, in words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genre_mlops.splits import SPLITS

if TYPE_CHECKING:
    import pandas as pd

# Joined by way of a file that is set aside, or that the split does not name.
_INDIRECT = "is the same recording, in part or by way of other files, as {other}, in {split}"


def with_copies(
    catalog: "pd.DataFrame", pairs: "pd.DataFrame", split: Mapping[str, str] | None = None
) -> "pd.DataFrame":
    """Add `copy_of`, `label_conflict` and `near_conflict`: what is wrong with a row, else null.

    Parameters
    ----------
    catalog : DataFrame
        Indexed by `track_id`.
    pairs : DataFrame
        As `find_duplicates` returns them.
    split : mapping of str to str, optional
        A published split. A copy in another split is no copy to set aside: it is a leak.

    Returns
    -------
    DataFrame
        Of several equal recordings one has no `copy_of`, chosen by its content, not its name;
        where they carry different genres, each has a `label_conflict` instead. `near_conflict` is
        for near-duplicates.
    """
    copies: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    twins_of = catalog[catalog["pcm_sha256"].notna()]
    twins_of = twins_of[twins_of.duplicated("pcm_sha256", keep=False)]
    for _, twins in twins_of.sort_values("sha256", kind="stable").groupby("pcm_sha256"):
        if twins["genre"].nunique() > 1:
            for track_id, genre in zip(twins.index, map(str, twins["genre"]), strict=True):
                other = str(twins[twins["genre"] != genre].index[0])
                conflicts[str(track_id)] = (
                    f"is the same audio as {other}: the genre is {genre} here, "
                    f"{twins['genre'][other]} there"
                )
            continue
        first: dict[str | None, str] = {}
        for track_id in map(str, twins.index):
            part = split[track_id] if split else None
            if part in first:
                copies[track_id] = f"is the same audio as {first[part]}"
            else:
                first[part] = track_id
    near = _near_conflicts(catalog, pairs, conflicts)
    return _with_texts(catalog, copy_of=copies, label_conflict=conflicts, near_conflict=near)


def with_genre_counts(usable: "pd.DataFrame") -> "pd.DataFrame":
    """Add `n_tracks_of_genre` and `n_groups_of_genre`."""
    by_genre = usable.groupby("genre")["split_group"]
    return usable.assign(
        n_tracks_of_genre=by_genre.transform("size"),
        n_groups_of_genre=by_genre.transform("nunique"),
    )


def with_joints(usable: "pd.DataFrame", pairs: "pd.DataFrame", n_parts: int) -> "pd.DataFrame":
    """Add `joint`, of genres with fewer groups than parts: what joins their tracks, else null.

    Groups, or else the track with most near-duplicates among the others: it may be a mix of them.
    """
    joints: dict[str, str] = {}
    for genre, tracks in usable[usable["n_groups_of_genre"] < n_parts].groupby("genre"):
        if tracks["group"].nunique() and tracks["group"].nunique() < len(tracks):
            joints[str(genre)] = (
                "split.by_group=false lets groups be in several splits, and scores say less"
            )
            continue
        near = pairs[pairs["first"].isin(tracks.index) | pairs["second"].isin(tracks.index)]
        counts = near[["first", "second"]].stack().value_counts()
        if len(counts) and counts.iloc[0] > 1:
            track_id, n = counts.index[0], counts.iloc[0]
            joints[str(genre)] = f"{track_id} has parts of {n} others and may be what joins them"
    return usable.assign(joint=usable["genre"].map(joints))


def with_leaks(usable: "pd.DataFrame", pairs: "pd.DataFrame") -> "pd.DataFrame":
    """Add `shared_group`, `leaked_copy`, `leak`, `n_splits_of_genre` and `missing_splits`.

    The first three say in words what a held-out row shares with train, or a test row with
    validation, naming the other side; they are null where there is nothing.
    """
    split = usable["split"]
    rank = {str(track_id): SPLITS.index(part) for track_id, part in split.items()}
    leaks = {
        one: f"is {similarity:.0%} the same as {other}, which is in {split.at[other]}"
        for one, (similarity, other) in _most_alike(pairs, rank).items()
    }
    missing = split.groupby(usable["genre"]).agg(lambda parts: " or ".join(_missing(parts)))
    return _with_texts(
        usable.assign(
            n_splits_of_genre=split.groupby(usable["genre"]).transform("nunique"),
            missing_splits=usable["genre"].map(missing),
        ),
        shared_group=_shared(usable, "group", "is of {key}, of whom {other} is in {split}"),
        leaked_copy=_shared(usable, "pcm_sha256", "is the same audio as {other}, in {split}"),
        leak={**_shared(usable, "cluster", _INDIRECT), **leaks},
    )


def with_lost_genres(files: "pd.DataFrame", usable: "pd.DataFrame") -> "pd.DataFrame":
    """Add `lost_genre`: said of every file of a genre of which no file is usable, else null."""
    lost = files[~files["genre"].isin(usable["genre"])]
    texts = {str(t): f"no file of the genre {genre} is used" for t, genre in lost["genre"].items()}
    return _with_texts(files, lost_genre=texts)


def with_spellings(files: "pd.DataFrame") -> "pd.DataFrame":
    """Add `other_spelling`: said of files whose genre others write in other case or blanks."""
    counts = files["genre"].value_counts().sort_index()
    plain = {genre: " ".join(str(genre).casefold().split()) for genre in counts.index}
    # The spelling of most files is taken for the right one.
    usual = counts.groupby(plain).idxmax().to_dict()
    texts = {
        str(track_id): f"the genre {genre} is written {usual[plain[genre]]} elsewhere"
        for track_id, genre in files["genre"].items()
        if usual[plain[genre]] != genre
    }
    return _with_texts(files, other_spelling=texts)


def with_reasons(catalog: "pd.DataFrame", reasons: Mapping[str, list[str]]) -> "pd.DataFrame":
    """Add `reason`: why a row is set aside, else null."""
    return _with_texts(catalog, reason={t: "; ".join(texts) for t, texts in reasons.items()})


def shared_keys(usable: "pd.DataFrame", column: str) -> "pd.DataFrame":
    """Return the values of a column that are in more than one split.

    Returns
    -------
    DataFrame [index=value, columns=train, validation, test]
        How many tracks each split has of it.
    """
    counts = split_counts(usable, column)
    return counts[counts.gt(0).sum(axis=1) > 1]


def split_counts(usable: "pd.DataFrame", column: str) -> "pd.DataFrame":
    """Return how many tracks each split has of each value of a column.

    Returns
    -------
    DataFrame [index=value, columns=train, validation, test]
        Without tracks for which the column is null.
    """
    counts = usable.groupby([column, "split"]).size().unstack(fill_value=0)
    return counts.reindex(columns=list(SPLITS), fill_value=0)


def _shared(usable: "pd.DataFrame", column: str, form: str) -> dict[str, str]:
    keys = shared_keys(usable, column).index
    texts: dict[str, str] = {}
    for key, tracks in usable[usable[column].isin(keys)].groupby(column):
        example = {part: ids.index[0] for part, ids in tracks.groupby("split")}
        there = next(name for name in SPLITS if name in example)
        for track_id in tracks.index[tracks["split"] != there]:
            texts[str(track_id)] = form.format(key=key, other=example[there], split=there)
    return texts


def _missing(splits: "pd.Series[str]") -> list[str]:
    there = set(splits)
    return [name for name in SPLITS if name not in there]


def _near_conflicts(
    catalog: "pd.DataFrame", pairs: "pd.DataFrame", exact: Mapping[str, str]
) -> dict[str, str]:
    genre = catalog["genre"]
    return {
        one: f"is {similarity:.0%} the same as {other}: the genre is {genre.at[one]} here, "
        f"{genre.at[other]} there"
        for one, (similarity, other) in _most_alike(pairs, genre.to_dict(), both_ways=True).items()
        if one not in exact
    }


def _most_alike(
    pairs: "pd.DataFrame", values: Mapping[Any, Any], *, both_ways: bool = False
) -> dict[str, tuple[float, str]]:
    """Return, for tracks with a duplicate of a smaller value, the most similar of these.

    With `both_ways`, for tracks with a duplicate of any other value. Tracks without a value play
    no part.
    """
    found: dict[str, tuple[float, str]] = {}
    for first, second, alike in zip(
        pairs["first"], pairs["second"], pairs["similarity"], strict=True
    ):
        if first not in values or second not in values:
            continue
        for one, other in ((first, second), (second, first)):
            if values[one] > values[other] or (both_ways and values[one] != values[other]):
                found[one] = max(found.get(one, (0.0, "")), (alike, other))
    return found


def _with_texts(frame: "pd.DataFrame", **columns: Mapping[str, str]) -> "pd.DataFrame":
    import pandas as pd

    return frame.assign(
        **{
            name: pd.Series([texts.get(t) for t in frame.index], frame.index, dtype=object)
            for name, texts in columns.items()
        }
    )
