"""GTZAN, the collection most genre classifiers are measured on, and its small excerpt."""

import hashlib
import logging
import os
from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from genre_mlops.datasets.archives import (
    fetch_archive,
    is_whole,
    mark_whole,
    need_brought,
    remove_download,
    unpack,
)
from genre_mlops.datasets.base import Dataset, Listing, PublishedSplit
from genre_mlops.datasets.download import UnreachableError, not_to_be_had
from genre_mlops.datasets.gtzan_files import faults, find_tracks, place
from genre_mlops.datasets.gtzan_index import (
    Index,
    artist_groups,
    fault_filtered,
    fault_filtered_artist,
    gtzan_index,
    is_of_excerpt,
)
from genre_mlops.datasets.hubs import hugging_face_url, kaggle_dataset
from genre_mlops.datasets.verification import WAV_MD5, verify
from genre_mlops.datasets.walk import whole_path
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import DataError

_log = logging.getLogger(__name__)

GTZAN_MD5 = "md5:5b3d6dddb579ab49814ab86dba69e7c7"
GTZAN_BYTES = 1_226_192_050
GTZAN_MINI_URL = "https://github.com/TempoBeatDownbeat/gtzan_mini/archive/refs/heads/main.zip"
# Is no wav by its content: its md5 says nothing about the samples of an .au file.
_NO_SAMPLES = "jazz.00054"
_HUGGING_FACE = ("marsyas/gtzan", "data/genres.tar.gz")
_KAGGLE = "carlthome/gtzan-genre-collection"
# 1,000 clips of 1.3 MB, and room for whatever else somebody has put into an archive.
_MAX_UNPACKED_BYTES = 6_000_000_000


class _Gtzan(Dataset):
    """What the whole collection and the excerpt share.

    Parameters
    ----------
    root : Path
        Below it is what is downloaded or unpacked.
    copy : Path, optional
        A copy that is here already: a folder, used where it lies, or a zip or tar archive.
    index : mapping, optional
        What has been published about the tracks.

    Raises
    ------
    DataError
        There is no such copy.
    """

    synthetic = False
    licence = (
        "None: the recordings are excerpts of commercial music, collected for research by G. "
        "Tzanetakis. Not to be passed on; a model trained on them should say so."
    )
    faults = (
        "Exact replicas, several excerpts of one recording, several tracks of one artist, wrong "
        "labels, distorted clips (B. L. Sturm, The GTZAN dataset: its contents, its faults, their "
        "effects on evaluation, and its future use, 2013); fault-filtered splits leave most out."
    )

    _archive: str
    """Name of the published archive."""

    def __init__(self, root: Path, copy: Path | None = None, *, index: Index | None = None) -> None:
        self._index = gtzan_index() if index is None else index
        self._own = frozenset(name for name in self._index if self._belongs(name))
        self._copy = None if copy is None else whole_path(copy)
        self._folder = root / self.name
        self._by_hand = self._folder / self._archive
        self.local = self._copy is not None
        if self._copy is None:
            return
        self.source = str(self._copy)
        if self._copy.is_dir():
            self._folder = self._copy
        elif self._copy.is_file():
            status = self._copy.stat()
            state = f"{self._copy} {status.st_size} {status.st_mtime_ns}"
            digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
            self._folder = root / f"{self.name}-{digest}"
        else:
            raise DataError(
                f"dataset {self.name}:{copy}: does not exist; expected a folder with genres/blues/"
                "blues.00000.wav and so on, or an archive (.tar.gz, .zip) of one"
            )

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Bring the recordings here; a folder that was given stays as it is.

        Raises
        ------
        UnreachableError
            They cannot be had from any of their places.
        DataError
            They are damaged or others than those published, or the disk is full.
        """
        if self._folder == self._copy:
            return
        if not is_whole(self._folder):
            checked = True
            if self._copy is not None:
                self._unpack(self._copy, progress)
            else:
                checked = self._fetch(progress)
            if not (found := self._found()):
                self._forget_download()
                raise DataError(f"dataset {self.name}: {self.source} holds none of its tracks")
            if not checked:
                self._refuse_others(run)
            names = [path.relative_to(self._folder).as_posix() for path in found.values()]
            mark_whole(self._folder, names)
        # Also where it was cut off between the two.
        self._forget_download()

    def listing(self) -> Listing:
        """Name the tracks that are here; ids are the published names, as ``blues.00000``.

        Raises
        ------
        DataError
            There is none, or they have yet to be brought.
        """
        if self._folder != self._copy:
            need_brought(self._folder, f"{self.name}:{self._copy}" if self._copy else self.name)
        passed_over: list[str] = []
        paths = self._found(passed_over)
        if not paths:
            raise DataError(
                f"dataset {self.name}: no track in {self._folder}; expected genres/blues/"
                "blues.00000.wav (or .au) and so on"
            )
        groups = artist_groups(self._index)
        tracks = tuple(
            Track(name, path, name.partition(".")[0], groups.get(name))
            for name, path in sorted(paths.items())
        )
        return Listing(tracks, tuple(sorted(passed_over)), self._splits(paths))

    def checksums(self) -> Mapping[str, str]:
        """Return the published md5 of each track; of .au files that of the samples as wav."""
        here = self._found()
        as_au = {name for name, path in here.items() if path.suffix == ".au"}
        return {
            name: f"{WAV_MD5 if name in as_au else 'md5'}:{entry.md5}"
            for name, entry in self._index.items()
            if name in self._own and not (name == _NO_SAMPLES and name in as_au)
        }

    @abstractmethod
    def _fetch(self, progress: Progress) -> bool:
        """Bring the recordings; return whether they are known to be those published."""

    def _belongs(self, name: str) -> bool:
        """Whether a track of the index is part of this collection."""
        del name
        return True

    def _splits(self, paths: Mapping[str, Path]) -> dict[str, PublishedSplit]:
        del paths
        return {}

    def _unpack(self, archive: Path, progress: Progress, *, keep_damaged: bool = True) -> None:
        unpack(
            archive,
            self._folder,
            partial(place, known=self._own),
            max_bytes=_MAX_UNPACKED_BYTES,
            keep_damaged=keep_damaged,
            progress=progress,
        )

    def _forget_download(self) -> None:
        if self._copy is None:
            remove_download(self._by_hand)

    def _found(self, passed_over: list[str] | None = None) -> dict[str, Path]:
        passed_over = [] if passed_over is None else passed_over
        return find_tracks(self._folder, self._own, passed_over)

    def _refuse_others(self, run: Mapper) -> None:
        """Refuse files that are not the published ones, where no archive's checksum says it."""
        as_it_is = type(self)(self._folder.parent, self._folder, index=self._index)
        found = verify(as_it_is, run)
        if not found.passed:
            raise DataError(
                f"dataset {self.name} in {self._folder}: {faults(found)}; remove that folder to "
                f"fetch them again, or take them as they are: {self.name}:{self._folder}"
            )


