"""Our bento beside MLflow's server and the app that tutorials have: speed, memory, start-up.

Run: python -m benchmarks.serving [--rounds 5] [--seconds 8] [--keep FOLDER]
One untrained network of the default sizes, ten genres, served in three ways: by our bento; by
`mlflow models serve` of the model that the project registers, which is sent a path and reads the
file itself; by FastAPI with librosa and Keras, as tutorials write it (benchmarks/tutorial_app.py).
First all have to give the same answers. Then in turns each is started, asked about half a minute of
sound in three forms by 1 and by 8 clients, and ended: none is there while another is measured. The
clients are a process of their own, on the same machine. CPU time is of all processes of the server,
not of the clients; memory is the most that these held together. Start-up is from the start of the
command to the first 200 of its ready address, and to its first prediction. Prints medians of the
rounds, medians of the ratios of each round, and which of the goals were met.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.clients import run_clients
from benchmarks.cost import versions
from benchmarks.servers import (
    CLIPS,
    Kind,
    Server,
    Usage,
    bento,
    judge,
    mlflow,
    prepare,
    serving,
    tutorial,
)
from genre_mlops.engine import available_cores

N_CLIENTS = (1, 8)
WARM_S = 2.0
# Of any probability: MLflow's runs the same network; the tutorial's cuts and averages otherwise.
SAME, NEAR = 1e-4, 0.01
GOALS = {"speed": 5.0, "p95_ms": 100.0, "rss_mb": 400.0, "ready_s": 4.0}
Case = tuple[str, int]
"""A clip, and how many clients ask about it."""


@dataclass(frozen=True)
class Speed:
    """What one server did in one round with one clip and so many clients."""

    rate: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    n_errors: int


@dataclass
class Found:
    """What one server did in all rounds."""

    speeds: dict[Case, list[Speed]] = field(default_factory=lambda: defaultdict(list))
    usages: list[Usage] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    first_answer_s: list[float] = field(default_factory=list)

    def middle(self, case: Case, what: str) -> float:
        """Return the median over rounds."""
        return float(median(getattr(speed, what) for speed in self.speeds[case]))

    @property
    def rss_mb(self) -> float:
        """The most of all rounds."""
        return max(usage.rss_mb for usage in self.usages)


def check(kinds: Sequence[Kind], folder: Path) -> None:
    """Print how far answers are from those of the first; end where they are others."""
    said = {}
    for kind in kinds:
        with serving(kind, folder) as server:
            said[kind.name] = {clip: server.probabilities(clip) for clip in CLIPS}
    ours = said[kinds[0].name]
    for kind, most in zip(kinds[1:], (SAME, NEAR), strict=True):
        off = 0.0
        for clip, theirs in said[kind.name].items():
            off = max(off, *(abs(ours[clip][genre] - p) for genre, p in theirs.items()))
            if max(theirs, key=theirs.__getitem__) != max(ours[clip], key=ours[clip].__getitem__):
                off = 1.0
        told = f"{kind.name}: the same genres, probabilities within {off:.1g} of ours"
        if off > most:
            raise SystemExit(f"{kind.name} answers otherwise than we: off by {off:.2g}")
        print(told)


def measure(server: Server, found: Found, seconds: float) -> None:
    """Ask a server that was just started in all ways, and note what it did."""
    usages = [server.usage()]
    for clip in CLIPS:
        for n_clients in N_CLIENTS:
            before = server.cpu_s()
            load = run_clients(
                server.request(clip),
                n_clients=n_clients,
                seconds=seconds,
                warm_s=WARM_S,
                look=lambda: usages.append(server.usage()),
            )
            used = server.cpu_s() - before
            found.speeds[clip, n_clients].append(
                Speed(
                    load.rate,
                    load.took_ms(0.5),
                    load.took_ms(0.95),
                    1e3 * used / len(load.answers),
                    len(load.answers) - load.statuses["200"],
                )
            )
    found.usages.append(max(usages, key=lambda usage: usage.rss_mb))
    found.ready_s.append(server.ready_s)
    found.first_answer_s.append(server.first_answer_s)


def print_speeds(found: dict[str, Found]) -> None:
    """Print a table a clip and number of clients."""
    ours = next(iter(found.values()))
    print("| clip, clients | server | requests/s | p50 ms | p95 ms | CPU ms a request | ", end="")
    print("requests/s, ours : its | CPU ms, its : ours |")
    print("|---|---|---|---|---|---|---|---|")
    for case in ours.speeds:
        clip, n_clients = case
        for name, its in found.items():
            rates = ratio(ours.speeds[case], its.speeds[case], "rate")
            cpus = ratio(its.speeds[case], ours.speeds[case], "cpu_ms")
            figures = [its.middle(case, what) for what in ("p50_ms", "p95_ms", "cpu_ms")]
            print(
                f"| {CLIPS[clip]}, {n_clients} | {name} | {its.middle(case, 'rate'):.1f} | "
                f"{' | '.join(f'{figure:.0f}' for figure in figures)} | {rates:.1f} | {cpus:.1f} |"
            )
    for name, its in found.items():
        n_errors = sum(speed.n_errors for speeds in its.speeds.values() for speed in speeds)
        print(f"{name}: {n_errors} requests not answered 200")


def print_costs(found: dict[str, Found]) -> None:
    """Print start-up and memory."""
    print("| server | ready s | first answer s | RSS MB | PSS MB | processes |")
    print("|---|---|---|---|---|---|")
    for name, its in found.items():
        pss = max(usage.pss_mb for usage in its.usages)
        print(
            f"| {name} | {median(its.ready_s):.1f} | {median(its.first_answer_s):.1f} | "
            f"{its.rss_mb:.0f} | {pss:.0f} | {its.usages[-1].n_processes} |"
        )


def print_goals(ours: Found, tutorials: Found) -> None:
    """Print which goals were met."""
    ratios = {
        case: ratio(ours.speeds[case], tutorials.speeds[case], "rate") for case in ours.speeds
    }
    slowest = min(ratios, key=ratios.__getitem__)
    waits = {clip: ours.middle((clip, 1), "p95_ms") for clip in CLIPS if clip.endswith(".wav")}
    ready_s = median(ours.ready_s)
    judge(
        f"at least {GOALS['speed']:g} times the tutorial app's requests/s",
        ratios[slowest] >= GOALS["speed"],
        f"{ratios[slowest]:.1f} to {max(ratios.values()):.1f} times, least for "
        f"{CLIPS[slowest[0]]} and {slowest[1]} clients",
    )
    judge(
        f"p95 below {GOALS['p95_ms']:g} ms for wav and one client",
        max(waits.values()) < GOALS["p95_ms"],
        ", ".join(f"{wait:.0f} ms for {CLIPS[clip]}" for clip, wait in waits.items()),
    )
    judge(
        f"RSS below {GOALS['rss_mb']:g} MB",
        ours.rss_mb < GOALS["rss_mb"],
        f"{ours.rss_mb:.0f} MB at most",
    )
    judge(
        f"ready in less than {GOALS['ready_s']:g} s", ready_s < GOALS["ready_s"], f"{ready_s:.1f} s"
    )


def ratio(speeds: Iterable[Speed], to: Iterable[Speed], what: str) -> float:
    """Return the median of the ratios of each round; NaN where a server answered nothing."""
    pairs = [(getattr(a, what), getattr(b, what)) for a, b in zip(speeds, to, strict=True)]
    return median(a / b if b else float("nan") for a, b in pairs)


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="a clip and number of clients")
    parser.add_argument("--keep", type=Path, help="keep bundle, stores and logs in this folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        made = prepare(folder)
        kinds = [bento(made["bento"]), mlflow(made["mlflow"]), tutorial()]
        # Also fills the caches of the disk, and lets Python compile what it has not.
        check(kinds, folder)
        found = {kind.name: Found() for kind in kinds}
        for number in range(asked.rounds):
            for kind in kinds if number % 2 == 0 else reversed(kinds):
                with serving(kind, folder) as server:
                    measure(server, found[kind.name], asked.seconds)
    print(
        f"untrained network, {asked.rounds} rounds, {asked.seconds:g} s each; "
        f"{available_cores()} cores, shared with the clients; load {os.getloadavg()[0]:.1f}"
    )
    print(versions("bentoml", "mlflow", "fastapi", "uvicorn", "librosa", "keras", "onnxruntime"))
    print_speeds(found)
    print_costs(found)
    print_goals(found[kinds[0].name], found[kinds[-1].name])


if __name__ == "__main__":
    main()
