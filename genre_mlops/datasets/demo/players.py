"""Drummer, bass player and accompanist: bars of harmony in, notes on the grid out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from genre_mlops.datasets.demo.instruments import DRUMS, Instrument
from genre_mlops.datasets.demo.score import Note
from genre_mlops.datasets.demo.styles._style import BassLine, Comp, Groove
from genre_mlops.datasets.demo.theory import Chord, nearest, voicing

OPTION = TypeVar("OPTION")

_STROKES = {"X": 112, "x": 92, "o": 58}
_RIFF = {"h": 1, "j": 3, "k": 5, "l": 6, "r": 7, "t": 10}
_FILLS = {
    "toms": (
        "snare snare high-tom high-tom mid-tom mid-tom low-tom low-tom",
        "snare . high-tom mid-tom . low-tom low-tom snare",
        "high-tom . snare .",
    ),
    "snare": ("snare . snare snare", "snare snare snare snare", ". snare snare . snare . snare ."),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the form.

    Attributes
    ----------
    index : int
        Its number within the section.
    beat : float
        Where it begins in the piece.
    n_beats : int
        How long it is.
    chords : tuple of Chord
        They share the bar equally.
    following : Chord
        The first chord of the next bar.
    section : str
        Name of the section.
    opens, closes : bool
        It is the first or the last bar of the section.
    """

    index: int
    beat: float
    n_beats: int
    chords: tuple[Chord, ...]
    following: Chord
    section: str
    opens: bool
    closes: bool

    def chord_at(self, offset: float) -> Chord:
        """Return what sounds `offset` beats into the bar."""
        return self.chords[min(int(offset / self.n_beats * len(self.chords)), len(self.chords) - 1)]

    def next_chord(self, offset: float) -> Chord:
        """Return what comes after the chord that sounds at `offset`."""
        at = int(offset / self.n_beats * len(self.chords)) + 1
        return self.chords[at] if at < len(self.chords) else self.following


def pick(rng: np.random.Generator, options: Sequence[OPTION]) -> OPTION:
    """Return one of the options."""
    return options[int(rng.integers(len(options)))]


def steps(pattern: str, bar: Bar) -> Iterator[tuple[float, float, str]]:
    """Read a pattern: offset and length in beats, and letter, of all that sounds in the bar.

    Twelve steps fill the bar. Eight and sixteen are four beats: three beats take the first of
    them.
    """
    bars = pattern.split("|")
    line = bars[bar.index % len(bars)]
    per_beat = 12 // bar.n_beats if len(line) == 12 else len(line) // 4
    line = line[: per_beat * bar.n_beats]
    for at, letter in enumerate(line):
        if letter in ".-":
            continue
        held = len(line[at + 1 :]) - len(line[at + 1 :].lstrip("-"))
        yield at / per_beat, (1 + held) / per_beat, letter


def drum_bar(groove: Groove, bar: Bar, rng: np.random.Generator) -> list[Note]:
    """Play one bar of drums: the groove, small variations, a fill where a section ends."""
    fill_beats = 0
    if bar.closes and groove.fill != "none" and rng.random() < 0.8:
        fill_beats = int(rng.integers(1, 3))
    stop = bar.n_beats - fill_beats
    notes = []
    for drum, pattern in groove.lines.items():
        for offset, _, letter in steps(pattern, bar):
            if offset >= stop or (letter == "o" and rng.random() < 0.15):
                continue
            accent = 6 if offset == 0 else 0
            notes.append(_stroke(drum, bar.beat + offset, _STROKES[letter] + accent))
    if bar.opens and groove.fill == "toms":
        notes.append(_stroke("crash", bar.beat, 100))
    if fill_beats:
        notes += _fill(groove.fill, bar.beat + stop, fill_beats, rng)
    return notes


def _stroke(drum: str, beat: float, velocity: int) -> Note:
    return Note(beat, 0.25, DRUMS[drum], min(velocity, 127))


