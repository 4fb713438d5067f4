"""Search: ours against random search at equal CPU time, and two workers against one.

Run: python -m benchmarks.search [--seeds 5] [--cpu-s 600] [--tracks 120] [--keep FOLDER]
     python -m benchmarks.search --speed-up [--rounds 3]
     python -m benchmarks.search --memory
On demo music, which is synthetic, with trials of 20 epochs of two crops a track. The first asks
two searches of the same space for the least validation loss: ours (the config as it is first, then
multivariate TPE, Hyperband), and random search by Optuna without pruning. Networks, segments and
bands have half the sizes of the default space and config: trials of seconds, so that a search has
tens of them. Each has one thread and as many CPU-seconds of a process of its own, in which the
import of TensorFlow and the spectrograms, which are computed before, do not count; a trial that
ends later does not either. The table has each seed's best loss, also of the random search with the
config as it is put before its first trial, to tell what comes of that alone (nothing is run for it:
that trial is known from ours); and after how many CPU-seconds ours was as good as random search
came to be in the end. A third of the tracks validates, nearly none tests: nothing is tested here,
and a loss over few tracks is luck. Every search is kept: cut off, the same command goes on.
With --memory one worker runs 30 trials; what it holds after each, and how much of the trials' time
went into writing runs. With --speed-up the same eight trials are run by one worker, which has both
cores, and by two, in turns: wall-clock time of `search`, from the first process started to the last
trial told.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import soundfile

from benchmarks.cost import versions
from genre_mlops import tracking
from genre_mlops.config import Config, FeatureConfig, SplitConfig
from genre_mlops.console import ProgressBars
from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.engine import Engine
from genre_mlops.files import replacing
from genre_mlops.fitting import Plan, sources_of
from genre_mlops.readings import State
from genre_mlops.splits import assign_splits
from genre_mlops.store import FeatureStore

KINDS = ("ours", "random")
FIRST = "random, config first"
Settings = dict[str, Any]
SHORT: Settings = {
    "training.epochs": 20,
    "training.crops_per_track": 2,
    "training.ema_epochs": 2,
    "search.trials": 100_000,
}
# Sizes of half the default config, and half of what its space tries.
HALF = {
    "network.segment_frames": (128, [64, 128, 192]),
    "network.cnn1d.filters": (32, [16, 24, 32, 48]),
    "network.cnn2d.filters": (8, [4, 6, 8, 12]),
    "features.n_mels": (64, [32, 48, 64]),
}
SMALL: Settings = SHORT | {
    name: value
    for key, (size, tried) in HALF.items()
    for name, value in ((key, size), (f"search.space.{key}", tried))
}
SPLIT = SplitConfig(test_share=0.05, validation_share=0.35)
N_SPEED_TRIALS, N_MEMORY_TRIALS = 8, 30
Curve = list[tuple[float, float]]
"""CPU-seconds spent when a trial ended, and its validation loss."""


def make_plan(keep: Path, n_tracks: int, sizes: Settings, engine: Engine) -> Plan:
    """Render tracks, split them by artist, and compute the spectrograms of the whole space."""
    source = DemoDataset(keep / "datasets", n_tracks=n_tracks)
    source.prepare(engine.map, engine.progress)
    rows = []
    for track in source.listing().tracks:
        found = track.path.stat()
        rows.append(
            {
                "track_id": track.track_id,
                "path": str(track.path),
                "genre": track.genre,
                "split_group": track.group,
                "sha256": sha256(track.path.read_bytes()).hexdigest(),
                "duration_s": soundfile.info(track.path).duration,
                **State(found.st_size, found.st_mtime_ns, found.st_ctime_ns)._asdict(),
            }
        )
    catalog = pd.DataFrame(rows).set_index("track_id")
    catalog["split"] = assign_splits(catalog, SPLIT)
    catalog.to_parquet(keep / "catalog.parquet")
    config = Config().override(sizes)
    for n_mels in config.search.searched()["features.n_mels"].edges():
        store = FeatureStore(keep / "features", FeatureConfig(n_mels=int(n_mels)))
        store.build(sources_of(catalog), engine.map)
    tracking.use_tracking_uri(f"sqlite:///{keep / 'mlflow.db'}")
    client = tracking.client()
    experiment = client.get_experiment_by_name("benchmark")
    number = experiment.experiment_id if experiment else client.create_experiment("benchmark")
    return Plan(
        config=config,
        genres=tuple(sorted(set(catalog["genre"]))),
        catalog=keep / "catalog.parquet",
        features=keep / "features",
        folder=keep / "studies",
        key="benchmark",
        tracking_uri=tracking.tracking_uri(),
        experiment_id=number,
        parent_run_id=client.create_run(number).info.run_id,
        synthetic=True,
        tags={},
    )


def ours(plan: Plan, spent_s: Callable[[], float], cpu_s: float) -> Curve:
    """Run trials as a worker of the search does until the time is over."""
    from genre_mlops.search.budget import Budget
    from genre_mlops.search.studies import open_study
    from genre_mlops.search.trials import Task, run_trial

    study, curve = open_study(plan).study_name, []
    budget = Budget(plan, study)
    while spent_s() < cpu_s:
        run_trial(Task(plan, study, threads=1, until_s=np.inf))
        last = max(budget.look().ended, key=lambda trial: trial.number)
        curve.append((spent_s(), last.values[0] if last.state.name == "COMPLETE" else np.inf))
    return curve


def random(plan: Plan, spent_s: Callable[[], float], cpu_s: float) -> Curve:
    """Let Optuna draw at random, train to the end, until the time is over."""
    import optuna

    from genre_mlops.fitting import fit
    from genre_mlops.search.space import search_space

    class Log:
        def params(self, values: object) -> None: ...

        def metrics(self, values: object, *, step: int) -> None: ...

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, curve = search_space(plan.config), []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=plan.config.seed))
    while spent_s() < cpu_s:
        trial = study.ask(space)
        state = plan.folder / f"{os.getpid()}-{trial.number}.npz"
        config = plan.config.override(trial.params)
        found = fit(plan, config, log=Log(), report=lambda e, x: None, state=state, threads=1)[1]
        study.tell(trial, found.validation_loss)
        state.unlink()
        curve.append((spent_s(), found.validation_loss))
    return curve


def run_one(plan: Plan, cpu_s: float, keep: Path, task: tuple[str, int]) -> str:
    """Run one search to the end of its time, in a process that has done nothing else."""
    from genre_mlops.learning import backend

    del backend
    kind, seed = task
    tracking.use_tracking_uri(plan.tracking_uri)
    plan = replace(
        plan,
        config=plan.config.override({"seed": seed}),
        folder=plan.folder / f"{kind}-{seed}-{int(time.time())}",
    )
    plan.folder.mkdir(parents=True)
    began = time.process_time()
    search = {"ours": ours, "random": random}[kind]
    curve = search(plan, lambda: time.process_time() - began, cpu_s)
    with replacing(_place(keep, kind, seed, cpu_s)) as partial_file:
        partial_file.write_text(json.dumps(curve))
    return f"{kind} {seed}"


def _place(keep: Path, kind: str, seed: int, cpu_s: float) -> Path:
    return keep / "searches" / f"{kind}-{seed}-{cpu_s:g}.json"


def _folder(keep: Path, n_tracks: int, sizes: Settings) -> Path:
    """Return where searches of this size are kept: others are not taken for them."""
    size = json.dumps([sizes, SPLIT.model_dump(), n_tracks])
    return keep.resolve() / f"{n_tracks}-{sha256(size.encode()).hexdigest()[:8]}"


def best_at(curve: Curve, cpu_s: float) -> float:
    """Return the least loss of the trials that had ended by then."""
    return min((loss for spent, loss in curve if spent <= cpu_s), default=np.inf)


def reached(curve: Curve, loss: float, cpu_s: float) -> float:
    """Return after how many CPU-seconds a trial was as good as that, infinite for never."""
    return min(
        (spent for spent, found in curve if found <= loss and spent <= cpu_s), default=np.inf
    )


def compare(plan: Plan, n_seeds: int, cpu_s: float, keep: Path, engine: Engine) -> None:
    """Run all searches that are not kept yet, and print the table."""
    tasks = [(kind, seed) for seed in range(n_seeds) for kind in KINDS]
    left = [task for task in tasks if not _place(keep, *task, cpu_s).exists()]
    with engine.crew() as crew:
        from genre_mlops.crew import run_all

        for n_done, name in enumerate(run_all(crew, partial(run_one, plan, cpu_s, keep), left), 1):
            print(f"{name}: {n_done} of {len(left)}", flush=True)
    curves = {
        task: [(s, loss) for s, loss in json.loads(_place(keep, *task, cpu_s).read_text())]
        for task in tasks
    }
    for seed in range(n_seeds):
        first_s, first_loss = curves["ours", seed][0]
        later = [(first_s + spent, loss) for spent, loss in curves["random", seed]]
        curves[FIRST, seed] = [(first_s, first_loss), *later]
    print(f"synthetic demo music, {cpu_s:g} CPU-seconds a search; {versions('keras', 'optuna')}")
    print(
        "| synthetic validation loss | " + " | ".join(f"seed {s}" for s in range(n_seeds)), end=""
    )
    print(" | median | trials, median |")
    print("|---|" + "---|" * (n_seeds + 2))
    for kind in (*KINDS, FIRST):
        found = [best_at(curves[kind, seed], cpu_s) for seed in range(n_seeds)]
        n_trials = median(
            sum(spent <= cpu_s for spent, _ in curves[kind, seed]) for seed in range(n_seeds)
        )
        row = " | ".join(f"{loss:.4f}" for loss in [*found, median(found)])
        print(f"| {kind} | {row} | {n_trials:g} |")
    for kind in ("random", FIRST):
        of_its_own, of_all = [], []
        for seed in range(n_seeds):
            loss = best_at(curves[kind, seed], cpu_s)
            spent = reached(curves["ours", seed], loss, cpu_s)
            of_its_own.append(spent / reached(curves[kind, seed], loss, cpu_s))
            of_all.append(spent / cpu_s)
        print(f"CPU-seconds of ours to the final best of {kind}:")
        print(f"  of all that it was given:       {_told(of_all)}")
        print(f"  of those until it had its best: {_told(of_its_own)}")


def _told(ratios: list[float]) -> str:
    told = ", ".join("never" if np.isinf(ratio) else f"{ratio:.2f}" for ratio in ratios)
    return f"{told}; median {median(ratios):.2f}"


def speed_up(plan: Plan, rounds: int, progress: ProgressBars) -> None:
    """Time the same trials by one worker and by two, in turns."""
    from genre_mlops.search import search

    # All drawn at random by their place, none cut short: the same trials in any order.
    same = {"search.trials": N_SPEED_TRIALS, "search.startup_trials": 1_000, "search.pruning": 0}
    took: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for workers in took:
            folder = plan.folder / f"speed-{workers}-{number}-{int(time.time())}"
            asked = replace(plan, folder=folder, config=plan.config.override(same))
            began = time.monotonic()
            search(asked, Engine(workers, progress))
            took[workers].append(time.monotonic() - began)
            print(f"{workers} worker(s): {took[workers][-1]:.1f} s", flush=True)
    one, two = (median(found) for found in took.values())
    print(
        f"synthetic demo music, {N_SPEED_TRIALS} trials: one worker {one:.1f} s, two {two:.1f} s, "
        f"ratio {one / two:.2f} (medians of {rounds})"
    )


def memory(plan: Plan, progress: ProgressBars) -> None:
    """Let one worker run trials, and print what it holds after each."""
    from genre_mlops.search import search
    from genre_mlops.search.attributes import MEMORY_MB, PLACE, WORKER
    from genre_mlops.search.budget import Budget

    folder = plan.folder / f"memory-{int(time.time())}"
    config = plan.config.override({"search.trials": N_MEMORY_TRIALS})
    asked = replace(plan, folder=folder, config=config)
    best = search(asked, Engine(1, progress))
    trials = sorted(Budget(asked, best.study).look().ended, key=lambda t: int(t.user_attrs[PLACE]))
    held_mb = [trial.user_attrs[MEMORY_MB] for trial in trials]
    n_processes = len({trial.user_attrs[WORKER]["pid"] for trial in trials})
    print(f"synthetic demo music, {len(trials)} trials by one worker; {versions('keras')}")
    print("MB after each trial:", *(f"{mb:.0f}" for mb in held_mb))
    thirds = [median(held_mb[i : i + 10]) for i in range(0, len(held_mb), 10)]
    told = ", ".join(f"{mb:.0f}" for mb in thirds)
    print(f"medians of ten: {told}; at the most {max(held_mb):.0f}; {n_processes} processes")
    print(f"writing runs took {best.tracking_share:.2%} of the trials' time")


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cpu-s", type=float, default=600.0, help="of each search")
    parser.add_argument("--tracks", type=int, default=120)
    parser.add_argument("--workers", type=int, default=0, help="searches at a time; 0: a core each")
    parser.add_argument("--speed-up", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--rounds", type=int, default=3, help="of --speed-up")
    parser.add_argument("--keep", type=Path, default=Path("workspace/search"))
    asked = parser.parse_args()
    with ProgressBars() as progress:
        engine = Engine(asked.workers, progress)
        sizes = SHORT if asked.speed_up or asked.memory else SMALL
        keep = _folder(asked.keep, asked.tracks, sizes)
        plan = make_plan(keep, asked.tracks, sizes, engine)
        if asked.speed_up:
            speed_up(plan, asked.rounds, progress)
        elif asked.memory:
            memory(plan, progress)
        else:
            compare(plan, asked.seeds, asked.cpu_s, keep, engine)


if __name__ == "__main__":
    main()
