import errno
import io
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlops import sound_files
from genre_mlops.audio import decode, load_clip, resample, resample_blocks, stream
from genre_mlops.domain import Clip
from genre_mlops.errors import AudioError
from genre_mlops.sound_files import SlowError, SoundReader
from tests.damage import hold_up
from tests.music import tune, write_tune


def computes_on(block: np.ndarray) -> np.ndarray:
    """Return the block after 0.2 s of computing."""
    until_s = time.thread_time() + 0.2
    while time.thread_time() < until_s:
        pass
    return block


@pytest.mark.parametrize("suffix", [".wav", ".au", ".flac", ".aiff", ".ogg", ".mp3"])
def test_every_format_gives_the_same_clip_from_path_and_bytes(tmp_path: Path, suffix: str):
    path = write_tune(tmp_path / f"a{suffix}", seed=1, duration_s=2.5, sr=32_000)
    from_path, from_bytes = decode(path), decode(path.read_bytes())
    assert from_path.clip.sr == 32_000
    assert from_path.clip.duration_s == pytest.approx(2.5, abs=0.1)
    assert not from_path.truncated
    np.testing.assert_array_equal(from_path.clip.y, from_bytes.clip.y)


def test_the_mix_is_the_mean_of_the_channels(tmp_path: Path):
    channels = np.stack([tune(seed=i, duration_s=20, sr=16_000) for i in range(3)], axis=1) / 3
    soundfile.write(tmp_path / "a.wav", channels, 16_000, subtype="FLOAT")
    decoded = decode(tmp_path / "a.wav")
    assert decoded.n_channels == 3
    # Read in several blocks: 20 s of three channels is more than one holds.
    np.testing.assert_allclose(decoded.clip.y, channels.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".w64", ".au", ".aiff", ".ogg", ".mp3"])
