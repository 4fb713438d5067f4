"""Scales, chords and voicings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from genre_mlops.datasets.demo.instruments import Instrument

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "major-pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
"""Semitones above the tonic."""

_QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "5": (0, 7),
    "dim": (0, 3, 6),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7b5": (0, 3, 6, 10),
    "9": (0, 4, 7, 10, 14),
    "m9": (0, 3, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "13": (0, 4, 10, 14, 21),
}
_NUMERALS = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_SYMBOL = re.compile(r"(b|#)?([iv]+|[IV]+)(.*)")


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord: `root` is a pitch class from 0 (C), `quality` one of the known suffixes."""

    root: int
    quality: str

    @property
    def intervals(self) -> tuple[int, ...]:
        """Semitones above the root."""
        return _QUALITIES[self.quality]

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The tones without their octaves."""
        return frozenset((self.root + interval) % 12 for interval in self.intervals)

    @property
    def minor(self) -> bool:
        """Whether the third is minor."""
        return 3 in self.intervals

    def scale(self) -> tuple[int, ...]:
        """Return the scale that an improviser plays over the chord, from its root."""
        if self.quality in ("maj7", "maj9", "6", ""):
            return SCALES["major"]
        return SCALES["dorian"] if self.minor else SCALES["mixolydian"]


def chord(symbol: str, key: int) -> Chord:
    """Read a Roman numeral such as ``bVII``, ``ii7`` or ``Vsus4``.

    Parameters
    ----------
    symbol : str
        Small numerals are minor; a suffix names the quality.
    key : int
        Pitch class of the tonic.

    Raises
    ------
    ValueError
        The symbol is not a chord.
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None or match[2].lower() not in _NUMERALS:
        raise ValueError(f"expected a Roman numeral, got {symbol!r}")
    shift = {"b": -1, "#": 1, None: 0}[match[1]]
    quality = match[3]
    if match[2].islower() and quality in ("", "7", "9", "7b5"):
        quality = "m" + quality
    if quality not in _QUALITIES:
        raise ValueError(f"unknown quality in {symbol!r}")
    return Chord((key + _NUMERALS[match[2].lower()] + shift) % 12, quality)


def nearest(pitch_class: int, near: int) -> int:
    """Return the pitch of that class closest to `near`."""
    return near + (pitch_class - near + 6) % 12 - 6


def voicing(
    tones: Sequence[int], centre: int, previous: Sequence[int], instrument: Instrument
) -> tuple[int, ...]:
    """Stack pitch classes around `centre`, moving as little as possible from `previous`.

    Parameters
    ----------
    tones : sequence of int
        Pitch classes in close order.
    centre : int
        MIDI pitch that the middle of the voicing stays near.
    previous : sequence of int
        The voicing before, or nothing.
    instrument : Instrument
        Whose range holds the result.

    Returns
    -------
    tuple of int
        Rising MIDI pitches without repetition.
    """
    stacks = []
    for turn in range(len(tones)):
        order = [*tones[turn:], *tones[:turn]]
        stack = [nearest(order[0], centre - 5)]
        for tone in order[1:]:
            stack.append(stack[-1] + ((tone - stack[-1]) % 12 or 12))
        stacks.append(stack)

    def effort(stack: list[int]) -> float:
        middle = abs(sum(stack) / len(stack) - centre)
        if not previous:
            return middle
        moves = sum(min(abs(pitch - before) for before in previous) for pitch in stack)
        return moves + 0.5 * middle

    best = min(stacks, key=effort)
    return tuple(sorted({instrument.fold(pitch) for pitch in best}))
