import errno
import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre_mlops import files
from genre_mlops.datasets import download as downloads
from genre_mlops.datasets.download import UnreachableError, download
from genre_mlops.errors import DataError
from tests.loopback import Loopback

CONTENT = np.random.default_rng(7).bytes(3_000_017)
MD5 = f"md5:{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"
# Downloads are written block by block: what is less than one is lost in a cut.
BLOCK = downloads._CHUNK_BYTES
SHA1 = f"sha1:{hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()}"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback().running() as running:
        yield running


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAITS_S", (0.0,) * 4)


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, label: str, n_done: int, n_total: int, *, told: bool = False) -> None:
        self.calls.append((label, n_done, n_total))


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_whole_file_arrives_under_its_name_alone(server: Loopback, tmp_path: Path):
    server.serve("/a.zip", CONTENT)
    told = Told()
    path = tmp_path / "deep" / "a.zip"
    download(f"{server.url}/a.zip", path, checksum=SHA1, size=len(CONTENT), progress=told)
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == {"a.zip"}
    shown = [call for call in told.calls if call[0] == "download a.zip (MB)"]
    assert [n for _, n, _ in shown] == sorted(n for _, n, _ in shown)
    assert shown[-1][1:] == (3, 3)
    assert {total for _, _, total in shown} == {3}
    # Here already: nobody is asked.
    download(f"{server.url}/a.zip", path, checksum=SHA1)
    assert len(server.requests) == 1


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(0, 4 * BLOCK), max_size=6),
    ranges=st.booleans(),
    has_etag=st.booleans(),
    has_checksum=st.booleans(),
)
def test_whatever_is_cut_the_file_is_whole_or_not_there(
    server: Loopback, tmp_path_factory: pytest.TempPathFactory,
    cuts: list[int], ranges: bool, has_etag: bool, has_checksum: bool,
):  # fmt: skip
    content = CONTENT[: 4 * BLOCK + 99]
    md5 = f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"
    served = server.serve("/a", content, cuts=list(cuts), ranges=ranges)
    served.etag = '"1"' if has_etag else ""
    path = tmp_path_factory.mktemp("cut") / "a"
    for _ in range(len(cuts) + 1):
        try:
            download(f"{server.url}/a", path, checksum=md5 if has_checksum else None)
            break
        except UnreachableError:
            assert not path.exists()
    assert path.read_bytes() == content


def test_a_cut_download_goes_on_where_it_was(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT, cuts=[18 * BLOCK, 13 * BLOCK + 5])
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.ranges_asked() == [None, f"bytes={18 * BLOCK}-", f"bytes={31 * BLOCK}-"]


def test_a_file_whose_length_only_we_know_is_whole(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT, cuts=[20 * BLOCK], length_told=False)
    download(f"{server.url}/a", tmp_path / "a", size=len(CONTENT))
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("total_told", [True, False])
@pytest.mark.parametrize("known", [{"checksum": MD5}, {"size": len(CONTENT)}, {}])
def test_a_server_that_gives_less_than_it_is_asked_for_is_asked_for_the_rest(
    server: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    known: dict[str, str | int],
    total_told: bool,
):
    waits: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    step = 3 * BLOCK + 5
    server.serve("/a", CONTENT, cuts=[9 * BLOCK], longest_range=step, total_told=total_told)
    download(f"{server.url}/a", tmp_path / "a", **known)
    assert (tmp_path / "a").read_bytes() == CONTENT
    asked = [f"bytes={start}-" for start in range(9 * BLOCK, len(CONTENT), step)]
    if not total_told and "size" not in known:
        asked.append(f"bytes={len(CONTENT)}-")
    assert server.ranges_asked() == [None, *asked]
    # After the cut: the other parts were as long as the server wished.
    assert len(waits) == 1


