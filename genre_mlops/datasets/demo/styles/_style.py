"""What a genre is made of, as data: see `Style`.

Patterns are strings, one character a step, one bar between two ``|``. Eight characters are the
eighths of a 4/4 bar, sixteen its sixteenths and twelve its triplets; a bar of three beats takes
the first three quarters of eight or sixteen, and twelve are its sixteenths. ``.`` is silence and
``-`` holds what came before. `Groove`, `BassLine` and `Comp` name the other letters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True)
class Groove:
    """A drum pattern: ``X`` accent, ``x`` stroke, ``o`` soft stroke, for each drum by name.

    Attributes
    ----------
    name : str
        Unique within the style.
    lines : mapping of str to str
        Drum to pattern.
    beats : int
        Beats of a bar.
    fill : str
        Kind of fill at the end of a section: toms, snare or none.
    swings : bool
        False for a straight groove in a style that swings.
    tempo : float
        The tempo of the style is multiplied with this.
    """

    name: str
    lines: Mapping[str, str]
    beats: int = 4
    fill: str = "toms"
    swings: bool = True
    tempo: float = 1.0


@dataclass(frozen=True)
class BassLine:
    """A bass pattern in chord degrees.

    ``1 3 5 6 7 8`` are tones of the chord (8 the octave), ``a`` and ``b`` lead into the next
    root from a semitone below and above. A line named ``walk`` has no pattern: it walks in
    quarters. `grooves` are those with which it goes; empty for all.
    """

    name: str
    pattern: str = ""
    grooves: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comp:
    """An accompaniment.

    Attributes
    ----------
    instruments : tuple of str
        Who may play it.
    pattern : str
        ``X x o`` strike the chord; digits pick one tone of the voicing from below; ``b`` and
        ``f`` are the low root and fifth of boom-chick; ``p`` and ``q`` are the fifth and the
        sixth over the root, as in a boogie; ``h j k l r t`` are the power chord moved up by
        1, 3, 5, 6, 7 and 10 semitones, as in a riff.
    voicing : str
        close, shell (without root and fifth) or power (root, fifth, octave).
    centre : int
        MIDI pitch around which it is played.
    sections : tuple of str
        Where in the form it is heard; empty for everywhere.
    grooves : tuple of str
        With which grooves it goes; empty for all.
    """

    instruments: tuple[str, ...]
    pattern: str
    voicing: str = "close"
    centre: int = 60
    sections: tuple[str, ...] = ()
    grooves: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lead:
    """How melodies are made.

    Attributes
    ----------
    instruments : tuple of str
        Who may play them.
    scale : str
        A scale on the key, ``mode`` for the scale of the harmony, or ``chord`` for the scale of
        each chord.
    cells : tuple of str
        Rhythms of one bar.
    centre : int
        MIDI pitch around which the melody moves.
    bend : float
        Share of notes that slide in.
    leap : float
        Share of steps that are leaps.
    answers : bool
        Every second pair of bars is left to the band.
    """

    instruments: tuple[str, ...]
    scale: str
    cells: tuple[str, ...]
    centre: int = 70
    bend: float = 0.0
    leap: float = 0.2
    answers: bool = False


@dataclass(frozen=True)
class Harmony:
    """Progressions in Roman numerals, bars between ``|``. `minor` is the mode of the key."""

    verse: str
    chorus: str
    minor: bool = False


@dataclass(frozen=True)
class MixHabits:
    """Ranges from which an artist's sound is drawn.

    Attributes
    ----------
    level_dbfs : (float, float)
        RMS level of the track.
    tilt_db : (float, float)
        Slope of the spectrum in dB an octave around 1 kHz.
    bass_db : (float, float)
        Gain below about 150 Hz.
    cutoff_hz : (float, float)
        Where the treble ends.
    room_s, wet : (float, float)
        Decay time of the reverb, and its share.
    drive : (float, float)
        Saturation of the sum: 0 is clean.
    squash : (float, float)
        Compression: 0 leaves the dynamics, 1 takes nearly all.
    hiss_db : (float, float)
        Noise below the music, in dB.
    crackle : (float, float)
        Clicks of vinyl a second.
    echo : (float, float)
        Loudness of a tape echo on the beat, 0 for none.
    """

    level_dbfs: Range = (-22.0, -13.0)
    tilt_db: Range = (-1.5, 1.0)
    bass_db: Range = (-3.0, 3.0)
    cutoff_hz: Range = (6_000.0, 11_000.0)
    room_s: Range = (0.3, 1.2)
    wet: Range = (0.05, 0.3)
    drive: Range = (0.0, 0.5)
    squash: Range = (0.1, 0.6)
    hiss_db: Range = (-75.0, -48.0)
    crackle: Range = (0.0, 0.0)
    echo: Range = (0.0, 0.0)


@dataclass(frozen=True)
class Style:
    """A genre.

    Attributes
    ----------
    genre : str
        Its name.
    neighbours : tuple of str
        Genres from which cross-over artists borrow instruments and sound.
    tempo_bpm : (float, float)
        Slowest and fastest artist.
    harmonies, grooves, basses, comps, leads : tuple
        What artists choose from. A style without grooves has no drums.
    bass_instruments, pads, kits : tuple of str
        Instruments; pads may be empty.
    seconds : tuple of Comp
        Accompaniments of a second player.
    second_share, pad_share : float
        Share of artists with a second accompanist, and with a pad.
    form : tuple of str
        Sections in order, over and over.
    keys : tuple of int
        Favourite tonics as pitch classes.
    swing : (float, float)
        See `Piece.swing`.
    swing_unit : float
        See `Piece.swing_unit`.
    bass_centre : int
        MIDI pitch around which the bass plays.
    loose_ms : (float, float)
        Spread of the players' timing.
    rubato : (float, float)
        How far the tempo bends within phrases, as a share.
    gains_db : mapping of str to float
        Loudness of the roles.
    mix : MixHabits
        The sound.
    """

    genre: str
    neighbours: tuple[str, ...]
    tempo_bpm: Range
    harmonies: tuple[Harmony, ...]
    basses: tuple[BassLine, ...]
    comps: tuple[Comp, ...]
    leads: tuple[Lead, ...]
    bass_instruments: tuple[str, ...]
    grooves: tuple[Groove, ...] = ()
    kits: tuple[str, ...] = ("standard-kit",)
    pads: tuple[str, ...] = ()
    seconds: tuple[Comp, ...] = ()
    second_share: float = 1.0
    pad_share: float = 0.6
    form: tuple[str, ...] = ("intro", "verse", "chorus", "verse", "chorus", "solo", "chorus")
    keys: tuple[int, ...] = tuple(range(12))
    swing: Range = (0.5, 0.5)
    swing_unit: float = 0.5
    bass_centre: int = 36
    loose_ms: Range = (4.0, 12.0)
    rubato: Range = (0.0, 0.01)
    gains_db: Mapping[str, float] = field(default_factory=dict)
    mix: MixHabits = MixHabits()
