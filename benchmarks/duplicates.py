"""Duplicates: what of a copied recording is found, what is not, and what it costs.

Run: python -m benchmarks.duplicates [--real FOLDER OF GENRES] [--demo-tracks 500]
Every track is copied in many ways through real encoders and decoders. A pair of different
recordings is false; demo tracks of one artist share instruments, drum samples and chord loops.
Chromaprint is measured on the same files where `fpcalc` is found (on the path, or named by the
variable FPCALC; Debian: libchromaprint-tools).
"""

import os

# Before NumPy is imported: CPU time is that of one thread.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import multiprocessing
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.fft
import soundfile
from numpy.typing import NDArray

from benchmarks.copies import EXTRA_KINDS, KINDS, unchanged, wav
from genre_mlops.audio import decode
from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import Track
from genre_mlops.duplicates import MAX_BIT_ERROR_RATE, MIN_OVERLAP_S, find_duplicates
from genre_mlops.engine import Engine
from genre_mlops.fingerprint import HOP_S, fingerprint
from genre_mlops.processes import quiet_stderr

ORIGINAL = "original"
EXTRA_EVERY = 10
"""Of the demo tracks, one in so many is copied in the ways that were not asked for, too."""
SIZES = (10_000, 30_000, 100_000)
MADE_BITS = 27
"""Of made-up words: the 32 of real ones are not independent. Nine words were shared among the 2,415
pairs of 70 real recordings of 30 s, as many as chance gives words of 27 random bits."""
CHROMAPRINT_HOP_S = 1_365 / 11_025

Words = NDArray[np.uint32]


@dataclass
class Measured:
    """What one track gave: by kind of copy, our words, Chromaprint's, and CPU seconds."""

    track_id: str
    ours: dict[str, Words] = field(default_factory=dict)
    theirs: dict[str, Words] = field(default_factory=dict)
    decode_s: list[float] = field(default_factory=list)
    ours_s: list[float] = field(default_factory=list)
    theirs_s: list[float] = field(default_factory=list)


def measure(item: tuple[Track, bool], fpcalc: str | None) -> Measured:
    """Fingerprint a track and its copies."""
    track, extra = item
    measured = Measured(track.track_id)
    audio = soundfile.read(track.path, dtype="float32")
    kinds = {ORIGINAL: (unchanged, wav)} | KINDS | (EXTRA_KINDS if extra else {})
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        for number, (kind, (change, write)) in enumerate(kinds.items()):
            path = write(Path(folder, str(number)), change(audio))
            began = time.process_time()
            clip = decode(path).clip
            decoded = time.process_time()
            measured.ours[kind] = fingerprint(clip)
            done = time.process_time()
            if kind == ORIGINAL:
                measured.decode_s.append((decoded - began) * 30 / clip.duration_s)
                measured.ours_s.append((done - decoded) * 30 / clip.duration_s)
            if fpcalc and extra and (kind == ORIGINAL or kind in KINDS):
                words, took_s = by_chromaprint(fpcalc, path)
                measured.theirs[kind] = words
                if kind == ORIGINAL:
                    measured.theirs_s.append(took_s * 30 / clip.duration_s)
            path.unlink()
    return measured


def by_chromaprint(fpcalc: str, path: Path) -> tuple[Words, float]:
    """Return Chromaprint's words and the CPU time of its process in seconds."""
    told, took_s = children_cpu([fpcalc, "-raw", "-json", "-length", "0", str(path)])
    return np.array(json.loads(told)["fingerprint"], np.int64).astype(np.uint32), took_s


