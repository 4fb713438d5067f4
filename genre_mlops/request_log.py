"""The service's request log as it lies about: several files, rotated, compressed, damaged."""

import gzip
import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from genre_mlops.drift import DEFINITION, FIGURES, Answered
from genre_mlops.errors import DataError
from genre_mlops.learning.reference import CONFIDENCE, Heard, heard
from genre_mlops.wording import counted

# A line is below a kilobyte. What is longer is none, and comes in pieces: memory stays bounded.
_LONGEST_LINE = 65_536
_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Wanted:
    """Which requests count.

    Attributes
    ----------
    version : int
        Of the model that answered.
    network : str
        sha256 of its network.
    since : datetime or None
        From when on.
    """

    version: int
    network: str
    since: datetime | None = None


@dataclass(frozen=True, eq=False)
class Requests:
    """The requests of a log that count, and how many lines do not.

    Attributes
    ----------
    heard : Heard
        One request each.
    first, last : datetime or None
        When the earliest and the latest came.
    n_sure : int
        Answers that counted as sure.
    n_lines : int
        Of all files.
    passed_over : Counter of str
        Why in words -> lines.
    """

    heard: Heard
    first: datetime | None
    last: datetime | None
    n_sure: int
    n_lines: int
    passed_over: Counter[str]

    def __len__(self) -> int:
        return len(self.heard)

    @property
    def left_out(self) -> str:
        """What was passed over, in words, the most frequent first; empty where nothing was."""
        told = self.passed_over.most_common()
        return "; ".join(f"{counted(n, 'line')} {why}" for why, n in told)


def read_log(files: Iterable[Path], wanted: Wanted) -> Requests:
    """Read log files, in any order.

    A line that is damaged or of something else is counted and passed over; one that is there twice,
    as where a log was copied while it was rotated, counts once.

    Parameters
    ----------
    files : iterable of Path
        Plain or compressed by gzip, whatever their names say.
    wanted : Wanted
        Which requests count.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    collected = _Collected(wanted)
    for path in files:
        try:
            for line in _lines(path):
                collected.add(line)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            # What was read of it so far counts.
            collected.add(b"")
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return collected.requests()


def find_logs(names: Sequence[Path]) -> list[Path]:
    """Return the files that names and patterns such as ``log/requests*`` stand for, each once.

    Raises
    ------
    DataError
        One stands for none.
    """
    found: dict[Path, None] = {}
    for name in names:
        matches = [name]
        if not name.exists():
            root = Path(name.anchor or ".")
            pattern = str(name.relative_to(name.anchor)) if name.anchor else str(name)
            matches = sorted(path for path in root.glob(pattern) if path.is_file())
        if not matches:
            raise DataError(f"{name}: there is no such file")
        found |= dict.fromkeys(path.resolve() for path in matches)
    return list(found)


@dataclass
class _Collected:
    """Values of the requests so far, some bytes each: a log may have millions."""

    wanted: Wanted
    values: defaultdict[str, "array[float]"] = field(default_factory=lambda: defaultdict(_doubles))
    genres: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    known: set[int] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None
    n_sure: int = 0
    n_lines: int = 0

    def add(self, line: bytes) -> None:
        """Take a line, or count why it is not taken."""
        self.n_lines += 1
        answered = Answered.from_line(line)
        if answered is None:
            self.passed_over["damaged, or of no request"] += 1
        elif why := self._unwanted(answered):
            self.passed_over[why] += 1
        else:
            self._take(answered)

    def requests(self) -> Requests:
        values = {name: self.values[name] for name in (*FIGURES, CONFIDENCE)}
        return Requests(
            heard=heard(values, self.genres),
            first=self.first,
            last=self.last,
            n_sure=self.n_sure,
            n_lines=self.n_lines,
            passed_over=self.passed_over,
        )

    def _unwanted(self, answered: Answered) -> str:
        wanted, who = self.wanted, hash((answered.request_id, answered.at))
        if answered.version != wanted.version:
            return f"of version {answered.version}"
        if answered.network != wanted.network:
            return "of another model with a version of this number"
        if wanted.since and answered.at < wanted.since:
            return "from before that time"
        if answered.definition != DEFINITION or not answered.input.keys() >= set(FIGURES):
            return "of another genre-mlops, which describes recordings in another way"
        if who in self.known:
            return "that were there already"
        self.known.add(who)
        return ""

    def _take(self, answered: Answered) -> None:
        for name in FIGURES:
            self.values[name].append(answered.input[name])
        self.values[CONFIDENCE].append(answered.confidence)
        self.genres[answered.genre] += 1
        self.n_sure += answered.sure
        self.first = min(self.first or answered.at, answered.at)
        self.last = max(self.last or answered.at, answered.at)


def _doubles() -> "array[float]":
    return array("d")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        is_compressed = raw.read(len(_MAGIC)) == _MAGIC
        raw.seek(0)
        file: IO[bytes] = gzip.GzipFile(fileobj=raw) if is_compressed else raw  # type: ignore[assignment]
        while line := file.readline(_LONGEST_LINE):
            if line.strip():
                yield line
