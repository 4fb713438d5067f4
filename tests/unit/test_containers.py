"""Which files are taken for truncated: headers patched as writers and accidents leave them."""

import io

import numpy as np
import pytest
import soundfile

from genre_mlops.audio import Decoded, decode
from tests.music import tune

SR = 22_050
DURATION_S = 9.0


def written(
    format_: str, subtype: str | None = None, *, sr: int = SR, duration_s: float = DURATION_S
) -> bytes:
    file = io.BytesIO()
    y = tune(seed=1, duration_s=duration_s, sr=sr)
    soundfile.write(file, y, sr, format=format_, subtype=subtype)
    return file.getvalue()


def with_sizes(whole: bytes, sizes: dict[int, bytes]) -> bytes:
    patched = bytearray(whole)
    for offset, size in sizes.items():
        patched[offset : offset + len(size)] = size
    return bytes(patched)


def wav_that_says(n_bytes: int) -> bytes:
    riff = min(n_bytes + 36, 0xFFFF_FFFF)
    return with_sizes(
        written("WAV"), {4: riff.to_bytes(4, "little"), 40: n_bytes.to_bytes(4, "little")}
    )


def aiff_that_says(n_bytes: int) -> bytes:
    whole = written("AIFF")
    at = whole.index(b"SSND") + 4
    sizes = {4: n_bytes + 46, 22: n_bytes // 2, at: n_bytes + 8}
    return with_sizes(whole, {i: size.to_bytes(4, "big") for i, size in sizes.items()})


def lengths(decoded: Decoded) -> tuple[float, float, bool]:
    return decoded.clip.duration_s, decoded.declared_s, decoded.truncated


@pytest.mark.parametrize(
    "n_bytes",
    # ffmpeg; sox; the largest with a sign, and less a header; the largest without, less one.
    [0xFFFF_FFFF, 0x7FFF_F000, 0x7FFF_FFFF, 0x7FFF_FFFF - 36, 0x8000_0000, 0xFFFF_FFFF - 36],
)
def test_a_wav_that_went_through_a_pipe_is_whole(n_bytes: int):
    assert lengths(decode(wav_that_says(n_bytes))) == (DURATION_S, DURATION_S, False)


@pytest.mark.parametrize("n_bytes", [1_000_000, 0x7000_0000, 0xC000_0000])
def test_a_wav_that_says_how_long_it_was_is_truncated(n_bytes: int):
    decoded = decode(wav_that_says(n_bytes))
    assert decoded.truncated
    assert decoded.declared_s == pytest.approx(n_bytes / 2 / SR, rel=1e-3)


@pytest.mark.parametrize("n_bytes", [0x7F00_0000, 0x7F00_0000 - 4])
def test_an_aiff_of_sox_that_went_through_a_pipe_is_whole(n_bytes: int):
    assert lengths(decode(aiff_that_says(n_bytes))) == (DURATION_S, DURATION_S, False)
    assert decode(aiff_that_says(n_bytes // 2)).truncated


@pytest.mark.parametrize(
    ("format_", "sizes"),
    [
        ("AU", {8: b"\xff" * 4}),
        ("AIFF", {4: bytes(4), 22: bytes(4), 42: bytes(4)}),
        ("W64", {16: b"\xff" * 8, 104: b"\xff" * 8}),
        ("RF64", {20: b"\xff" * 7 + b"\x7f", 28: b"\xff" * 7 + b"\x7f"}),
    ],
)
def test_other_containers_that_tell_no_size_are_whole(format_: str, sizes: dict[int, bytes]):
    decoded = decode(with_sizes(written(format_), sizes))
    assert lengths(decoded) == (DURATION_S, DURATION_S, False)


@pytest.mark.parametrize(("subtype", "sr"), [("VORBIS", SR), ("OPUS", 24_000), ("OPUS", 48_000)])
def test_an_ogg_that_lost_its_middle_is_truncated(subtype: str, sr: int):
    whole = written("OGG", subtype, sr=sr)
    assert lengths(decode(whole)) == (DURATION_S, DURATION_S, False)
    n = len(whole)
    for damaged in (
        whole[: n // 3] + whole[n // 2 :],
        whole[: n // 3] + bytes(n // 6) + whole[n // 2 :],
    ):
        decoded = decode(damaged)
        assert decoded.declared_s == DURATION_S
        assert decoded.clip.duration_s < 8
        assert decoded.truncated


# Of a longer second one, libsndfile does not find where the first ends.
@pytest.mark.parametrize("second_s", [3.0, 24.0])
@pytest.mark.parametrize(("subtype", "sr"), [("VORBIS", SR), ("OPUS", 24_000)])
def test_oggs_one_behind_the_other_are_whole(subtype: str, sr: int, second_s: float):
    first = written("OGG", subtype, sr=sr)
    both = decode(first + written("OGG", subtype, sr=sr, duration_s=second_s))
    # The first of them is what is read.
    np.testing.assert_array_equal(both.clip.y, decode(first).clip.y)
    assert lengths(both) == (DURATION_S, DURATION_S, False)
