"""GTZAN's recordings in a folder or an archive, under whatever folders they are."""

import re
from collections.abc import Container
from pathlib import Path, PurePosixPath

from genre_mlops.datasets.verification import Verification
from genre_mlops.datasets.walk import files_below, is_utf8, shown

_TRACK = re.compile(r"([a-z]+)\.\d{5}")
_SUFFIXES = (".wav", ".au")
# Notes of our own and of kagglehub.
_NOTES = (".json", ".complete")
_ERRORS_SHOWN = 5


def place(name: str, known: Container[str]) -> str | None:
    """Return where a file belongs, ``genres/blues/blues.00000.wav``; None where it is no track.

    Parameters
    ----------
    name : str
        The file's, with or without folders.
    known : container of str
        The tracks there are.
    """
    path = PurePosixPath(name)
    found = _TRACK.fullmatch(path.stem)
    if not found or path.suffix not in _SUFFIXES or path.stem not in known:
        return None
    return f"genres/{found[1]}/{path.name}"


def find_tracks(folder: Path, known: Container[str], passed_over: list[str]) -> dict[str, Path]:
    """Return the file of each track below a folder, .wav before .au, through links to folders.

    Parameters
    ----------
    folder : Path
        Where to look.
    known : container of str
        The tracks there are.
    passed_over : list of str
        The other files are added to it.
    """
    found: dict[str, Path] = {}
    paths = files_below(folder, passed_over)
    for path in sorted(paths, key=lambda path: path.suffix != ".wav"):
        relative = path.relative_to(folder)
        if not is_utf8(relative):
            passed_over.append(f"{shown(relative)} (its name is not UTF-8)")
        elif place(path.name, known) and path.stem not in found:
            found[path.stem] = path
        elif path.suffix not in _NOTES:
            passed_over.append(shown(relative))
    return found


def faults(found: Verification) -> str:
    """Return in words what is not as published, with a few examples."""
    parts = []
    if found.missing:
        shown = ", ".join(found.missing[:_ERRORS_SHOWN])
        dots = ", ..." if len(found.missing) > _ERRORS_SHOWN else ""
        parts.append(f"{len(found.missing)} tracks are missing ({shown}{dots})")
    if found.changed:
        shown = "; ".join(
            f"{name}: {sum_} where {expected} was expected"
            for name, (expected, sum_) in list(found.changed.items())[:_ERRORS_SHOWN]
        )
        parts.append(f"{len(found.changed)} files are not those that were published ({shown})")
    return " and ".join(parts)
