"""Logs as they lie about: rotated, compressed, of several versions, damaged."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from genre_mlops.drift import DEFINITION, FIGURES, Answered
from genre_mlops.errors import DataError
from genre_mlops.learning.reference import CONFIDENCE
from genre_mlops.request_log import Requests, Wanted, find_logs, read_log

START = datetime(2026, 11, 30, 8, tzinfo=UTC)
NETWORK = "ab" * 32


def line(number: int, **changes: object) -> bytes:
    said = {
        "at": START + timedelta(minutes=number),
        "request_id": f"request-{number}",
        "model": "genre_classifier",
        "version": 3,
        "network": NETWORK,
        "duration_s": 30.0,
        "input": {name: number + i / 8 for i, name in enumerate(FIGURES)},
        "genre": ("blues", "disco", "metal")[number % 3],
        "confidence": 0.5 + number / 2_000,
        "sure": number % 4 == 0,
        "warnings": 0,
    }
    return Answered.model_validate(said | changes).to_line().encode()


def read(*files: Path, since: datetime | None = None) -> Requests:
    return read_log(files, Wanted(3, NETWORK, since))


def numbers(found: Requests) -> list[float]:
    return sorted(found.heard.figures["level_db"])


def test_what_was_logged_is_what_is_read(tmp_path: Path):
    log = tmp_path / "requests.jsonl"
    log.write_bytes(b"".join(map(line, range(10))))
    found = read(log)
    assert len(found) == found.n_lines == 10
    assert found.passed_over.total() == 0
    for i, name in enumerate(FIGURES):
        np.testing.assert_array_equal(found.heard.figures[name], np.arange(10) + i / 8)
    np.testing.assert_allclose(found.heard.figures[CONFIDENCE], 0.5 + np.arange(10) / 2_000)
    assert found.heard.genres == {"blues": 4, "disco": 3, "metal": 3}
    assert found.n_sure == 3
    assert (found.first, found.last) == (START, START + timedelta(minutes=9))
    assert found.left_out == ""


def test_damaged_lines_are_counted_and_never_stop_the_rest(tmp_path: Path):
    log = tmp_path / "requests.jsonl"
    bad = [b"\n", b"nothing\n", b'{"a": 1}\n', b"\xff" * 200_000 + b"\n", line(99)[:40]]
    log.write_bytes(line(0) + b"".join(bad[:4]) + line(1) + bad[4])
    found = read(log)
    assert numbers(found) == [0, 1]
    # An empty line is no line; what is longer than any line is read in pieces.
    assert found.passed_over.keys() == {"damaged, or of no request"}
    assert found.passed_over.total() == found.n_lines - 2 >= 4
    assert "lines damaged, or of no request" in found.left_out


def test_rotated_and_compressed_files_are_one_log(tmp_path: Path):
    (tmp_path / "requests.jsonl").write_bytes(line(4) + line(5))
    (tmp_path / "requests.jsonl.1").write_bytes(line(2) + line(3) + line(4))
    packed = gzip.compress(b"".join(map(line, range(3))))
    (tmp_path / "requests.jsonl.2.gz").write_bytes(packed)
    # gzip itself goes by what is in the file too.
    (tmp_path / "requests.jsonl.3").write_bytes(gzip.compress(line(6)))
    files = find_logs([tmp_path / "requests.jsonl*", tmp_path / "requests.jsonl"])
    assert len(files) == 4
    found = read(*files)
    assert numbers(found) == list(range(7))
    assert found.passed_over == {"that were there already": 2}


@pytest.mark.parametrize("damage", ["short", "broken"])
def test_a_compressed_file_that_ends_early_is_read_as_far_as_it_goes(tmp_path: Path, damage: str):
    whole = gzip.compress(b"".join(map(line, range(900))), compresslevel=1)
    cut = whole[: len(whole) // 2]
    (tmp_path / "1.gz").write_bytes(cut if damage == "short" else cut + b"\0" * len(cut))
    (tmp_path / "2").write_bytes(line(950))
    found = read(tmp_path / "1.gz", tmp_path / "2")
    assert 100 < len(found) < 900
    assert numbers(found)[-1] == 950
    assert found.passed_over["damaged, or of no request"] >= 1


def test_only_what_the_version_answered_since_then_counts(tmp_path: Path):
    log = tmp_path / "requests.jsonl"
    others = [
        line(10, version=2),
        line(11, version=2),
        line(12, network="cd" * 32),
        line(13, definition=DEFINITION + 1),
        line(14, input={"level_db": -3.0}),
    ]
    log.write_bytes(b"".join([*map(line, range(6)), *others]))
    found = read(log, since=START + timedelta(minutes=4))
    assert numbers(found) == [4, 5]
    assert found.passed_over == {
        "from before that time": 4,
        "of version 2": 2,
        "of another model with a version of this number": 1,
        "of another genre-mlops, which describes recordings in another way": 2,
    }
    assert found.left_out.startswith("4 lines from before that time; 2 lines of version 2; ")


def test_two_requests_of_one_id_are_two(tmp_path: Path):
    """Clients may choose the id; what tells requests apart is when they came, too."""
    log = tmp_path / "requests.jsonl"
    log.write_bytes(line(1, request_id="mine") + line(2, request_id="mine"))
    assert len(read(log)) == 2


def test_an_empty_log_is_a_log(tmp_path: Path):
    log = tmp_path / "requests.jsonl"
    log.touch()
    found = read(log)
    assert (len(found), found.first, found.n_lines) == (0, None, 0)


def test_a_log_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in (Path("gone.jsonl"), Path("gone*"), tmp_path / "*.gz"):
        with pytest.raises(DataError, match="there is no such file"):
            find_logs([name])
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read(tmp_path)
    (tmp_path / "a.log").touch()
    assert find_logs([Path("*.log"), Path("a.log")]) == [tmp_path / "a.log"]
