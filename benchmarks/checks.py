"""Duplicates, checks and splits on a made table of many tracks: what comes after decoding.

Run: python -m benchmarks.checks [--tracks 100000] [--repeats 3]
The table has ten genres, artists of many sizes, faults in one row of fifty and copies in one of a
hundred; its fingerprints are random words, which collide less than those of music
(`benchmarks.duplicates` measures that). Nothing in it is a score. Prints the time of each part, and
our splits beside scikit-learn's StratifiedGroupKFold on the same table, interleaved in one run.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from genre_mlops.config import QualityConfig, SplitConfig
from genre_mlops.datasets.base import Listing
from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.duplicates import clusters, find_duplicates
from genre_mlops.quality import Inspection, inspect
from genre_mlops.quality.report import quality_report
from genre_mlops.splits import assign_splits, join_groups

N_GENRES, N_WORDS = 10, 640
T = TypeVar("T")


def made_catalog(n_tracks: int, seed: int = 0) -> pd.DataFrame:
    """Return a catalog as `build_catalog` makes it, with faults and copies."""
    rng = np.random.default_rng(seed)
    genre = rng.integers(N_GENRES, size=n_tracks)
    artist = np.minimum(rng.pareto(1.0, n_tracks) * n_tracks / 100, n_tracks / 5).astype(int)
    words = rng.integers(1, 2**32, size=(n_tracks, N_WORDS), dtype=np.uint32)
    sha256 = np.array([f"{i:064x}" for i in range(n_tracks)], dtype=object)
    pcm = sha256.copy()
    copies, originals = np.split(rng.permutation(n_tracks)[: n_tracks // 50], 2)
    half = len(copies) // 2
    # Half of the copies are exact; the others are re-encoded: some bits differ.
    words[copies] = words[originals]
    genre[copies] = genre[originals]
    pcm[copies[:half]] = pcm[originals[:half]]
    flips = rng.random((len(copies) - half, N_WORDS, 32), dtype=np.float32) < 0.08
    words[copies[half:]] ^= np.packbits(flips, axis=2).view(np.uint32)[..., 0]
    frame = pd.DataFrame(
        {
            "path": [f"/music/{i}.wav" for i in range(n_tracks)],
            "genre": [f"genre {g}" for g in genre],
            "group": [f"artist {g}/{a}" if a else None for g, a in zip(genre, artist, strict=True)],
            "licence": None,
            "size_bytes": 1_323_632,
            "mtime_ns": 0,
            "ctime_ns": 0,
            "sha256": sha256,
            "pcm_sha256": pcm,
            "format": "WAV/PCM_16",
            "sr": 22_050,
            "n_channels": 1,
            "duration_s": rng.normal(30, 1, n_tracks),
            "rms_dbfs": rng.normal(-18, 4, n_tracks),
            "peak_dbfs": -1.0,
            "clipping_share": 0.0,
            "silence_share": 0.0,
            "dc_offset": 0.0,
            "bandwidth_hz": rng.normal(9_000, 500, n_tracks),
            "truncated": False,
            "error": None,
            "fingerprint": [row.tobytes() for row in words],
        },
        index=pd.Index([f"{g}/{i}.wav" for i, g in enumerate(genre)], name="track_id"),
    )
    faulty = frame.index[:: max(1, n_tracks // (n_tracks // 50))]
    frame.loc[faulty[::2], "duration_s"] = 0.5
    frame.loc[faulty[1::2], "error"] = "is empty (0 bytes)"
    return frame


def timed(part: Callable[[], T]) -> tuple[float, T]:
    """Return how long a call takes, in s, and what it returns."""
    began = time.perf_counter()
    result = part()
    return time.perf_counter() - began, result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    catalog = made_catalog(asked.tracks)
    print(f"{asked.tracks} made rows, {N_WORDS} fingerprint words each")
    look(made_catalog(1_000, seed=1))  # imports

    found_s, pairs = timed(lambda: find_duplicates(catalog["fingerprint"]))
    print(f"{'near-duplicates':34}{found_s:6.1f} s, {len(pairs)} pairs")
    checked_s, found = timed(lambda: inspect(catalog, pairs, QualityConfig(), SplitConfig()))
    print(f"{'checks and splits':34}{checked_s:6.1f} s, {len(found.usable)} usable")
    source, listing = DemoDataset(Path("unused")), Listing(())
    report_s, page = timed(lambda: quality_report(found, listing, source))
    print(f"{'report':34}{report_s:6.1f} s, {len(page) / 1e6:.1f} MB")
    print(f"{'all three':34}{found_s + checked_s + report_s:6.1f} s")

    cluster = clusters(pairs, catalog.index)
    tracks = catalog.assign(split_group=join_groups(catalog, [cluster, catalog["pcm_sha256"]]))
    ways = {
        "splits, ours": partial(assign_splits, tracks, SplitConfig(scheme="kfold")),
        "splits, scikit-learn's": partial(scikit_learn_folds, tracks),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked.repeats):
        for name, way in ways.items():
            times[name].append(timed(way)[0])
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:34}{median:6.2f} s, median of {asked.repeats}")
    ours, theirs = medians.values()
    print(f"ratio, scikit-learn's to ours: {theirs / ours:.1f}")
    # In KB on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1_000
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(f"peak memory {peak_mb:.0f} MB")


def look(catalog: pd.DataFrame) -> Inspection:
    """Find duplicates and check."""
    pairs = find_duplicates(catalog["fingerprint"])
    return inspect(catalog, pairs, QualityConfig(), SplitConfig())


def scikit_learn_folds(tracks: pd.DataFrame) -> object:
    """Deal the same groups to five folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(n_splits=5)
    return list(folds.split(tracks, tracks["genre"], tracks["split_group"]))


if __name__ == "__main__":
    main()
