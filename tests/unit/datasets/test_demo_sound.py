"""The instruments as they sound, and the mixing desk."""

import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from genre_mlops.datasets.demo.composer import compose, render_rng
from genre_mlops.datasets.demo.instruments import DRUMS, INSTRUMENTS
from genre_mlops.datasets.demo.mixing import render
from genre_mlops.datasets.demo.score import Note, Part, Piece
from genre_mlops.datasets.demo.soundfont import SR, NoteBank, soundfont_bytes, tuned
from genre_mlops.errors import DataError


def play(instrument, pitch, duration_s):
    bank = NoteBank()
    bank.ask(instrument, pitch, duration_s)
    bank.render()
    return bank.note(instrument, pitch)


def play_the_edges(name):
    """Render the ends of an instrument's range, or all drums of a kit."""
    instrument = INSTRUMENTS[name]
    pitches = DRUMS.values() if instrument.is_drum else (instrument.low, instrument.high)
    return [play(instrument, pitch, 0.5) for pitch in pitches]


def test_every_instrument_sounds_at_both_ends_of_its_range_and_returns():
    # In a process of its own: where the synthesizer loops for ever, only that can be stopped.
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        jobs = {name: pool.apply_async(play_the_edges, (name,)) for name in INSTRUMENTS}
        for name, job in jobs.items():
            for y in job.get(timeout=30):
                assert y.size >= 0.5 * SR, name
                assert np.isfinite(y).all(), name
                assert 1e-3 < np.abs(y).max() < 1.0, name


def test_what_came_before_does_not_change_a_note():
    # These two share their samples.
    piano, honky_tonk = INSTRUMENTS["piano"], INSTRUMENTS["honky-tonk"]
    alone = play(piano, 60, 0.5)
    bank = NoteBank()
    bank.ask(honky_tonk, 60, 0.5)
    bank.ask(piano, 60, 0.5)
    bank.render()
    np.testing.assert_array_equal(bank.note(piano, 60), alone)


PLAY_ALL = """
import hashlib
from genre_mlops.datasets.demo.instruments import DRUMS, INSTRUMENTS
from genre_mlops.datasets.demo.soundfont import NoteBank
for one in INSTRUMENTS.values():
    bank = NoteBank()
    pitches = DRUMS.values() if one.is_drum else range(one.low, one.high + 1)
    for pitch in pitches:
        bank.ask(one, pitch, 0.6)
    bank.render()
    for pitch in pitches:
        print(one.name, pitch, hashlib.sha256(bank.note(one, pitch)).hexdigest())
"""


def test_no_note_reads_memory_that_is_not_its_own():
    # The C library fills fresh memory with the byte it is told: a note that changes has read it.
    first, second = (
        subprocess.run(
            [sys.executable, "-c", PLAY_ALL],
            env={**os.environ, "MALLOC_PERTURB_": byte},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout.splitlines()
        for byte in ("85", "171")
    )
    assert len(first) > 2_000
    assert [one for one, other in zip(first, second, strict=True) if one != other] == []


def test_no_instrument_goes_where_the_synthesizer_hangs():
    for instrument in INSTRUMENTS.values():
        assert instrument.high <= 88, instrument.name
        assert instrument.high - instrument.low >= 12, instrument.name


def test_a_pitch_outside_of_the_range_is_refused():
    with pytest.raises(ValueError, match="harmonica plays 58 to 84, got 96"):
        NoteBank().ask(INSTRUMENTS["harmonica"], 96, 1.0)


def off_by_semitones(y, pitch):
    """Where around `pitch` the harmonics of `y` are strongest, in semitones."""
    n_fft = 131_072
    spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size), n_fft))
    offsets = np.arange(-11.0, 11.05, 0.1)

    def strength(offset):
        f0_hz = 440.0 * 2 ** ((pitch - 69 + offset) / 12)
        harmonics = np.arange(1, 9)
        harmonics = harmonics[harmonics * f0_hz < 10_000]
        at = np.round(harmonics * f0_hz * n_fft / SR).astype(int)
        return np.sum(spectrum[at] / np.sqrt(harmonics))

    return offsets[int(np.argmax([strength(offset) for offset in offsets]))]


