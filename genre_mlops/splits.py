"""Which tracks train, validate and test: by track, whole groups, stratified, with a digest."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from genre_mlops.config import SplitConfig
from genre_mlops.datasets.base import PublishedSplit
from genre_mlops.errors import ConfigError, DataError
from genre_mlops.joined import smallest_joined
from genre_mlops.wording import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
AUTO = "auto"
GROUPED, KFOLD = OURS = ("grouped", "kfold")

Members = dict[str, Counter[str]]
"""Group -> how many tracks of each genre it has."""


def choose_scheme(scheme: str, published: Mapping[str, PublishedSplit]) -> str:
    """Return which scheme is meant: `auto` is the source's first split, else `grouped`.

    Raises
    ------
    ConfigError
        Neither ours nor the source's.
    """
    known = [*OURS, *published]
    if scheme == AUTO:
        return next(iter(published), GROUPED)
    if scheme not in known:
        raise ConfigError(
            f"split.scheme: this source has no split {scheme!r}, only {', '.join(known)}"
            f"{did_you_mean(scheme, known)}"
        )
    return scheme


def join_groups(
    tracks: "pd.DataFrame", ties: Iterable["pd.Series[str]"], *, by_group: bool = True
) -> "pd.Series[str]":
    """Return for each track what must stay in one split with it: its group and its duplicates.

    Parameters
    ----------
    tracks : DataFrame
        Indexed by `track_id`, with `group` (null for a track of no group) and `sha256`.
    ties : iterable of Series [index=track_id]
        Tracks of one value are tied together, for example as near-duplicates; null for none.
    by_group : bool
        False joins by ties only.

    Returns
    -------
    Series [index=track_id]
        Equal for tracks that are joined by groups and ties over any number of steps. A track of
        no group goes by its content: its name decides nothing.
    """
    # A file that could not be opened has no content; it is set aside, and joins nothing.
    import numpy as np
    import pandas as pd

    own = tracks["sha256"].where(tracks["sha256"].notna(), tracks.index.to_series())
    if by_group:
        own = tracks["group"].where(tracks["group"].notna(), own)
    codes, keys = pd.factorize(own, sort=True)
    code = pd.Series(codes, own.index)
    one, other = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for tie in ties:
        tied = code[tie.index[tie.notna() & tie.duplicated(keep=False)]]
        one.append(tied.groupby(tie[tied.index]).transform("first").to_numpy(np.int64))
        other.append(tied.to_numpy(np.int64))
    # Sorted keys: the smallest number is that of the smallest key.
    smallest = smallest_joined(len(keys), np.concatenate(one), np.concatenate(other))
    return pd.Series(np.asarray(keys)[smallest[codes]], own.index, name="split_group", dtype=object)


def groups_of(tracks: "pd.DataFrame") -> "NDArray[np.int64]":
    """Return for each track a number, equal for those of one group, one artist or one recording.

    What belongs together is no independent witness: figures are resampled over these. They join
    artists also where the splits did not.

    Parameters
    ----------
    tracks : DataFrame
        With `group`, `sha256` and `split_group`.

    Returns
    -------
    ndarray [shape=(n_tracks,), dtype=int64]
        From 0 on.
    """
    import numpy as np

    return np.unique(join_groups(tracks, [tracks["split_group"]]), return_inverse=True)[1]


def count_shared(tracks: "pd.DataFrame") -> int:
    """Return how many groups, as `groups_of` has them, have tracks in test and in another split."""
    tested = (tracks["split"] == TEST).groupby(groups_of(tracks))
    return int((tested.any() & ~tested.all()).sum())


def assign_splits(
    tracks: "pd.DataFrame", config: SplitConfig, published: PublishedSplit | None = None
) -> "pd.Series[str]":
    """Put every group of tracks into one split, keeping the genres' shares alike.

    `grouped` deals groups to the shares of the config; `kfold` deals them to `n_folds` equal
    folds, of which `fold` tests and the next validates. Within a genre, groups larger than half of
    the least share are dealt first, the largest first, each to where most tracks are lacking; the
    others follow in an order drawn from the seed and their own names alone, cut where the shares
    are full. A genre with enough groups of its own is in every split. Where groups have one genre,
    a split's tracks of a genre differ from its share by less than twice the genre's largest group;
    and a track that is added moves only the few small groups at the cuts.

    Parameters
    ----------
    tracks : DataFrame
        Indexed by `track_id`, with `genre` and `split_group`.
    config : SplitConfig
        Scheme, shares, folds and seed.
    published : PublishedSplit, optional
        Taken as it is; the rest of the config plays no part then.

    Returns
    -------
    Series [index=track_id, values train, validation or test]
        In the frame's order.

    Raises
    ------
    DataError
        A genre has fewer groups than there are splits or folds.
    """
    if published is not None:
        return tracks.index.to_series().map(dict(published.of)).rename("split")
    if config.scheme == KFOLD:
        folds = _deal(tracks, {str(i): 1 / config.n_folds for i in range(config.n_folds)}, config)
        names = {str(config.fold): TEST, str((config.fold + 1) % config.n_folds): VALIDATION}
        return folds.map(lambda fold: names.get(fold, TRAIN)).rename("split")
    held_out = {TEST: config.test_share, VALIDATION: config.validation_share}
    return _deal(tracks, {**held_out, TRAIN: 1 - sum(held_out.values())}, config).rename("split")


def split_parts(config: SplitConfig) -> int:
    """Return into how many parts the groups of a genre are dealt."""
    return config.n_folds if config.scheme == KFOLD else len(SPLITS)


def split_digest(tracks: "pd.DataFrame") -> str:
    """Return 12 hexadecimal digits of which content is in which split under which genre.

    Paths do not count: a moved collection has the same split.
    """
    return _digest(tracks, ["sha256", "genre", "split"])


def data_digest(tracks: "pd.DataFrame") -> str:
    """Return 12 hexadecimal digits of the content and genres of all tracks, whatever the split."""
    return _digest(tracks, ["sha256", "genre"])


def test_digest(tracks: "pd.DataFrame") -> str:
    """Return 12 hexadecimal digits of the test split's content and genres."""
    return _digest(tracks[tracks["split"] == TEST], ["sha256", "genre"])


