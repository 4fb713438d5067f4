import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre_mlops.audio import load_clip
from genre_mlops.config import FeatureConfig
from genre_mlops.errors import AudioError
from genre_mlops.logmel import BLOCK_FRAMES, LogMel, mel_filters
from genre_mlops.spectrograms import read_spectrogram
from tests.music import write_tune

CONFIG = FeatureConfig(sr=16_000, n_fft=512, hop_length=200, n_mels=20, fmax=8_000)
LOG_MEL = LogMel(CONFIG, mel_filters(CONFIG))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize(("sr", "stereo"), [(44_100, True), (16_000, False), (8_000, True)])
def test_it_is_the_log_mel_of_the_whole_clip(tmp_path: Path, suffix: str, sr: int, stereo: bool):
    path = write_tune(tmp_path / f"a{suffix}", seed=1, duration_s=11, sr=sr, stereo=stereo)
    clip = load_clip(path, sr=CONFIG.sr)
    found = read_spectrogram(path, LOG_MEL)
    assert found.S_db.dtype == np.float32
    np.testing.assert_array_equal(found.S_db, LOG_MEL(clip))
    assert found.duration_s == pytest.approx(clip.duration_s, abs=1e-3)
    assert not found.truncated
    halves = read_spectrogram(path.read_bytes(), LOG_MEL, dtype=np.float16)
    np.testing.assert_array_equal(halves.S_db, found.S_db.astype(np.float16))
    # It can be kept in a shard as it is.
    assert halves.S_db.flags.c_contiguous


# 881 frames, the last of 17.
@pytest.mark.parametrize("growth_frames", [BLOCK_FRAMES, 50, 200, 880, 881, 882])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_room_for_it_grows_with_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, growth_frames: int, dtype: type[np.floating]
):
    path = write_tune(tmp_path / "a.wav", seed=3, duration_s=11, sr=16_000)
    monkeypatch.setattr("genre_mlops.spectrograms._GROWTH_FRAMES", growth_frames)
    found = read_spectrogram(path, LOG_MEL, dtype=dtype).S_db
    assert found.shape == (881, 20)
    np.testing.assert_array_equal(found, LOG_MEL(load_clip(path, sr=16_000)).astype(dtype))


def test_real_recordings(real_data: Path):
    log_mel = LogMel(FeatureConfig(), mel_filters(FeatureConfig()))
    for path in sorted((real_data / "cc").glob("*.ogg"))[:2]:
        expected = log_mel(load_clip(path, sr=22_050))
        np.testing.assert_array_equal(read_spectrogram(path, log_mel).S_db, expected)


def test_a_long_file_needs_no_more_memory_beside_its_spectrogram(tmp_path: Path):
    path, rng = tmp_path / "long.wav", np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", 32_000, 2) as file:
        for _ in range(200):
            file.write(rng.uniform(-0.3, 0.3, (32_000, 2)).astype(np.float32))
    read_spectrogram(path, LOG_MEL, dtype=np.float16)  # what is made once
    tracemalloc.start()
    try:
        found = read_spectrogram(path, LOG_MEL, dtype=np.float16)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.duration_s == 200
    # The clip alone would be 12.8 MB at 16 kHz.
    assert peak_bytes - found.S_db.nbytes < 3e6


def test_a_lost_end_is_told(tmp_path: Path):
    path = write_tune(tmp_path / "a.wav", seed=2, duration_s=9)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = read_spectrogram(path, LOG_MEL)
    assert found.truncated
    assert found.duration_s == pytest.approx(4.5, abs=0.1)


def test_what_cannot_be_used_is_named(tmp_path: Path):
    path = write_tune(tmp_path / "a.wav", seed=2, duration_s=3)
    with pytest.raises(AudioError, match=r"song: is longer than 2\.5 s"):
        read_spectrogram(path, LOG_MEL, track_id="song", max_duration_s=2.5)
    with pytest.raises(AudioError, match="upload: cannot be decoded"):
        read_spectrogram(b"no music at all", LOG_MEL)
    soundfile.write(tmp_path / "one.wav", np.ones(1), 192_000)
    with pytest.raises(AudioError, match=r"one\.wav: has no samples"):
        read_spectrogram(tmp_path / "one.wav", LOG_MEL)