@pytest.mark.parametrize(
    "name", ["piano", "violin", "steel-guitar", "clean-guitar", "picked-bass", "alto-sax"]
)
def test_instruments_are_in_tune(name):
    instrument = INSTRUMENTS[name]
    middle = (instrument.low + instrument.high) // 2
    for pitch in (middle - 5, middle, middle + 5):
        assert abs(off_by_semitones(play(instrument, pitch, 1.0), pitch)) < 0.35


def test_tuning_adds_sample_headers_and_keeps_the_audio():
    before = soundfont_bytes()
    after = tuned(before)
    assert len(after) > len(before)
    assert (len(after) - len(before)) % 46 == 0
    assert int.from_bytes(after[4:8], "little") == len(after) - 8
    end = before.find(b"pdta")
    assert after[8 : end - 8] == before[8 : end - 8]


def test_without_a_soundfont_the_error_says_what_to_install(monkeypatch):
    def missing(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr("genre_mlops.datasets.demo.soundfont.files", missing)
    with pytest.raises(DataError, match=r"install genre-mlops\[pipeline\]"):
        soundfont_bytes()


@pytest.fixture(scope="module")
def rock():
    return compose(0, 9, 10.0)


def test_noise_and_treble_follow_the_artist(rock):
    piece, artist = rock

    def treble_share(**habits):
        changed = replace(artist, sound=replace(artist.sound, **habits))
        y = render(piece, changed, 5 * SR, render_rng(0, 9))
        power = np.abs(np.fft.rfft(y)) ** 2
        return power[power.size // 2 :].sum() / power.sum()

    dull, bright = treble_share(cutoff_hz=4_000.0), treble_share(cutoff_hz=10_900.0)
    assert bright > 10 * dull
    assert treble_share(hiss_db=-20.0, cutoff_hz=10_900.0) > bright


def late_share(artist, name):
    """Share of the energy of one long note that is in its second half."""
    note = Note(beat=0.0, length=8.0, pitch=60, velocity=100)
    part = Part("comp", INSTRUMENTS[name], (note,))
    piece = Piece("rock", "someone", 0, 120.0, 4, 0.5, 0.5, "none", (), (part,))
    dry = replace(artist.sound, wet=0.0, squash=0.0, drive=0.0, hiss_db=-90.0, crackle=0.0)
    y = render(piece, replace(artist, sound=dry), 4 * SR, render_rng(0, 9))
    return np.sum(y[2 * SR :] ** 2) / np.sum(y**2)


def test_strings_struck_decay_and_pipes_blown_do_not(rock):
    _, artist = rock
    assert late_share(artist, "piano") < 0.1
    assert late_share(artist, "banjo") < 0.01
    assert 0.4 < late_share(artist, "drawbar-organ") < 0.6


@pytest.mark.parametrize("level_dbfs", [-29.0, -18.0])
def test_the_level_is_what_the_artist_wants(rock, level_dbfs):
    piece, artist = rock
    changed = replace(artist, sound=replace(artist.sound, level_dbfs=level_dbfs))
    y = render(piece, changed, 5 * SR, render_rng(0, 9))
    assert y.dtype == np.float32
    assert 20 * np.log10(np.sqrt(np.mean(y**2))) == pytest.approx(level_dbfs, abs=3.5)


def test_a_loud_artist_is_limited_and_not_clipped(rock):
    piece, artist = rock
    changed = replace(artist, sound=replace(artist.sound, level_dbfs=0.0, squash=0.0, drive=0.0))
    y = render(piece, changed, 5 * SR, render_rng(0, 9))
    assert np.abs(y).max() < 0.99
    assert np.mean(np.abs(y) > 0.75) < 0.004
