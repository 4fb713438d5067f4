"""The gate against the truth: how often it promotes challengers that are better, equal or worse.

Run: python -m benchmarks.gate [--times 1000] [--tracks 300] [--bootstrap 2000]
Nothing is trained. Each time two versions answer the same test tracks of ten genres. A track is
easy or hard, for both alike, and so is its artist's every track; each version has a true accuracy,
which is known here. The table says how often the gate promoted the challenger, held it back or
refused it, and how often a genre was shown to be worse, which is among the refused. Asked is that a
challenger better by ten points is promoted at least 80 times in 100, an equal one at most 5 times,
a worse one never; and that of an equal one a genre is worse at most 5 times.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from genre_mlops.config import GateConfig
from genre_mlops.learning.gate import Entrant, Measures, Pairs, judge
from genre_mlops.learning.resampling import Estimate, resampling
from genre_mlops.learning.verdict import GENRES, Decision

N_GENRES, CHAMPION = 10, 0.7
Outcome = Decision | Literal["genre worse"]
MEASURES = Measures(Estimate(0.1, 0.05, 0.15), {}, latency_ms=100.0, size_mb=1.0, differences={})


@dataclass(frozen=True)
class World:
    """How test tracks are.

    Attributes
    ----------
    name : str
        In words.
    shared : float
        Share of what decides about a track that is the same for both versions, in [0, 1].
    tracks_per_artist : int
        Of one artist; their tracks are likewise easy or hard.
    of_artist : float
        Share of the shared part, and of each version's own, that is the artist's, in [0, 1].
    """

    name: str
    shared: float
    tracks_per_artist: int = 1
    of_artist: float = 0.0


WORLDS = (
    World("tracks of their own, half in common", 0.5),
    World("tracks of their own, nothing in common", 0.0),
    World("artists of five tracks, half in common", 0.5, 5, 0.3),
)


def answers(
    world: World, accuracies: tuple[float, float], n_tracks: int, rng: np.random.Generator
) -> tuple[list[NDArray[np.bool_]], NDArray[np.int64]]:
    """Draw which tracks each of two versions gets right, and the artists of the tracks.

    A version is right where a normal variable is below the quantile of its accuracy.
    """
    artists = np.arange(n_tracks) // world.tracks_per_artist

    def draw() -> NDArray[np.float64]:
        own = rng.standard_normal(n_tracks)
        artist = rng.standard_normal(artists[-1] + 1)[artists]
        mixed = np.sqrt(world.of_artist) * artist + np.sqrt(1 - world.of_artist) * own
        return np.asarray(mixed, dtype=np.float64)

    common = draw()
    found = []
    for accuracy in accuracies:
        heard = np.sqrt(world.shared) * common + np.sqrt(1 - world.shared) * draw()
        found.append(np.asarray(heard < norm.ppf(accuracy), dtype=np.bool_))
    return found, artists


def simulate(
    world: World, lead: float, *, times: int, n_tracks: int, n_bootstrap: int, seed: int = 0
) -> Counter[Outcome]:
    """Ask the gate about challengers of a true lead in accuracy, and count what it says."""
    rng = np.random.default_rng((seed, int(1_000 * (lead + 1))))
    genres = tuple(f"genre {number}" for number in range(N_GENRES))
    entrants = [Entrant(version, genres, synthetic=False) for version in (2, 1)]
    counts: Counter[Outcome] = Counter()
    for number in range(times):
        right, artists = answers(world, (CHAMPION + lead, CHAMPION), n_tracks, rng)
        # An artist keeps to one genre.
        of = [genres[artist % N_GENRES] for artist in artists]
        drawn = resampling(n_tracks, artists, n_bootstrap=n_bootstrap, seed=number)
        pairs = Pairs(of, right[0], right[1], drawn)
        verdict = judge(entrants[0], entrants[1], pairs, MEASURES, GateConfig())
        counts[verdict.decision] += 1
        outcomes = {ruling.rule: ruling.outcome for ruling in verdict.rulings}
        counts["genre worse"] += outcomes[GENRES] == "failed"
    return counts


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=1_000)
    parser.add_argument("--tracks", type=int, default=300)
    parser.add_argument("--bootstrap", type=int, default=2_000)
    asked = parser.parse_args()
    print(f"{asked.tracks} simulated tracks, champion's true accuracy {CHAMPION:g}, ", end="")
    print(f"{asked.times} challengers a row")
    print("| tracks | true lead | promoted | held | refused | genre worse |")
    print("|---|---|---|---|---|---|")
    kinds: tuple[Outcome, ...] = ("promote", "hold", "refuse", "genre worse")
    for world in WORLDS:
        for lead in (0.1, 0.05, 0.0, -0.05, -0.1):
            counts = simulate(
                world,
                lead,
                times=asked.times,
                n_tracks=asked.tracks,
                n_bootstrap=asked.bootstrap,
            )
            told = [f"{counts[kind] / asked.times:.1%}" for kind in kinds]
            print(f"| {world.name} | {lead:+.2f} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
