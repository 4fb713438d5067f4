"""Fingerprints -> pairs and clusters of the same recording.

Two steps. An inverted index proposes: tracks that share whole words at one and the same offset.
Then the words of both are compared bit by bit over everything that overlaps at that offset.
"""

import itertools
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genre_mlops.errors import DataError
from genre_mlops.fingerprint import HOP_S, N_BITS, NOTHING
from genre_mlops.joined import smallest_joined

if TYPE_CHECKING:
    import pandas as pd

MAX_BIT_ERROR_RATE = 0.2
"""Share of bits that may differ between copies. Measured by `benchmarks/duplicates.py`: copies
down to mp3 at 32 kb/s stay below 0.12; different real recordings are above 0.41 at every offset,
and pieces of the demo music that one artist plays on the same instruments above 0.30."""
MIN_OVERLAP_S = 4.0
"""Seconds of words that both tracks have, so about 5 s of audio: less is no evidence."""
MIN_VOTES = 3
"""Words shared at one offset, give or take a hop, that make two tracks worth comparing."""
MAX_TURNS = 4
"""Of one word's places in one track, so many count: a loop brings its words back at each turn,
they would vote for as many offsets, and leave no links to other tracks."""
MAX_LINKS = 32
"""Of one word's places in all tracks, each is paired with so many next ones: with many copies of
one recording the number of pairs grows with the copies, not with their square."""
MAX_PLACES = 1_024
"""A word at more places than this tells little, and each is paired with the next one only."""

Words = NDArray[np.uint32]
Integers = NDArray[np.int64]

