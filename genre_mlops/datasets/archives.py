"""Archives fetched, and unpacked file by file, only what is asked for and only where it may go."""

import contextlib
import gzip
import json
import lzma
import os
import re
import shlex
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

import psutil

from genre_mlops.datasets.download import download
from genre_mlops.domain import Progress, silent
from genre_mlops.errors import DataError
from genre_mlops.files import FULL, is_full, need_room, replacing

Place = Callable[[str], str | None]
"""Member's name -> where it goes, relative to the folder; None passes it over."""

_WHOLE = ".whole.json"
_DOWNLOADS = "downloads"
_MAX_PADDING_BYTES = 1 << 24
# As `files.replacing` names what it has yet to replace.
_UNFINISHED = re.compile(r"\.(\d{1,9})\..+")
# RuntimeError: zipfile's for a password, and for a compression that it does not know.
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    RuntimeError,
)  # fmt: skip


def fetch_archive(
    url: str,
    by_hand: Path,
    *,
    checksum: str | None = None,
    size: int | None = None,
    progress: Progress = silent,
) -> Path:
    """Return where an archive is: where somebody has put it, else downloaded.

    What is downloaded is in a folder of its own, so that it is known to be ours however often
    the work on it is cut off; `remove_download` removes it.

    Parameters
    ----------
    url : str
        Where it is published.
    by_hand : Path
        Where somebody may have put it.
    checksum : str, optional
        As `download` takes it, which raises its errors here too.
    size : int, optional
        In bytes.
    progress : Progress
        Told of the megabytes.
    """
    archive = by_hand if by_hand.exists() else _download_of(by_hand)
    download(url, archive, checksum=checksum, size=size, progress=progress)
    return archive


def remove_download(by_hand: Path) -> None:
    """Remove what `fetch_archive` downloaded, whole or in part; never what was put by hand."""
    ours = _download_of(by_hand)
    for path in ours.parent.glob(f"{ours.name}*"):
        path.unlink(missing_ok=True)
    # Another archive may be on its way there.
    with contextlib.suppress(OSError):
        ours.parent.rmdir()


def _download_of(by_hand: Path) -> Path:
    return by_hand.parent / _DOWNLOADS / by_hand.name


def is_damage(error: Exception) -> bool:
    """Whether an error in reading an archive says that the archive is damaged."""
    # bz2 says it by an OSError: not the system's, and so without a number.
    return isinstance(error, _DAMAGED) or (type(error) is OSError and error.errno is None)


def unpack(
    archive: Path,
    folder: Path,
    place: Place,
    *,
    max_bytes: int,
    keep_damaged: bool = True,
    progress: Progress = silent,
) -> list[str]:
    """Unpack some members of a zip or tar archive, but for those that are there already.

    A member that is there with its size was unpacked whole: each is written under another name
    first. So an unpacking that was killed goes on.

    Parameters
    ----------
    archive : Path
        Zip, or tar with any compression Python knows.
    folder : Path
        Where the members go.
    place : callable
        Says where each member goes, by its name. Of members that go to one place the first does.
    max_bytes : int
        An archive whose members claim more than this together is refused.
    keep_damaged : bool
        Whether a damaged archive stays. One that was downloaded and that no checksum was there to
        compare with would make every later run fail.
    progress : Progress
        Told of the members, or of the archive's megabytes where members are not known before.

    Returns
    -------
    list of str
        What was or is unpacked, relative to the folder.

    Raises
    ------
    DataError
        The archive is damaged, too large, or means to write where it must not; or the disk is full.
    """
    placed: dict[str, None] = {}
    budget = max_bytes
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _remove_unfinished(folder)
        need_room(folder, _least_room(archive, folder, place))
        for name, size, content in _members(archive, folder, progress):
            budget -= size
            if budget < 0:
                raise DataError(
                    f"{archive}: its members claim more than {max_bytes / 1e9:g} GB: refused"
                )
            target = place(name)
            if target is None or target in placed:
                continue
            placed[target] = None
            _write(content, folder / target, size)
    except (*_DAMAGED, OSError) as error:
        raise _failure(archive, error, keep_damaged) from error
    return list(placed)


def _failure(archive: Path, error: Exception, keep_damaged: bool) -> DataError:
    """Return what is said of an unpacking that failed."""
    if isinstance(error, OSError) and not is_damage(error):
        what = FULL if is_full(error) else "cannot be unpacked"
        reason = error.strerror or error
        return DataError(
            f"{archive}: {what} ({reason}); what is unpacked is kept, run again to go on"
        )
    then, reason = "remove it and get it again", str(error).split(":\n")[0]
    if not keep_damaged:
        archive.unlink(missing_ok=True)
        then = "it is removed, run again to fetch it anew"
    return DataError(f"{archive}: damaged, or no zip or tar archive ({reason}); {then}")


