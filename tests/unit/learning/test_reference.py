"""The validation tracks in a bundle: those that were drawn, as they were heard and judged."""

import json
from pathlib import Path

import numpy as np
import pytest

from genre_mlops.config import FeatureConfig
from genre_mlops.drift import FIGURES, describe
from genre_mlops.errors import GenreError
from genre_mlops.learning import reference as module
from genre_mlops.learning.reference import CONFIDENCE, FILE, Listener, Reference, read_reference

FEATURES = FeatureConfig(sr=8_000, n_fft=256, hop_length=128, n_mels=11, fmax=4_000)
GENRES = ("blues", "disco", "metal")
N_TRACKS = 7


def spectrogram(track: int) -> np.ndarray:
    rng = np.random.default_rng(track)
    return rng.uniform(-90, -20 - track, size=(5, FEATURES.n_mels)).astype(np.float16)


def judged() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(len(GENRES)), N_TRACKS)


def listened(seed: int = 0) -> Reference:
    listener = Listener(N_TRACKS, FEATURES, seed=seed)
    for track in range(N_TRACKS):
        listener(track, spectrogram(track))
    return listener.reference(judged(), GENRES)


def test_each_track_has_its_figures_and_what_was_said_of_it():
    made = listened()
    assert made.n_validation == len(made.heard()) == N_TRACKS
    for track in range(N_TRACKS):
        found = {name: made.figures[name][track] for name in FIGURES}
        assert found == describe(spectrogram(track), FEATURES)
        said = judged()[track]
        assert made.genre[track] == GENRES[int(said.argmax())]
        assert made.confidence[track] == pytest.approx(said.max(), abs=1e-4)
    heard = made.heard()
    assert [*heard.figures] == [*FIGURES, CONFIDENCE]
    assert heard.genres.total() == N_TRACKS


def test_of_very_many_tracks_some_are_drawn_with_the_seed(monkeypatch: pytest.MonkeyPatch):
    every = listened()
    monkeypatch.setattr(module, "MOST_TRACKS", 3)
    some, other = listened(), listened(seed=1)
    assert len(some.genre) == 3
    assert some.n_validation == N_TRACKS
    assert listened() == some != other
    rows = [every.confidence.index(value) for value in some.confidence]
    for name, values in some.figures.items():
        assert values == tuple(every.figures[name][row] for row in rows)
    assert some.genre == tuple(every.genre[row] for row in rows)


def test_it_comes_back_as_it_was(tmp_path: Path):
    made = listened()
    (tmp_path / FILE).write_text(made.model_dump_json())
    assert read_reference(tmp_path) == made


def test_a_bundle_without_one_says_what_to_do(tmp_path: Path):
    with pytest.raises(GenreError, match=r"no reference.json.*train and promote a new version"):
        read_reference(tmp_path)
    said = json.loads(listened().model_dump_json())
    for wrong in ({"format_version": 2}, {"confidence": said["confidence"][1:]}, {"genre": []}):
        (tmp_path / FILE).write_text(json.dumps(said | wrong))
        with pytest.raises(GenreError, match=r"reference.json is not of this version"):
            read_reference(tmp_path)
