"""What has been published about GTZAN's tracks: checksums, artists, splits."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SIDES_BY_RANK = ("test", "validation", "train")


@dataclass(frozen=True, slots=True)
class Entry:
    """One track of the index.

    Attributes
    ----------
    md5 : str
        Of the wav file.
    artist : str
        As credited, several parted by semicolons; empty where nobody knows.
    split : str
        train, validation or test of the fault-filtered split; empty for the tracks it leaves out.
    """

    md5: str
    artist: str = ""
    split: str = ""


Index = Mapping[str, Entry]
"""Track, for example ``blues.00000`` -> what is known of it."""


@cache
def gtzan_index() -> Index:
    """Return the index of the 1,000 tracks; `lists/README.md` says where it comes from."""
    table = files("genre_mlops.datasets") / "lists" / "gtzan.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    return {row["track"]: Entry(row["md5"], row["artist"], row["split"]) for row in rows}


def is_of_excerpt(track: str) -> bool:
    """Whether a track is one of gtzan-mini's, by the list in its archive (bextract_single.mf)."""
    genre, _, number = track.partition(".")
    skipped = {"00003", "00009", "00010"} if genre == "jazz" else set()
    last = "00012" if genre == "jazz" else "00009"
    return number <= last and number not in skipped


def artist_groups(index: Index) -> dict[str, str]:
    """Return for each track with a known artist the artists it must stay together with.

    Artists credited together on any track are one group, so that a duet ties both of its singers'
    tracks. The group is named by all its artists.
    """
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.get(name, name) != name:
            name = root[name]
        return name

    credits = {track: _names(entry.artist) for track, entry in index.items() if entry.artist}
    for names in credits.values():
        for name in names[1:]:
            root[find(name)] = find(names[0])
    members: dict[str, set[str]] = defaultdict(set)
    for names in credits.values():
        members[find(names[0])].update(names)
    titles = {first: "; ".join(sorted(names)) for first, names in members.items()}
    return {track: titles[find(names[0])] for track, names in credits.items()}


def fault_filtered(index: Index) -> dict[str, str]:
    """Return the published fault-filtered split: track -> train, validation or test.

    443, 197 and 290 tracks: without replicas, distorted files and most of the mislabelled ones.
    C. Kereliuk, B. L. Sturm and J. Larsen, "Deep learning and music adversaries", IEEE
    Transactions on Multimedia 17(11), 2015.
    """
    return {track: entry.split for track, entry in index.items() if entry.split}


def fault_filtered_artist(index: Index) -> dict[str, str]:
    """Return the fault-filtered split with every artist on one side.

    The rule: artists are grouped as in `artist_groups`; each group on more than one side moves
    whole to the side that has most of its tracks, which moves the fewest; where two have as many,
    test goes before validation before train. Tracks of unknown artists stay. By the index of April
    2024, 13 groups cross (10 artists by credited name, 3 more through duets), 23 tracks move, and
    453, 195 and 282 train, validate and test; every genre stays on every side.
    """
    split = fault_filtered(index)
    sides: dict[str, Counter[str]] = defaultdict(Counter)
    groups = {track: group for track, group in artist_groups(index).items() if track in split}
    for track, group in groups.items():
        sides[group][split[track]] += 1
    home = {group: max(SIDES_BY_RANK, key=counts.__getitem__) for group, counts in sides.items()}
    return {
        track: home[groups[track]] if track in groups else side for track, side in split.items()
    }


def _names(credit: str) -> list[str]:
    return [name.strip() for name in credit.split(";")]
