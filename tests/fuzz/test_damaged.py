"""Damaged files end set aside with a reason, or accepted: no crash, no hang, bounded memory.

The catalog is built in a process of its own, whose memory is limited and which a watchdog ends
when one file keeps it for a minute, even inside the decoder. For more files of other seeds:
python -m tests.fuzz.test_damaged N_FILES SEED [DURATION_S]
"""

import faulthandler
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import psutil
import pytest

from genre_mlops import catalog
from genre_mlops.datasets.folder import FolderDataset
from tests.damage import DAMAGE_NAMES, hold_up, make_damaged, make_odd_things

# Of a busy machine too: the decoder is given up after seconds of its own computing.
HANG_S = 60.0
MORE_MEMORY_BYTES = 1 << 30


def watched(function, items, *, label: str):
    """A Mapper that ends the process when one item hangs."""
    for item in items:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        yield function(item)
        faulthandler.cancel_dump_traceback_later()


def build(folder: Path, workspace: Path) -> None:
    """Build the catalog of a folder in this process, with limits."""
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    limit = psutil.Process().memory_info().vms + MORE_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    catalog.FILES_PER_TASK = 1
    listing = FolderDataset(folder).listing()
    found = catalog.build_catalog(listing, cache=workspace / "cache", run=watched)
    found["fingerprint"] = found["fingerprint"].map(
        lambda words: None if words is None else len(words)
    )
    found.to_json(workspace / "found.json", orient="index")
    (workspace / "passed_over.json").write_text(json.dumps(listing.passed_over))


def outcomes(folder: Path, workspace: Path) -> tuple[dict[str, dict], list[str]]:
    """Build the catalog in another process: its rows, and what was passed over."""
    workspace.mkdir()
    subprocess.run(
        [sys.executable, "-m", "tests.fuzz.test_damaged", "build", str(folder), str(workspace)],
        check=True,
        timeout=600,
        # Arrow's own pool reserves a gigabyte of addresses that it never uses.
        env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},
    )
    rows = json.loads((workspace / "found.json").read_text())
    return rows, json.loads((workspace / "passed_over.json").read_text())


def check_row(row: dict) -> None:
    """What is accepted has sane numbers; what is not has a reason."""
    if row["error"] is not None:
        assert len(row["error"]) > 5
        # A mistake of ours, or memory that does not suffice.
        assert "cannot be read now" not in row["error"]
        assert row["pcm_sha256"] is None
        return
    assert 1 <= row["sr"] <= 768_000
    assert 1 <= row["n_channels"] <= 1_024
    assert 0 < row["duration_s"] <= 3_600
    assert -200 <= row["rms_dbfs"] <= row["peak_dbfs"] + 1e-3
    assert 0 <= row["clipping_share"] <= 1
    assert 0 <= row["silence_share"] <= 1
    assert 0 <= row["bandwidth_hz"] <= row["sr"] / 2
    assert math.isfinite(row["dc_offset"])
    assert row["truncated"] in (True, False)


def table(made: dict[str, str], rows: dict[str, dict]) -> str:
    """How many files of each damage ended how."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    for name, damage in made.items():
        row = rows[f"damaged/{name}"]
        end = "error" if row["error"] else "truncated" if row["truncated"] else "accepted"
        counts[damage][end] += 1
        if row["error"]:
            reasons[row["error"][:70]] += 1
    lines = [f"{'damage':24}{'error':>10}{'truncated':>10}{'accepted':>10}"]
    for damage, ends in sorted(counts.items()):
        cells = (f"{ends[end]:>10}" for end in ("error", "truncated", "accepted"))
        lines.append(f"{damage:24}{''.join(cells)}")
    lines += [f"{n:6} {reason}" for reason, n in reasons.most_common()]
    return "\n".join(["", *lines, ""])


def fuzz(root: Path, *, n_files: int, seed: int, duration_s: float = 1.5) -> str:
    """Make damaged files, build their catalog and check every row."""
    folder = root / "music" / "damaged"
    made = make_damaged(folder, n_files=n_files, seed=seed, duration_s=duration_s)
    rows, _ = outcomes(root / "music", root / "workspace")
    assert rows.keys() == {f"damaged/{name}" for name in made}
    for row in rows.values():
        check_row(row)
    return table(made, rows)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_damaged_files_end_with_a_reason_or_accepted(tmp_path: Path):
    outcome = fuzz(tmp_path, n_files=300, seed=0)
    sys.stdout.write(outcome)
    # A maker that damages nothing, or all beyond reading, would show nothing.
    words = [line.split() for line in outcome.splitlines()]
    ends = [int(word) for row in words if row and row[0] in DAMAGE_NAMES for word in row[1:]]
    assert sum(ends) == 300
    assert sum(ends[0::3]) > 100
    assert sum(ends[1::3]) > 15
    assert sum(ends[2::3]) > 50


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_long_files_that_are_damaged_keep_nobody_waiting(tmp_path: Path):
    # The largest have 2.6 MB.
    sys.stdout.write(fuzz(tmp_path, n_files=36, seed=1, duration_s=30))


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_damage_that_goes_on_for_20_mb_keeps_nobody_waiting(tmp_path: Path):
    (tmp_path / "music" / "damaged").mkdir(parents=True)
    path = tmp_path / "music" / "damaged" / "a.ogg"
    path.write_bytes(hold_up("VORBIS", n_bytes=20_000_000))
    rows, _ = outcomes(tmp_path / "music", tmp_path / "workspace")
    assert "takes too long to decode" in rows["damaged/a.ogg"]["error"]


@pytest.mark.timeout(60)
def test_what_is_no_plain_file_has_a_reason(tmp_path: Path):
    made = make_odd_things(tmp_path / "music" / "odd")
    rows, passed_over = outcomes(tmp_path / "music", tmp_path / "workspace")
    reasons = dict(text.removesuffix(")").split(" (", 1) for text in passed_over)
    assert rows.keys() | reasons.keys() == {f"odd/{name}" for name in made}
    for row in rows.values():
        check_row(row)
    accepted = {name for name, row in rows.items() if row["error"] is None}
    # For root every file is readable.
    assert accepted - {"odd/secret.wav"} == {"odd/new\nline.wav"}
    assert min(map(len, reasons.values())) > 5


if __name__ == "__main__":
    if sys.argv[1] == "build":
        build(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            n_files, seed, *durations_s = map(int, sys.argv[1:])
            duration_s = durations_s[0] if durations_s else 1.5
            outcome = fuzz(Path(folder), n_files=n_files, seed=seed, duration_s=duration_s)
            sys.stdout.write(outcome)