def test_parts_of_which_nobody_knows_the_whole_are_not_pieced_together(
    server: Loopback, tmp_path: Path
):
    server.serve("/a", CONTENT, etag="", always_in_parts=True, longest_range=BLOCK)
    with pytest.raises(UnreachableError, match="65,536 of 3,000,017 bytes came; the next run beg"):
        download(f"{server.url}/a", tmp_path / "a")
    server.serve("/a", CONTENT, always_in_parts=True, longest_range=9 * BLOCK)
    download(f"{server.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_what_came_whole_before_a_kill_is_not_fetched_again(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT)
    (tmp_path / "a.part").write_bytes(CONTENT)
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert server.ranges_asked() == [f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_redirected_download_goes_on_too(server: Loopback, tmp_path: Path):
    server.serve("/a", redirect="/elsewhere")
    server.serve("/elsewhere", CONTENT, cuts=[9 * BLOCK])
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.ranges_asked() == [None, None, *[f"bytes={9 * BLOCK}-"] * 2]


def test_a_server_that_always_cuts_is_given_up_and_what_came_is_kept(
    server: Loopback, tmp_path: Path
):
    server.serve("/a", CONTENT, cuts=[23 * BLOCK] + [0] * 5)
    with pytest.raises(UnreachableError, match=r"1\.5 MB that came are kept, run again to go on"):
        download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert len(server.requests) == 6
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert server.ranges_asked()[-1] == f"bytes={23 * BLOCK}-"
    assert leftovers(tmp_path) == {"a"}


def test_a_server_without_ranges_starts_anew(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT, cuts=[2_000_000], ranges=False)
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("new_size", [2_000_000, 1_000_000, 4_000_000])
def test_a_file_that_changed_in_between_is_fetched_anew(
    server: Loopback, tmp_path: Path, new_size: int
):
    server.serve("/a", CONTENT, cuts=[23 * BLOCK] + [0] * 5)
    with pytest.raises(UnreachableError):
        download(f"{server.url}/a", tmp_path / "a")
    new = np.random.default_rng(8).bytes(new_size)
    server.serve("/a", new, etag='"2"')
    download(f"{server.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == new


def test_a_changed_file_that_the_server_hides_fails_its_checksum(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT, cuts=[23 * BLOCK] + [0] * 5)
    with pytest.raises(UnreachableError):
        download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    server.serve("/a", CONTENT[::-1], etag='"2"', honours_if_range=False)
    with pytest.raises(DataError, match=r"md5 is [0-9a-f]{32} where [0-9a-f]{32} was expected"):
        download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert leftovers(tmp_path) == set()


def test_without_etag_and_checksum_nothing_is_pieced_together(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT, etag="", cuts=[1_000_000])
    download(f"{server.url}/a", tmp_path / "a")
    assert server.ranges_asked() == [None, None]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_download_that_cannot_be_gone_on_with_says_so(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT, etag='W/"1"', cuts=[9 * BLOCK] * 6)
    anew = "; the next run begins anew: the server does not name the state of its file$"
    with pytest.raises(UnreachableError, match=anew):
        download(f"{server.url}/a", tmp_path / "a")
    download(f"{server.url}/a", tmp_path / "a")
    assert set(server.ranges_asked()) == {None}
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_wrong_checksum_names_both_and_leaves_nothing(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT[:-1])
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    message = f"the sha256 is {found} where {'0' * 64} was expected"
    with pytest.raises(DataError, match=message):
        download(f"{server.url}/a", tmp_path / "a", checksum=f"sha256:{'0' * 64}")
    assert leftovers(tmp_path) == set()


def test_a_file_put_there_by_hand_is_checked_and_never_removed(tmp_path: Path):
    (tmp_path / "a").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="not the published file, or damaged; remove it"):
        download("http://127.0.0.1:9/a", tmp_path / "a", checksum=MD5)
    (tmp_path / "a").write_bytes(CONTENT)
    download("http://127.0.0.1:9/a", tmp_path / "a", checksum=MD5)


def test_another_size_is_refused_before_anything_is_overwritten(server: Loopback, tmp_path: Path):
    served = server.serve("/a", CONTENT, cuts=[9 * BLOCK] + [0] * 5)
    with pytest.raises(UnreachableError):
        download(f"{server.url}/a", tmp_path / "a", size=len(CONTENT))
    served.content, served.etag = b"short", '"2"'
    with pytest.raises(DataError, match="5 bytes are offered where 3,000,017 were expected"):
        download(f"{server.url}/a", tmp_path / "a", size=len(CONTENT))
    assert (tmp_path / "a.part").stat().st_size == 9 * BLOCK


def test_the_log_in_page_of_a_network_overwrites_nothing(server: Loopback, tmp_path: Path):
    served = server.serve("/a", CONTENT, cuts=[9 * BLOCK] + [0] * 5)
    with pytest.raises(UnreachableError):
        download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    served.content, served.etag, served.content_type = b"<html>", '"2"', "text/html; charset=utf-8"
    with pytest.raises(DataError, match="a web page came where a file was expected"):
        download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a.part").stat().st_size == 9 * BLOCK


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_server_is_asked_again(server: Loopback, tmp_path: Path, status: int):
    server.serve("/a", CONTENT, statuses=[status, status])
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert len(server.requests) == 3
    server.serve("/b", statuses=[status] * 99)
    with pytest.raises(UnreachableError, match=rf"the server fails \({status}"):
        download(f"{server.url}/b", tmp_path / "b")
    assert leftovers(tmp_path) == {"a"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, r"there is no such file \(404\)"),
        (403, r"the server refuses access \(403\)"),
        (401, r"the server refuses access \(401\)"),
        (410, r"the server answers 410"),
    ],
)
def test_a_refusal_is_final(server: Loopback, tmp_path: Path, status: int, words: str):
    server.serve("/a", statuses=[status] * 9)
    with pytest.raises(UnreachableError, match=words) as caught:
        download(f"{server.url}/a", tmp_path / "a")
    assert len(server.requests) == 1
    assert caught.value.exit_code == 3


