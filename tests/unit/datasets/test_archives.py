import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genre_mlops.datasets.archives import is_whole, mark_whole, unpack
from genre_mlops.errors import DataError
from genre_mlops.files import replacing

SOUND = np.random.default_rng(3).bytes(100_003)


def keep_all(name: str) -> str | None:
    return name


def make_tar(path: Path, members: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for other in others:
            tar.addfile(other)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_what_is_wanted_goes_where_it_should(make, tmp_path: Path):
    members = {
        "top/a/1.wav": SOUND,
        "top/b/2.wav": b"2",
        "__MACOSX/a/._1.wav": b"x",
        "c/1.wav": b"",
    }
    archive = make(tmp_path / "archive", members)

    def place(name: str) -> str | None:
        return None if "__MACOSX" in name else f"music/{Path(name).name}"

    out = tmp_path / "out"
    assert unpack(archive, out, place, max_bytes=10**6) == ["music/1.wav", "music/2.wav"]
    assert files_below(out) == {"music/1.wav": SOUND, "music/2.wav": b"2"}


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil"])
def test_members_that_would_escape_refuse_the_archive(make, name: str, tmp_path: Path):
    archive = make(tmp_path / "archive", {"fine": b"1", name: b"2"})
    with pytest.raises(DataError, match="means to write outside its folder"):
        unpack(archive, tmp_path / "out", keep_all, max_bytes=10**6)
    assert not list(tmp_path.rglob("evil"))


def test_links_and_devices_are_never_made(tmp_path: Path):
    others = []
    for name, kind in [
        ("soft", tarfile.SYMTYPE),
        ("hard", tarfile.LNKTYPE),
        ("dev", tarfile.CHRTYPE),
    ]:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        others.append(info)
    archive = make_tar(tmp_path / "a.tar.gz", {"fine": b"1"}, *others)
    assert unpack(archive, tmp_path / "out", keep_all, max_bytes=10**6) == ["fine"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        link = zipfile.ZipInfo("soft")
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, "/etc/passwd")
        zipped.writestr("fine", b"1")
    assert unpack(tmp_path / "a.zip", tmp_path / "zip", keep_all, max_bytes=10**6) == ["fine"]
    assert files_below(tmp_path / "out") == files_below(tmp_path / "zip") == {"fine": b"1"}


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_bomb_is_not_set_off(make, tmp_path: Path):
    archive = make(tmp_path / "archive", {"a": b"1", "bomb": bytes(50_000_000)})
    assert archive.stat().st_size < 500_000
    with pytest.raises(DataError, match=r"its members claim more than 0\.04 GB: refused"):
        unpack(archive, tmp_path / "out", keep_all, max_bytes=40_000_000)
    assert not (tmp_path / "out" / "bomb").exists()


def test_a_member_larger_than_it_claims_is_damage(tmp_path: Path):
    archive = make_zip(tmp_path / "a.zip", {"a": bytes(1_000_000)})
    content = archive.read_bytes()
    claims = (1_000_000).to_bytes(4, "little")
    archive.write_bytes(content.replace(claims, (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match="damaged"):
        unpack(archive, tmp_path / "out", keep_all, max_bytes=100)
    assert files_below(tmp_path / "out") == {}


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_damaged_archives_are_said_to_be(make, tmp_path: Path):
    archive = make(tmp_path / "archive", {"a": SOUND, "b": SOUND[::-1]})
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:9], b"", b"no archive" * 99, _flipped(whole)):
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match=r"(?s): damaged, .*; remove it and get it again$"):
            unpack(archive, tmp_path / "out", keep_all, max_bytes=10**6)
        assert archive.exists()


def test_a_damaged_end_of_a_compressed_archive_is_damage(tmp_path: Path):
    archive = make_tar(tmp_path / "a.tar.gz", {"a": SOUND})
    content = bytearray(archive.read_bytes())
    content[-6] ^= 255
    archive.write_bytes(content)
    with pytest.raises(
        DataError, match=r"damaged, .*\(CRC check failed.*; it is removed, run again"
    ):
        unpack(archive, tmp_path / "out", keep_all, max_bytes=10**6, keep_damaged=False)
    assert not archive.exists()