def mark_whole(folder: Path, names: Iterable[str]) -> None:
    """Note that all these files of a folder are there now, with their sizes."""
    # Once for all of them: a power cut must not leave the note without the files.
    os.sync()
    sizes = {name: (folder / name).stat().st_size for name in sorted(names)}
    with replacing(folder / _WHOLE) as partial:
        partial.write_text(json.dumps(sizes), encoding="utf-8")


def is_whole(folder: Path) -> bool:
    """Whether `mark_whole` was here, and all that it noted is still there."""
    try:
        sizes = json.loads((folder / _WHOLE).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def need_brought(folder: Path, source: str) -> None:
    """Raise DataError where `mark_whole` has never been: what is there may be a part only.

    Parameters
    ----------
    folder : Path
        Where the files would be.
    source : str
        What `data.dataset` takes.
    """
    if not (folder / _WHOLE).exists():
        command = f"genre-mlops data fetch {shlex.quote(source)}"
        raise DataError(f"dataset {source}: not here yet: {command}")


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed have left half written."""
    for path in folder.rglob(".*"):
        found = _UNFINISHED.fullmatch(path.name)
        if found and path.is_file() and not psutil.pid_exists(int(found[1])):
            path.unlink(missing_ok=True)


def _least_room(archive: Path, folder: Path, place: Place) -> int:
    """Return how many bytes unpacking takes at least: a tar archive has no table of contents."""
    if not zipfile.is_zipfile(archive):
        # The archive itself may lie in the folder, and what other places have brought.
        names = ((path, path.relative_to(folder).as_posix()) for path in folder.rglob("*"))
        here = [path for path, name in names if path != archive and place(name) == name]
        return archive.stat().st_size - sum(path.stat().st_size for path in here if path.is_file())
    with zipfile.ZipFile(archive) as zipped:
        targets = {place(info.filename): info.file_size for info in zipped.infolist()}
    return sum(n for name, n in targets.items() if name and not (folder / name).exists())


_Member = tuple[str, int, Callable[[], IO[bytes]]]


def _members(archive: Path, folder: Path, progress: Progress) -> Iterator[_Member]:
    """Yield name, size in bytes and a way to open it of each regular file of an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield from _zip_members(zipped, archive, progress)
    else:
        yield from _tar_members(archive, folder, progress)


def _zip_members(zipped: zipfile.ZipFile, archive: Path, progress: Progress) -> Iterator[_Member]:
    infos = [info for info in zipped.infolist() if not info.is_dir()]
    for n_done, info in enumerate(infos):
        progress(f"unpack {archive.name}", n_done, len(infos))
        _refuse_escape(archive, info.filename)
        # The upper half of the attributes is the Unix mode: 0o120000 is a link.
        if (info.external_attr >> 16) & 0o170000 in (0, 0o100000):
            yield info.filename, info.file_size, partial(zipped.open, info)
    progress(f"unpack {archive.name}", len(infos), len(infos))


def _tar_members(archive: Path, folder: Path, progress: Progress) -> Iterator[_Member]:
    total = archive.stat().st_size
    with archive.open("rb") as file, tarfile.open(fileobj=file) as tar:
        for member in tar:
            progress(f"unpack {archive.name} (MB)", file.tell() // 10**6, total // 10**6 + 1)
            _refuse_escape(archive, member.name)
            if member.isreg():
                tarfile.data_filter(member, str(folder))
                yield member.name, member.size, partial(_open_member, tar, member)
        _read_to_end(tar)
        progress(f"unpack {archive.name} (MB)", total // 10**6 + 1, total // 10**6 + 1)


def _read_to_end(tar: tarfile.TarFile) -> None:
    """Read what pads the archive: the check of a compressed one stands behind it."""
    n_left = _MAX_PADDING_BYTES
    while block := tar.fileobj.read(1 << 20) if tar.fileobj else b"":
        n_left -= len(block)
        if n_left < 0:
            raise tarfile.ReadError("something follows its end")


def _open_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return content


def _refuse_escape(archive: Path, name: str) -> None:
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
        raise DataError(f"{archive}: means to write outside its folder ({name!r}): refused")


def _write(content: Callable[[], IO[bytes]], target: Path, size: int) -> None:
    if target.is_file() and target.stat().st_size == size:
        return
    with content() as source, replacing(target) as unfinished, unfinished.open("wb") as file:
        shutil.copyfileobj(source, file)
