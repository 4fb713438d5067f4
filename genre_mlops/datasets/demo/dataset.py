"""The demo music as a data set: rendered once, kept as files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import soundfile as sf

from genre_mlops.datasets.base import Dataset, Listing
from genre_mlops.datasets.demo.artists import place
from genre_mlops.datasets.demo.soundfont import SR
from genre_mlops.domain import Mapper, Progress, Track, silent
from genre_mlops.errors import ConfigError
from genre_mlops.files import replacing

COMPOSITION_VERSION = 1
"""Raised with every change that changes a rendered byte."""

_TRACKS_PER_ITEM = 4
_MIN_DURATION_S = 10.0


@dataclass(frozen=True, slots=True)
class Rendering:
    """What all tracks of a folder share."""

    folder: Path
    seed: int
    duration_s: float


class DemoDataset(Dataset):
    """Ten genres of music composed by this project and played by a SoundFont.

    Track `i` is the same for any number of tracks: asking for more renders only the rest.

    Parameters
    ----------
    root : Path
        Where the folder of this music is made.
    n_tracks : int
        How many tracks; the genres take turns.
    duration_s : float
        Length of each, 10 s at least.
    seed : int
        Of all that is random, 0 or more.

    Raises
    ------
    ConfigError
        A parameter is out of range.
    """

    name = "demo"
    synthetic = True
    source = "composed and rendered by genre-mlops"
    licence = (
        "Compositions: MIT, by this project. Sounds: the TimGM6mb SoundFont as shipped with "
        "pretty_midi, whose package says MIT and names no other terms for it; Linux "
        "distributions list the same SoundFont under GPL-2.0."
    )

    def __init__(
        self, root: Path, *, n_tracks: int = 160, duration_s: float = 30.0, seed: int = 0
    ) -> None:
        if n_tracks < 1:
            raise ConfigError(f"demo: expected at least 1 track, got {n_tracks}")
        if not _MIN_DURATION_S <= duration_s < float("inf"):
            raise ConfigError(f"demo: expected {_MIN_DURATION_S:g} s or more, got {duration_s} s")
        if seed < 0:
            raise ConfigError(f"demo: expected a seed of 0 or more, got {seed}")
        settings = {"seed": seed, "duration_s": float(duration_s), "version": COMPOSITION_VERSION}
        text = json.dumps(settings, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._rendering = Rendering(root / f"demo-{digest}", seed, float(duration_s))
        self._n_tracks = n_tracks

    @property
    def folder(self) -> Path:
        """Where the tracks of this seed and duration are."""
        return self._rendering.folder

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Render the tracks that are missing."""
        del progress
        missing = [
            index
            for index in range(self._n_tracks)
            if not (self.folder / track_path(index)).exists()
        ]
        items = [
            missing[first : first + _TRACKS_PER_ITEM]
            for first in range(0, len(missing), _TRACKS_PER_ITEM)
        ]
        for _ in run(partial(render_tracks, self._rendering), items, label="render demo"):
            pass

    def listing(self) -> Listing:
        """Name the tracks asked for that are rendered."""
        tracks = []
        for index in range(self._n_tracks):
            relative = track_path(index)
            genre, artist, _ = relative.split("/")
            path = self.folder / relative
            if path.exists():
                tracks.append(Track(relative, path, genre, artist))
        return Listing(tuple(sorted(tracks, key=lambda track: track.track_id)))


def track_path(index: int) -> str:
    """Return where track `index` is kept, relative to the folder, with ``/``."""
    genre, artist, turn = place(index)
    return f"{genre}/{genre}-artist-{artist:02d}/{genre}-{turn:04d}.wav"


def render_tracks(rendering: Rendering, indices: Sequence[int]) -> int:
    """Render tracks into their files and return how many.

    A file appears under its name only when it is whole.
    """
    from genre_mlops.datasets.demo.composer import compose, render_rng
    from genre_mlops.datasets.demo.mixing import render

    n_samples = round(rendering.duration_s * SR)
    for index in indices:
        piece, artist = compose(rendering.seed, index, rendering.duration_s)
        y = render(piece, artist, n_samples, render_rng(rendering.seed, index))
        path = rendering.folder / track_path(index)
        with replacing(path) as unfinished:
            sf.write(unfinished, y, SR, subtype="PCM_16", format="WAV")
    return len(indices)
