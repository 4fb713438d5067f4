"""From events to audio: single notes put together, then the artist's mixing desk."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from genre_mlops.datasets.demo.artists import Artist, Sound
from genre_mlops.datasets.demo.instruments import (
    DRUM_DECAY_S,
    DRUMS,
    OTHER_DRUM_DECAY_S,
    Instrument,
)
from genre_mlops.datasets.demo.performance import Event, perform
from genre_mlops.datasets.demo.score import Piece
from genre_mlops.datasets.demo.soundfont import SR, NoteBank

Audio = NDArray[np.float32]

_ROLES_DB = {"drums": 2.0, "bass": -2.0, "comp": -4.0, "comp-2": -5.0, "pad": -5.0, "lead": -3.5}
_AMPLIFIED = {"overdriven-guitar": 2.0, "distorted-guitar": 5.0}
"""Guitars that go through an amplifier, and how far it is turned up."""
_DRUM_DECAYS_S = {DRUMS[name]: decay_s for name, decay_s in DRUM_DECAY_S.items()}
_SLIDE_S = 0.09
_FADE_S = 0.03
_FRAME = 512
_LEVELS_DBFS = (-30.0, -10.0)
_KNEE = 0.75
"""Amplitude from which the limiter rounds off."""


@dataclass(frozen=True, slots=True)
class _Take:
    """What one player played."""

    role: str
    instrument: Instrument
    events: list[Event]


def render(piece: Piece, artist: Artist, n_samples: int, rng: np.random.Generator) -> Audio:
    """Play and mix a piece.

    Parameters
    ----------
    piece : Piece
        At least as long as `n_samples`.
    artist : Artist
        Who plays and how it is recorded.
    n_samples : int
        Length of the result at `SR`.
    rng : Generator
        Of this performance.

    Returns
    -------
    ndarray [shape=(n_samples,), dtype=float32]
        Mono audio within full scale.
    """
    takes = [
        _Take(part.role, part.instrument, perform(part, piece, artist, rng)) for part in piece.parts
    ]
    bank = _bank(takes)
    mix = np.zeros(n_samples, np.float32)
    for take in takes:
        stem = _stem(take, bank, n_samples)
        level_db = _ROLES_DB[take.role] + artist.gains_db[take.role]
        mix += _loudness(stem, level_db + float(rng.normal(0.0, 0.8)))
    return _record(mix, artist.sound, 60.0 / piece.tempo_bpm, rng)


def _bank(takes: list[_Take]) -> NoteBank:
    bank = NoteBank()
    for take in takes:
        for event in take.events:
            bank.ask(take.instrument, event.pitch, _sounding_s(take.instrument, event))
    bank.render()
    return bank


def _sounding_s(instrument: Instrument, event: Event) -> float:
    if instrument.is_drum:
        # After five times its decay a drum is 43 dB down.
        return 5.0 * _DRUM_DECAYS_S.get(event.pitch, OTHER_DRUM_DECAY_S)
    # A slide from below reads the recording slower, one from above faster.
    return event.duration_s + instrument.release_s + 0.02 * (event.bend > 0)


def _stem(take: _Take, bank: NoteBank, n_samples: int) -> Audio:
    stem = np.zeros(n_samples, np.float32)
    for event in take.events:
        start = round(event.onset_s * SR)
        if start >= n_samples:
            continue
        note = bank.note(take.instrument, event.pitch)
        note = note[: round(_sounding_s(take.instrument, event) * SR)]
        if event.bend:
            note = _slide(note, event.bend)
        note = note * _envelope(take.instrument, event, note.size)
        note = note[: n_samples - start]
        stem[start : start + note.size] += np.float32(event.gain) * note
    turned_up = _AMPLIFIED.get(take.instrument.name)
    return _amplifier(stem, turned_up) if turned_up else stem


def _slide(note: Audio, bend: float) -> Audio:
    """Begin `bend` semitones off and glide into the pitch."""
    n_glide = min(round(_SLIDE_S * SR), note.size)
    speed = np.ones(note.size)
    speed[:n_glide] = 2.0 ** (bend / 12.0 * np.linspace(1.0, 0.0, n_glide))
    at = np.cumsum(speed) - speed[0]
    return np.asarray(np.interp(at, np.arange(note.size), note), dtype=np.float32)


def _envelope(instrument: Instrument, event: Event, n_samples: int) -> Audio:
    """Shape a note, which the synthesizer plays at one loudness: swell, decay and release."""
    at_s = np.arange(n_samples, dtype=np.float32) / SR
    if instrument.is_drum:
        return np.exp(-at_s / np.float32(_DRUM_DECAYS_S.get(event.pitch, OTHER_DRUM_DECAY_S)))
    envelope = np.ones(n_samples, np.float32)
    if instrument.decay_s:
        # Short strings fall silent sooner than long ones.
        decay_s = instrument.decay_s * 2.0 ** ((60 - event.pitch) / 24.0)
        envelope = np.exp(-at_s / np.float32(decay_s))
    if instrument.attack_s:
        n_attack = min(round(instrument.attack_s * SR), n_samples)
        envelope[:n_attack] *= np.linspace(0.0, 1.0, n_attack, dtype=np.float32)
    n_held = min(round(event.duration_s * SR), n_samples)
    envelope[n_held:] *= np.linspace(1.0, 0.0, n_samples - n_held, dtype=np.float32) ** 2
    return envelope


def _amplifier(stem: Audio, turned_up: float) -> Audio:
    """Overdrive a guitar and play it through a loudspeaker that ends at 5 kHz."""
    loud = float(np.sqrt(np.mean(np.square(stem)))) + 1e-9
    driven = np.tanh(stem * np.float32(turned_up / (3.0 * loud)))
    speaker = signal.butter(2, [80.0, 5_000.0], "bandpass", fs=SR, output="sos")
    return np.asarray(signal.sosfilt(speaker, driven), dtype=np.float32)


def _frames_rms(y: Audio) -> Audio:
    n_frames = max(y.size // _FRAME, 1)
    frames = y[: n_frames * _FRAME].reshape(n_frames, -1)
    return np.asarray(np.sqrt(np.mean(np.square(frames), axis=1)), dtype=np.float32)


def _loudness(stem: Audio, level_db: float) -> Audio:
    """Bring a stem to a level, measured where it plays."""
    rms = _frames_rms(stem)
    playing = rms[rms > 0.03 * rms.max()] if rms.max() > 0 else rms + 1.0
    return stem * np.float32(10.0 ** (level_db / 20.0) / np.sqrt(np.mean(np.square(playing))))


def _record(mix: Audio, sound: Sound, beat_s: float, rng: np.random.Generator) -> Audio:
    """Equalizer and room, compressor and saturation, noise, band limits, level."""
    y = _tone_and_room(mix, sound, beat_s, rng)
    y = _compress(y, sound.squash)
    y = y / np.float32(np.sqrt(np.mean(np.square(y))) + 1e-12)
    if sound.drive > 0.02:
        y = np.tanh(np.float32(sound.drive) * y) / np.float32(sound.drive)
    y = y + _noise(y.size, sound, rng)
    if sound.cutoff_hz < 0.49 * SR:
        order = signal.butter(4, sound.cutoff_hz, "lowpass", fs=SR, output="sos")
        y = np.asarray(signal.sosfilt(order, y), dtype=np.float32)
    level_dbfs = np.clip(sound.level_dbfs + rng.normal(0.0, 1.0), *_LEVELS_DBFS)
    y = _level(y, float(level_dbfs))
    n_fade = round(_FADE_S * SR)
    y[-n_fade:] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)
    return y


def _tone_and_room(y: Audio, sound: Sound, beat_s: float, rng: np.random.Generator) -> Audio:
    n_room = round(1.5 * sound.room_s * SR)
    room = rng.standard_normal(n_room) * 10.0 ** (-3.0 * np.arange(n_room) / (sound.room_s * SR))
    # Walls take the treble first.
    room = signal.lfilter([0.35], [1.0, -0.65], room)
    impulse = np.zeros(max(n_room, round(4.1 * beat_s * SR)))
    impulse[:n_room] = sound.wet * room / np.sqrt(np.sum(np.square(room)))
    impulse[0] = 1.0 - sound.wet
    for repeat in range(1, 5):
        impulse[round(0.75 * repeat * beat_s * SR)] += sound.echo**repeat
    n_fft = fft.next_fast_len(y.size + impulse.size, real=True)
    hz = fft.rfftfreq(n_fft, 1.0 / SR)
    spectrum = fft.rfft(y, n_fft) * fft.rfft(impulse.astype(np.float32), n_fft)
    spectrum *= _equalizer(hz, sound).astype(np.float32)
    return np.asarray(fft.irfft(spectrum, n_fft)[: y.size], dtype=np.float32)


def _equalizer(hz: NDArray[np.float64], sound: Sound) -> NDArray[np.float64]:
    octave = np.log2(np.maximum(hz, 20.0) / 1_000.0)
    centres = np.arange(10) - 5.0
    gain_db = np.interp(octave, centres, sound.bands_db)
    gain_db += sound.tilt_db * octave + sound.bass_db / (1.0 + (np.maximum(hz, 1.0) / 150.0) ** 2)
    # Nothing is heard below a loudspeaker's range; offsets would only eat headroom.
    gain_db -= 12.0 * np.maximum(np.log2(35.0 / np.maximum(hz, 2.0)), 0.0)
    return np.asarray(10.0 ** (gain_db / 20.0))


def _compress(y: Audio, squash: float) -> Audio:
    rms = _frames_rms(y)
    slow = signal.lfilter([0.25], [1.0, -0.75], rms) + 1e-6
    # Quiet frames count as if at a tenth of the typical level, or pauses would fill with noise.
    typical = float(np.sqrt(np.mean(np.square(rms)))) + 1e-9
    gain = (np.maximum(slow, 0.1 * typical) / typical) ** (-0.7 * squash)
    at = (np.arange(rms.size) + 0.5) * _FRAME
    return y * np.asarray(np.interp(np.arange(y.size), at, gain), dtype=np.float32)


def _noise(n_samples: int, sound: Sound, rng: np.random.Generator) -> Audio:
    hiss = rng.standard_normal(n_samples, dtype=np.float32)
    hiss = np.asarray(signal.lfilter([0.6], [1.0, -0.4], hiss), dtype=np.float32)
    hiss *= np.float32(10.0 ** (sound.hiss_db / 20.0))
    n_clicks = rng.poisson(sound.crackle * n_samples / SR)
    at = rng.integers(0, n_samples, n_clicks)
    hiss[at] += rng.exponential(0.5, n_clicks).astype(np.float32) * rng.choice([-1, 1], n_clicks)
    return hiss


def _level(y: Audio, level_dbfs: float) -> Audio:
    """Bring to the level, rounding off what is too loud for full scale."""
    target = 10.0 ** (level_dbfs / 20.0)
    rms = float(np.sqrt(np.mean(np.square(y)))) + 1e-12
    # At most one sample in five hundred reaches the knee: beyond, it would sound broken.
    crest = float(np.quantile(np.abs(y), 0.998)) + 1e-12
    y = y * np.float32(min(target / rms, _KNEE / crest))
    over = np.abs(y) > _KNEE
    room = 0.98 - _KNEE
    y[over] = np.sign(y[over]) * (_KNEE + room * np.tanh((np.abs(y[over]) - _KNEE) / room))
    return y
