import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_score

from genre_mlops.config import BaselineConfig, Config, FeatureConfig
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import sequential
from genre_mlops.learning import baseline
from genre_mlops.learning.baseline import compare_segment_splits, fit_and_score
from genre_mlops.learning.mfcc_svm import make_svm, mfcc_statistics
from genre_mlops.splits import TEST
from genre_mlops.store import FeatureStore, Source

GENRES = ("drone", "hiss", "hum")
N_ARTISTS, N_TRACKS_EACH, N_SEGMENTS = 10, 2, 5
CONFIG = Config(
    features=FeatureConfig(sr=8_000, n_fft=512, hop_length=256, n_mels=24, fmax=4_000),
    baseline=BaselineConfig(n_mfcc=13, segment_s=1.0),
)
Made = tuple[pd.DataFrame, FeatureStore]


def spectrogram(seed: int, n_frames: int = 37, n_mels: int = 24) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-100, 0, (n_frames, n_mels))


@given(st.integers(0, 99), st.floats(-40, 40))
def test_gain_moves_the_mean_of_the_first_coefficient_alone(seed: int, gain_db: float):
    S_db = spectrogram(seed)
    moved = mfcc_statistics(S_db + gain_db, 7) - mfcc_statistics(S_db, 7)
    expected = np.zeros(21)
    # Of the orthonormal transform of a constant.
    expected[0] = gain_db * np.sqrt(24)
    np.testing.assert_allclose(moved, expected, atol=2e-3)


@given(st.integers(0, 99), st.integers(1, 50))
def test_it_is_the_same_backwards(seed: int, n_frames: int):
    S_db = spectrogram(seed, n_frames)
    forwards, backwards = mfcc_statistics(S_db, 7), mfcc_statistics(S_db[::-1], 7)
    np.testing.assert_allclose(forwards, backwards, atol=2e-3)


@given(st.integers(0, 99), st.integers(1, 50))
def test_a_steady_sound_does_not_move(seed: int, n_frames: int):
    S_db = np.repeat(spectrogram(seed, 1), n_frames, axis=0)
    np.testing.assert_allclose(mfcc_statistics(S_db, 7)[7:], 0, atol=2e-3)


