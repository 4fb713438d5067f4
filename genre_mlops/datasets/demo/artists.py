"""Artists: who plays what, how loosely, and how it is recorded."""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from genre_mlops.datasets.demo.instruments import INSTRUMENTS, Instrument
from genre_mlops.datasets.demo.players import pick
from genre_mlops.datasets.demo.styles import GENRES, STYLES
from genre_mlops.datasets.demo.styles._style import (
    BassLine,
    Comp,
    Groove,
    Harmony,
    Lead,
    MixHabits,
    Style,
)

CROSSOVER_SHARE = 0.2
"""Share of artists who borrow instruments and sound from a neighbouring genre."""
_BLOCK, _SIDE_BY_SIDE = 9, 3

BAND_SPREAD_DB = 0.8
"""Spread of the equalizer that each artist sets by taste."""

OPTION = TypeVar("OPTION")
PLAYED = TypeVar("PLAYED", Comp, Lead)


@dataclass(frozen=True, slots=True)
class Sound:
    """How an artist is recorded: the fields of `MixHabits`, each drawn once.

    Attributes
    ----------
    bands_db : tuple of float
        Gains of an equalizer of ten octave bands from 31 Hz.
    """

    level_dbfs: float
    tilt_db: float
    bass_db: float
    cutoff_hz: float
    room_s: float
    wet: float
    drive: float
    squash: float
    hiss_db: float
    crackle: float
    echo: float
    bands_db: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Artist:
    """The habits shared by the tracks of one group.

    Attributes
    ----------
    artist_id : str
        Unique across genres.
    style : Style
        The genre.
    tempo : float
        Between the slowest (0) and the fastest (1) of the style.
    swing : float
        See `Piece.swing`.
    keys, harmonies, grooves, basses : tuple
        Favourites, from which each track takes one.
    comps, seconds, leads : tuple of (Comp or Lead, Instrument)
        What is played and on what, favourites first; `seconds` may be empty.
    kit, bass, pad : Instrument
        The other players; None for no pad.
    loose_ms : float
        Spread of the players' timing.
    rubato : float
        How far the tempo bends within phrases, as a share.
    gains_db : dict of str to float
        Loudness of the roles.
    sound : Sound
        How it is recorded.
    """

    artist_id: str
    style: Style
    tempo: float
    swing: float
    keys: tuple[int, ...]
    harmonies: tuple[Harmony, ...]
    grooves: tuple[Groove, ...]
    basses: tuple[BassLine, ...]
    comps: tuple[tuple[Comp, Instrument], ...]
    seconds: tuple[tuple[Comp, Instrument], ...]
    leads: tuple[tuple[Lead, Instrument], ...]
    kit: Instrument
    bass: Instrument
    pad: Instrument | None
    loose_ms: float
    rubato: float
    gains_db: dict[str, float]
    sound: Sound


def place(index: int) -> tuple[str, int, int]:
    """Return genre, artist number and number within the genre of track `index`.

    Genres take turns. Within a genre three artists at a time take turns, three tracks each, such
    that small sets have several artists already and larger ones do not change what came before.
    """
    turn, genre = divmod(index, len(GENRES))
    artist = turn // _BLOCK * _SIDE_BY_SIDE + turn % _SIDE_BY_SIDE
    return GENRES[genre], artist, turn


def draw_artist(seed: int, genre: str, number: int) -> Artist:
    """Invent an artist; the same arguments give the same artist."""
    rng = np.random.default_rng([seed, GENRES.index(genre), number, 0])
    style = STYLES[genre]
    other = STYLES[pick(rng, style.neighbours)] if rng.random() < CROSSOVER_SHARE else None
    return Artist(
        artist_id=f"{genre}-artist-{number:02d}",
        style=style,
        tempo=float(rng.uniform(0.15, 0.85)),
        swing=float(rng.uniform(*style.swing)),
        keys=tuple(int(key) for key in rng.choice(style.keys, 3)),
        harmonies=_some(rng, style.harmonies, 3),
        grooves=_some(rng, style.grooves, 2),
        basses=_some(rng, style.basses, 2),
        comps=_cast(rng, style.comps, other.comps if other else ()),
        seconds=_cast(rng, style.seconds, ()) if rng.random() < style.second_share else (),
        leads=_cast(rng, style.leads, other.leads if other else ()),
        kit=INSTRUMENTS[pick(rng, (other or style).kits)],
        bass=INSTRUMENTS[pick(rng, style.bass_instruments)],
        pad=_pad(rng, style),
        loose_ms=float(rng.uniform(*style.loose_ms)),
        rubato=float(rng.uniform(*style.rubato)),
        gains_db={
            role: style.gains_db.get(role, 0.0) + float(rng.normal(0.0, 2.0))
            for role in ("drums", "bass", "comp", "comp-2", "pad", "lead")
        },
        sound=_sound(rng, style.mix, other.mix if other else style.mix),
    )


def _some(rng: np.random.Generator, options: tuple[OPTION, ...], count: int) -> tuple[OPTION, ...]:
    order = rng.permutation(len(options))[:count]
    return tuple(options[int(at)] for at in order)


def _cast(
    rng: np.random.Generator, own: tuple[PLAYED, ...], borrowed: tuple[PLAYED, ...]
) -> tuple[tuple[PLAYED, Instrument], ...]:
    """Put the options in the artist's order of preference and give each an instrument."""
    foreign = [name for option in borrowed for name in option.instruments]
    cast = []
    for option in _some(rng, own, len(own)):
        names = option.instruments
        if foreign and rng.random() < 0.4:
            names = tuple(foreign)
        cast.append((option, INSTRUMENTS[pick(rng, names)]))
    return tuple(cast)


def _pad(rng: np.random.Generator, style: Style) -> Instrument | None:
    if style.pads and rng.random() < style.pad_share:
        return INSTRUMENTS[pick(rng, style.pads)]
    return None


def _sound(rng: np.random.Generator, own: MixHabits, other: MixHabits) -> Sound:
    """Draw each habit from the genre's range, or from between it and the neighbour's."""

    def draw(name: str) -> float:
        low, high = (np.array(getattr(habits, name)) for habits in (own, other))
        return float(rng.uniform(*(low + high) / 2))

    drawn = {field.name: draw(field.name) for field in fields(MixHabits)}
    bands = rng.normal(0.0, BAND_SPREAD_DB, 10)
    return Sound(**drawn, bands_db=tuple(float(gain) for gain in bands))
