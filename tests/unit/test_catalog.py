from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre_mlops import catalog
from genre_mlops.catalog import build_catalog, read_file
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import Track, sequential
from tests.music import write_tune


def read(path: Path) -> catalog.Reading:
    return read_file(Track(path.name, path, "any"))


def test_levels_are_relative_to_full_scale(tmp_path: Path):
    sr = 8_000
    square = np.where(np.arange(2 * sr) % 80 < 40, 1.0, -1.0)
    soundfile.write(tmp_path / "half.wav", square / 2, sr, subtype="FLOAT")
    half = read(tmp_path / "half.wav")
    assert (half.rms_dbfs, half.peak_dbfs) == pytest.approx((-6.0206, -6.0206), abs=1e-3)
    assert (half.clipping_share, half.silence_share) == (0, 0)
    square[: sr // 2] = 0
    soundfile.write(tmp_path / "full.wav", square, sr, subtype="FLOAT")
    full = read(tmp_path / "full.wav")
    assert full.clipping_share == pytest.approx(0.75)
    assert full.silence_share == pytest.approx(0.25)
    assert (full.sr, full.n_channels, full.duration_s, full.format) == (sr, 1, 2.0, "WAV/FLOAT")


def test_the_same_audio_in_another_container_has_the_same_pcm_digest(tmp_path: Path):
    wav = write_tune(tmp_path / "a.wav", seed=1)
    y, sr = soundfile.read(wav)
    soundfile.write(tmp_path / "a.flac", y, sr)
    one, two = read(wav), read(tmp_path / "a.flac")
    assert one.pcm_sha256 == two.pcm_sha256
    assert one.sha256 != two.sha256
    assert read(write_tune(tmp_path / "b.wav", seed=2)).pcm_sha256 != one.pcm_sha256


def test_a_catalog_has_a_row_a_file_with_every_fault(hard_folder: Path, tmp_path: Path):
    listing = FolderDataset(hard_folder).listing()
    found = build_catalog(listing, cache=tmp_path / "c.parquet", run=sequential)
    assert list(found.index) == [track.track_id for track in listing.tracks]
    assert len(found) == 19
    errors = found["error"].dropna().to_dict()
    assert set(errors) == {"hum/zero.wav", "hum/text.mp3"}
    assert found.index[found["truncated"].eq(True)].to_list() == ["hum/cut.mp3"]
    assert found.at["whistle/silent.wav", "silence_share"] == 1


def test_an_unchanged_file_is_not_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for i in range(3):
        write_tune(tmp_path / "m" / "g" / f"{i}.wav", seed=i)
    source, cache = FolderDataset(tmp_path / "m"), tmp_path / "c.parquet"
    first = build_catalog(source.listing(), cache=cache, run=sequential)

    read_again: list[str] = []
    real = catalog.read_file
    monkeypatch.setattr(catalog, "read_file", lambda t: (read_again.append(t.track_id), real(t))[1])
    again = build_catalog(source.listing(), cache=cache, run=sequential)
    assert read_again == []
    assert again.equals(first)
    write_tune(tmp_path / "m" / "g" / "1.wav", seed=9)
    changed = build_catalog(source.listing(), cache=cache, run=sequential)
    assert read_again == ["g/1.wav"]
    assert changed["sha256"].ne(first["sha256"]).to_list() == [False, True, False]


def test_a_killed_reading_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalog, "FILES_PER_TASK", 2)
    for i in range(6):
        write_tune(tmp_path / "m" / "g" / f"{i}.wav", seed=i)
    listing, cache = FolderDataset(tmp_path / "m").listing(), tmp_path / "c.parquet"

    def stops_half_way(function, items, *, label):
        yield function(items[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_catalog(listing, cache=cache, run=stops_half_way)
    tasks: list = []

    def counts(function, items, *, label):
        tasks.extend(items)
        return map(function, items)

    assert len(build_catalog(listing, cache=cache, run=counts)) == 6
    assert len(tasks) == 2


def test_a_cache_of_another_version_is_read_anew(tmp_path: Path):
    write_tune(tmp_path / "m" / "g" / "0.wav", seed=0)
    listing, cache = FolderDataset(tmp_path / "m").listing(), tmp_path / "c.parquet"
    cache.write_bytes(b"not a table")
    assert build_catalog(listing, cache=cache, run=sequential)["error"].isna().all()
