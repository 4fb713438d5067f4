"""A folder with one subfolder for each genre: `genre/track.wav` or `genre/artist/track.wav`."""

from pathlib import Path

from genre_mlops.datasets.base import AUDIO_SUFFIXES, Dataset, Listing
from genre_mlops.datasets.walk import files_below, is_utf8, shown, whole_path
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import DataError

_NAMES_SHOWN = 5


class FolderDataset(Dataset):
    """Anybody's music, where it lies; nothing in the folder is changed.

    The first level names the genre. Of deeper levels the second names the group (artist or
    album), so that its tracks stay in one split: an artist who is in several genres is one group,
    and so are folders of other kinds that have one name. Folders and files whose names begin with
    a dot are passed over, as are files with a suffix that is no audio's and those in no genre's
    folder.

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
        self.root = whole_path(root)
        self.name, self.source = self.root.name, str(self.root)
        if not self.root.is_dir():
            what = "is a file" if self.root.exists() else "does not exist"
            raise DataError(
                f"dataset {root}: {what}; expected a folder with one subfolder for each genre, or "
                "a table (.csv, .parquet)"
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
        for path in files_below(self.root, passed_over):
            relative = path.relative_to(self.root)
            reason = _why_passed_over(relative)
            if reason is not None:
                passed_over.append(shown(relative) + reason)
                continue
            genre, *deeper, _ = relative.parts
            tracks.append(Track(relative.as_posix(), path, genre, deeper[0] if deeper else None))
        passed_over += self._without_tracks({track.genre for track in tracks})
        if not tracks:
            raise DataError(self._why_empty(sorted(passed_over)))
        tracks.sort(key=lambda track: track.track_id)
        return Listing(tuple(tracks), tuple(sorted(passed_over)))

    def _without_tracks(self, genres: set[str]) -> list[str]:
        """Name the folders that look like genres and hold no track."""
        folders = (path for path in self.root.iterdir() if path.is_dir() and not path.is_symlink())
        names = {shown(Path(path.name)) for path in folders if not path.name.startswith(".")}
        return [f"{name}/ (no track in it)" for name in sorted(names - genres)]

    def _why_empty(self, passed_over: list[str]) -> str:
        first = ", ".join(passed_over[:_NAMES_SHOWN])
        more = len(passed_over) - _NAMES_SHOWN
        rest = f" and {more:,} more" if more > 0 else ""
        return (
            f"dataset {self.root}: no audio file in any subfolder; expected <genre>/<track>.wav, "
            f"or another of {', '.join(sorted(AUDIO_SUFFIXES))}; "
            f"passed over: {first or 'nothing, the folder is empty'}{rest}"
        )


def _why_passed_over(relative: Path) -> str | None:
    """Return why a file is no track, in parentheses where it is audio; None where it is one."""
    if relative.suffix.lower() not in AUDIO_SUFFIXES:
        return ""
    if any(part.startswith(".") for part in relative.parts):
        return " (hidden)"
    if len(relative.parts) < 2:
        return " (in no genre's folder)"
    # Tables and reports are UTF-8: another name cannot be written into them.
    if not is_utf8(relative):
        return " (its name is not UTF-8)"
    return None
