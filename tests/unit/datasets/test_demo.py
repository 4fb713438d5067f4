import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest
import soundfile as sf

from genre_mlops.datasets.demo import GENRES, DemoDataset
from genre_mlops.datasets.demo.artists import place
from genre_mlops.datasets.demo.dataset import track_path
from genre_mlops.domain import sequential
from genre_mlops.errors import ConfigError

SR = 22_050
DURATION_S = 10.3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Twelve tracks: every genre, and two of them twice."""
    made = DemoDataset(tmp_path_factory.mktemp("demo"), n_tracks=12, duration_s=DURATION_S, seed=7)
    made.prepare(sequential)
    return made


@pytest.fixture(scope="module")
def clips(dataset):
    return {
        track.track_id: sf.read(track.path, dtype="float32")[0]
        for track in dataset.listing().tracks
    }


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def all_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_it_says_that_it_is_synthetic(dataset):
    assert dataset.synthetic
    assert dataset.name == "demo"
    assert "MIT" in dataset.licence
    assert "TimGM6mb" in dataset.licence


def test_genres_take_turns_and_ids_are_sorted_paths(dataset):
    tracks = dataset.listing().tracks
    counts = Counter(track.genre for track in tracks)
    assert counts == {genre: 2 if genre in GENRES[:2] else 1 for genre in GENRES}
    assert [track.track_id for track in tracks] == sorted(track.track_id for track in tracks)
    for track in tracks:
        assert track.path == dataset.folder / track.track_id
        assert track.track_id.split("/")[:2] == [track.genre, track.group]


def test_files_are_mono_pcm16_of_the_exact_length(dataset):
    for track in dataset.listing().tracks:
        info = sf.info(track.path)
        assert (info.samplerate, info.channels, info.subtype) == (SR, 1, "PCM_16")
        assert info.frames == round(DURATION_S * SR)


def test_levels_vary_within_bounds_and_nothing_is_silent_or_broken(clips):
    levels_db = [20 * np.log10(np.sqrt(np.mean(y**2))) for y in clips.values()]
    assert min(levels_db) > -31
    assert max(levels_db) < -9.9
    assert np.ptp(levels_db) > 5
    for track_id, y in clips.items():
        frames = y[: y.size // 2_205 * 2_205].reshape(-1, 2_205)
        assert np.mean(np.sqrt(np.mean(frames**2, axis=1)) < 1e-3) < 0.2, track_id
        assert np.mean(np.abs(y) > 0.97) < 0.002, track_id
        assert abs(np.mean(y)) < 0.01, track_id


def test_no_two_tracks_are_equal(clips):
    for (one, y), (other, z) in combinations(clips.items(), 2):
        assert abs(np.corrcoef(y, z)[0, 1]) < 0.5, (one, other)


def test_another_process_and_another_number_of_tracks_give_the_same_bytes(dataset, tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from genre_mlops.datasets.demo import DemoDataset\n"
        "from genre_mlops.domain import sequential\n"
        f"DemoDataset(Path(sys.argv[1]), n_tracks=3, duration_s={DURATION_S}, seed=7)"
        ".prepare(sequential)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120)
    made = all_files(tmp_path)
    assert len(made) == 3
    for path in made:
        assert sha256(path) == sha256(dataset.folder.parent / path.relative_to(tmp_path))


@pytest.mark.parametrize("other", [{"seed": 8}, {"duration_s": 10.0}], ids=["seed", "duration"])
def test_other_settings_have_other_folders(tmp_path, other):
    settings = {"duration_s": DURATION_S, "seed": 7}
    folders = {
        DemoDataset(tmp_path, n_tracks=n, **values).folder
        for n in (3, 5)
        for values in (settings, settings | other)
    }
    assert len(folders) == 2


def test_another_seed_gives_other_music(dataset, tmp_path):
    other = DemoDataset(tmp_path, n_tracks=1, duration_s=DURATION_S, seed=8)
    other.prepare(sequential)
    assert sha256(other.listing().tracks[0].path) != sha256(dataset.folder / track_path(0))


def test_prepare_makes_only_what_is_missing(tmp_path):
    dataset = DemoDataset(tmp_path, n_tracks=3, duration_s=10.0)
    dataset.prepare(sequential)
    gone, *kept = (track.path for track in dataset.listing().tracks)
    before = sha256(gone)
    times_ns = [path.stat().st_mtime_ns for path in kept]
    gone.unlink()
    leftover = gone.with_name(f"{gone.name}.1.tmp")
    leftover.write_bytes(b"half a file")
    assert len(dataset.listing().tracks) == 2

    handed_out = []

    def counting(function, items, *, label):
        assert label == "render demo"
        handed_out.extend(items)
        return sequential(function, items, label=label)

    DemoDataset(tmp_path, n_tracks=3, duration_s=10.0).prepare(counting)
    assert [len(item) for item in handed_out] == [1]
    assert sha256(gone) == before
    assert [path.stat().st_mtime_ns for path in kept] == times_ns
    assert len(dataset.listing().tracks) == 3
    dataset.prepare(counting)
    assert len(handed_out) == 1


def test_work_is_handed_out_in_small_groups(tmp_path):
    handed_out = []

    def nothing(function, items, *, label):
        handed_out.extend(items)
        return []

    DemoDataset(tmp_path, n_tracks=23).prepare(nothing)
    assert sorted(index for item in handed_out for index in item) == list(range(23))
    assert max(len(item) for item in handed_out) == 4


def test_a_render_that_fails_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    def full_disk(path, *args, **kwargs):
        path.write_bytes(b"RIFF")
        raise OSError("no space left on device")

    monkeypatch.setattr(sf, "write", full_disk)
    dataset = DemoDataset(tmp_path, n_tracks=1, duration_s=10.0)
    with pytest.raises(OSError, match="no space"):
        dataset.prepare(sequential)
    assert dataset.listing().tracks == ()


def test_artists_have_several_tracks_and_are_spread_early():
    tracks_of = defaultdict(list)
    for index in range(160):
        genre, artist, _ = place(index)
        tracks_of[genre, artist].append(index)
    assert Counter(genre for genre, _ in tracks_of) == dict.fromkeys(GENRES, 6)
    assert {len(tracks) for tracks in tracks_of.values()} <= {2, 3}
    # Thirty tracks are enough for three artists a genre.
    assert len({place(index)[:2] for index in range(30)}) == 30


@pytest.mark.parametrize(
    "wrong",
    [{"n_tracks": 0}, {"duration_s": 9.9}, {"duration_s": float("nan")}, {"seed": -1}],
    ids=str,
)
def test_settings_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="demo: expected"):
        DemoDataset(tmp_path, **wrong)


@pytest.mark.slow
def test_a_linear_model_on_mfcc_means_finds_it_neither_trivial_nor_hopeless(tmp_path):
    import librosa
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Of half the default's length: that of 30 s says more and takes twice as long.
    dataset = DemoDataset(tmp_path, duration_s=15.0)
    dataset.prepare(sequential)
    tracks = dataset.listing().tracks
    assert len(tracks) == 160
    means = np.array(
        [
            librosa.feature.mfcc(y=sf.read(track.path, dtype="float32")[0], sr=SR).mean(axis=1)
            for track in tracks
        ]
    )
    scores = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=3_000)),
        means,
        [track.genre for track in tracks],
        groups=[track.group for track in tracks],
        cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
    )
    assert 0.45 < scores.mean() < 0.85