_OFFSETS_TRIED = 16
_PART_BITS = 3
_PLACE_BITS = 32 + _PART_BITS
_BLOCK_WORDS = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the index proposes, one row a pair of tracks and an offset.

    Attributes
    ----------
    first, second : ndarray [shape=(n_rows,), dtype=int64]
        Numbers of tracks; the first is the smaller.
    offset : ndarray [shape=(n_rows,), dtype=int64]
        The word of the first where the second begins.
    votes : ndarray [shape=(n_rows,), dtype=int64]
        Words shared there or one hop later.
    """

    first: Integers
    second: Integers
    offset: Integers
    votes: Integers


class Match(NamedTuple):
    """How two tracks compare at one offset."""

    offset_s: float
    overlap_s: float
    similarity: float


def find_duplicates(
    fingerprints: "pd.Series[Any]", *, max_bit_error_rate: float = MAX_BIT_ERROR_RATE
) -> "pd.DataFrame":
    """Find tracks that are the same recording, whole or in part.

    Parameters
    ----------
    fingerprints : Series
        Indexed by track id, in any order: words as an array of uint32, or as bytes (uint32,
        little-endian); None or empty where a track has none.
    max_bit_error_rate : float [range=[0, 0.5]]
        Share of bits that may differ between copies.

    Returns
    -------
    DataFrame
        One row a pair, sorted: `first` and `second` (track ids, the first is the smaller),
        `offset_s` (where the second's start lies in the first, negative where it starts
        earlier), `overlap_s` (seconds compared), `similarity` (share of bits that agree).
        Of more than `MAX_LINKS` copies of one recording each is compared with some; together
        the pairs still join them all.

    Raises
    ------
    DataError
        A track id is there twice, or a fingerprint is no whole number of words.
    """
    import pandas as pd

    if not fingerprints.index.is_unique:
        twice = fingerprints.index[fingerprints.index.duplicated()][0]
        raise DataError(f"fingerprints: {twice} is there twice, expected one row a track")
    ordered = fingerprints.sort_index()
    tracks = [_as_words(track_id, value) for track_id, value in ordered.items()]
    words = np.concatenate([np.empty(0, np.uint32), *tracks])
    starts = np.cumsum([0, *map(len, tracks)], dtype=np.int64)
    rows = []
    for first, second, offsets in _by_pair(propose(words, starts)):
        match = _best_match(tracks[first], tracks[second], offsets, 1 - max_bit_error_rate)
        if match:
            rows.append((ordered.index[first], ordered.index[second], *match))
    # Objects, not pandas' text: a file's name may be no UTF-8.
    frame = pd.DataFrame(rows, columns=["first", "second", *Match._fields], dtype=object)
    return frame.astype(dict.fromkeys(Match._fields, float))


def clusters(pairs: "pd.DataFrame", track_ids: Iterable[str]) -> "pd.Series[Any]":
    """Name the cluster of each track: all that pairs join, directly or by way of others.

    Parameters
    ----------
    pairs : DataFrame
        With track ids in the columns `first` and `second`.
    track_ids : iterable of str
        All tracks, those of the pairs among them.

    Returns
    -------
    Series
        Indexed by `track_ids`, in their order: the smallest track id of the track's cluster, null
        for a track without a duplicate.

    Raises
    ------
    DataError
        A pair names a track that is not among `track_ids`.
    """
    import pandas as pd

    index = pd.Index(list(track_ids), name="track_id", dtype=object)
    ordered = index.sort_values()
    ends = [ordered.get_indexer(pd.Index(pairs[column])) for column in ("first", "second")]
    for column, places in zip(("first", "second"), ends, strict=True):
        if (places < 0).any():
            unknown = pairs[column].iloc[int(np.argmin(places))]
            raise DataError(f"duplicates: {unknown} is in a pair but not among the tracks")
    smallest = smallest_joined(len(ordered), *ends)
    sizes = np.bincount(smallest, minlength=len(ordered))
    names = ordered.to_numpy(dtype=object)[smallest]
    names[sizes[smallest] == 1] = None
    return pd.Series(names, index=ordered, dtype=object, name="duplicate_cluster").loc[index]


def telling_s(fingerprints: "pd.Series[Any]") -> "pd.Series[float]":
    """Return how much of each track can be compared with others.

    Parameters
    ----------
    fingerprints : Series
        As for `find_duplicates`.

    Returns
    -------
    Series [dtype=float64, unit=s]
        Of words that tell something; null for a track that has no fingerprint. Below
        `MIN_OVERLAP_S` no duplicate of the track can be found.
    """
    import pandas as pd

    counts = [
        np.nan if value is None else np.count_nonzero(_as_words(track_id, value) != NOTHING)
        for track_id, value in fingerprints.items()
    ]
    return pd.Series(counts, fingerprints.index, dtype=float) * HOP_S


def propose(words: Words, starts: Integers) -> Candidates:
    """Find pairs of tracks that share words at one offset, by an inverted index.

    Cost grows with the number of words and of what they share, not of pairs. The index is made
    for an eighth of the words' range at a time.

    Parameters
    ----------
    words : ndarray [shape=(n_words,), dtype=uint32]
        Of all tracks, one after another.
    starts : ndarray [shape=(n_tracks + 1,), dtype=int64]
        Where each track begins; the last is n_words.

    Returns
    -------
    Candidates
        Sorted by track numbers and offset; each has `MIN_VOTES` or more.
    """
    n_tracks, longest = len(starts) - 1, int(np.diff(starts).max(initial=1))
    # One number for pair and offset: numbers are sorted much faster than rows.
    span = 2 * longest + 1
    key, n_votes = _count_votes(words, starts, span)
    # A recording cut between two hops shares words at both.
    beside = np.flatnonzero(np.diff(key) == 1)
    n_near = n_votes.copy()
    n_near[beside] += n_votes[beside + 1]
    enough = n_near >= MIN_VOTES
    pair, offset = np.divmod(key[enough], span)
    return Candidates(*np.divmod(pair, n_tracks), offset - span // 2, n_near[enough])


def _count_votes(words: Words, starts: Integers, span: int) -> tuple[Integers, Integers]:
    """Return the keys of pairs and offsets that share words, sorted, and how many they share."""
    n_tracks = len(starts) - 1
    begins = _begins(words, starts)
    track_of = np.repeat(np.arange(n_tracks, dtype=np.int32), np.diff(starts))
    keys, counts = [], []
    for part in range(1 << _PART_BITS):
        left, right = _links(_places(words, begins, part), track_of)
        first, second = track_of[left].astype(np.int64), track_of[right].astype(np.int64)
        offset = (left - starts[first]) - (right - starts[second]) + span // 2
        key = ((first * n_tracks + second) * span + offset)[first != second]
        seen, n_seen = np.unique(key, return_counts=True)
        keys.append(seen)
        counts.append(n_seen.astype(np.int32))
    del begins, track_of
    key, n_votes = np.concatenate(keys), np.concatenate(counts)
    order = np.argsort(key)
    key, n_votes = key[order], n_votes[order]
    of_key = np.flatnonzero(np.diff(key, prepend=-1))
    return key[of_key], np.add.reduceat(n_votes, of_key, dtype=np.int64)


def _begins(words: Words, starts: Integers) -> NDArray[np.bool_]:
    """Say which words are indexed: where one begins that tells something, however long it lasts."""
    begins = np.ones(len(words), np.bool_)
    begins[1:] = words[1:] != words[:-1]
    begins[starts[starts < len(words)]] = True
    begins &= words != NOTHING
    return begins


def _places(words: Words, begins: NDArray[np.bool_], part: int) -> NDArray[np.uint64]:
    """Return word and place of one part of the index as one number each, sorted."""
    found = [np.empty(0, np.uint64)]
    # In blocks that fit a processor's cache.
    for start in range(0, len(words), _BLOCK_WORDS):
        block = words[start : start + _BLOCK_WORDS]
        wanted = block >> np.uint32(32 - _PART_BITS) == part
        places = np.flatnonzero(wanted & begins[start : start + _BLOCK_WORDS])
        rest = block[places].astype(np.uint64) << np.uint64(_PLACE_BITS)
        found.append(rest | (places + start).astype(np.uint64))
    keys = np.concatenate(found)
    keys.sort()
    return keys


def _links(keys: NDArray[np.uint64], track_of: NDArray[np.int32]) -> tuple[Integers, Integers]:
    """Return pairs of places of the same word, the earlier place first."""
    word = keys >> np.uint64(_PLACE_BITS)
    place = (keys & np.uint64((1 << _PLACE_BITS) - 1)).astype(np.int64)
    track = track_of[place]
    few = np.ones(len(word), np.bool_)
    few[MAX_TURNS:] = word[MAX_TURNS:] != word[:-MAX_TURNS]
    few[MAX_TURNS:] |= track[MAX_TURNS:] != track[:-MAX_TURNS]
    word, place = word[few], place[few]
    n_places = np.diff(np.flatnonzero(np.diff(word, prepend=word[:1] + 1, append=word[-1:] + 1)))
    kept = np.repeat(n_places > 1, n_places)
    common = np.repeat(n_places > MAX_PLACES, n_places)[kept]
    word, place = word[kept], place[kept]
    at = np.arange(len(word))
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for lag in range(1, MAX_LINKS + 1):
        at = at[at < len(word) - lag]
        at = at[word[at] == word[at + lag]]
        left.append(place[at])
        right.append(place[at + lag])
        at = at[~common[at]]
    return np.concatenate(left), np.concatenate(right)


def _as_words(track_id: Hashable, value: object) -> Words:
    if isinstance(value, np.ndarray):
        return value.astype(np.uint32, copy=False)
    if not isinstance(value, bytes):
        return np.empty(0, np.uint32)
    if len(value) % 4:
        raise DataError(f"{track_id}: a fingerprint of {len(value)} bytes, no multiple of 4")
    return np.frombuffer(value, "<u4")


def _by_pair(candidates: Candidates) -> Iterator[tuple[int, int, list[int]]]:
    """Yield each pair once, with the offsets of most votes."""
    c = candidates
    order = np.lexsort((np.abs(c.offset), -c.votes, c.second, c.first))
    columns = (column[order].tolist() for column in (c.first, c.second, c.offset))
    rows = zip(*columns, strict=True)
    for (first, second), group in itertools.groupby(rows, key=lambda row: row[:2]):
        yield first, second, [offset for *_, offset in itertools.islice(group, _OFFSETS_TRIED)]


def _best_match(
    first: Words, second: Words, offsets: Iterable[int], min_similarity: float
) -> Match | None:
    """Compare at the offsets and one hop later, and as whole copies; None if nowhere alike.

    Music that repeats is alike at many offsets: the best is where most agrees beyond chance.
    """
    tried = sorted({-1, 0, 1, *(offset + later for offset in offsets for later in (0, 1))})
    matches = (_compare(first, second, offset) for offset in tried)
    alike = [match for match in matches if match.similarity >= min_similarity]
    return max(alike, key=lambda m: m.overlap_s * (m.similarity - 0.5), default=None)


def _compare(first: Words, second: Words, offset: int) -> Match:
    """Compare all words that both have where the second begins at word `offset` of the first."""
    a, b = first[max(0, offset) :], second[max(0, -offset) :]
    a, b = a[: len(b)], b[: len(a)]
    compared = (a != NOTHING) & (b != NOTHING)
    n_compared = int(np.count_nonzero(compared))
    if n_compared * HOP_S < MIN_OVERLAP_S:
        return Match(offset * HOP_S, n_compared * HOP_S, 0.0)
    n_errors = int(np.bitwise_count(a ^ b)[compared].sum(dtype=np.int64))
    return Match(offset * HOP_S, n_compared * HOP_S, 1 - n_errors / (N_BITS * n_compared))
