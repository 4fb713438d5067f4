"""Features beside their peers: log-mel alone, and audio files on disk to features on disk.

Run: python -m benchmarks.features [--tracks 1000] [--rounds 5] [--music FOLDER]
Renders demo tracks of 30 s (not counted; FOLDER keeps them). First log-mel alone, all in turns in
one process, on one thread; peers that are not installed are named and left out. Then in turns,
each in processes of its own: our feature store with one worker and with two, and a loop as
notebooks have it (`librosa.load`, `melspectrogram`, `power_to_db`, `numpy.save` for each track)
with one process and, by joblib, with one for each core. Workers are started, and have imported
what they need, before the clock starts, theirs as ours; each has one thread. Last, what an hour of
audio takes beside half a minute, and what a second run on unchanged files takes, imports included.
Prints medians, and medians of the ratios of each round.
"""

import os

# Before NumPy is imported: one thread for all.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import psutil

from benchmarks import logmel_peers
from benchmarks.catalog import HOUR_S, demo_tracks, write_stereo
from benchmarks.cost import measure_part, peak_mb
from genre_mlops.config import FeatureConfig
from genre_mlops.domain import Clip
from genre_mlops.engine import available_cores

if TYPE_CHECKING:
    from genre_mlops.store import Source

LOGMEL_ROUNDS = 15
DEMO_S = 30.0
CONFIG = FeatureConfig()


def cpu_s() -> float:
    """Return the CPU time of this process and of those it has now."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def timed(work: Callable[[], object]) -> None:
    """Print the wall and CPU time of some work in seconds."""
    began, used = time.monotonic(), cpu_s()
    work()
    print(time.monotonic() - began, cpu_s() - used)


def get_ready(seconds: float) -> None:
    """Import what a worker of ours needs, and stay long enough for each worker to get one."""
    import genre_mlops.shards  # noqa: F401

    time.sleep(seconds)


def sources(music: str) -> "dict[str, Source]":
    """Return sha256 -> file, length and state, as the catalog knows them."""
    from genre_mlops.readings import hash_files
    from genre_mlops.store import Source

    hashed = hash_files(sorted(map(str, Path(music).rglob("*.wav"))))
    return {str(r.sha256): Source(Path(r.path), DEMO_S, r.state) for r in hashed}


def build(music: str, out: str, workers: str) -> None:
    """Build our store."""
    # What the pipeline has imported to open the source and to make the catalog.
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import genre_mlops.datasets  # noqa: F401
    from genre_mlops.engine import Engine, stop_workers
    from genre_mlops.logmel import mel_filters
    from genre_mlops.store import FeatureStore

    engine, files = Engine(int(workers)), sources(music)
    mel_filters(CONFIG)
    list(engine.map(get_ready, [1.0] * int(workers), label="get ready"))
    timed(lambda: FeatureStore(Path(out), CONFIG).build(files, engine.map))
    stop_workers()


def loop(out: str, paths: list[str]) -> None:
    """Compute and save as notebooks do; without paths only get ready for it."""
    import librosa

    compute = logmel_peers.librosas()[1]
    for path in paths:
        y, sr = librosa.load(path, sr=CONFIG.sr)
        np.save(Path(out, Path(path).stem + ".npy"), compute(Clip(path, y, int(sr))))
    if not paths:
        compute(Clip("warm", np.ones(CONFIG.sr, np.float32), CONFIG.sr))
        time.sleep(1)


def peer(music: str, out: str, workers: str) -> None:
    """Do the same by librosa."""
    import joblib

    paths = sorted(map(str, Path(music).rglob("*.wav")))
    Path(out).mkdir()
    if workers == "1":
        loop(out, [])
        timed(lambda: loop(out, paths))
        return
    parallel = joblib.Parallel(n_jobs=int(workers))
    parallel(joblib.delayed(loop)(out, []) for _ in range(int(workers)))
    parts = [paths[i : i + 10] for i in range(0, len(paths), 10)]
    timed(lambda: parallel(joblib.delayed(loop)(out, part) for part in parts))


def again(music: str, out: str) -> None:
    """Build what is built, its files' sha256 known."""
    import json

    from genre_mlops.engine import Engine
    from genre_mlops.store import FeatureStore, Source

    known = Path(out, "known.json")
    if not known.exists():
        files = sources(music)
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps({sha256: str(s.path) for sha256, s in files.items()}))
    listed = json.loads(known.read_text())
    files = {sha256: Source(Path(path), DEMO_S) for sha256, path in listed.items()}
    began = time.monotonic()
    report = FeatureStore(Path(out), CONFIG).build(files, Engine().map)
    print(f"{report.n_built} built, {report.n_reused} reused, {time.monotonic() - began:.3f}")


