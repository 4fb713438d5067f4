"""A folder with one subfolder for each genre: `genre/track.wav` or `genre/artist/track.wav`."""

import os
from collections.abc import Iterator
from pathlib import Path

from genre_mlops.datasets.base import AUDIO_SUFFIXES, Dataset, Listing
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import DataError


class FolderDataset(Dataset):
    """Anybody's music, where it lies; nothing in the folder is changed.

    The first level names the genre. Of deeper levels the second names the group (artist or
    album), so that its tracks stay in one split. Folders and files whose names begin with a dot
    are passed over, as are files with a suffix that is no audio's.

    Parameters
    ----------
    root : Path
        The folder of genre folders.

    Raises
    ------
    DataError
        There is no such folder.
    """

    synthetic = False
    licence = "unknown: that of the folder's owner"

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.name, self.source = self.root.name, str(self.root)
        if not self.root.is_dir():
            what = "is a file" if self.root.exists() else "does not exist"
            raise DataError(
                f"dataset {root}: {what}; expected demo, or a folder with one subfolder for "
                "each genre"
            )

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Do nothing: the music is here."""

    def listing(self) -> Listing:
        """Name the tracks in the genre folders.

        Raises
        ------
        DataError
            There is no audio file in any subfolder.
        """
        tracks: list[Track] = []
        passed_over: list[str] = []
        for path in _files_below(self.root, passed_over):
            relative = path.relative_to(self.root)
            hidden = any(part.startswith(".") for part in relative.parts)
            depth = len(relative.parts)
            # Tables and reports are UTF-8: a name that is not cannot be written into them.
            readable = relative.as_posix().encode("utf-8", "replace").decode()
            audio = path.suffix.lower() in AUDIO_SUFFIXES and readable == relative.as_posix()
            if hidden or depth < 2 or not audio:
                passed_over.append(readable)
                continue
            group = f"{relative.parts[0]}/{relative.parts[1]}" if depth > 2 else None
            tracks.append(Track(relative.as_posix(), path, relative.parts[0], group))
        if not tracks:
            raise DataError(
                f"dataset {self.root}: no audio file in any subfolder; expected "
                "<genre>/<track>.wav (or .mp3, .flac, .ogg, .au)"
            )
        tracks.sort(key=lambda track: track.track_id)
        return Listing(tuple(tracks), tuple(sorted(passed_over)))


def _files_below(root: Path, passed_over: list[str]) -> Iterator[Path]:
    """Yield every file below a folder, through links to folders, each folder once.

    Folders that cannot be read are added to `passed_over`.
    """

    def pass_over(error: OSError) -> None:
        passed_over.append(f"{Path(error.filename).relative_to(root)}/ ({error.strerror})")

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(root, onerror=pass_over, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders.sort()
        yield from (Path(folder, name) for name in sorted(files))
