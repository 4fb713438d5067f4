"""Benchmarks that are quick at a small size still run; of the long ones, what they count by."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import Music, Trained, in_order, print_table, to_baseline
from benchmarks.clients import Answered, Load, Request, run_clients
from benchmarks.servers import CLIPS, Usage
from benchmarks.serving import Found, Speed, print_goals


@pytest.mark.slow
def test_the_checks_of_a_made_table_run():
    command = [sys.executable, "-m", "benchmarks.checks", "--tracks", "1000", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "near-duplicates" in done.stdout
    assert "10 pairs" in done.stdout
    assert "ratio, scikit-learn's to ours" in done.stdout


@pytest.mark.slow
def test_features_beside_their_peers_run():
    sizes = ["--tracks", "4", "--rounds", "1", "--long", "31"]
    command = [sys.executable, "-m", "benchmarks.features", *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ratio of wall times, ours on one core to ours on two" in done.stdout
    assert "4 tracks again, unchanged" in done.stdout


def fold_of(n: int, *curve: tuple[float, int]) -> Trained:
    """A fold of `n` tracks: after so many seconds, so many of them right."""
    return Trained(np.full((n, 2), 0.5), [(s, right / n) for s, right in curve])


def test_the_time_to_the_baseline_is_that_until_as_many_tracks_are_right():
    # By means of folds, some of these would be a rounding error below 59 / 70.
    folds = [
        [fold_of(14, (10.0, 3), (20.0, right)) for right in rights]
        for rights in ((12, 12, 12, 12, 11), (14, 14, 14, 9, 8), (13, 9, 13, 13, 11))
    ]
    for seed in folds:
        assert to_baseline([seed], 59) == "20"
        assert to_baseline([seed], 60) == "never"
    # The sixth track of seven counts as much as the one of three.
    unequal = [fold_of(7, (1.0, 6), (2.0, 7)), fold_of(3, (1.0, 1), (2.0, 1))]
    assert to_baseline([unequal], 7) == "1"
    assert to_baseline([unequal, folds[0]], 8) == "6"
    assert to_baseline([unequal, folds[0]], 9) == "10, 1 of 2 never"
    assert to_baseline([unequal, folds[0]], 60) == "never"


def test_a_row_less_another_is_compared_track_by_track(capsys: pytest.CaptureFixture[str]):
    tracks = pd.DataFrame(
        {"genre": ["a", "b"] * 4, "fold": [0, 0, 1, 1, 0, 0, 1, 1], "split_group": [*"pqrstuvw"]}
    )
    music = Music(tracks, Path(), ("a", "b"))

    def says(labels: list[int]) -> list[list[Trained]]:
        said, fold = np.eye(2)[labels], tracks["fold"].to_numpy()
        return [[Trained(said[fold == number], [(5.0, 0.5)]) for number in (0, 1)]]

    all_right, one_wrong = [0, 1] * 4, [0, 1, 0, 1, 0, 1, 0, 0]
    np.testing.assert_array_equal(in_order(music, says(one_wrong)[0]).argmax(axis=1), one_wrong)
    floor = np.array([True] * 4 + [False] * 4)
    found = {"all": says(all_right), "less": says(one_wrong)}
    print_table(music, found, floor, "all")
    rows = capsys.readouterr().out.splitlines()
    assert "minus all" in rows[0]
    assert rows[2].startswith("| MFCC statistics + SVM | 0.500 (")
    assert rows[3].startswith("| all | 1.000 (1.000 to 1.000) |  | 1.000 |")
    assert rows[4].startswith("| less | 0.875 (")
    assert "| -0.125 (-0.375 to 0.000) |" in rows[4]
    print_table(music, found, floor, "baseline")
    assert "| 0.500 (" in capsys.readouterr().out.splitlines()[3]


class Stub(BaseHTTPRequestHandler):
    """Answers by the status that the address names; what it refuses it does not read."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        status = int(self.path[1:])
        if status == 200:
            self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status != 200:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def stub() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_clients_of_a_server_see_its_answers(stub: int, tmp_path: Path):
    # Far more than what lies on the way between the two.
    body = tmp_path / "body"
    body.write_bytes(bytes(20_000_000))
    answered, refused = (Request(stub, f"/{s}", "audio/wav", str(body)) for s in (200, 429))
    looks: list[int] = []
    load = run_clients(
        answered, n_clients=3, seconds=0.5, look=lambda: looks.append(1), look_every_s=0.05
    )
    assert set(load.statuses) == {"200"}
    assert load.took_ms(0.5) <= load.took_ms(0.95)
    assert looks
    assert run_clients(answered, rate=8, seconds=0.5).statuses == {"200": 4}
    assert run_clients(refused, rate=8, seconds=0.5).statuses == {"429": 4}
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as gone:
        port = gone.server_address[1]
    nobody = Request(port, "/200", "audio/wav", str(body))
    assert run_clients(nobody, rate=8, seconds=0.5).statuses == {"ConnectionRefusedError": 4}


def test_what_clients_saw_is_summed_up_without_the_beginning_and_the_refused():
    answers = [Answered(at_s, took_s=at_s / 10, status="200") for at_s in (1, 3, 4, 5, 6, 7, 9)]
    load = Load((*answers, Answered(6, 0.001, "429")), warm_s=2, until_s=8)
    assert load.rate == 5 / 6
    assert load.took_ms(0.5) == pytest.approx(500)
    assert load.took_ms(0.95) == pytest.approx(900)
    assert load.statuses == {"200": 7, "429": 1}


def test_goals_of_serving_are_said_to_be_missed_where_one_case_misses_them(
    capsys: pytest.CaptureFixture[str],
):
    def found(rate: float, p95_ms: float, usage: Usage, ready_s: float) -> Found:
        speeds = [Speed(rate, p50_ms=20.0, p95_ms=p95_ms, cpu_ms=30.0, n_errors=0)] * 3
        cases = {(clip, n_clients): speeds for clip in CLIPS for n_clients in (1, 8)}
        return Found(cases, [usage], [ready_s], [ready_s])

    ours, tutorials = found(60, 99, Usage(399, 300, 2), 3.9), found(10, 500, Usage(900, 800, 1), 9)
    print_goals(ours, tutorials)
    assert "MISSED" not in capsys.readouterr().out
    tutorials.speeds["stereo.mp3", 8] = [Speed(13, 20, 500, 30, 0)] * 3
    ours.speeds["stereo.wav", 1] = [Speed(66, 20, 101, 30, 0)] * 3
    ours.usages.append(Usage(401, 300, 2))
    ours.ready_s += [4.1, 4.2]
    print_goals(ours, tutorials)
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told] == ["MISSED"] * 4
    assert "4.6 to 6.6 times, least for mp3, 44.1 kHz stereo and 8 clients" in told[0]
