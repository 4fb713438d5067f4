"""Files below a folder, and names that can be written down."""

import os
from collections.abc import Iterator
from pathlib import Path

from genre_mlops.datasets.base import AUDIO_SUFFIXES


def is_utf8(path: Path) -> bool:
    """Whether tables and reports, which are UTF-8, can hold a path."""
    return shown(path) == path.as_posix()


def shown(path: Path) -> str:
    """Return a path with what is not UTF-8 replaced."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def whole_path(path: Path) -> Path:
    """Return the absolute path; one with `..` as it is without it, which depends on links."""
    path = path.expanduser()
    return path.resolve() if ".." in path.parts else path.absolute()


def files_below(root: Path, passed_over: list[str]) -> Iterator[Path]:
    """Yield every file below a folder, through links to folders, each folder once.

    Folders that are not entered, and those that are named like audio, are added to `passed_over`.
    """

    def pass_over(path: str | Path, reason: str) -> None:
        passed_over.append(f"{shown(Path(path).relative_to(root))}/ ({reason})")

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