def read(path: str) -> None:
    """Read one file, and say what this process held at most, in MB."""
    from genre_mlops.logmel import LogMel
    from genre_mlops.spectrograms import read_spectrogram

    filters = np.zeros((CONFIG.n_mels, 1 + CONFIG.n_fft // 2), np.float32)
    found = read_spectrogram(Path(path), LogMel(CONFIG, filters), dtype=np.float16)
    print(f"peak {peak_mb():.0f} MB, of which the spectrogram is {found.S_db.nbytes / 1e6:.1f} MB")


def logmel_alone() -> None:
    """Compare log-mel on noise."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(30 * CONFIG.sr).astype(np.float32)
    clip = Clip("noise", 0.1 * y, CONFIG.sr)
    computes = {}
    for make in logmel_peers.ALL:
        try:
            name, compute = make()
        except ImportError as error:
            print(f"left out: {error}")
            continue
        compute(clip)
        computes[name] = compute
    costs: dict[str, list[float]] = {name: [] for name in computes}
    for _ in range(LOGMEL_ROUNDS):
        for name, compute in computes.items():
            began = time.process_time()
            compute(clip)
            costs[name].append(1e3 * (time.process_time() - began))
    ours_ms = next(iter(costs.values()))
    for name, theirs_ms in costs.items():
        ratio = median(b / a for a, b in zip(ours_ms, theirs_ms, strict=True))
        print(f"log-mel of 30 s, {name}: {median(theirs_ms):.1f} ms CPU, ratio to ours {ratio:.2f}")


def files_to_files(music: Path, n_tracks: int, n_rounds: int) -> None:
    """Compare wav on disk to features on disk."""
    cores = available_cores()
    parts = {
        "ours, 1 worker": ("build", 1),
        "ours, 2 workers": ("build", 2),
        "librosa loop, 1 process": ("peer", 1),
        f"librosa loop, {cores} processes": ("peer", cores),
    }
    walls: dict[str, list[float]] = {name: [] for name in parts}
    cpus: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(n_rounds):
        for name, (part, workers) in parts.items():
            out = music.parent / "out"
            shutil.rmtree(out, ignore_errors=True)
            cost = measure_part(
                "benchmarks.features", part, music, out, workers, watch_memory=False
            )
            wall, cpu = map(float, cost.said.split())
            walls[name].append(wall)
            cpus[name].append(cpu)
    print(f"{n_tracks} tracks of 30 s, load {os.getloadavg()[0]:.1f}, {cores} cores")
    for name in parts:
        print(
            f"{name}: {median(walls[name]):.2f} s wall, "
            f"{1e3 * median(cpus[name]) / n_tracks:.1f} ms CPU a track"
        )
    one, two, theirs, their_all = parts
    ratio = partial(_ratio, walls)
    print(f"ratio of wall times, loop to ours, one process each: {ratio(theirs, one):.2f}")
    print(f"ratio of CPU times, loop to ours, one process each: {_ratio(cpus, theirs, one):.2f}")
    print(f"ratio of wall times, loop on all cores to ours on two: {ratio(their_all, two):.2f}")
    print(f"ratio of wall times, ours on one core to ours on two: {ratio(one, two):.2f}")
    print(f"ratio of wall times, loop on one core to all: {ratio(theirs, their_all):.2f}")


def _ratio(costs: dict[str, list[float]], name: str, to: str) -> float:
    return median(a / b for a, b in zip(costs[name], costs[to], strict=True))


def unchanged(music: Path, n_tracks: int, n_rounds: int) -> None:
    """Print what a run costs that finds all as it was."""
    out = music.parent / "again"
    measure_part("benchmarks.features", "again", music, out)
    costs = [measure_part("benchmarks.features", "again", music, out) for _ in range(n_rounds)]
    print(
        f"{n_tracks} tracks again, unchanged: {median(c.wall_s for c in costs):.2f} s wall with "
        f"interpreter and imports; {costs[-1].said.replace('reused,', 'reused, the store alone')} s"
    )


def long_files(longest_s: int) -> None:
    """Print the peak memory of half a minute, and of an hour."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "noise.wav")
        for duration_s in (30, longest_s):
            write_stereo(path, duration_s)
            cost = measure_part("benchmarks.features", "read", path)
            print(f"44.1 kHz stereo, {duration_s} s: {cost.said}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=1_000)
    parser.add_argument("--music", type=Path, help="keep the rendered tracks in this folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", type=int, default=HOUR_S, help="seconds of the longest file")
    asked = parser.parse_args()
    # In a process of its own too: what it loads would count as the memory of those that follow.
    print(measure_part("benchmarks.features", "logmel").said)
    with demo_tracks(asked.tracks, asked.music) as music:
        files_to_files(music, asked.tracks, asked.rounds)
        unchanged(music, asked.tracks, asked.rounds)
    long_files(asked.long)


if __name__ == "__main__":
    parts = {"build": build, "peer": peer, "again": again, "read": read, "logmel": logmel_alone}
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        parts[sys.argv[1]](*sys.argv[2:])
    else:
        main()
