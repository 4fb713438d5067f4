"""Training: memory for 200 and for 2,000 tracks, the wait for input, and time beside plain Keras.

Run: python -m benchmarks.training [--tracks 2000] [--keep FOLDER]
Renders demo tracks and computes their spectrograms (neither counted), then in turns, each in a
process of its own: our training for some epochs, and what a notebook does: the segments of all
tracks as one float32 array in memory, the same network, `fit`, nothing changed at random. Both on a
tenth of the tracks and on all. Prints peak resident memory, time an example, and the share of it in
which our network waited for its input: medians, and ratios.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from benchmarks.cost import measure_part, peak_mb, versions

ROUNDS, EPOCHS = 5, 3
VALIDATION_SHARE = 0.1


def prepare(keep: Path, n_tracks: int) -> None:
    """Render tracks, compute their spectrograms, and write a table of them."""
    from benchmarks.accuracy import open_music
    from genre_mlops.config import FeatureConfig
    from genre_mlops.console import ProgressBars
    from genre_mlops.datasets.demo import DemoDataset
    from genre_mlops.engine import Engine, stop_workers

    with ProgressBars() as progress:
        source = DemoDataset(keep / "datasets", n_tracks=n_tracks)
        music = open_music(source, FeatureConfig(), Engine(progress=progress), keep)
        stop_workers()
    # In the order of their making, in which the genres take turns.
    tracks = music.tracks.sort_values("path", key=lambda paths: paths.str[-8:-4])
    tracks.to_parquet(keep / "tracks.parquet")


def _open(keep: str, n_tracks: str) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    tracks = pd.read_parquet(Path(keep, "tracks.parquet")).head(int(n_tracks))
    n_judged = round(len(tracks) * VALIDATION_SHARE)
    return tracks[n_judged:], tracks[:n_judged], sorted(set(tracks["genre"]))


def ours(keep: str, n_tracks: str) -> None:
    """Train as a trial of the search does, and say what it took."""
    from genre_mlops.config import Config, FeatureConfig
    from genre_mlops.learning.batches import TrackSet
    from genre_mlops.learning.training import be_deterministic, train
    from genre_mlops.store import FeatureStore

    learnt, judged, genres = _open(keep, n_tracks)
    store = FeatureStore(Path(keep, "features"), FeatureConfig())
    sets = [
        TrackSet(store.sequence(list(part["sha256"])), np.array(part["genre"].map(genres.index)))
        for part in (learnt, judged)
    ]
    config = Config().override({"training.epochs": EPOCHS, "training.crops_per_track": 2})
    lines: list[dict[str, float]] = []

    class Log:
        def params(self, values: object) -> None: ...

        def metrics(self, values: dict[str, float], *, step: int) -> None:
            lines.append(values)

    be_deterministic(0)
    train(*sets, config=config, n_genres=len(genres), log=Log(), report=lambda epoch, loss: None)
    # The first epoch makes the graph.
    step_ms = median(line["step_ms"] for line in lines[1:])
    wait = median(line["input_wait_share"] for line in lines[1:])
    # The last batch of an epoch is a short one.
    n_examples = config.training.crops_per_track * len(learnt)
    n_steps = -(-n_examples // config.training.batch_size)
    _say(step_ms * n_steps / n_examples, wait)


def notebook(keep: str, n_tracks: str) -> None:
    """Train on an array of all segments, and say what it took."""
    import time

    from genre_mlops.config import Config, FeatureConfig
    from genre_mlops.learning.backend import keras
    from genre_mlops.learning.networks import average_networks, build_networks
    from genre_mlops.segments import cut_segments
    from genre_mlops.store import FeatureStore

    learnt, _, genres = _open(keep, n_tracks)
    store, config = FeatureStore(Path(keep, "features"), FeatureConfig()), Config()
    cut = [cut_segments(store[sha], config.network.segment_frames) for sha in learnt["sha256"]]
    segments = np.concatenate(cut)
    labels = np.repeat(np.array(learnt["genre"].map(genres.index)), [len(c) for c in cut])
    del cut
    network = average_networks(
        build_networks(config.network, config.features, n_genres=len(genres))
    )
    network.compile(optimizer=keras.optimizers.AdamW(), loss="sparse_categorical_crossentropy")
    # As many examples an epoch as ours sees.
    size = config.training.batch_size
    steps = -(-2 * len(learnt) // size)
    # The last epoch may have fewer steps: the segments have run out.
    at: list[tuple[float, int]] = []

    def note(*_: object) -> None:
        at.append((time.perf_counter(), int(network.optimizer.iterations)))

    clock = keras.callbacks.LambdaCallback(on_epoch_begin=note, on_epoch_end=note)
    network.fit(
        segments,
        labels,
        batch_size=size,
        epochs=EPOCHS,
        steps_per_epoch=steps,
        callbacks=[clock],
        verbose=0,
    )
    pairs = zip(at[::2], at[1::2], strict=True)
    took = [1e3 * (b_s - a_s) / ((b - a) * size) for (a_s, a), (b_s, b) in pairs]
    _say(median(took[1:]), float("nan"))


def _say(example_ms: float, wait: float) -> None:
    print(peak_mb(), example_ms, wait)


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", type=Path, default=Path("workspace/training-benchmark"))
    asked = parser.parse_args()
    prepare(asked.keep, asked.tracks)
    sizes = (asked.tracks // 10, asked.tracks)
    found: dict[tuple[str, int], list[list[float]]] = {}
    for _ in range(asked.rounds):
        for size in sizes:
            for who in ("ours", "notebook"):
                cost = measure_part("benchmarks.training", who, asked.keep, size)
                said = cost.said.splitlines()[-1]
                found.setdefault((who, size), []).append([float(x) for x in said.split()])
    middle = {
        key: [median(values) for values in zip(*rows, strict=True)] for key, rows in found.items()
    }
    print(f"synthetic demo music; {asked.rounds} rounds; load {os.getloadavg()[0]:.1f}")
    print(versions("keras", "numpy"))
    for (who, size), (most_mb, example_ms, wait) in sorted(middle.items()):
        waits = "" if np.isnan(wait) else f", waits for input {wait:.1%} of the time"
        print(f"{who}, {size} tracks: peak {most_mb:.0f} MB, {example_ms:.2f} ms an example{waits}")
    for who in ("ours", "notebook"):
        more_mb = middle[who, sizes[1]][0] - middle[who, sizes[0]][0]
        print(f"{who}: {more_mb:+.0f} MB from {sizes[0]} to {sizes[1]} tracks")
    ratio = middle["notebook", sizes[1]][0] / middle["ours", sizes[1]][0]
    print(f"ratio of peaks at {sizes[1]} tracks, notebook to ours: {ratio:.1f}")
    ratio = middle["notebook", sizes[1]][1] / middle["ours", sizes[1]][1]
    print(f"ratio of time an example, notebook to ours (which changes them): {ratio:.2f}")


if __name__ == "__main__":
    parts = {"ours": ours, "notebook": notebook}
    if len(sys.argv) > 2 and sys.argv[1] in parts:
        parts[sys.argv[1]](*sys.argv[2:])
    else:
        main()