def _fill(kind: str, beat: float, n_beats: int, rng: np.random.Generator) -> list[Note]:
    drums = pick(rng, _FILLS[kind]).split()
    step = n_beats / len(drums)
    return [
        _stroke(drum, beat + step * at, 84 + 28 * at // len(drums))
        for at, drum in enumerate(drums)
        if drum != "."
    ]


class BassPlayer:
    """Plays a line from chord degrees, or walks."""

    def __init__(self, line: BassLine, instrument: Instrument, centre: int) -> None:
        self._line, self._instrument, self._centre = line, instrument, centre
        self._last = centre

    def bar(self, bar: Bar, rng: np.random.Generator) -> list[Note]:
        """Play one bar."""
        if self._line.name == "walk":
            return self._walk(bar, rng)
        notes = []
        for offset, length, letter in steps(self._line.pattern, bar):
            chord = bar.chord_at(offset)
            root = nearest(chord.root, self._centre)
            pitch = self._degree(letter, root, chord, bar.next_chord(offset))
            velocity = 100 if offset == 0 else 90
            notes.append(Note(bar.beat + offset, 0.92 * length, pitch, velocity))
        return notes

    def _degree(self, letter: str, root: int, chord: Chord, after: Chord) -> int:
        target = nearest(after.root, self._centre)
        pitches = {
            "1": root,
            "3": root + (3 if chord.minor else 4),
            "5": root + (6 if 6 in chord.intervals else 7),
            "6": root + 9,
            "7": root + 10,
            "8": root + 12,
            "a": target - 1,
            "b": target + 1,
        }
        return self._instrument.fold(pitches[letter])

    def _walk(self, bar: Bar, rng: np.random.Generator) -> list[Note]:
        notes = []
        for offset in range(bar.n_beats):
            chord, after = bar.chord_at(offset), bar.next_chord(offset)
            changes = offset == 0 or bar.chord_at(offset - 1) != chord
            leads = offset + 1 == bar.n_beats or bar.chord_at(offset + 1) != chord
            if changes:
                pitch = nearest(chord.root, (self._last + self._centre) // 2)
            elif leads:
                pitch = nearest(after.root, self._last) + int(rng.choice([-1, 1]))
            else:
                # Steps and thirds along the chord's scale, back towards the middle at the edges.
                tones = [(chord.root + step) % 12 for step in (*chord.intervals[:4], 2, 9)]
                way = 3 if self._last < self._centre + int(rng.integers(-5, 6)) else -3
                pitch = nearest(int(rng.choice(tones)), self._last + way)
                pitch += 12 * (pitch == self._last) * (1 if way > 0 else -1)
            pitch = self._instrument.fold(pitch)
            velocity = 96 if offset % 2 == 0 else 102
            notes.append(Note(bar.beat + offset, 0.9, pitch, velocity))
            if rng.random() < 0.12:
                notes.append(Note(bar.beat + offset + 0.5, 0.3, pitch, 74))
            self._last = pitch
        return notes


class Accompanist:
    """Plays chords, arpeggios or riffs, leading the voices from chord to chord."""

    def __init__(self, comp: Comp, instrument: Instrument) -> None:
        self._comp, self._instrument = comp, instrument
        self._voicing: tuple[int, ...] = ()
        self._chord: Chord | None = None

    def bar(self, bar: Bar, rng: np.random.Generator) -> list[Note]:
        """Play one bar."""
        notes = []
        for offset, length, letter in steps(self._comp.pattern, bar):
            if letter == "o" and rng.random() < 0.2:
                continue
            chord = bar.chord_at(offset)
            self._move_to(chord)
            muted = letter == "0" and self._comp.voicing == "power"
            velocity = 78 if muted else _STROKES.get(letter, 86)
            sounding = length * (0.6 if muted else 0.95)
            notes += [
                Note(bar.beat + offset, sounding, pitch, velocity)
                for pitch in self._pitches(letter, chord)
            ]
        return notes

    def _move_to(self, chord: Chord) -> None:
        if chord == self._chord:
            return
        self._chord = chord
        root = nearest(chord.root, self._comp.centre)
        if self._comp.voicing == "power":
            self._voicing = (root, root + 7, root + 12)
            return
        intervals = chord.intervals
        if self._comp.voicing == "shell" and len(intervals) > 3:
            intervals = (*intervals[1:2], *intervals[3:], 14)
        tones = list(dict.fromkeys((chord.root + interval) % 12 for interval in intervals))
        self._voicing = voicing(tones, self._comp.centre, self._voicing, self._instrument)

    def _pitches(self, letter: str, chord: Chord) -> list[int]:
        root = nearest(chord.root, self._comp.centre - 9)
        if letter.isdigit():
            octave, tone = divmod(int(letter), len(self._voicing))
            pitches = [self._voicing[tone] + 12 * octave]
        elif letter in "bf":
            pitches = [root if letter == "b" else root + 7]
        elif letter in "pq":
            pitches = [self._voicing[0], self._voicing[0] + (7 if letter == "p" else 9)]
        elif letter in _RIFF:
            pitches = [pitch + _RIFF[letter] for pitch in self._voicing[:2]]
        else:
            pitches = list(self._voicing)
        return sorted({self._instrument.fold(pitch) for pitch in pitches})
