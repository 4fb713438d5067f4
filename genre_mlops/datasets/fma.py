"""The Free Music Archive's data set: openly licensed music of many artists, in three sizes."""

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from genre_mlops.datasets.archives import (
    Place,
    fetch_archive,
    is_whole,
    mark_whole,
    need_brought,
    remove_download,
    unpack,
)
from genre_mlops.datasets.base import Dataset, Listing, PublishedSplit
from genre_mlops.datasets.download import UnreachableError, not_to_be_had
from genre_mlops.datasets.walk import whole_path
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import DataError

FMA_URL = "https://os.unil.cloud.switch.ch/fma/"
FMA_CHECKSUMS = {
    "fma_metadata.zip": "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733",
    "fma_small.zip": "sha1:ade154f733639d52e35e32f5593efe5be76c6d70",
    "fma_medium.zip": "sha1:c67b69ea232021025fca9231fc1c7c1a063ab50b",
    "fma_large.zip": "sha1:497109f4dd721066b5ce5e5f250ec604dc78939e",
}
SIZES = ("small", "medium", "large")
_SPLITS = {"training": "train", "validation": "validation", "test": "test"}
_METADATA = "fma_metadata.zip"
_TABLE = PurePosixPath("fma_metadata/tracks.csv")
# Some biographies are longer than what the csv module takes by default.
_LONGEST_FIELD = min(sys.maxsize, 1 << 30)
_MAX_UNPACKED_BYTES = 200_000_000_000
_CLIP = re.compile(r"(?:.*/)?(\d{3}/\d{6}\.mp3)")
_SUM = re.compile(r"([0-9a-f]{40}) [ *](?:\./)?(\d{3}/\d{6}\.mp3)")


@dataclass(frozen=True, slots=True)
class Row:
    """What the metadata say of one track.

    Attributes
    ----------
    number : int
        The track's id.
    subset : str
        The smallest size that the track is in.
    split : str
        training, validation or test.
    genre : str
        The top genre, empty where there is none.
    artist : str
        Name and id, empty where there is none.
    licence : str
        Empty where none is given.
    """

    number: int
    subset: str
    split: str
    genre: str
    artist: str
    licence: str

    @property
    def track_id(self) -> str:
        """Where the clip is below the audio folder, ``000/000002.mp3``."""
        return f"{self.number // 1000:03d}/{self.number:06d}.mp3"