def children_cpu(command: Sequence[str]) -> tuple[bytes, float]:
    """Run a command; return what it printed and its CPU time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(command, capture_output=True, check=False).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return told, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(name: str, rows: Sequence[Measured]) -> None:
    """Print recall, false pairs and margins of one source."""
    originals = {f"{row.track_id}|{ORIGINAL}": row.ours[ORIGINAL] for row in rows}
    print(f"\n{name}: {len(rows)} tracks, a pair may differ in {MAX_BIT_ERROR_RATE:.0%} of bits")
    print(f"  {'copies':34}{'recall':>15}{'false pairs':>13}{'worst similarity':>18}")
    everything = dict(originals)
    for kind in KINDS | EXTRA_KINDS:
        copies = {f"{r.track_id}|{kind}": r.ours[kind] for r in rows if kind in r.ours}
        if kind in KINDS:
            everything |= copies
        true, false = found(originals | copies)
        recall = f"{len(true)}/{len(copies)} {len(true) / len(copies):.3f}"
        worst = f"{min(true.values()):.3f}" if true else "-"
        print(f"  {kind:34}{recall:>15}{false:>13}{worst:>18}")
    _, false = found(everything)
    print(f"  all of the first {len(KINDS)} kinds at once: {false} false pairs")
    words = [row.ours[ORIGINAL] for row in rows]
    similarity, a, b = most_alike(words, round(MIN_OVERLAP_S / HOP_S))
    print(
        f"  most alike of different recordings, at any offset: {similarity:.3f} "
        f"({rows[a].track_id}, {rows[b].track_id})"
    )


def found(words: dict[str, Words]) -> tuple[dict[str, float], int]:
    """Return the similarity of each original found with its copy, and the number of false pairs."""
    true, n_false = {}, 0
    for pair in find_duplicates(pd.Series(words)).itertuples():
        first, second = str(pair.first), str(pair.second)
        recordings = {first.rpartition("|")[0], second.rpartition("|")[0]}
        if len(recordings) > 1:
            n_false += 1
            print(f"  FALSE {first} {second} {pair.similarity:.3f} {pair.overlap_s:.1f} s")
        elif ORIGINAL in (first + second):
            true[recordings.pop()] = float(pair.similarity)
    return true, n_false


def most_alike(tracks: Sequence[Words], min_words: int) -> tuple[float, int, int]:
    """Return the highest share of equal bits of two tracks at any offset, and which they are.

    By cross-correlation of bits as -1 and 1, for every pair of tracks: no index is asked.
    """
    n_fft = scipy.fft.next_fast_len(2 * max(map(len, tracks)), real=True)
    bits = np.zeros((len(tracks), 32, n_fft), np.float32)
    there = np.zeros((len(tracks), n_fft), np.float32)
    for i, words in enumerate(tracks):
        unpacked = np.unpackbits(words.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)
        bits[i, :, : len(words)] = 2.0 * unpacked.T - 1
        there[i, : len(words)] = 1
    spectra, lengths = scipy.fft.rfft(bits), scipy.fft.rfft(there)
    best = (0.0, 0, 0)
    for i in range(len(tracks) - 1):
        product = np.einsum("kf,jkf->jf", spectra[i].conj(), spectra[i + 1 :])
        agreement = scipy.fft.irfft(product, n_fft)
        n_words = scipy.fft.irfft(lengths[i].conj() * lengths[i + 1 :], n_fft).round()
        similarity = 0.5 + agreement / (64 * np.maximum(n_words, 1))
        similarity[n_words < min_words] = 0
        j, _ = np.unravel_index(similarity.argmax(), similarity.shape)
        best = max(best, (float(similarity[j].max()), i, i + 1 + int(j)))
    return best


def compare_with_chromaprint(name: str, rows: Sequence[Measured], fpcalc: str) -> None:
    """Print cost, size and margin of both on the same files, compared in the same way."""
    rows = [row for row in rows if row.theirs]
    starting_s = np.median([children_cpu([fpcalc, "-version"])[1] for _ in range(9)])
    cost = (
        1e3 * np.median([r.decode_s[0] + r.ours_s[0] for r in rows]),
        1e3 * (np.median([r.theirs_s[0] for r in rows]) - starting_s),
    )
    size = [np.median([4 * len(getattr(r, k)[ORIGINAL]) for r in rows]) for k in ("ours", "theirs")]
    gaps = []
    print(f"\n{name}, {len(rows)} tracks: ours and Chromaprint on the same files")
    print(f"  CPU ms a 30-s clip with decoding: {cost[0]:.1f} and {cost[1]:.1f}")
    print(f"  bytes a track: {size[0]:.0f} and {size[1]:.0f}")
    for whose, hop_s in (("ours", HOP_S), ("theirs", CHROMAPRINT_HOP_S)):
        words = [getattr(row, whose) for row in rows]
        min_words = round(MIN_OVERLAP_S / hop_s)
        true = min(most_alike([w[ORIGINAL], w[k]], min_words)[0] for w in words for k in KINDS)
        false = most_alike([w[ORIGINAL] for w in words], min_words)[0]
        gaps.append(true - false)
        print(f"  {whose}: worst copy {true:.3f}, most alike of different recordings {false:.3f}")
    print(
        f"  ratios: cost {cost[1] / cost[0]:.2f}, size {size[1] / size[0]:.2f}, "
        f"gap {gaps[0]:.3f} to {gaps[1]:.3f}"
    )


def index_cost(n_tracks: int) -> tuple[float, float, float, int]:
    """Return seconds, MiB of the fingerprints, MiB at the peak, and pairs found.

    One track in a hundred has a copy with every fourth word damaged.
    """
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 1 << MADE_BITS, 630, np.uint32) * 32 + 1 for _ in range(n_tracks)]
    for i in range(n_tracks // 100):
        made[-1 - i] = made[i] ^ (rng.random(630) < 0.25).astype(np.uint32)
    fingerprints = pd.Series([words.tobytes() for words in made])
    fingerprints.index = [f"track {i:07d}" for i in range(n_tracks)]
    del made
    before = memory_mib("VmRSS")
    began = time.perf_counter()
    pairs = find_duplicates(fingerprints)
    return time.perf_counter() - began, before, memory_mib("VmHWM"), len(pairs)


def memory_mib(what: str) -> float:
    """Return what Linux says of this process: VmRSS now, VmHWM at the peak."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    match = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(match[1]) / 1024 if match else float("nan")


