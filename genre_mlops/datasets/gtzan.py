"""GTZAN, the collection most genre classifiers are measured on, and its small excerpt."""

import hashlib
import logging
import os
import re
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from genre_mlops.datasets.archives import is_whole, mark_whole, unpack
from genre_mlops.datasets.base import Dataset, Listing, PublishedSplit
from genre_mlops.datasets.download import UnreachableError, download, not_to_be_had
from genre_mlops.datasets.gtzan_index import (
    Index,
    artist_groups,
    fault_filtered,
    fault_filtered_artist,
    gtzan_index,
)
from genre_mlops.datasets.hubs import hugging_face_url, kaggle_dataset
from genre_mlops.datasets.verification import WAV_MD5, verify
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import DataError

_log = logging.getLogger(__name__)

GTZAN_MD5 = "md5:5b3d6dddb579ab49814ab86dba69e7c7"
GTZAN_BYTES = 1_226_192_050
GTZAN_MINI_URL = "https://github.com/TempoBeatDownbeat/gtzan_mini/archive/refs/heads/main.zip"
# Does not decode in the published archive either.
KNOWN_FAULTS = frozenset({"jazz.00054"})
_HUGGING_FACE = ("marsyas/gtzan", "data/genres.tar.gz")
_KAGGLE = "carlthome/gtzan-genre-collection"
# 1,000 clips of 1.3 MB, and room for whatever else somebody has put into an archive.
_MAX_UNPACKED_BYTES = 6_000_000_000
_TRACK = re.compile(r"([a-z]+)\.\d{5}")
_SUFFIXES = (".wav", ".au")
_ERRORS_SHOWN = 5


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

    def __init__(self, root: Path, copy: Path | None = None, *, index: Index | None = None) -> None:
        self._index = gtzan_index() if index is None else index
        self._copy = None if copy is None else copy.expanduser().absolute()
        self._folder = root / self.name
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
        if self._folder == self._copy or is_whole(self._folder):
            return
        if self._copy is not None:
            self._unpack(self._copy, progress)
        else:
            self._fetch(run, progress)
        if not (found := self._found()):
            raise DataError(f"dataset {self.name}: {self.source} holds none of its tracks")
        mark_whole(self._folder, [path.relative_to(self._folder).as_posix() for path in found])

    def listing(self) -> Listing:
        """Name the tracks that are here; ids are the published names, as ``blues.00000``.

        Raises
        ------
        DataError
            There is none.
        """
        passed_over: list[str] = []
        paths = {path.stem: path for path in self._found(passed_over)}
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
        here = {path.stem: path for path in self._found()}
        return {
            name: f"{WAV_MD5 if name in here and here[name].suffix == '.au' else 'md5'}:{entry.md5}"
            for name, entry in self._index.items()
            if name in here or self._belongs(name)
        }

    @abstractmethod
    def _fetch(self, run: Mapper, progress: Progress) -> None:
        """Bring the recordings from where they are published."""

    def _belongs(self, name: str) -> bool:
        """Whether a track of the index is part of this collection."""
        del name
        return True

    def _splits(self, paths: Mapping[str, Path]) -> dict[str, PublishedSplit]:
        del paths
        return {}

    def _unpack(self, archive: Path, progress: Progress) -> None:
        unpack(archive, self._folder, self._place, max_bytes=_MAX_UNPACKED_BYTES, progress=progress)

    def _place(self, member: str) -> str | None:
        path = PurePosixPath(member)
        found = _TRACK.fullmatch(path.stem)
        if not found or path.suffix not in _SUFFIXES or path.stem not in self._index:
            return None
        return f"genres/{found[1]}/{path.name}"

    def _found(self, passed_over: list[str] | None = None) -> list[Path]:
        """Return the files of tracks below the folder, one for each track, .wav before .au."""
        found: dict[str, Path] = {}
        for folder, subfolders, names in os.walk(self._folder):
            subfolders.sort()
            for name in sorted(names, key=lambda name: (not name.endswith(".wav"), name)):
                path = Path(folder, name)
                if self._place(name) and path.stem not in found:
                    found[path.stem] = path
                elif passed_over is not None and path.suffix not in {".json", ".complete"}:
                    relative = path.relative_to(self._folder).as_posix()
                    passed_over.append(relative.encode("utf-8", "replace").decode())
        return list(found.values())

    def _refuse_changed(self, run: Mapper) -> None:
        """Refuse files that are not the published ones, where no archive's checksum says it."""
        changed = {
            name: sums for name, sums in verify(self, run).changed.items()
            if name not in KNOWN_FAULTS
        }  # fmt: skip
        if changed:
            shown = "; ".join(
                f"{name}: {found} where {expected} was expected"
                for name, (expected, found) in list(changed.items())[:_ERRORS_SHOWN]
            )
            raise DataError(
                f"dataset {self.name}: {len(changed)} files in {self._folder} are not those that "
                f"were published ({shown}); remove that folder to fetch them again, or take them "
                f"as they are: {self.name}:{self._folder}"
            )


