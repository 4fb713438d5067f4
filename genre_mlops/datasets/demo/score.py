"""What is composed: notes on a grid of beats, before anyone plays them."""

from dataclasses import dataclass

from genre_mlops.datasets.demo.instruments import Instrument
from genre_mlops.datasets.demo.theory import Chord


@dataclass(frozen=True, slots=True)
class Note:
    """One note.

    Attributes
    ----------
    beat : float
        Beats from the start of the piece, straight: swing is the players' business.
    length : float
        In beats.
    pitch : int
        MIDI pitch, or the drum of a kit.
    velocity : int
        1 to 127.
    bend : float
        Semitones from which the note slides into its pitch; negative is from below.
    """

    beat: float
    length: float
    pitch: int
    velocity: int
    bend: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one player plays. `role` is drums, bass, comp, comp-2, pad or lead."""

    role: str
    instrument: Instrument
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the form.

    Attributes
    ----------
    name : str
        Its place in the form: intro, verse, chorus, solo or break.
    first_beat : float
        Where it begins.
    chords : tuple of tuple of Chord
        One tuple for each bar; the chords of a bar share it equally.
    """

    name: str
    first_beat: float
    chords: tuple[tuple[Chord, ...], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A composition.

    Attributes
    ----------
    genre : str
        The style it was written in.
    artist : str
        Who plays it.
    key : int
        Pitch class of the tonic, 0 is C.
    tempo_bpm : float
        Beats a minute.
    beats_per_bar : int
        3 or 4.
    swing : float
        Share of a pair of notes that the first one takes: 0.5 is straight, 0.67 a triplet.
    swing_unit : float
        Which notes swing, in beats: 0.5 for eighths, 0.25 for sixteenths.
    groove : str
        Name of the drum pattern or, without drums, of the texture.
    sections : tuple of Section
        The form in order.
    parts : tuple of Part
        The players.
    """

    genre: str
    artist: str
    key: int
    tempo_bpm: float
    beats_per_bar: int
    swing: float
    swing_unit: float
    groove: str
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]

    @property
    def n_bars(self) -> int:
        """How many bars all sections have."""
        return sum(len(section.chords) for section in self.sections)

    def part(self, role: str) -> Part:
        """Return the part of that role."""
        return next(part for part in self.parts if part.role == role)