def print_scaling() -> None:
    """Measure the search at growing numbers of tracks, each in a process of its own."""
    print("\nsearch among made-up fingerprints of 30-s tracks, one core")
    for n_tracks in SIZES:
        # A process started anew: its peak is its own.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            took_s, before, peak, n_pairs = pool.submit(index_cost, n_tracks).result()
        print(
            f"  {n_tracks:>7} tracks: {took_s:5.1f} s, {1e6 * took_s / n_tracks:.0f} us a track, "
            f"memory {before:.0f} MiB before, {peak:.0f} MiB at the peak, "
            f"{n_pairs} of {n_tracks // 100} pairs"
        )


def sources(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, list[Track]]]:
    """Yield the name and the tracks of each source."""
    if options.real:
        yield "real", list(FolderDataset(options.real).listing().tracks)
    demo = DemoDataset(folder, n_tracks=options.demo_tracks)
    demo.prepare(Engine().map)
    yield "synthetic demo music", list(demo.listing().tracks)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--real", type=Path, help="a folder of real recordings by genre")
    parser.add_argument("--demo-tracks", type=int, default=500)
    options = parser.parse_args()
    fpcalc = os.environ.get("FPCALC") or shutil.which("fpcalc")
    if not fpcalc:
        print("no fpcalc here (Debian: libchromaprint-tools): Chromaprint is left out")
    costs = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for name, tracks in sources(options, Path(folder)):
            every = 1 if name == "real" else EXTRA_EVERY
            items = [(track, i % every == 0) for i, track in enumerate(tracks)]
            rows = list(Engine().map(partial(measure, fpcalc=fpcalc), items, label="copies"))
            rows.sort(key=lambda row: row.track_id)
            report(name, rows)
            for row in rows:
                costs["decode"] += row.decode_s
                costs["fingerprint"] += row.ours_s
            if fpcalc:
                compare_with_chromaprint(name, rows, fpcalc)
    told = ", ".join(f"{what} {1e3 * np.median(took_s):.1f}" for what, took_s in costs.items())
    print(f"\nCPU ms a 30-s clip, medians: {told}")
    print_scaling()


if __name__ == "__main__":
    main()
