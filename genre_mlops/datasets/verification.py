"""Whether the files of a source are those that were published."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genre_mlops.datasets.base import Dataset
from genre_mlops.datasets.digests import digest_of
from genre_mlops.domain import Mapper

WAV_MD5 = "wav-md5"
"""Of a file in another format: the md5 of its samples as a 16-bit wav with the plain header."""
_FILES_PER_TASK = 64


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of comparing files with published checksums.

    Attributes
    ----------
    n_checked : int
        How many files were read.
    missing : tuple of str
        Published and not here: `track_id`, sorted.
    changed : mapping of str to (str, str)
        `track_id` -> the checksum expected and the one found, or why there is none.
    unlisted : tuple of str
        Here without a published checksum; empty where none is published for any file.
    """

    n_checked: int
    missing: tuple[str, ...] = ()
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unlisted: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all that was published is here unchanged."""
        return not (self.missing or self.changed)


def verify(dataset: Dataset, run: Mapper) -> Verification:
    """Compare every file of a prepared source with its published checksum.

    Parameters
    ----------
    dataset : Dataset
        Of one without checksums nothing is read.
    run : Mapper
        Where files are read.
    """
    expected = dataset.checksums()
    if not expected:
        return Verification(n_checked=0)
    paths = {track.track_id: track.path for track in dataset.listing().tracks}
    known = [(i, path, expected[i]) for i, path in paths.items() if i in expected]
    tasks = [known[i : i + _FILES_PER_TASK] for i in range(0, len(known), _FILES_PER_TASK)]
    found = {i: sum_ for part in run(_checksums, tasks, label="verify files") for i, sum_ in part}
    gone = [i for i, sum_ in found.items() if sum_ is None]
    changed = {
        i: (expected[i], sum_)
        for i, sum_ in sorted(found.items())
        if sum_ is not None and sum_ != expected[i]
    }
    return Verification(
        n_checked=len(found) - len(gone),
        missing=tuple(sorted({*expected} - {*paths} | {*gone})),
        changed=changed,
        unlisted=tuple(sorted({*paths} - {*expected})),
    )


def _checksums(files: Sequence[tuple[str, Path, str]]) -> list[tuple[str, str | None]]:
    return [(track_id, _checksum(path, like)) for track_id, path, like in files]


def _checksum(path: Path, like: str) -> str | None:
    """Return a file's checksum of the same kind as another, None where there is no file."""
    kind = like.partition(":")[0]
    if path.exists() and not path.is_file():
        return "is no plain file"
    try:
        digest = _wav_md5(path) if kind == WAV_MD5 else digest_of(path, kind)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    return f"{kind}:{digest}"


def _wav_md5(path: Path) -> str:
    """Return the md5 of a mono 16-bit recording as a wav file with the 44-byte header."""
    import soundfile

    try:
        # Never by its name: what is in the file decides.
        with path.open("rb") as file:
            y, sr = soundfile.read(file, dtype="int16")
    except soundfile.LibsndfileError as error:
        raise ValueError(error.error_string) from error
    n_channels = y.shape[1] if y.ndim > 1 else 1
    pcm = y.astype("<i2", copy=False).tobytes()
    frame = 2 * n_channels
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, n_channels, sr, sr * frame, frame, 16),
        *(b"data", len(pcm)),
    )
    return hashlib.md5(header + pcm, usedforsecurity=False).hexdigest()
