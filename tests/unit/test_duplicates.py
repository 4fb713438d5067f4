"""Copies are found however they were made, and nothing else is: on made words and on music."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genre_mlops.audio import decode
from genre_mlops.datasets.demo.dataset import Rendering, render_tracks, track_path
from genre_mlops.domain import Clip
from genre_mlops.duplicates import (
    MAX_BIT_ERROR_RATE,
    MAX_LINKS,
    MAX_PLACES,
    MIN_OVERLAP_S,
    clusters,
    find_duplicates,
    propose,
)
from genre_mlops.errors import DataError
from genre_mlops.fingerprint import HOP_S, NOTHING, fingerprint

Words = NDArray[np.uint32]
Audio = tuple[NDArray[np.float32], int]

# Between two hops: the worst for an excerpt.
MIDDLE_S = 100.5 * HOP_S


def made_words(n_words: int, seed: int) -> Words:
    return np.random.default_rng(seed).integers(1, 1 << 32, n_words, np.uint32)


def damaged(words: Words, *, error_rate: float, seed: int = 0, intact: int = 3) -> Words:
    """Flip a share of the bits, but none in one word of `intact`."""
    rng = np.random.default_rng(seed)
    hit = np.arange(len(words)) % intact > 0
    flips = rng.random((len(words), 32)) < error_rate * len(words) / hit.sum()
    flips[~hit] = False
    return words ^ np.packbits(flips, axis=1).view(">u4")[:, 0].astype(np.uint32)


def pairs_of(tracks: dict[str, Words]) -> set[tuple[str, str]]:
    found = find_duplicates(pd.Series(tracks, dtype=object))
    return set(zip(found["first"], found["second"], strict=True))


# On made words


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(7)), st.sets(st.integers(0, 6)))
def test_neither_order_nor_form_of_the_fingerprints_matters(order: list[int], as_bytes: set[int]):
    whole = made_words(400, 0)
    tracks = {
        "a": whole,
        "b": damaged(whole[120:380], error_rate=0.1),
        "c": made_words(300, 1),
        "d": damaged(whole, error_rate=0.1, seed=1),
        "e": np.empty(0, np.uint32),
        "f": np.full(500, NOTHING, np.uint32),
        "g": np.full(500, NOTHING, np.uint32),
    }
    expected = find_duplicates(pd.Series(tracks))
    assert list(expected["first"] + expected["second"]) == ["ab", "ad", "bd"]
    ids = [list(tracks)[i] for i in order]
    values = [tracks[i].tobytes() if i in as_bytes else tracks[i] for i in ids]
    values[ids.index("e")] = None
    shuffled = pd.Series(values, index=ids, dtype=object)
    pd.testing.assert_frame_equal(find_duplicates(shuffled), expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(-200, 200), st.booleans())
def test_the_offset_is_where_the_second_begins(n_later: int, swapped: bool):
    whole = made_words(700, 0)
    first, second = whole[200:600], whole[200 + n_later : 500 + n_later]
    names = ("b", "a") if swapped else ("a", "b")
    (pair,) = find_duplicates(
        pd.Series(dict(zip(names, (first, second), strict=True)))
    ).itertuples()
    assert pair.offset_s == pytest.approx((-n_later if swapped else n_later) * HOP_S)
    assert pair.overlap_s == pytest.approx((min(400, 300 + n_later) - max(0, n_later)) * HOP_S)
    assert pair.similarity == 1


@pytest.mark.parametrize("error_rate", [0.1, 0.18, 0.22, 0.3])
def test_copies_differ_in_few_bits(error_rate: float):
    whole = made_words(600, 0)
    tracks = pd.Series({"a": whole, "b": damaged(whole, error_rate=error_rate)})
    (pair,) = find_duplicates(tracks, max_bit_error_rate=0.4).itertuples()
    assert pair.similarity == pytest.approx(1 - error_rate, abs=0.01)
    assert len(find_duplicates(tracks)) == (error_rate <= MAX_BIT_ERROR_RATE)


@pytest.mark.parametrize("n_missing", [0, 1])
def test_too_little_in_common_is_no_evidence(n_missing: int):
    n_words = int(np.ceil(MIN_OVERLAP_S / HOP_S)) - n_missing
    shared = made_words(n_words, 0)
    tracks = {"a": np.concatenate([made_words(300, 1), shared]), "b": shared}
    assert len(pairs_of(tracks)) == 1 - n_missing


def test_words_that_say_nothing_are_not_compared():
    one, other = made_words(400, 0), made_words(400, 1)
    for words in (one, other):
        words[50:300] = NOTHING
    assert not pairs_of({"a": one, "b": other})
    copy = one.copy()
    copy[:50] = NOTHING
    (pair,) = find_duplicates(pd.Series({"a": one, "b": copy})).itertuples()
    assert pair.overlap_s == pytest.approx(100 * HOP_S)


def test_words_that_say_nothing_are_not_indexed():
    words = made_words(900, 0)
    words[::2] = NOTHING
    assert not len(propose(words, np.array([0, 300, 600, 900])).first)


def test_every_shared_word_is_a_vote():
    words = made_words(200, 0)
    # The second track begins with the word that ends the first.
    words[-1] = words[0]
    candidates = propose(np.tile(words, 2), np.array([0, 200, 400]))
    assert candidates.votes[candidates.offset == 0] == [200]


def test_a_word_that_lasts_is_one_vote():
    one, other = made_words(200, 0), made_words(200, 1)
    one[50:80] = other[70:100] = 77
    assert not len(propose(np.concatenate([one, other]), np.array([0, 200, 400])).first)


def test_words_shared_one_hop_later_are_votes():
    one, other = made_words(200, 0), made_words(200, 1)
    for place, later in ((30, 0), (60, 0), (90, 1)):
        one[place + 5 + later] = other[place]
    candidates = propose(np.concatenate([one, other]), np.array([0, 200, 400]))
    assert (candidates.offset.tolist(), candidates.votes.tolist()) == ([5], [3])


def test_a_chorus_that_comes_twice_does_not_mislead():
    chorus, verse, end = (made_words(100, seed) for seed in range(3))
    again = damaged(chorus, error_rate=0.15)
    song = np.concatenate([chorus, verse, again, end])
    # More words are shared where the copy's first chorus meets the song's second.
    copy = np.concatenate([again, damaged(song[100:], error_rate=0.15, intact=10)])
    (pair,) = find_duplicates(pd.Series({"a": song, "b": copy})).itertuples()
    assert pair.offset_s == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(100, 200), st.integers(2, 40), st.integers(1, 60), st.integers(0, 200))
def test_whatever_repeats_an_equal_track_is_found_as_a_whole(
    n_before: int, n_loop: int, n_turns: int, n_after: int
):
    before, loop, after = (made_words(n, i) for i, n in enumerate((n_before, n_loop, n_after)))
    track = np.concatenate([before, np.tile(loop, n_turns), after])
    (pair,) = find_duplicates(pd.Series({"a": track, "b": track})).itertuples()
    assert (pair.offset_s, pair.similarity) == (0, 1)
    assert pair.overlap_s == pytest.approx(len(track) * HOP_S)


def test_the_larger_match_goes_before_the_more_exact_one():
    song = made_words(300, 0)
    longer = np.concatenate([damaged(song, error_rate=0.15), song[:100]])
    (pair,) = find_duplicates(pd.Series({"a": song, "b": longer})).itertuples()
    assert pair.offset_s == 0
    assert pair.overlap_s == pytest.approx(300 * HOP_S)


def test_a_loop_leaves_links_to_other_tracks():
    loop = np.tile(made_words(10, 0), 40)
    assert len(pairs_of(dict.fromkeys("abcdefgh", loop))) == 8 * 7 / 2


def test_any_number_of_equal_loops_is_one_cluster():
    loop = np.tile(made_words(10, 0), 10)
    pairs = find_duplicates(pd.Series({f"{i:04d}": loop for i in range(MAX_PLACES // 3)}))
    assert len(pairs) == MAX_PLACES // 3 - 1
    assert not pairs["offset_s"].any()


def test_an_excerpt_of_an_hour_is_found():
    hour = made_words(77_500, 0)
    tracks = {"hour": hour, "minute": damaged(hour[50_000:51_300], error_rate=0.15)}
    (pair,) = find_duplicates(pd.Series(tracks)).itertuples()
    assert pair.offset_s == pytest.approx(50_000 * HOP_S)


@pytest.mark.parametrize("n_copies", [MAX_LINKS + 20, MAX_PLACES + 70])
def test_any_number_of_copies_is_one_cluster_at_linear_cost(n_copies: int):
    whole = made_words(100, 0)
    tracks = pd.Series(
        {f"{i:04d}": damaged(whole, error_rate=0.1, seed=i) for i in range(n_copies)}
    )
    pairs = find_duplicates(tracks)
    assert set(clusters(pairs, tracks.index)) == {"0000"}
    assert len(pairs) <= n_copies * MAX_LINKS


def test_words_that_all_tracks_share_cost_little():
    n_tracks, n_words, n_common = 3_000, 60, 12
    words = made_words(n_tracks * n_words, 0).reshape(n_tracks, n_words)
    # In the same order, but not at the same places.
    rng = np.random.default_rng(1)
    for row in words:
        row[np.sort(rng.choice(n_words, n_common, replace=False))] = np.arange(1, n_common + 1)
    candidates = propose(words.ravel(), np.arange(n_tracks + 1) * n_words)
    assert set(candidates.second - candidates.first) <= {1}
    assert len(candidates.first) <= 3 * n_tracks


def test_a_fingerprint_of_half_a_word_is_refused():
    with pytest.raises(DataError, match=r"x\.wav: a fingerprint of 7 bytes"):
        find_duplicates(pd.Series({"x.wav": b"1234567"}))


def test_a_track_named_twice_is_refused():
    with pytest.raises(DataError, match=r"x\.wav is there twice"):
        find_duplicates(pd.Series([None, None], index=["x.wav", "x.wav"]))


def test_a_name_may_be_no_utf8():
    index = pd.Index(["\udcff", "b"], dtype=object)
    pairs = find_duplicates(pd.Series([made_words(200, 0)] * 2, index=index))
    assert list(pairs["second"]) == ["\udcff"]
    assert list(clusters(pairs, index)) == ["b", "b"]


TRACK_IDS = "abcdefgh"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(TRACK_IDS), st.sampled_from(TRACK_IDS)), max_size=10),
    st.permutations(TRACK_IDS),
)
def test_a_cluster_is_all_that_pairs_join(pairs: list[tuple[str, str]], order: list[str]):
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    clustered = clusters(pd.DataFrame(pairs, columns=["first", "second"]), order)
    assert list(clustered.index) == list(order)
    joined = {track_id: {track_id} for track_id in TRACK_IDS}
    for first, second in pairs:
        union = joined[first] | joined[second]
        joined |= dict.fromkeys(union, union)
    expected = {i: min(group) if len(group) > 1 else None for i, group in joined.items()}
    assert clustered.to_dict() == expected


def test_a_pair_of_unknown_tracks_is_refused():
    pairs = pd.DataFrame({"first": ["a"], "second": ["z"]})
    with pytest.raises(DataError, match="z is in a pair but not among the tracks"):
        clusters(pairs, ["a", "b"])


# On music


def encoded(audio: Audio, *, suffix: str, folder: Path, **how: object) -> Audio:
    """Write and decode; `how` goes to the encoder."""
    path = folder / f"copy{suffix}"
    soundfile.write(path, *audio, **how)
    clip = decode(path).clip
    return clip.y, clip.sr


def to_44k_stereo(audio: Audio, folder: Path) -> Audio:
    y = soxr.resample(*audio, 44_100)
    both = np.stack([y, 0.8 * np.roll(y, 20)], axis=1)
    return encoded((both, 44_100), suffix=".wav", folder=folder)


def middle(audio: Audio, folder: Path, duration_s: int = 12) -> Audio:
    del folder
    y, sr = audio
    return y[round(MIDDLE_S * sr) :][: duration_s * sr], sr


def quieter(audio: Audio, folder: Path) -> Audio:
    return encoded((audio[0] / 4, audio[1]), suffix=".wav", folder=folder)


def six_seconds_of_mp3(audio: Audio, folder: Path) -> Audio:
    return middle(MP3_64(audio, folder=folder), folder, duration_s=6)


# Level 0 is 160 kb/s at these sampling rates, 1 is 8 kb/s.
MP3_128, MP3_64 = (
    partial(encoded, suffix=".mp3", bitrate_mode="CONSTANT", compression_level=(160 - kbps) / 152)
    for kbps in (128, 64)
)
COPIES = {
    "mp3 128 kb/s": MP3_128,
    "mp3 64 kb/s": MP3_64,
    "ogg": partial(encoded, suffix=".ogg"),
    "-12 dB": quieter,
    "44.1 kHz stereo": to_44k_stereo,
    "excerpt": middle,
    "6 s of mp3": six_seconds_of_mp3,
}
# Pairs of pieces by one artist, who plays the same instruments, drum samples and loops.
DEMO_TRACKS = [index + turn for index in (2, 4, 5, 8, 9) for turn in (0, 30)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Audio]:
    rendering = Rendering(tmp_path_factory.mktemp("demo"), seed=0, duration_s=20.0)
    render_tracks(rendering, DEMO_TRACKS)
    names = [track_path(index) for index in DEMO_TRACKS]
    assert len({Path(name).parent for name in names}) == len(names) / 2
    return {name: soundfile.read(rendering.folder / name, dtype="float32") for name in names}


@pytest.fixture(scope="module")
def demo_words(demo: dict[str, Audio]) -> dict[str, Words]:
    return {track_id: fingerprint(Clip(track_id, *audio)) for track_id, audio in demo.items()}


def test_different_music_is_no_duplicate(demo_words: dict[str, Words]):
    assert not pairs_of(demo_words)


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_nothing_else(
    kind: str, demo: dict[str, Audio], demo_words: dict[str, Words], tmp_path: Path
):
    check_copies(COPIES[kind], dict(list(demo.items())[::2]), demo_words, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ogg", "44.1 kHz stereo", "6 s of mp3"])
def test_a_copy_of_a_real_recording_is_found(kind: str, real: dict[str, Audio], tmp_path: Path):
    words = {track_id: fingerprint(Clip(track_id, *audio)) for track_id, audio in real.items()}
    check_copies(COPIES[kind], real, words, tmp_path)


@pytest.fixture(scope="module")
def real(real_data: Path) -> dict[str, Audio]:
    """Twenty seconds of each recording, at 22.05 kHz."""
    return dict(beginnings(real_data / "cc"))


def beginnings(folder: Path) -> Iterator[tuple[str, Audio]]:
    paths = sorted([*folder.glob("*.mp3"), *folder.glob("*.ogg")])
    assert len(paths) == 8
    for path in paths:
        clip = decode(path).clip
        y = soxr.resample(clip.y[5 * clip.sr : 25 * clip.sr], clip.sr, 22_050)
        yield path.name, (y.astype(np.float32), 22_050)


def check_copies(
    copy: Callable[..., Audio], tracks: dict[str, Audio], others: dict[str, Words], folder: Path
) -> None:
    copies = {}
    for track_id, audio in tracks.items():
        copied = copy(audio, folder=folder)
        copies[f"{track_id} copied"] = fingerprint(Clip(track_id, *copied))
    found = find_duplicates(pd.Series(others | copies))
    assert list(found["first"]) == sorted(tracks)
    assert list(found["second"]) == [f"{track_id} copied" for track_id in sorted(tracks)]
    assert (found["similarity"] > 0.9).all()
    begins_s = MIDDLE_S if copy in (middle, six_seconds_of_mp3) else 0.0
    assert found["offset_s"].to_numpy() == pytest.approx(begins_s, abs=0.1)


def test_a_loop_copied_is_found(demo: dict[str, Audio], tmp_path: Path):
    y, sr = next(iter(demo.values()))
    loop = np.tile(y[3 * sr : 5 * sr], 12)
    copied = MP3_64((loop, sr), folder=tmp_path)
    tracks = {"a": fingerprint(Clip("a", loop, sr)), "b": fingerprint(Clip("b", *copied))}
    (pair,) = find_duplicates(pd.Series(tracks)).itertuples()
    # Which turn of the loop is met, nobody can tell.
    assert (pair.offset_s + 1) % 2 == pytest.approx(1, abs=0.1)
    assert pair.similarity > 0.9


@pytest.mark.parametrize("period_s", [10 * HOP_S, 0.375])
@pytest.mark.parametrize("copy", [None, MP3_64], ids=["equal", "mp3 64 kb/s"])
def test_music_around_a_loop_is_found(
    period_s: float, copy: Callable[..., Audio] | None, demo: dict[str, Audio], tmp_path: Path
):
    (before, sr), (after, _) = list(demo.values())[:2]
    n_loop = round(period_s * sr)
    decay = np.exp(-np.arange(n_loop) / (0.05 * sr))
    hit = 0.1 * np.random.default_rng(3).standard_normal(n_loop) * decay
    loop = np.tile(hit, round(18 / period_s))
    y = np.concatenate([before[: 6 * sr], loop, after[: 6 * sr]]).astype(np.float32)
    copied = copy((y, sr), folder=tmp_path) if copy else (y, sr)
    tracks = {"a": fingerprint(Clip("a", y, sr)), "b": fingerprint(Clip("b", *copied))}
    (pair,) = find_duplicates(pd.Series(tracks)).itertuples()
    assert pair.offset_s == pytest.approx(0, abs=0.1)
    assert pair.similarity > 0.85