def test_a_link_that_leads_out_of_the_folder_is_not_written_through(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    archive = make_tar(tmp_path / "a.tar.gz", {"a/1.wav": SOUND})
    with pytest.raises(DataError, match="outside the destination"):
        unpack(archive, tmp_path / "out", keep_all, max_bytes=10**6)
    assert files_below(tmp_path / "elsewhere") == {}


def _flipped(content: bytes) -> bytes:
    middle = len(content) * 3 // 4
    return (
        content[:middle]
        + bytes(255 - byte for byte in content[middle:][:99])
        + content[middle + 99 :]
    )


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_too_small_a_disk_is_said_before(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from genre_mlops import files

    members = {"music/a": SOUND, "music/b": SOUND[::-1]}
    # Where it is when it was downloaded.
    archive = tmp_path / "out" / "downloads" / "archive"
    archive.parent.mkdir(parents=True)
    make(archive, members)

    def place(name: str) -> str | None:
        return name if name in members else None

    usage = files.shutil.disk_usage(tmp_path)._replace(free=150_000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="are needed and 0 MB are free"):
        unpack(archive, tmp_path / "out", place, max_bytes=10**6)
    assert not (tmp_path / "out" / "music").exists()
    # What is unpacked already needs no room.
    (tmp_path / "out" / "music").mkdir()
    (tmp_path / "out" / "music" / "a").write_bytes(SOUND)
    assert len(unpack(archive, tmp_path / "out", place, max_bytes=10**6)) == 2


CHILD = """
import sys, time
from pathlib import Path
from genre_mlops.datasets import archives
archive, folder = map(Path, sys.argv[1:])
copy = archives.shutil.copyfileobj
def slow(source, file):
    file.write(source.read(1_000)); file.flush()
    if len(list(folder.rglob("*.wav"))) > 5:
        print("now", flush=True); time.sleep(60)
    copy(source, file)
archives.shutil.copyfileobj = slow
archives.unpack(archive, folder, lambda name: name, max_bytes=10**9)
"""


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_killed_unpacking_goes_on(make, tmp_path: Path):
    members = {f"{i}.wav": SOUND[i:] for i in range(9)}
    archive, out = make(tmp_path / "archive", members), tmp_path / "out"
    argv = [sys.executable, "-c", CHILD, str(archive), str(out)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    process.stdout.close()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("[0-9].wav")}
    assert 5 <= len(before) < 9
    time.sleep(0.01)
    living = out / f".{os.getpid()}.9.wav"
    living.touch()
    assert len(unpack(archive, out, keep_all, max_bytes=10**7)) == 9
    # What the killed process had begun is gone, not what another is at.
    assert files_below(out) == members | {living.name: b""}
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before


FULL = """
import resource, sys
from pathlib import Path
from genre_mlops.console import exit_codes
from genre_mlops.datasets.archives import unpack
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
with exit_codes():
    unpack(Path(sys.argv[1]), Path(sys.argv[2]), lambda name: name, max_bytes=10**9)
"""


def test_a_full_disk_keeps_what_is_unpacked(tmp_path: Path):
    archive, out = make_zip(tmp_path / "a.zip", {"a": b"fits", "b": SOUND}), tmp_path / "out"
    argv = [sys.executable, "-c", FULL, str(archive), str(out)]
    full = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert full.returncode == 3, full.stderr
    assert "the disk or your share of it is full (File too large); what is unp" in full.stderr
    assert files_below(out) == {"a": b"fits"}
    assert unpack(archive, out, keep_all, max_bytes=10**6) == ["a", "b"]
    assert files_below(out) == {"a": b"fits", "b": SOUND}


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_file_of_another_size_is_written_anew(make, tmp_path: Path):
    archive = make(tmp_path / "archive", {"a": SOUND})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_bytes(SOUND[:-1])
    unpack(archive, tmp_path / "out", keep_all, max_bytes=10**6)
    assert files_below(tmp_path / "out") == {"a": SOUND}


def test_whole_is_what_was_noted_and_is_still_there(tmp_path: Path):
    assert not is_whole(tmp_path)
    for name in ("a", "b"):
        with replacing(tmp_path / "music" / name) as partial:
            partial.write_bytes(SOUND)
    mark_whole(tmp_path, ["music/a", "music/b"])
    assert is_whole(tmp_path)
    (tmp_path / "music" / "a").write_bytes(SOUND[:-1])
    assert not is_whole(tmp_path)
    (tmp_path / "music" / "a").unlink()
    assert not is_whole(tmp_path)
    (tmp_path / ".whole.json").write_text("[]")
    assert not is_whole(tmp_path)