def _digest(tracks: "pd.DataFrame", columns: list[str]) -> str:
    rows = sorted(" ".join(map(str, row)) for row in tracks[columns].to_numpy())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def _deal(
    tracks: "pd.DataFrame", shares: Mapping[str, float], config: SplitConfig
) -> "pd.Series[str]":
    """Deal groups to parts of given shares."""
    members: Members = defaultdict(Counter)
    for group, genre in zip(tracks["split_group"], tracks["genre"], strict=True):
        members[group][genre] += 1
    by_genre: dict[str, list[str]] = defaultdict(list)
    # Only the seed and a group's own name decide its place among the others.
    for group in sorted(members, key=lambda name: _drawn(config.seed, name)):
        for genre in members[group]:
            by_genre[genre].append(group)
    _refuse_few_groups(by_genre, len(shares))
    totals = Counter(tracks["genre"])
    lacks = {part: {g: share * totals[g] for g in totals} for part, share in shares.items()}

    least = min(shares.values()) / 2
    large = {
        group
        for group, genres in members.items()
        if len(genres) > 1 or any(n > least * totals[g] for g, n in genres.items())
    }
    chosen = _deal_large(
        sorted(large, key=lambda g: _order(members, config.seed, g)), members, lacks
    )
    for genre in sorted(by_genre):
        small = [(g, members[g][genre]) for g in by_genre[genre] if g not in large]
        chosen |= _cut(small, {part: max(0.0, lack[genre]) for part, lack in lacks.items()})
    _fill_empty(chosen, by_genre, members, tuple(shares))
    return tracks["split_group"].map(chosen)


def _deal_large(
    groups: Iterable[str], members: Members, lacks: dict[str, dict[str, float]]
) -> dict[str, str]:
    """Give each group to the part where its genres lack most tracks, and take it off the lack."""
    chosen = {}
    for group in groups:
        # In one order: sums of floats depend on it.
        genres = sorted(members[group].items())
        part = max(lacks, key=lambda name: sum(n * lacks[name][g] for g, n in genres))
        chosen[group] = part
        for genre, n in genres:
            lacks[part][genre] -= n
    return chosen


def _cut(groups: list[tuple[str, int]], lacks: Mapping[str, float]) -> dict[str, str]:
    """Lay groups end to end and cut where the parts are full; a group goes where its middle is."""
    scale = sum(n for _, n in groups) / (sum(lacks.values()) or 1.0)
    parts, end = iter(lacks.items()), 0.0
    part, begin, chosen = "", 0, {}
    for group, n in groups:
        while not part or begin + n / 2 > end:
            following = next(parts, None)
            if following is None:
                break
            part, end = following[0], end + following[1] * scale
        chosen[group] = part
        begin += n
    return chosen


def _fill_empty(
    chosen: dict[str, str],
    by_genre: Mapping[str, list[str]],
    members: Members,
    parts: tuple[str, ...],
) -> None:
    """Give a part that has no group of a genre the smallest that others can spare."""
    counts = Counter((chosen[group], genre) for group in members for genre in members[group])
    for genre in sorted(by_genre):
        for part in parts:
            spare = [
                group
                for group in by_genre[genre]
                if all(counts[chosen[group], other] > 1 for other in members[group])
            ]
            if counts[part, genre] or not spare:
                continue
            # Of the part with most groups, so that as little as may be is moved.
            moved = min(spare, key=lambda g: (members[g].total(), -counts[chosen[g], genre]))
            for other in members[moved]:
                counts[chosen[moved], other] -= 1
                counts[part, other] += 1
            chosen[moved] = part


def _order(members: Members, seed: int, group: str) -> tuple[int, bytes]:
    return -members[group].total(), _drawn(seed, group)


def _drawn(seed: int, group: str) -> bytes:
    return hashlib.sha256(f"{seed}/{group}".encode()).digest()


def _refuse_few_groups(by_genre: Mapping[str, list[str]], fewest: int) -> None:
    few = {genre: len(groups) for genre, groups in by_genre.items() if len(groups) < fewest}
    if few:
        named = ", ".join(f"{genre} has {n}" for genre, n in sorted(few.items()))
        raise DataError(
            f"splits: {named} group(s) of tracks that must stay together; at least {fewest} are "
            "needed, one for each part"
        )