def test_a_stalled_server_is_not_waited_for(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(downloads, "READ_TIMEOUT_S", 0.2)
    server.serve("/a", CONTENT, stalls=[9 * BLOCK, 0])
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    server.serve("/b", CONTENT, stalls=[0] * 9)
    with pytest.raises(UnreachableError, match="no answer in time"):
        download(f"{server.url}/b", tmp_path / "b")


def test_offline_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # No sleep takes that.
    monkeypatch.setattr(downloads, "WAITS_S", (float("inf"),) * 4)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(UnreachableError, match="the connection is refused"):
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a")
    with pytest.raises(UnreachableError, match="cannot be resolved: this machine seems to be off"):
        download("http://nowhere.invalid/a", tmp_path / "a")
    assert leftovers(tmp_path) == set()


def test_too_small_a_disk_is_said_before(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server.serve("/a", CONTENT)
    usage = files.shutil.disk_usage(tmp_path)._replace(free=2_000_000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="3 MB are needed and 2 MB are free"):
        download(f"{server.url}/a", tmp_path / "a")
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("ranges", [True, False])
def test_the_room_of_what_is_here_counts(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: bool
):
    server.serve("/a", CONTENT, ranges=ranges)
    (tmp_path / "a.part").write_bytes(CONTENT[:2_500_000])
    usage = files.shutil.disk_usage(tmp_path)._replace(free=600_000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_disk_that_is_too_full_for_an_empty_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(path: Path) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(DataError, match=r"is full \(Disk quota exceeded\): make room$"):
        download("http://127.0.0.1:9/a", tmp_path / "a")


@pytest.mark.parametrize(("at", "name"), [(Path, "touch"), (fcntl, "flock")])
def test_a_file_that_another_process_ends_meanwhile_stays(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: object, name: str
):
    server.serve("/a", CONTENT, etag="")
    real = getattr(at, name)

    def after_the_other(*arguments: object) -> object:
        monkeypatch.undo()
        download(f"{server.url}/a", tmp_path / "a")
        return real(*arguments)

    monkeypatch.setattr(at, name, after_the_other)
    download(f"{server.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert leftovers(tmp_path) == {"a"}
    assert len(server.requests) == 1


def test_a_file_that_another_process_gives_up_meanwhile_is_fetched(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server.serve("/a", CONTENT, statuses=[404])
    lock = fcntl.flock

    def after_the_other(*arguments: int) -> None:
        monkeypatch.undo()
        with pytest.raises(UnreachableError, match="404"):
            download(f"{server.url}/a", tmp_path / "a")
        lock(*arguments)

    monkeypatch.setattr(fcntl, "flock", after_the_other)
    download(f"{server.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert leftovers(tmp_path) == {"a"}


# A limit on the size of files fails as a full disk does, but needs no disk of its own.
CHILD = """
import resource, signal, sys
from pathlib import Path
from genre_mlops.console import exit_codes
from genre_mlops.datasets.download import download
# A shell's background job, and all that it starts, would not hear Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
url, path, checksum, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
with exit_codes():
    download(url, Path(path), checksum=checksum)
"""


def child(url: str, path: Path, limit: int = 0) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", CHILD, url, str(path), MD5, str(limit)]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


def test_a_full_disk_keeps_what_came(server: Loopback, tmp_path: Path):
    server.serve("/a", CONTENT)
    full = child(f"{server.url}/a", tmp_path / "a", limit=1_700_000)
    _, said = full.communicate(timeout=60)
    assert full.returncode == 3, said
    assert (
        "your share of it is full (File too large): make room; the 1.7 MB that came are kept"
        in said
    )
    assert "Traceback" not in said
    assert (tmp_path / "a.part").stat().st_size == 1_700_000
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.ranges_asked() == [None, "bytes=1700000-"]


def stalled(server: Loopback, path: Path, n_bytes: int) -> "subprocess.Popen[str]":
    """A child whose partial file has come that far and gets no further."""
    process = child(f"{server.url}/a", path)
    part = path.with_name(f"{path.name}.part")
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= n_bytes) and time.monotonic() < until:
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on(server: Loopback, tmp_path: Path, how: signal.Signals):
    server.serve("/a", CONTENT, stalls=[30 * BLOCK])
    process = stalled(server, tmp_path / "a", 30 * BLOCK)
    with pytest.raises(DataError, match="another process is downloading it"):
        download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    os.kill(process.pid, how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), said
    download(f"{server.url}/a", tmp_path / "a", checksum=MD5)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.ranges_asked()[-1] == f"bytes={30 * BLOCK}-"
