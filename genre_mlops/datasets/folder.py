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
    are passed over, as are files with a suffix that is no audio's and those in no genre's folder.

    Parameters
    ----------
    root : Path
        The folder of genre folders.

    Raises
    ------
    DataError
        There is no such folder, or its name is not UTF-8.
    """

    synthetic = False
    licence = "unknown: that of the folder's owner"

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        if not _is_utf8(self.root):
            raise DataError(f"dataset {_shown(self.root)}: its name is not UTF-8; rename it")
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
            reason = _why_passed_over(relative)
            if reason is not None:
                passed_over.append(_shown(relative) + reason)
                continue
            group = f"{relative.parts[0]}/{relative.parts[1]}" if len(relative.parts) > 2 else None
            tracks.append(Track(relative.as_posix(), path, relative.parts[0], group))
        if not tracks:
            raise DataError(
                f"dataset {self.root}: no audio file in any subfolder; expected "
                "<genre>/<track>.wav (or .mp3, .flac, .ogg, .au)"
            )
        tracks.sort(key=lambda track: track.track_id)
        return Listing(tuple(tracks), tuple(sorted(passed_over)))


def _why_passed_over(relative: Path) -> str | None:
    """Return why a file is no track, in parentheses where it is audio; None where it is one."""
    if relative.suffix.lower() not in AUDIO_SUFFIXES:
        return ""
    if any(part.startswith(".") for part in relative.parts):
        return " (hidden)"
    if len(relative.parts) < 2:
        return " (in no genre's folder)"
    # Tables and reports are UTF-8: another name cannot be written into them.
    if not _is_utf8(relative):
        return " (its name is not UTF-8)"
    return None


def _is_utf8(path: Path) -> bool:
    return _shown(path) == path.as_posix()


def _shown(path: Path) -> str:
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _files_below(root: Path, passed_over: list[str]) -> Iterator[Path]:
    """Yield every file below a folder, through links to folders, each folder once.

    Folders that are not entered, and those that are named like audio, are added to `passed_over`.
    """

    def pass_over(path: str | Path, reason: str) -> None:
        passed_over.append(f"{_shown(Path(path).relative_to(root))}/ ({reason})")

    seen: set[tuple[int, int]] = set()
    walk = os.walk(root, onerror=lambda e: pass_over(e.filename, str(e.strerror)), followlinks=True)
    for folder, subfolders, files in walk:
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            pass_over(folder, "a link to a folder that is listed elsewhere")
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        if Path(folder) != root and Path(folder).suffix.lower() in AUDIO_SUFFIXES:
            pass_over(folder, "a folder")
        subfolders.sort()
        yield from (Path(folder, name) for name in sorted(files))
