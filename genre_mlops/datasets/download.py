"""Downloads that go on where they were cut, and are checked before they have their name.

pooch, in use elsewhere for such files, begins anew after every cut; so does `hf_hub_download` of
huggingface_hub 2.4 in a new process.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genre_mlops.datasets.answers import first_byte, total_bytes, validator_of, why
from genre_mlops.datasets.digests import digest_of
from genre_mlops.datasets.parts import (
    and_then,
    forget,
    goes_on,
    note_of,
    only_one,
    state_of,
    write_errors_told,
)
from genre_mlops.domain import Progress, silent
from genre_mlops.errors import DataError
from genre_mlops.files import need_room

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
# Between attempts that bring nothing new; after the last the download gives up.
WAITS_S = (1.0, 2.0, 4.0, 8.0)
# What a cut can lose of what came.
_CHUNK_BYTES = 1 << 16
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class UnreachableError(DataError):
    """A file that cannot be had from where it should be: another place may do."""


def not_to_be_had(name: str, tried: Sequence[Exception], archive: Path) -> UnreachableError:
    """Return the error that says of a data set what was tried and what else can be done.

    Parameters
    ----------
    name : str
        The source's.
    tried : sequence of Exception
        What went wrong at each place.
    archive : Path
        Where the source takes its archive from when somebody has put it there.
    """
    lines = "".join(f"  {error}\n" for error in tried)
    return UnreachableError(
        f"dataset {name} cannot be downloaded. Tried:\n{lines}"
        "Run the same command again when there is a connection, or get the archive otherwise and "
        f"put it at\n  {archive}\n"
        f"A copy that is on this machine already is named by its path, {name}:/path/to/copy:\n"
        f"  genre-mlops data fetch {name}:/path/to/copy"
    )


class _AgainError(Exception):
    """Something that may pass: worth another attempt."""


def download(
    url: str,
    path: Path,
    *,
    checksum: str | None = None,
    size: int | None = None,
    progress: Progress = silent,
) -> None:
    """Bring a file here, unless it is.

    What has come is in `<name>.part` and stays there when the download is cut, stopped or killed;
    the next call goes on from it where the server can (`Range`) and where the file there is still
    the same (`If-Range`, or a checksum to tell).

    Parameters
    ----------
    url : str
        http or https; redirects are followed.
    path : Path
        Where the whole file will be. One that is there already is only checked.
    checksum : str, optional
        ``md5:<hex>``, ``sha1:<hex>`` or ``sha256:<hex>`` of the whole file.
    size : int, optional
        In bytes; a server that offers another number is refused before anything is written.
    progress : Progress
        Told of the megabytes.

    Raises
    ------
    UnreachableError
        No connection, no such file there, or no end of failures.
    DataError
        The disk is full, the file is another than expected, or another process is at it.
    """
    part = path.with_name(f"{path.name}.part")
    if not path.exists():
        with write_errors_told(part, checksum), only_one(part) as file:
            # Another process may have ended it since.
            if not path.exists():
                _Transfer(url, part, file, size=size, checksum=checksum).run(progress)
                _check_came(url, part, file, checksum, progress)
                part.replace(path)
                note_of(part).unlink(missing_ok=True)
                return
    _check(path, checksum, f"{path}: ", "; remove it and run again", progress)


class _Transfer:
    """The attempts to fill one partial file."""

    def __init__(
        self,
        url: str,
        part: Path,
        file: IO[bytes],
        *,
        size: int | None,
        checksum: str | None,
    ) -> None:
        self.url, self.part, self.file, self.size = url, part, file, size
        self.checksum, self.answered = checksum, False

    def run(self, progress: Progress) -> None:
        """Try until the file is whole, or nothing new has come for some attempts."""
        import requests

        furthest, failures = self._n_here(), 0
        while True:
            try:
                with requests.Session() as session:
                    while not self._attempt(session, progress):
                        pass
                    return
            except requests.RequestException as error:
                reason = why(error)
                passing = isinstance(error, requests.ConnectionError | requests.Timeout)
                passing |= isinstance(error, requests.exceptions.ChunkedEncodingError)
            except _AgainError as error:
                reason, passing = str(error), True
            here = self._n_here()
            failures = 0 if here > furthest else failures + 1
            furthest = max(furthest, here)
            # Where no server has ever answered, this machine is offline or the server is down.
            if not passing or not self.answered or failures > len(WAITS_S):
                then = and_then(self.part, self.checksum)
                raise UnreachableError(f"{self.url}: {reason}{then}")
            time.sleep(WAITS_S[max(0, failures - 1)])

    def _attempt(self, session: "requests.Session", progress: Progress) -> bool:
        """Ask once, and return whether the file is whole now."""
        start = self._n_here() if goes_on(self.part, self.checksum) else 0
        with session.get(
            self.url,
            headers=self._headers(start),
            stream=True,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        ) as answer:
            self.answered = True
            if answer.status_code == 416 and total_bytes(answer) == start:
                return True
            if answer.status_code == 416 or (
                answer.status_code == 206 and first_byte(answer) != start
            ):
                self._begin_anew()
                raise _AgainError("the server gives another part of the file than asked for")
            self._refuse_other_answers(answer)
            if answer.status_code != 206:
                start = 0
            total = self._expected_total(answer)
            if not start:
                self._begin_anew()
                note_of(self.part).write_text(validator_of(answer), encoding="utf-8")
            return self._write(answer, start, total, progress)

    def _headers(self, start: int) -> dict[str, str]:
        # Bytes as they are: a range of a compressed answer would be of no use.
        headers = {"Accept-Encoding": "identity", "User-Agent": "genre-mlops"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if state := state_of(self.part):
                headers["If-Range"] = state
        return headers

    def _refuse_other_answers(self, answer: "requests.Response") -> None:
        status = answer.status_code
        if status in _PASSING_STATUSES:
            raise _AgainError(f"the server fails ({status} {answer.reason})")
        if status == 404:
            raise UnreachableError(f"{self.url}: there is no such file (404)")
        if status in (401, 403):
            raise UnreachableError(f"{self.url}: the server refuses access ({status})")
        if status not in (200, 206):
            raise UnreachableError(f"{self.url}: the server answers {status} {answer.reason}")
        # The log-in page of a network, most often: it must not take the place of what is here.
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise UnreachableError(f"{self.url}: a web page came where a file was expected")

    def _expected_total(self, answer: "requests.Response") -> int | None:
        """Return the length of the whole file in bytes, where it is known and there is room."""
        told = total_bytes(answer)
        total = self.size if told is None else told
        if total is None:
            return None
        if self.size is not None and total != self.size:
            raise UnreachableError(
                f"{self.url}: {total:,} bytes are offered where {self.size:,} were expected: "
                "this is not the published file"
            )
        # What is here is gone on with or thrown away: either way its room counts.
        need_room(self.part.parent, total - self._n_here())
        return total

    def _write(
        self, answer: "requests.Response", start: int, total: int | None, progress: Progress
    ) -> bool:
        """Write what an answer brings, and return whether the file is whole now."""
        label = f"download {self.part.stem} (MB)"
        n_done = start
        self.file.seek(start)
        progress(label, *_megabytes(n_done, total))
        for chunk in answer.iter_content(_CHUNK_BYTES):
            self.file.write(chunk)
            # What a kill leaves is then what has come.
            self.file.flush()
            n_done += len(chunk)
            progress(label, *_megabytes(n_done, total or n_done + 10**6))
        in_parts = answer.status_code == 206
        if n_done == total or (total is None and not in_parts):
            progress(label, *_megabytes(n_done, n_done))
            return True
        # A server may give less than it is asked for (RFC 9110, 15.3.7).
        has_more = start < n_done and (total is None or n_done < total)
        if in_parts and has_more and goes_on(self.part, self.checksum):
            return False
        raise _AgainError(f"{n_done:,} of {'?' if total is None else f'{total:,}'} bytes came")

    def _begin_anew(self) -> None:
        self.file.truncate(0)
        note_of(self.part).unlink(missing_ok=True)

    def _n_here(self) -> int:
        return os.fstat(self.file.fileno()).st_size


def _check_came(
    url: str, part: Path, file: IO[bytes], checksum: str | None, progress: Progress
) -> None:
    """Raise DataError, and remove what came, where it is not what was expected."""
    # On disk before it has the name.
    os.fsync(file.fileno())
    try:
        _check(part, checksum, f"{url}: ", "; what came is removed, run again", progress)
    except DataError:
        forget(part)
        raise


def _check(path: Path, checksum: str | None, who: str, then: str, progress: Progress) -> None:
    if checksum is None:
        return
    algorithm, _, expected = checksum.partition(":")
    found = digest_of(path, algorithm, progress)
    if found != expected:
        raise DataError(
            f"{who}the {algorithm} is {found} where {expected} was expected: not the published "
            f"file, or damaged{then}"
        )


def _megabytes(n_done: int, n_total: int | None) -> tuple[int, int]:
    return n_done // 10**6, (n_total or n_done) // 10**6
