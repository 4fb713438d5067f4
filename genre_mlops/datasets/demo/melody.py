"""Melodies: a motif, its repetitions and variations, fitted to the harmony."""

from dataclasses import dataclass, replace

import numpy as np

from genre_mlops.datasets.demo.instruments import Instrument
from genre_mlops.datasets.demo.players import Bar, pick, steps
from genre_mlops.datasets.demo.score import Note
from genre_mlops.datasets.demo.styles._style import Lead
from genre_mlops.datasets.demo.theory import SCALES

_SPAN = 6
"""Scale steps that a motif may stray from its middle."""


@dataclass(frozen=True, slots=True)
class Idea:
    """One bar of melody: its rhythm, and the scale step of each of its notes."""

    rhythm: str
    walk: tuple[int, ...]


class Melodist:
    """Invents a tune for each section of the form and comes back to it.

    Phrases have four bars: an idea, the idea again with another end, the idea moved by a step or
    two, and an answer that comes to rest. A verse has the same tune each time; solos go on
    inventing.
    """

    def __init__(
        self, lead: Lead, instrument: Instrument, key: int, *, minor: bool, rng: np.random.Generator
    ) -> None:
        self._lead, self._instrument, self._key = lead, instrument, key
        self._mode = "minor" if minor else "major"
        self._rng = rng
        self._tunes: dict[str, tuple[Idea, ...]] = {}

    def bar(self, bar: Bar) -> list[Note]:
        """Play one bar."""
        if bar.index % 4 == 0 and (bar.section == "solo" or bar.section not in self._tunes):
            self._tunes[bar.section] = self._phrase()
        if self._lead.answers and bar.index % 4 >= 2 and self._rng.random() < 0.75:
            return []
        idea = self._tunes[bar.section][bar.index % 4]
        notes: list[Note] = []
        rests = bar.index % 4 == 3
        for (offset, length, _), step in zip(steps(idea.rhythm, bar), idea.walk, strict=False):
            strong = offset == int(offset) and (length >= 1 or int(offset) % 2 == 0)
            pitch = self._pitch(step, bar, offset, strong=strong or rests)
            bend = -float(self._rng.integers(1, 3)) if self._bends(length) else 0.0
            velocity = int(90 + 10 * strong + self._rng.integers(-8, 9))
            notes.append(Note(bar.beat + offset, 0.94 * length, pitch, velocity, bend))
        if rests and notes:
            return self._come_to_rest(notes, bar)
        return notes

    def _bends(self, length: float) -> bool:
        return length >= 0.5 and self._rng.random() < self._lead.bend

    def _come_to_rest(self, notes: list[Note], bar: Bar) -> list[Note]:
        """End the phrase on a long chord tone in the middle of the bar, then breathe."""
        kept = [note for note in notes if note.beat < bar.beat + bar.n_beats / 2] or notes[:1]
        last = kept[-1]
        until = bar.beat + bar.n_beats - 0.5
        kept[-1] = replace(last, length=max(until - last.beat, 0.5))
        return kept

    def _phrase(self) -> tuple[Idea, ...]:
        rng = self._rng
        first = self._idea(int(rng.integers(-2, 3)))
        again = Idea(first.rhythm, (*first.walk[:-1], first.walk[-1] + int(rng.integers(-2, 3))))
        shift = int(rng.choice([-2, -1, 1, 2]))
        moved = Idea(first.rhythm, tuple(step + shift for step in first.walk))
        answer = self._idea(first.walk[0] + int(rng.integers(-1, 2)))
        return first, again, moved, answer

    def _idea(self, start: int) -> Idea:
        rng = self._rng
        rhythm = pick(rng, self._lead.cells)
        walk = [start]
        for _ in range(len(rhythm)):
            size = int(rng.integers(3, 5)) if rng.random() < self._lead.leap else 1
            # The further out, the likelier the way back: lines hover around the middle.
            up = rng.random() < 0.5 - 0.08 * walk[-1]
            step = 0 if rng.random() < 0.12 else (size if up else -size)
            walk.append(int(np.clip(walk[-1] + step, -_SPAN, _SPAN)))
        return Idea(rhythm, tuple(walk))

    def _pitch(self, step: int, bar: Bar, offset: float, *, strong: bool) -> int:
        chord = bar.chord_at(offset)
        if self._lead.scale == "chord":
            tonic, scale = chord.root, chord.scale()
        else:
            name = self._mode if self._lead.scale == "mode" else self._lead.scale
            tonic, scale = self._key, SCALES[name]
            if name.startswith("major") and self._mode == "minor":
                scale = SCALES[name.replace("major", "minor")]
        base = self._lead.centre + (tonic - self._lead.centre + 6) % 12 - 6
        octave, degree = divmod(step, len(scale))
        pitch = base + 12 * octave + scale[degree]
        if strong and self._lead.scale != "blues":
            candidates = [pitch + move for move in (0, -1, 1, -2, 2)]
            fitting = [one for one in candidates if one % 12 in chord.pitch_classes]
            pitch = fitting[0] if fitting else pitch
        return self._instrument.fold(pitch)
