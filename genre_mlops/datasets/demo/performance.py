"""From the grid to time: swing, rubato, loose hands, strummed chords."""

from dataclasses import dataclass

import numpy as np

from genre_mlops.datasets.demo.artists import Artist
from genre_mlops.datasets.demo.score import Note, Part, Piece

_PHRASE_BEATS = 16.0


@dataclass(frozen=True, slots=True)
class Event:
    """A note as played.

    Attributes
    ----------
    onset_s, duration_s : float
        In seconds.
    pitch : int
        MIDI pitch, or the drum of a kit.
    gain : float
        Amplitude, 1 is the loudest.
    bend : float
        See `Note.bend`.
    """

    onset_s: float
    duration_s: float
    pitch: int
    gain: float
    bend: float


def swung(beat: float, swing: float, unit: float) -> float:
    """Return where a beat of the grid falls when pairs of `unit` notes swing.

    Parameters
    ----------
    beat : float
        On the straight grid. Triplets stay where they are.
    swing : float
        Share of the pair that its first note takes.
    unit : float
        0.5 swings eighths, 0.25 sixteenths.
    """
    pair = 2 * unit
    start, place = divmod(beat, pair)
    place /= pair
    if abs(4 * place - round(4 * place)) > 1e-6:
        return beat
    bent = place * 2 * swing if place <= 0.5 else 1 - (1 - place) * 2 * (1 - swing)
    return (start + bent) * pair


def perform(part: Part, piece: Piece, artist: Artist, rng: np.random.Generator) -> list[Event]:
    """Play a part.

    Parameters
    ----------
    part : Part
        What is played.
    piece : Piece
        Tempo and swing.
    artist : Artist
        How loosely.
    rng : Generator
        Of this performance.

    Returns
    -------
    list of Event
        In the order of the part's notes.
    """
    # Each player sits a little before or behind the others, all through the piece.
    behind_s = 1e-3 * artist.loose_ms * float(rng.uniform(-0.5, 1.0))
    swing = np.clip(piece.swing + rng.normal(0.0, 0.006), 0.5, 0.72) if piece.swing > 0.5 else 0.5
    events = []
    string, beat = 0, -1.0
    for note in part.notes:
        string = string + 1 if note.beat == beat else 0
        beat = note.beat
        start = _seconds(swung(note.beat, float(swing), piece.swing_unit), piece, artist)
        end = _seconds(
            swung(note.beat + note.length, float(swing), piece.swing_unit), piece, artist
        )
        slack_s = 1e-3 * artist.loose_ms * float(np.clip(rng.standard_normal(), -2.5, 2.5))
        late_s = behind_s + slack_s * (string == 0) + 1e-3 * part.instrument.strum_ms * string
        events.append(
            Event(
                onset_s=max(start + late_s, 0.0),
                duration_s=max(end - start, 0.03),
                pitch=note.pitch,
                gain=_gain(note, rng),
                bend=note.bend,
            )
        )
    return events


def _gain(note: Note, rng: np.random.Generator) -> float:
    velocity = np.clip(note.velocity + rng.normal(0.0, 5.0), 20, 127)
    return float((velocity / 127.0) ** 1.7)


def _seconds(beat: float, piece: Piece, artist: Artist) -> float:
    """Map beats to time; with rubato, phrases press on in the middle and ease at the end."""
    turn = 2 * np.pi * beat / _PHRASE_BEATS
    eased = beat + artist.rubato * _PHRASE_BEATS / (2 * np.pi) * float(np.sin(turn))
    return 60.0 / piece.tempo_bpm * eased