def test_the_coefficients_are_librosas():
    import librosa

    S_db = spectrogram(3).astype(np.float16)
    mfcc = librosa.feature.mfcc(S=S_db.T.astype(np.float64), n_mfcc=7)
    change = mfcc[:, 1:] - mfcc[:, :-1]
    expected = np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1), change.std(axis=1)])
    found = mfcc_statistics(S_db, 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_there_are_no_more_coefficients_than_bands():
    assert mfcc_statistics(spectrogram(0), 30).shape == (3 * 24,)


def coloured_noise(rng: np.random.Generator, colour_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise of 5 s whose bands have these levels."""
    n = N_SEGMENTS * CONFIG.features.sr
    bins = np.fft.rfft(rng.standard_normal(n))
    level_db = np.interp(np.linspace(0, 1, len(bins)), np.linspace(0, 1, 6), colour_db)
    y = np.fft.irfft(bins * 10 ** (level_db / 20), n)
    return 0.5 * y / np.abs(y).max()


def make(root: Path, *, genre_db: float, artist_db: float) -> Made:
    """Make tracks by artists that stay in one split; how far genres and artists differ is given."""
    rng = np.random.default_rng(5)
    rows = []
    for genre in GENRES:
        of_genre = rng.normal(0, genre_db, 6)
        for artist in range(N_ARTISTS):
            colour_db = of_genre + rng.normal(0, artist_db, 6)
            for i in range(N_TRACKS_EACH):
                path = root / f"{genre}-{artist}-{i}.wav"
                soundfile.write(path, coloured_noise(rng, colour_db), CONFIG.features.sr)
                split = {8: "validation", 9: "test"}.get(artist, "train")
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                rows.append((str(path), sha256, genre, split, f"{genre} artist {artist}"))
    columns = ["path", "sha256", "genre", "split", "split_group"]
    catalog = pd.DataFrame(rows, columns=columns).assign(group=lambda made: made["split_group"])
    return catalog, make_store(root / "features", CONFIG.features, catalog)


def make_store(root: Path, config: FeatureConfig, catalog: pd.DataFrame) -> FeatureStore:
    store = FeatureStore(root, config)
    files = [Source(Path(path), duration_s=5.0) for path in catalog["path"]]
    assert not store.build(dict(zip(catalog["sha256"], files, strict=True)), sequential).failures
    return store


@pytest.fixture(scope="module")
def by_sound(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Genres that can be heard."""
    return make(tmp_path_factory.mktemp("sound"), genre_db=15, artist_db=1)


@pytest.fixture(scope="module")
def by_lot(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Artists that can be heard, of genres that cannot."""
    return make(tmp_path_factory.mktemp("lot"), genre_db=0, artist_db=15)


def test_a_genre_that_can_be_heard_is_found_and_nothing_leaks(by_sound: Made):
    found = fit_and_score(*by_sound, GENRES, CONFIG)
    assert found.n_fitted == 48
    assert (found.validation.n_tracks, found.test.n_tracks) == (6, 6)
    assert found.test.resampled == "3 groups of tracks, too few for a sure interval"
    assert found.validation.accuracy.value == found.test.macro_f1.value == 1
    segments = found.segments
    assert (segments.n_tracks, segments.n_segments) == (54, 54 * N_SEGMENTS)
    assert min(segments.by_segment, segments.by_group) > 0.97
    assert abs(segments.leak_points) < 3


def test_where_only_artists_can_be_heard_the_split_by_segment_is_all_leak(by_lot: Made):
    segments = compare_segment_splits(*by_lot, GENRES, CONFIG)
    assert segments.by_segment > 0.7
    # Of three genres; with an artist's tracks on both sides it would be as good as the other.
    assert segments.by_group < 0.5
    assert f"; {round(segments.leak_points)} points of it are leak (" in str(segments)


def test_only_train_tracks_teach(by_sound: Made):
    catalog, store = by_sound
    turned = catalog["genre"].map(dict(zip(GENRES, GENRES[1:] + GENRES[:1], strict=True)))
    told_wrong = catalog.assign(genre=catalog["genre"].where(catalog["split"] == "train", turned))
    found = fit_and_score(told_wrong, store, GENRES, CONFIG)
    assert found.validation.accuracy.value == found.test.accuracy.value == 0


def test_the_warning_does_not_look_at_test_tracks(by_lot: Made):
    catalog, store = by_lot
    unread = catalog.assign(sha256=catalog["sha256"].where(catalog["split"] != TEST, "not there"))
    with pytest.raises(KeyError, match="not there"):
        fit_and_score(unread, store, GENRES, CONFIG)
    expected = compare_segment_splits(catalog, store, GENRES, CONFIG)
    assert compare_segment_splits(unread, store, GENRES, CONFIG) == expected


def test_large_sets_are_drawn_from_by_whole_tracks(by_lot: Made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baseline, "MAX_SEGMENTS", 123)
    monkeypatch.setattr(baseline, "MAX_TRACKS", 17)
    found = fit_and_score(*by_lot, GENRES, CONFIG)
    assert found.n_fitted == 17
    assert (found.segments.n_tracks, found.segments.n_segments) == (24, 120)
    assert fit_and_score(*by_lot, GENRES, CONFIG) == found
    other = fit_and_score(*by_lot, GENRES, CONFIG.model_copy(update={"seed": 1}))
    assert other.segments != found.segments
    # Some of a long track, so that there is room for others.
    monkeypatch.setattr(baseline, "MAX_SEGMENTS_OF_TRACK", 2)
    assert compare_segment_splits(*by_lot, GENRES, CONFIG).n_segments == 54 * 2


def test_a_track_shorter_than_a_segment_is_one(by_lot: Made):
    long = CONFIG.model_copy(update={"baseline": BaselineConfig(n_mfcc=13, segment_s=8)})
    assert compare_segment_splits(*by_lot, GENRES, long).n_segments == 54


def test_two_genres_of_one_group_each_are_told_apart_by_segment_only(by_sound: Made):
    catalog, store = by_sound
    first = {f"{genre} artist 0" for genre in GENRES[:2]}
    few = catalog[catalog["split_group"].isin(first)]
    segments = compare_segment_splits(few, store, GENRES, CONFIG)
    assert segments.by_group == 0
    assert segments.by_segment > 0.9


def test_of_one_group_alone_nothing_is_learnt(by_sound: Made):
    catalog, store = by_sound
    one = catalog[catalog["split"] != "test"].assign(split_group="all", group="all")
    segments = compare_segment_splits(one, store, GENRES, CONFIG)
    assert np.isnan(segments.by_group)
    assert segments.by_segment > 0.9
    assert str(segments).endswith("how much of it is leak cannot be said: all tracks are one group")


def test_figures_on_synthetic_music_say_so(by_lot: Made):
    found = fit_and_score(*by_lot, GENRES, CONFIG)
    made, real = found.metrics(synthetic=True), found.metrics(synthetic=False)
    assert all(name.startswith("synthetic_baseline_") for name in made)
    assert [f"synthetic_{name}" for name in real] == list(made)
    assert real["baseline_test_accuracy"] == found.test.accuracy.value
    assert real["baseline_leak_points"] == found.segments.leak_points
    assert "48 **synthetic** train tracks" in found.markdown(synthetic=True)
    assert "synthetic" not in found.markdown(synthetic=False)
    assert f"**Warning, no score:** {found.segments}" in found.markdown(synthetic=False)


@pytest.mark.slow
def test_it_is_a_floor_worth_the_name_on_real_music(real_data: Path, tmp_path: Path):
    tracks = FolderDataset(real_data / "gtzan_mini" / "genres").listing().tracks
    rows = [(str(t.path), hashlib.sha256(t.path.read_bytes()).hexdigest()) for t in tracks]
    catalog = pd.DataFrame(rows, columns=["path", "sha256"])
    store = make_store(tmp_path, FeatureConfig(), catalog)
    config = BaselineConfig()
    examples = [mfcc_statistics(store[sha256], config.n_mfcc) for sha256 in catalog["sha256"]]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = cross_val_score(make_svm(config), examples, [t.genre for t in tracks], cv=folds)
    assert len(tracks) == 70
    # Of ten genres. Drawn anew, folds give some hundredths more or less.
    assert found.mean() > 0.72