class GtzanDataset(_Gtzan):
    """1,000 clips of 30 s, 100 for each of ten genres.

    G. Tzanetakis and P. Cook, "Musical genre classification of audio signals", IEEE Transactions
    on Speech and Audio Processing 10(5), 2002. Its faults are known: see `docs/sources.md`.

    Parameters
    ----------
    root : Path
        Below it is what is downloaded or unpacked.
    copy : Path, optional
        A copy that is here already: a folder, used where it lies, or a zip or tar archive.
    index : mapping, optional
        What has been published about the tracks.
    checksum : str
        Of the archive on Hugging Face.
    size : int
        Of that archive, in bytes.
    endpoint : str, optional
        Of Hugging Face.
    """

    name = "gtzan"
    source = f"https://huggingface.co/datasets/{_HUGGING_FACE[0]}"

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

    def _fetch(self, run: Mapper, progress: Progress) -> None:
        archive = self._folder / PurePosixPath(_HUGGING_FACE[1]).name
        ours = not archive.exists()
        try:
            url = hugging_face_url(*_HUGGING_FACE, endpoint=self._endpoint)
            download(
                url, archive, checksum=self._checksum, size=self._size,
                progress=progress,
            )  # fmt: skip
        except UnreachableError as first:
            _log.info("%s", first)
            _log.info("trying the second place, Kaggle's %s", _KAGGLE)
            try:
                kaggle_dataset(_KAGGLE, self._folder / "kaggle")
            except UnreachableError as second:
                raise not_to_be_had(self.name, [first, second], archive) from second
            self._refuse_changed(run)
            return
        self._unpack(archive, progress)
        if ours:
            archive.unlink()

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
    root : Path
        Below it is what is downloaded or unpacked.
    copy : Path, optional
        A copy that is here already: a folder, used where it lies, or a zip or tar archive.
    index : mapping, optional
        What has been published about the tracks.
    url : str
        Of the archive.
    """

    name = "gtzan-mini"
    source = GTZAN_MINI_URL

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

    def _fetch(self, run: Mapper, progress: Progress) -> None:
        archive = self._folder / "main.zip"
        ours = not archive.exists()
        try:
            download(self._url, archive, progress=progress)
        except UnreachableError as error:
            raise not_to_be_had(self.name, [error], archive) from error
        self._unpack(archive, progress)
        self._refuse_changed(run)
        if ours:
            archive.unlink()

    def _belongs(self, name: str) -> bool:
        # By the list of files that the archive holds (bextract_single.mf).
        genre, _, number = name.partition(".")
        skipped = {"00003", "00009", "00010"} if genre == "jazz" else set()
        last = "00012" if genre == "jazz" else "00009"
        return number <= last and number not in skipped