def test_a_lost_end_is_noticed(tmp_path: Path, suffix: str):
    path = write_tune(tmp_path / f"a{suffix}", seed=2, duration_s=9)
    whole = path.read_bytes()
    assert not decode(path).truncated
    path.write_bytes(whole[: len(whole) // 2])
    decoded = decode(path)
    assert decoded.truncated
    assert 3 < decoded.clip.duration_s < 6


def test_a_flac_with_a_lost_end_is_an_error(tmp_path: Path):
    path = write_tune(tmp_path / "a.flac", seed=2)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(AudioError, match="cannot be decoded: flac decoder lost sync"):
        decode(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.wav", b"", r"is empty \(0 bytes\)"),
        ("a.mp3", b"this is no music\n" * 40, "cannot be decoded: format not recognised"),
        ("a.raw", b"\1\2" * 400, "cannot be decoded: format not recognised"),
        ("a.wav", b"RIFF\x10\0\0\0WAVE", "cannot be decoded"),
        ("a.mp3", b"ID3\x04\0\0\0\0\x7f\x7f", "cannot be decoded"),
        ("a.m4a", b"\0\0\0 ftypM4A " + b"x" * 200, ".m4a is not supported: convert it"),
    ],
)
def test_what_is_no_audio_is_an_error_with_a_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        decode(tmp_path / name)


def test_a_wav_without_samples_and_one_of_infinities(tmp_path: Path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8_000)
    with pytest.raises(AudioError, match="holds no samples"):
        decode(tmp_path / "none.wav")
    soundfile.write(tmp_path / "inf.wav", np.full(800, np.inf), 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        decode(tmp_path / "inf.wav")


def test_channels_that_cancel_each_other_do_not_hide_what_is_absurd(tmp_path: Path):
    y = np.full((900, 2), [3e38, -3e38], np.float32)
    soundfile.write(tmp_path / "a.wav", y, 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="absurdly large"):
        decode(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_one_sample_that_is_no_amplitude_is_enough(tmp_path: Path, value: float, n_channels: int):
    y = np.zeros((90_000, n_channels), np.float32)
    y[70_000, n_channels - 1] = value
    soundfile.write(tmp_path / "a.wav", y, 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite numbers, or absurdly large"):
        decode(tmp_path / "a.wav")


def test_amplitudes_of_integers_in_a_float_file_are_kept(tmp_path: Path):
    y = np.array([-(2.0**31), 5.0, 2.0**31], np.float32)
    soundfile.write(tmp_path / "a.wav", y, 8_000, subtype="FLOAT")
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").clip.y, y)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_kind_of_sample_of_a_wav_is_read(tmp_path: Path, subtype: str):
    y = tune(seed=5, duration_s=1.5, sr=11_025)
    soundfile.write(tmp_path / "a.wav", y, 11_025, subtype=subtype)
    decoded = decode(tmp_path / "a.wav")
    assert decoded.format == f"WAV/{subtype}"
    # u-law has steps of 1/32 near full scale.
    np.testing.assert_allclose(decoded.clip.y, y, atol=0.02)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("stereo", [False, True])
def test_the_blocks_are_the_clip_and_none_is_large(tmp_path: Path, suffix: str, stereo: bool):
    path = write_tune(tmp_path / f"a{suffix}", seed=1, duration_s=21, sr=32_000, stereo=stereo)
    decoded = decode(path)
    with stream(path) as recording:
        assert (recording.sr, recording.n_channels) == (32_000, 1 + stereo)
        blocks = list(recording.blocks())
        assert recording.declared_s == decoded.declared_s
        assert recording.truncated is decoded.truncated is False
    assert len(blocks) > 2
    assert max(block.size for block in blocks) * recording.n_channels <= 1 << 16
    np.testing.assert_array_equal(np.concatenate(blocks), decoded.clip.y)


def test_an_mp3_in_blocks_is_the_mp3_at_once(tmp_path: Path):
    # At its lowest bit rate frames lean much on earlier ones.
    soundfile.write(
        tmp_path / "a.mp3",
        tune(seed=1, duration_s=21, sr=16_000),
        16_000,
        bitrate_mode="CONSTANT",
        compression_level=0.99,
    )
    at_once = soundfile.read(tmp_path / "a.mp3", dtype="float32")[0]
    with stream(tmp_path / "a.mp3") as recording:
        blocks = list(recording.blocks())
    assert len(blocks) > 3
    np.testing.assert_allclose(np.concatenate(blocks), at_once, atol=1e-6)


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path: Path):
    path = write_tune(tmp_path / "a.flac", seed=1, duration_s=9)
    whole, known = path.read_bytes(), decode(path)
    # The last 36 bits before the digest of its first block: what an encoder leaves in a pipe.
    piped = whole[:21] + bytes([whole[21] & 0xF0]) + bytes(4) + whole[26:]
    unknown = decode(piped)
    np.testing.assert_array_equal(unknown.clip.y, known.clip.y)
    assert (unknown.declared_s, unknown.truncated) == (9, False)
    with pytest.raises(AudioError, match="cannot be decoded: flac decoder lost sync"):
        decode(piped[: len(piped) // 2])


def test_a_tag_behind_the_last_frame_is_not_decoded(tmp_path: Path):
    path = write_tune(tmp_path / "a.flac", seed=1)
    clip = decode(path.read_bytes() + b"TAG" + bytes(125)).clip
    np.testing.assert_array_equal(clip.y, decode(path).clip.y)


def test_how_long_decoding_may_take_follows_from_what_it_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_tune(tmp_path / "a.wav", seed=1, duration_s=6, sr=32_000)
    monkeypatch.setattr(sound_files, "_START_S", 0.05)
    # Three blocks.
    for least_speed in (1.0, 1e9):
        monkeypatch.setattr(sound_files, "_LEAST_SPEED", least_speed)
        with stream(path) as recording:
            blocks = recording.blocks()
            if least_speed == 1:
                assert sum(block.size for block in map(computes_on, blocks)) == 6 * 32_000
            else:
                with pytest.raises(SlowError, match="takes too long to decode: given up") as found:
                    list(map(computes_on, blocks))
    # What it took, not what it might have.
    assert float(re.findall(r"after ([\d.]+) s of computing", str(found.value))[0]) >= 0.2


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_damage_that_holds_up_the_opening_is_given_up(
    monkeypatch: pytest.MonkeyPatch, subtype: str
):
    monkeypatch.setattr(sound_files, "_START_S", 0.2)
    with pytest.raises(AudioError, match=r"given up 0 s into it, after 0\.[2-9] s of computing"):
        decode(hold_up(subtype, n_bytes=3_000_000))


def test_a_disc_that_fails_is_not_the_recordings_fault():
    class Failing(io.BytesIO):
        def readinto(self, buffer: bytearray) -> int:
            if self.tell() + len(buffer) > 40_000:
                raise OSError(errno.EIO, "Input/output error")
            return super().readinto(buffer)

    file = io.BytesIO()
    soundfile.write(file, tune(seed=1, duration_s=9, sr=22_050), 22_050, format="WAV")
    with SoundReader(Failing(file.getvalue()), "a", ".wav") as reader:
        assert len(reader.read(1_000)) == 1_000
        with pytest.raises(AudioError, match="a: cannot be read: Input/output error") as found:
            reader.read(60_000)
    assert isinstance(found.value.__cause__, OSError)


def test_missing_files_and_folders(tmp_path: Path):
    with pytest.raises(AudioError, match="No such file"):
        decode(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="cannot be read"):
        decode(tmp_path)


def test_the_limit_on_duration_holds(tmp_path: Path):
    path = write_tune(tmp_path / "a.wav", seed=3, duration_s=4)
    assert decode(path, max_duration_s=4).clip.duration_s == 4
    with pytest.raises(AudioError, match=r"is longer than 3\.5 s"):
        decode(path, track_id="a", max_duration_s=3.5)


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="cannot be read: it is no regular file"):
        decode(tmp_path / "pipe.wav")


@pytest.mark.parametrize(("sr", "to_sr"), [(44_100, 22_050), (32_000, 22_050), (8_000, 22_050)])
def test_resampling_keeps_a_tone(sr: int, to_sr: int):
    t = np.arange(3 * sr) / sr
    tone = Clip("tone", np.sin(2 * np.pi * 1_000 * t).astype(np.float32), sr)
    at = resample(tone, to_sr)
    assert at.y.dtype == np.float32
    assert at.duration_s == pytest.approx(3, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(at.y[: 2 * to_sr]))
    assert np.argmax(spectrum) / 2 == pytest.approx(1_000, abs=1)


@settings(max_examples=40, deadline=None)
@given(
    sr=st.sampled_from([8_000, 22_050, 32_000, 44_100, 48_000, 96_000]),
    n_samples=st.integers(1, 90_000),
    cuts=st.lists(st.integers(0, 90_000), max_size=9),
)
def test_resampling_in_blocks_is_resampling_at_once(sr: int, n_samples: int, cuts: list[int]):
    y = tune(seed=sr, duration_s=90_000 / sr, sr=sr)[:n_samples].astype(np.float32)
    blocks = [block for block in np.split(y, sorted(cuts)) if block.size]
    found = np.concatenate(list(resample_blocks(blocks, sr, 22_050)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, resample(Clip("tune", y, sr), 22_050).y)


def test_loading_real_recordings(real_data: Path):
    paths = sorted((real_data / "cc").glob("*.mp3")) + sorted((real_data / "cc").glob("*.ogg"))
    assert len(paths) == 8
    for path in paths:
        decoded = decode(path)
        assert (decoded.n_channels, decoded.truncated) == (2, False), path.name
        assert load_clip(path, sr=22_050).duration_s == pytest.approx(
            decoded.clip.duration_s, abs=1e-3
        )
