"""The catalog beside a plain loop with librosa: time, memory, and what a second run costs.

Run: python -m benchmarks.catalog [--tracks 1000] [--music FOLDER]
Renders demo tracks of 30 s (not counted; FOLDER keeps them), then in turns, each in a process of
its own: the catalog of all tracks with an empty cache, and again with a full one, on all cores;
and a loop over some of the tracks as notebooks write it, in one process: `librosa.load`, level,
peak, duration, roll-off and sha256. Prints medians and ratios, and the memory that one hour of
44.1 kHz stereo takes.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.cost import measure_part, peak_mb

ROUNDS = 3
PEER_TRACKS = 100
HOUR_S = 3_600


def build(music: str, cache: str) -> None:
    """Build the catalog of a folder."""
    from genre_mlops.catalog import build_catalog
    from genre_mlops.datasets.folder import FolderDataset
    from genre_mlops.engine import Engine

    catalog = build_catalog(
        FolderDataset(Path(music)).listing(), cache=Path(cache), run=Engine().map
    )
    print(len(catalog), "rows,", int(catalog["error"].notna().sum()), "errors")


def peer(music: str) -> None:
    """Read some tracks as notebooks do, and say how long one took."""
    import librosa
    import numpy as np

    paths = sorted(Path(music).rglob("*.wav"))
    librosa.feature.spectral_rolloff(y=librosa.load(paths[-1], sr=None)[0])
    rows = []
    began = time.monotonic()
    for path in paths[:PEER_TRACKS]:
        y, sr = librosa.load(path, sr=None)
        row = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "duration_s": librosa.get_duration(y=y, sr=sr),
            "rms": float(librosa.feature.rms(y=y).mean()),
            "peak": float(np.abs(y).max()),
            "rolloff": float(librosa.feature.spectral_rolloff(y=y, sr=sr, roll_percent=0.99).max()),
        }
        rows.append(row)
    print((time.monotonic() - began) / len(rows))


def read(path: str) -> None:
    """Read one file, and say what this process held at most, in MB."""
    from genre_mlops.readings import read_file

    began = time.monotonic()
    reading = read_file(path)
    print(f"{peak_mb():.0f} {time.monotonic() - began:.1f} {reading.error}")


def write_stereo(path: Path, duration_s: int) -> None:
    """Write noise of 44.1 kHz in stereo."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.3, 0.3, (44_100, 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", 44_100, 2) as file:
        for second in range(duration_s):
            file.write(np.roll(noise, second, axis=0))


def long_files() -> None:
    """Print the peak memory of reading half a minute, and an hour."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".wav", ".flac", ".mp3"):
            peaks, path = [], Path(folder, f"noise{suffix}")
            for duration_s in (30, HOUR_S):
                write_stereo(path, duration_s)
                peak_mb, wall_s, error = measure_part(
                    "benchmarks.catalog", "read", str(path)
                ).said.split(maxsplit=2)
                peaks.append(f"{duration_s} s: {peak_mb} MB in {wall_s} s, error {error}")
            path.unlink()
            print(f"44.1 kHz stereo {suffix}: {'; '.join(peaks)}")


@contextmanager
def demo_tracks(n_tracks: int, folder: Path | None) -> Iterator[Path]:
    """Render demo tracks, unless they are there."""
    from genre_mlops.datasets.demo import DemoDataset
    from genre_mlops.engine import Engine, stop_workers

    with tempfile.TemporaryDirectory() as temporary:
        source = DemoDataset(folder or Path(temporary), n_tracks=n_tracks)
        source.prepare(Engine().map)
        stop_workers()
        # A folder of as many tracks as were asked for: the kept one may hold more.
        music = Path(temporary, "music")
        for track in source.listing().tracks:
            (music / track.genre).mkdir(parents=True, exist_ok=True)
            (music / track.genre / track.path.name).hardlink_to(track.path)
        yield music


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=1_000)
    parser.add_argument("--music", type=Path, help="keep the rendered tracks in this folder")
    asked = parser.parse_args()
    first, again, theirs = [], [], []
    with demo_tracks(asked.tracks, asked.music) as music:
        cache = music.parent / "cache"
        for _ in range(ROUNDS):
            shutil.rmtree(cache, ignore_errors=True)
            first.append(measure_part("benchmarks.catalog", "build", str(music), str(cache)))
            theirs.append(
                float(measure_part("benchmarks.catalog", "peer", str(music)).said) * asked.tracks
            )
            again.append(measure_part("benchmarks.catalog", "build", str(music), str(cache)))
    print(f"{asked.tracks} tracks of 30 s; {first[-1].said}; load {os.getloadavg()[0]:.1f}")
    for name, costs in (("empty cache", first), ("full cache", again)):
        print(
            f"catalog, {name}: {median(c.wall_s for c in costs):.1f} s wall, "
            f"{median(c.cpu_s for c in costs):.1f} s CPU, "
            f"peak {max(c.peak_mb for c in costs):.0f} MB in all processes"
        )
    ours, ours_cpu = median(c.wall_s for c in first), median(c.cpu_s for c in first)
    print(
        f"loop with librosa, one process: {median(theirs):.1f} s wall, scaled from "
        f"{min(PEER_TRACKS, asked.tracks)} tracks, imports not counted"
    )
    print(f"ratio of wall times, loop to catalog: {median(theirs) / ours:.1f}")
    print(f"ratio of CPU times, loop to catalog: {median(theirs) / ours_cpu:.1f}")
    print(f"ratio of wall times, empty to full cache: {ours / median(c.wall_s for c in again):.1f}")
    long_files()


if __name__ == "__main__":
    parts = {"build": build, "peer": peer, "read": read}
    if len(sys.argv) > 2 and sys.argv[1] in parts:
        parts[sys.argv[1]](*sys.argv[2:])
    else:
        main()