class FmaDataset(Dataset):
    """30-s clips with the top genre as label and the artist as group.

    M. Defferrard, K. Benzi, P. Vandergheynst and X. Bresson, "FMA: A Dataset For Music Analysis",
    ISMIR 2017.

    Parameters
    ----------
    root : Path
        Below it is what is downloaded; archives put there by hand are taken.
    size : str
        small, medium or large; each holds the smaller ones.
    copy : Path, optional
        A folder, used where it lies, with `fma_metadata/tracks.csv` and the clips as
        `fma_small/000/000002.mp3` or `000/000002.mp3`.
    url : str
        The folder of the archives.
    checksums : mapping of str to str
        Archive -> checksum.

    Raises
    ------
    DataError
        There is no such copy.
    """

    synthetic = False
    licence = (
        "Each track's own, given by its artist (mostly Creative Commons, many of them forbid "
        "commercial use or changes); metadata: CC BY 4.0."
    )

    def __init__(
        self,
        root: Path,
        size: str,
        copy: Path | None = None,
        *,
        url: str = FMA_URL,
        checksums: Mapping[str, str] = FMA_CHECKSUMS,
    ) -> None:
        self.name = f"fma-{size}"
        self._subsets = SIZES[: SIZES.index(size) + 1]
        self._url, self._checksums = url, checksums
        self._audio = f"fma_{size}"
        self._copy = None if copy is None else whole_path(copy)
        self._folder = self._copy or root / "fma"
        self.local = self._copy is not None
        self.source = str(self._copy) if self._copy else f"{url}{self._audio}.zip"
        if self._copy and not (self._copy / _TABLE).is_file():
            is_folder = self._copy.is_dir()
            fault = f"there is no {_TABLE} in it" if is_folder else "there is no such folder"
            raise DataError(
                f"dataset {self.name}:{copy}: {fault}; a copy of FMA is a folder, no archive, "
                f"with {_TABLE.parent}/ and the clips: unpack {_METADATA} and {self._audio}.zip "
                "in it"
            )

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Bring metadata and clips here; a folder that was given stays as it is.

        Raises
        ------
        UnreachableError
            They cannot be downloaded.
        DataError
            They are damaged, or the disk is full.
        """
        del run
        if self._copy:
            return
        self._bring(_METADATA, _place_table, progress)
        self._bring(f"{self._audio}.zip", _place_clip, progress)

    def listing(self) -> Listing:
        """Name the clips that are here and have a top genre.

        Raises
        ------
        DataError
            There is none, or no metadata, or they have yet to be brought.
        """
        folder = self._clips()
        if not self._copy:
            need_brought(self._folder / _TABLE.parent, self.name)
            need_brought(folder, self.name)
        passed_over: list[str] = []
        tracks: list[Track] = []
        split: dict[str, str] = {}
        for row in self._rows():
            path = folder / row.track_id
            if not path.is_file():
                continue
            if not row.genre:
                passed_over.append(f"{row.track_id} (no top genre)")
                continue
            licence = row.licence or "none given"
            tracks.append(Track(row.track_id, path, row.genre, row.artist or None, licence))
            if row.split in _SPLITS:
                split[row.track_id] = _SPLITS[row.split]
        if not tracks:
            raise DataError(
                f"dataset {self.name}: no clip in {folder}; expected 000/000002.mp3 and so on"
            )
        tracks.sort(key=lambda track: track.track_id)
        # Made with every artist on one side (creation.ipynb of github.com/mdeff/fma, "Splits"):
        # where an artist is on two, these are other data.
        own = PublishedSplit(split, shares_groups=False)
        return Listing(tuple(tracks), tuple(sorted(passed_over)), {"own": own})

    def checksums(self) -> Mapping[str, str]:
        """Return the sha1 that the archive itself names for each labelled clip."""
        path = self._clips() / "checksums"
        if not path.is_file():
            return {}
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [_SUM.fullmatch(line.strip()) for line in lines]
        sums = {match[2]: match[1] for match in found if match}
        labelled = {row.track_id for row in self._rows() if row.genre}
        return {name: f"sha1:{sum_}" for name, sum_ in sums.items() if name in labelled}

    def _bring(self, name: str, place: Place, progress: Progress) -> None:
        by_hand = self._folder / name
        folder = by_hand.with_suffix("")
        if not is_whole(folder):
            try:
                archive = fetch_archive(
                    f"{self._url}{name}", by_hand, checksum=self._checksums[name], progress=progress
                )
            except UnreachableError as error:
                raise not_to_be_had(self.name, [error], by_hand) from error
            names = unpack(archive, folder, place, max_bytes=_MAX_UNPACKED_BYTES, progress=progress)
            if not names:
                raise DataError(f"{archive}: holds nothing that was looked for")
            mark_whole(folder, names)
        # Also where it was cut off between the two.
        remove_download(by_hand)

    def _clips(self) -> Path:
        inner = self._folder / self._audio
        return inner if inner.is_dir() or not self._copy else self._folder

    def _rows(self) -> Iterator[Row]:
        """Yield the tracks of the sizes wanted."""
        path = self._folder / _TABLE
        try:
            for row in read_tracks(path):
                if row.subset in self._subsets:
                    yield row
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_tracks(path: Path) -> Iterator[Row]:
    """Yield the rows of `tracks.csv`, which has two header rows and one that names the index.

    Raises
    ------
    DataError
        It is no such table.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        try:
            columns = list(zip(next(lines), next(lines), strict=True))
            subset, split, genre, artist, artist_id, licence = (
                columns.index(column)
                for column in (
                    ("set", "subset"), ("set", "split"), ("track", "genre_top"),
                    ("artist", "name"), ("artist", "id"), ("track", "license"),
                )
            )  # fmt: skip
            for line in lines:
                if not line or not line[0].isdigit():
                    continue
                who = f"{line[artist]} [{line[artist_id]}]" if line[artist_id] else ""
                yield Row(int(line[0]), line[subset], line[split], line[genre], who, line[licence])
        except (ValueError, IndexError, StopIteration, csv.Error) as error:
            raise DataError(
                f"{path}: is not the tracks.csv of the FMA data set: {error}"
            ) from error


def _place_table(member: str) -> str | None:
    return "tracks.csv" if member.endswith("fma_metadata/tracks.csv") else None


def _place_clip(member: str) -> str | None:
    if found := _CLIP.fullmatch(member):
        return found[1]
    return "checksums" if member.endswith("/checksums") else None
