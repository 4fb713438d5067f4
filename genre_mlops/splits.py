"""Which tracks train, validate and test: by track, grouped, stratified, with a digest."""

import hashlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from genre_mlops.config import SplitConfig
from genre_mlops.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")


def assign_splits(catalog: "pd.DataFrame", config: SplitConfig) -> "pd.Series[str]":
    """Put every group of tracks into one split, keeping the genres' shares alike.

    Groups are taken genre by genre, smallest genre first, large groups first and equal ones in an
    order drawn from the seed; each goes where its genres lack most tracks. A genre with at least
    three groups of its own is in every split.

    Parameters
    ----------
    catalog : DataFrame
        Indexed by `track_id`, with `genre`, `group` and `sha256`; a track without a group is its
        own.
    config : SplitConfig
        Shares and seed.

    Returns
    -------
    Series [index=track_id, values train, validation or test]
        In the catalog's order.

    Raises
    ------
    DataError
        A genre has fewer than three groups: it cannot be in every split.
    """
    # A track of no group is drawn by its content: its name decides nothing.
    groups = catalog["group"].where(catalog["group"].notna(), catalog["sha256"])
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for group, genre in zip(groups, catalog["genre"], strict=True):
        members[group][genre] += 1
    _refuse_few_groups(members)
    totals = Counter(catalog["genre"])
    # Tracks that each split still lacks, by genre.
    lacks = {
        split: {genre: share * totals[genre] for genre in totals}
        for split, share in _shares(config).items()
    }
    chosen: dict[str, str] = {}
    for genre in sorted(totals, key=lambda name: (totals[name], name)):
        empty = {*SPLITS} - {chosen[g] for g in members if genre in members[g] and g in chosen}
        waiting = [g for g in members if genre in members[g] and g not in chosen]
        waiting.sort(key=lambda g: (-members[g][genre], _drawn(config.seed, g)))
        for n_left, group in zip(range(len(waiting), 0, -1), waiting, strict=True):
            split = max(
                [name for name in SPLITS if name in empty or n_left > len(empty)],
                key=lambda name: sum(n * lacks[name][g] for g, n in members[group].items()),
            )
            chosen[group] = split
            empty.discard(split)
            for coming, n in members[group].items():
                lacks[split][coming] -= n
    return groups.map(chosen).rename("split")


def split_digest(catalog: "pd.DataFrame") -> str:
    """Return 12 hexadecimal digits of which content is in which split under which genre.

    Paths do not count: a moved collection has the same split.
    """
    return _digest(catalog, ["sha256", "genre", "split"])


def test_digest(catalog: "pd.DataFrame") -> str:
    """Return 12 hexadecimal digits of the test split's content and genres."""
    return _digest(catalog[catalog["split"] == TEST], ["sha256", "genre"])


def _digest(catalog: "pd.DataFrame", columns: list[str]) -> str:
    rows = sorted(" ".join(map(str, row)) for row in catalog[columns].to_numpy())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def _shares(config: SplitConfig) -> dict[str, float]:
    held_out = {VALIDATION: config.validation_share, TEST: config.test_share}
    return {TRAIN: 1 - sum(held_out.values()), **held_out}


def _drawn(seed: int, group: str) -> bytes:
    """Return what puts groups of one size in an order drawn from the seed."""
    return hashlib.sha256(f"{seed}/{group}".encode()).digest()


def _refuse_few_groups(members: dict[str, Counter[str]]) -> None:
    n_groups = Counter(genre for genres in members.values() for genre in genres)
    few = {genre: n for genre, n in n_groups.items() if n < len(SPLITS)}
    if few:
        named = ", ".join(f"{genre} has {n}" for genre, n in sorted(few.items()))
        raise DataError(
            f"splits: {named} group(s) of tracks; at least {len(SPLITS)} are needed, one for each "
            "of train, validation and test"
        )