class GtzanDataset(_Gtzan):
    """1,000 clips of 30 s, 100 for each of ten genres.

    G. Tzanetakis and P. Cook, "Musical genre classification of audio signals", IEEE Transactions
    on Speech and Audio Processing 10(5), 2002. Its faults are known: see `docs/sources.md`.

    Parameters
    ----------
    root, copy, index
        As both collections take them.
    checksum : str
        Of the archive on Hugging Face.
    size : int
        Of that archive, in bytes.
    endpoint : str, optional
        Of Hugging Face.
    """

    name = "gtzan"
    source = f"https://huggingface.co/datasets/{_HUGGING_FACE[0]}"
    _archive = PurePosixPath(_HUGGING_FACE[1]).name

    def __init__(
        self,
        root: Path,
        copy: Path | None = None,
        *,
        index: Index | None = None,
        checksum: str = GTZAN_MD5,
        size: int = GTZAN_BYTES,
        endpoint: str | None = None,
    ) -> None:
        super().__init__(root, copy, index=index)
        self._checksum, self._size, self._endpoint = checksum, size, endpoint

    def _fetch(self, progress: Progress) -> bool:
        try:
            url = hugging_face_url(*_HUGGING_FACE, endpoint=self._endpoint)
            archive = fetch_archive(
                url, self._by_hand, checksum=self._checksum, size=self._size, progress=progress
            )
        except UnreachableError as first:
            _log.info("%s", first)
            _log.info("trying the second place, Kaggle's %s", _KAGGLE)
            try:
                kaggle_dataset(_KAGGLE, self._folder / "kaggle")
            except UnreachableError as second:
                raise not_to_be_had(self.name, [first, second], self._by_hand) from second
            return False
        self._unpack(archive, progress)
        return True

    def _splits(self, paths: Mapping[str, Path]) -> dict[str, PublishedSplit]:
        by_artist = fault_filtered_artist(self._index)
        published = fault_filtered(self._index)
        return {
            "fault-filtered-artist": PublishedSplit(
                {track: side for track, side in by_artist.items() if track in paths}
            ),
            "fault-filtered": PublishedSplit(
                {track: side for track, side in published.items() if track in paths},
                shares_groups=True,
            ),
        }


class GtzanMiniDataset(_Gtzan):
    """The first ten usable clips of each genre, for a tutorial at ISMIR 2021.

    The archive is a branch of a repository, and may be packed anew at any time: no checksum of it
    is known, each file's decides.

    Parameters
    ----------
    root, copy, index
        As both collections take them.
    url : str
        Of the archive.
    """

    name = "gtzan-mini"
    source = GTZAN_MINI_URL
    _archive = "main.zip"

    def __init__(
        self,
        root: Path,
        copy: Path | None = None,
        *,
        index: Index | None = None,
        url: str = GTZAN_MINI_URL,
    ) -> None:
        super().__init__(root, copy, index=index)
        self._url = url

    def _fetch(self, progress: Progress) -> bool:
        try:
            archive = fetch_archive(self._url, self._by_hand, progress=progress)
        except UnreachableError as error:
            raise not_to_be_had(self.name, [error], self._by_hand) from error
        self._unpack(archive, progress, keep_damaged=archive == self._by_hand)
        return False

    def _belongs(self, name: str) -> bool:
        return is_of_excerpt(name)
