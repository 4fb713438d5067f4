"""Verdicts on made catalogs, for what is written about them; no audio is read."""

import numpy as np
import pandas as pd

from genre_mlops.config import QualityConfig, SplitConfig
from genre_mlops.datasets.base import Dataset, Listing, PublishedSplit
from genre_mlops.domain import Mapper, Progress, silent
from genre_mlops.quality import Inspection, inspect

GENRES = ["ambient", "bebop", "cumbia", "dub", "fado", "gospel", "highlife", "polka", "salsa"]
GENRES += ["techno"]
N_TRACKS_OF_ARTIST = 5


class MadeSource(Dataset):
    """A source of nothing, with words about it."""

    def __init__(self, name: str = "ten made genres", *, synthetic: bool = False) -> None:
        self.name, self.synthetic = name, synthetic
        self.licence, self.source = "CC BY 4.0", "made for the tests"

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Do nothing."""

    def listing(self) -> Listing:
        """Name no track, and two files passed over."""
        return Listing((), (".DS_Store", "cover.jpg"))


def made_catalog(
    *, genres: list[str] = GENRES, n_per_genre: int = 50, seed: int = 0
) -> pd.DataFrame:
    """Return good files of artists with five tracks each, every artist in one split."""
    rng = np.random.default_rng(seed)
    n = len(genres) * n_per_genre
    numbers = np.arange(n) % n_per_genre
    genre = np.repeat(np.array(genres, dtype=object), n_per_genre)
    artist = [f"{g}/artist {i // N_TRACKS_OF_ARTIST}" for g, i in zip(genre, numbers, strict=True)]
    split = np.array(["train", "train", "validation", "train", "test"], dtype=object)
    ids = [f"{a}/{i:03}.mp3" for a, i in zip(artist, numbers, strict=True)]
    return pd.DataFrame(
        {
            "path": [f"/music/{track_id}" for track_id in ids],
            "genre": genre,
            "group": artist,
            "licence": np.where(numbers % 3 == 0, "CC BY-SA 4.0", None),
            "size_bytes": 480_000,
            "sha256": [f"bytes of {track_id}" for track_id in ids],
            "pcm_sha256": [f"samples of {track_id}" for track_id in ids],
            "format": rng.choice(["MP3", "FLAC", "WAV"], n, p=[0.7, 0.2, 0.1]),
            "sr": rng.choice([44_100.0, 48_000.0, 22_050.0], n, p=[0.8, 0.1, 0.1]),
            "n_channels": rng.choice([1.0, 2.0], n, p=[0.2, 0.8]),
            "duration_s": np.round(rng.lognormal(np.log(210), 0.3, n), 2),
            "rms_dbfs": rng.normal(-17, 4, n).clip(-40, -6),
            "peak_dbfs": rng.uniform(-3, 0, n),
            "clipping_share": rng.uniform(0, 1e-3, n),
            "silence_share": rng.uniform(0, 0.05, n),
            "dc_offset": rng.normal(0, 1e-4, n),
            "bandwidth_hz": rng.normal(15_500, 1_500, n).clip(6_000, 11_000 * 2),
            "truncated": False,
            "error": None,
            "fingerprint": None,
            "cluster": None,
            "split": split[numbers // N_TRACKS_OF_ARTIST % len(split)],
        },
        index=pd.Index(ids, name="track_id"),
    ).astype({"truncated": object, "error": object, "cluster": object})


def spoil(catalog: pd.DataFrame, n_faulty: int) -> pd.DataFrame:
    """Return the catalog with the first files of each genre broken in one of six ways."""
    catalog = catalog.copy()
    measured = ["pcm_sha256", "format", "sr", "n_channels", "duration_s", "rms_dbfs", "peak_dbfs"]
    measured += ["clipping_share", "silence_share", "dc_offset", "bandwidth_hz", "truncated"]
    for i in range(n_faulty):
        track_id = catalog.index[(i * 37) % len(catalog)]
        match i % 6:
            case 0:
                catalog.loc[track_id, measured] = None
                catalog.loc[track_id, "error"] = "cannot be decoded: no MP3 frame in 4,096 bytes"
            case 1:
                catalog.loc[track_id, ["truncated", "duration_s"]] = [True, 12.5]
            case 2:
                catalog.loc[track_id, ["rms_dbfs", "silence_share"]] = [-74.0, 0.93]
            case 3:
                catalog.loc[track_id, ["clipping_share", "rms_dbfs"]] = [0.31, -2.0]
            case 4:
                catalog.loc[track_id, "bandwidth_hz"] = 3_950.0
            case 5:
                catalog.loc[track_id, "duration_s"] = 1.2
    return catalog


def join(catalog: pd.DataFrame, pairs: list[tuple[str, str, float, float, float]]) -> pd.DataFrame:
    """Return pairs as a table, and mark their clusters in the catalog."""
    for first, second, *_ in pairs:
        known = catalog.at[first, "cluster"] or catalog.at[second, "cluster"]
        named = known or min(first, second)
        catalog.loc[[first, second], "cluster"] = named
    table = pd.DataFrame(pairs, columns=["first", "second", "offset_s", "overlap_s", "similarity"])
    return table.astype({"offset_s": float, "overlap_s": float, "similarity": float})


def verdict(
    catalog: pd.DataFrame,
    pairs: pd.DataFrame | None = None,
    *,
    scheme: str = "own",
    shares_groups: bool = False,
) -> Inspection:
    """Inspect a made catalog with the split in it; rows without one are left out by it."""
    split = catalog["split"].dropna().to_dict()
    published = {scheme: PublishedSplit(split, shares_groups)}
    files = catalog.drop(columns=["split", "cluster"])
    pairs = join(catalog, []) if pairs is None else pairs
    return inspect(files, pairs, QualityConfig(), SplitConfig(), published)
