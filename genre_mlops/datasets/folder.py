"""A folder with one subfolder for each genre: `genre/track.wav` or `genre/artist/track.wav`."""

from pathlib import Path

from genre_mlops.datasets.base import AUDIO_SUFFIXES, Dataset, Listing
from genre_mlops.domain import Mapper, Track
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
        self.name = self.root.name
        if not self.root.is_dir():
            what = "is a file" if self.root.exists() else "does not exist"
            raise DataError(
                f"dataset {root}: {what}; expected demo, or a folder with one subfolder for "
                "each genre"
            )

    def prepare(self, run: Mapper) -> None:
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
        for path in sorted(self.root.rglob("*")):
            if path.is_dir():
                continue
            relative = path.relative_to(self.root)
            hidden = any(part.startswith(".") for part in relative.parts)
            depth = len(relative.parts)
            if hidden or depth < 2 or path.suffix.lower() not in AUDIO_SUFFIXES:
                passed_over.append(relative.as_posix())
                continue
            group = f"{relative.parts[0]}/{relative.parts[1]}" if depth > 2 else None
            tracks.append(Track(relative.as_posix(), path, relative.parts[0], group))
        if not tracks:
            raise DataError(
                f"dataset {self.root}: no audio file in any subfolder; expected "
                "<genre>/<track>.wav (or .mp3, .flac, .ogg, .au)"
            )
        tracks.sort(key=lambda track: track.track_id)
        return Listing(tuple(tracks), tuple(passed_over))
