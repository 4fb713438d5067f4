"""Our bento under load: at 80 % of what it can, at twice that, and after its worker was killed.

Run: python -m benchmarks.load [--minutes 5] [--clip mono.wav] [--keep FOLDER]
Serves an untrained network of the default sizes with the service's own limits. First its capacity:
as many clients as it has threads, each asking again when it was answered. Then requests at a
constant rate, whatever becomes of them: 80 % of the capacity for some minutes, where all have to be
answered; twice the capacity for a minute, where the rest has to be refused by 429 and by nothing
else; 80 % again for a minute, where all have to be answered once what waits is done. Last, the
process that answers is killed by SIGKILL while it does, and has to be back within ten seconds.
Prints counts by status, times, memory before and after each, and the temporary files that were
left. Times count from the moment at which a request was due.
Ends with exit code 1 where something was not as it has to be.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.clients import Load, ask_once, run_clients
from benchmarks.cost import versions
from benchmarks.servers import CLIPS, Server, bento, judge, prepare, serving
from genre_mlops.engine import available_cores

CAPACITY_S, OVERLOAD_S, SETTLED_S, KILLED_AFTER_S, BACK_S = 20.0, 60.0, 10.0, 3.0, 10.0
USUAL, TOO_MUCH = 0.8, 2.0


def phase(server: Server, clip: str, share: float, capacity: float, seconds: float) -> Load:
    """Ask at a share of the capacity, and print what came of it."""
    before = server.usage().rss_mb
    load = run_clients(server.request(clip), rate=share * capacity, seconds=seconds)
    print(
        f"| {share:.0%} | {seconds:g} | {share * capacity:.1f} | {told(load)} | "
        f"{load.took_ms(0.5):.0f} | {load.took_ms(0.95):.0f} | "
        f"{before:.0f} | {server.usage().rss_mb:.0f} |",
        flush=True,
    )
    return load


def told(load: Load) -> str:
    """Return in words how often there was which status."""
    return ", ".join(f"{n} of {status}" for status, n in sorted(load.statuses.items()))


def back_after_kill(server: Server, clip: str, n_clients: int) -> float:
    """Kill the process that answers while it does; return the seconds until it answers again."""
    request = server.request(clip)
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(run_clients, request, n_clients=n_clients, seconds=KILLED_AFTER_S + 1)
        time.sleep(KILLED_AFTER_S)
        server.worker().kill()
        killed = time.perf_counter()
        # While nobody answers, the supervisor's socket lets a client wait.
        while ask_once(request, timeout_s=6 * BACK_S)[0] != "200":
            if time.perf_counter() > killed + 6 * BACK_S:
                return float("inf")
            time.sleep(0.05)
        back_s = time.perf_counter() - killed
        print(f"killed by SIGKILL under load, where clients saw {told(asking.result())}")
    return back_s


def main() -> None:
    """Ask, print, and say by the exit code whether all was as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="at 80 % of the capacity")
    parser.add_argument("--overload", type=float, default=OVERLOAD_S, help="seconds at twice it")
    parser.add_argument("--clip", choices=CLIPS, default="mono.wav")
    parser.add_argument("--keep", type=Path, help="keep bundle, stores and log in this folder")
    asked = parser.parse_args()
    clip, n_threads = asked.clip, available_cores()
    print(f"untrained network, {CLIPS[clip]}, {n_threads} cores, shared with the clients")
    print(versions("bentoml", "uvicorn", "onnxruntime"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.keep or Path(temporary)).absolute()
        scratch = folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        kind = bento(prepare(folder)["bento"])
        with serving(kind, folder, env={"TMPDIR": str(scratch)}) as server:
            most = run_clients(
                server.request(clip), n_clients=n_threads, seconds=CAPACITY_S, warm_s=2.0
            )
            print(f"capacity: {most.rate:.1f} requests/s by {n_threads} clients")
            print("| load | s | requests/s | answers | p50 ms | p95 ms | RSS MB from | to |")
            print("|---|---|---|---|---|---|---|---|")
            usual = phase(server, clip, USUAL, most.rate, 60 * asked.minutes)
            beyond = phase(server, clip, TOO_MUCH, most.rate, asked.overload)
            after = phase(server, clip, USUAL, most.rate, asked.overload)
            back_s = back_after_kill(server, clip, n_threads)
        left = [str(path.relative_to(scratch)) for path in scratch.rglob("*") if path.is_file()]
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    is_right = [
        judge(f"{when} only {' and '.join(seen)}", set(load.statuses) == {*seen}, told(load))
        for when, load, seen in (
            ("at 80 %", usual, ["200"]),
            ("at twice the capacity", beyond, ["200", "429"]),
        )
    ]
    # What waited when the load went down is answered first.
    settled_s = max((one.at_s for one in after.answers if one.status != "200"), default=0.0)
    is_right.append(
        judge(
            f"at 80 % again all are answered {SETTLED_S:g} s later",
            settled_s < SETTLED_S,
            f"the last that was not after {settled_s:.1f} s, {told(after)}",
        )
    )
    is_back = back_s < BACK_S
    is_right.append(judge(f"back within {BACK_S:g} s of the kill", is_back, f"{back_s:.1f} s"))
    is_right.append(judge("no temporary file left", not left, ", ".join(left) or "none"))
    sys.exit(not all(is_right))


if __name__ == "__main__":
    main()
