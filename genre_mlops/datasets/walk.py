"""Files below a folder, and names that can be written down."""

import os
from collections.abc import Iterator
from pathlib import Path

from genre_mlops.datasets.base import AUDIO_SUFFIXES
from genre_mlops.errors import DataError


def is_utf8(path: Path) -> bool:
    """Whether tables and reports, which are UTF-8, can hold a path."""
    return shown(path) == path.as_posix()


def shown(path: Path) -> str:
    """Return a path with what is not UTF-8 replaced."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def expanded(path: Path) -> Path:
    """Return a path with the user's home for `~`.

    Raises
    ------
    DataError
        There is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise DataError(f"{path}: there is no user of this name") from error


def whole_path(path: Path) -> Path:
    """Return a path as an absolute one without `..`, which is another folder behind a link."""
    path = path.absolute()
    plain = Path(os.path.normpath(path))
    if ".." in path.parts and path.exists() and not (plain.exists() and plain.samefile(path)):
        return path.resolve()
    return plain


def files_below(root: Path, passed_over: list[str]) -> Iterator[Path]:
    """Yield every file below a folder, through links to folders, each folder once.

    A folder goes by its own name where it is below `root`, whatever links to it. Folders that are
    not entered, and those that are named like audio, are added to `passed_over`.
    """

    def pass_over(path: str | Path, reason: str) -> None:
        passed_over.append(f"{shown(Path(path).relative_to(root))}/ ({reason})")

    seen: set[tuple[int, int]] = set()
    starts = [root]
    # Links wait until all that is not behind one is listed.
    for start in starts:
        walk = os.walk(start, onerror=lambda e: pass_over(e.filename, str(e.strerror)))
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
            starts += [Path(folder, name) for name in subfolders if Path(folder, name).is_symlink()]
            yield from (Path(folder, name) for name in sorted(files))
