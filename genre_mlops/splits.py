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

    Groups are taken genre by genre, smallest genre first, in an order drawn from the seed; each
    goes where its genres are furthest below their share. A genre with at least three groups has
    one in every split.

    Parameters
    ----------
    catalog : DataFrame
        Indexed by `track_id`, with `genre` and `group`; a track without a group is its own.
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
    groups = catalog["group"].where(catalog["group"].notna(), catalog.index.to_series())
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for group, genre in zip(groups, catalog["genre"], strict=True):
        members[group][genre] += 1
    _refuse_few_groups(members)
    totals = Counter(catalog["genre"])
    shares = {
        TRAIN: 1 - config.test_share - config.validation_share,
        VALIDATION: config.validation_share,
        TEST: config.test_share,
    }
    held: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    n_groups: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    chosen: dict[str, str] = {}
    for genre in sorted(totals, key=lambda name: (totals[name], name)):
        waiting = [g for g in members if genre in members[g] and g not in chosen]
        waiting.sort(key=lambda g: hashlib.sha256(f"{config.seed}/{g}".encode()).digest())
        for group in waiting:
            split = min(
                SPLITS,
                key=lambda name: (
                    n_groups[name][genre] > 0,
                    _excess(held[name], members[group], totals, shares[name]),
                ),
            )
            chosen[group] = split
            held[split].update(members[group])
            n_groups[split].update(dict.fromkeys(members[group], 1))
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


def _excess(held: Counter[str], coming: Counter[str], totals: Counter[str], share: float) -> float:
    """Return how far above its share a split would be in the genres that are coming."""
    return max((held[genre] + n) / (totals[genre] * share) for genre, n in coming.items())


def _refuse_few_groups(members: dict[str, Counter[str]]) -> None:
    n_groups = Counter(genre for genres in members.values() for genre in genres)
    few = {genre: n for genre, n in n_groups.items() if n < len(SPLITS)}
    if few:
        named = ", ".join(f"{genre} has {n}" for genre, n in sorted(few.items()))
        raise DataError(
            f"splits: {named} group(s) of tracks; at least {len(SPLITS)} are needed, one for each "
            "of train, validation and test"
        )
