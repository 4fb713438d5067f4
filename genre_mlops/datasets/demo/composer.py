"""From an artist's habits and the number of a track to a composition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from genre_mlops.datasets.demo.artists import Artist, draw_artist, place
from genre_mlops.datasets.demo.instruments import Instrument
from genre_mlops.datasets.demo.melody import Melodist
from genre_mlops.datasets.demo.players import Accompanist, Bar, BassPlayer, drum_bar, pick
from genre_mlops.datasets.demo.score import Note, Part, Piece, Section
from genre_mlops.datasets.demo.styles import GENRES
from genre_mlops.datasets.demo.styles._style import BassLine, Comp, Groove, Harmony
from genre_mlops.datasets.demo.theory import chord

PLAYED = TypeVar("PLAYED", Comp, BassLine)

_SHORT = ("intro", "break")
_SILENT = {
    "intro": (("lead",), ("lead", "comp-2"), ("lead", "bass"), ("lead", "drums")),
    "break": (("bass",), ("drums", "comp-2"), ("comp", "pad")),
    "verse": (("comp-2", "pad"), ("pad",), ("comp-2",), ()),
    "chorus": ((), (), ("lead",)),
    "solo": (("comp-2",), ("pad",)),
}
"""Who may be silent in a section: one of the options is drawn for each piece."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a track takes from the habits of its artist."""

    key: int
    tempo_bpm: float
    n_beats: int
    groove: Groove | None
    harmony: Harmony
    silent: dict[str, tuple[str, ...]]

    @property
    def texture(self) -> str:
        """The groove's name or, without drums, the metre."""
        return self.groove.name if self.groove else f"in {self.n_beats}"


def track_rng(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of a track, apart from those of its artist.

    Parameters
    ----------
    seed : int
        Of the data set.
    index : int
        Number of the track.
    purpose : int
        From 1; composing and mixing draw from different streams.
    """
    genre, artist, turn = place(index)
    return np.random.default_rng([seed, GENRES.index(genre), artist, turn, purpose])


def compose(seed: int, index: int, duration_s: float) -> tuple[Piece, Artist]:
    """Write a piece that lasts at least `duration_s`.

    Parameters
    ----------
    seed : int
        Of the data set.
    index : int
        Number of the track, from 0.
    duration_s : float
        In seconds.

    Returns
    -------
    piece : Piece
        The composition.
    artist : Artist
        Whose habits it follows.
    """
    genre, number, _ = place(index)
    artist = draw_artist(seed, genre, number)
    rng = track_rng(seed, index, 1)
    plan = _plan(artist, rng)
    n_beats = int(np.ceil(duration_s * plan.tempo_bpm / 60.0)) + plan.n_beats
    sections = tuple(_sections(artist, plan, n_beats, rng))
    straight = plan.groove is not None and not plan.groove.swings
    return Piece(
        genre=genre,
        artist=artist.artist_id,
        key=plan.key,
        tempo_bpm=plan.tempo_bpm,
        beats_per_bar=plan.n_beats,
        swing=0.5 if straight else artist.swing,
        swing_unit=artist.style.swing_unit,
        groove=plan.texture,
        sections=sections,
        parts=_parts(artist, plan, list(_bars(sections, plan.n_beats)), rng),
    ), artist


def _plan(artist: Artist, rng: np.random.Generator) -> _Plan:
    slowest, fastest = artist.style.tempo_bpm
    groove = pick(rng, artist.grooves) if artist.grooves else None
    taste = np.clip(artist.tempo + rng.normal(0.0, 0.12), 0.0, 1.0)
    tempo = (slowest + (fastest - slowest) * float(taste)) * (groove.tempo if groove else 1.0)
    n_beats = groove.beats if groove else int(rng.choice([3, 4, 4]))
    return _Plan(
        key=pick(rng, artist.keys),
        tempo_bpm=tempo,
        n_beats=n_beats,
        groove=groove,
        harmony=pick(rng, artist.harmonies),
        silent={name: pick(rng, options) for name, options in _SILENT.items()},
    )


def _sections(
    artist: Artist, plan: _Plan, n_beats: int, rng: np.random.Generator
) -> Iterator[Section]:
    """Follow the form from somewhere in its middle until there is music enough."""
    form = artist.style.form
    at, beat = int(rng.integers(len(form))), 0.0
    while beat < n_beats:
        name = form[at % len(form)]
        text = plan.harmony.chorus if name in ("chorus", "break") else plan.harmony.verse
        bars = [tuple(chord(one, plan.key) for one in bar.split()) for bar in text.split("|")]
        if len(bars) < 8 and name not in _SHORT:
            bars *= 8 // len(bars)
        bars = bars[:4] if name in _SHORT else bars
        yield Section(name, beat, tuple(bars))
        beat += len(bars) * plan.n_beats
        at += 1


def _bars(sections: Sequence[Section], n_beats: int) -> Iterator[Bar]:
    heads = [section.chords[0][0] for section in sections]
    for section, after in zip(sections, [*heads[1:], heads[0]], strict=True):
        firsts = [chords[0] for chords in section.chords]
        for index, chords in enumerate(section.chords):
            closes = index + 1 == len(section.chords)
            yield Bar(
                index=index,
                beat=section.first_beat + index * n_beats,
                n_beats=n_beats,
                chords=chords,
                following=after if closes else firsts[index + 1],
                section=section.name,
                opens=index == 0,
                closes=closes,
            )


def _parts(
    artist: Artist, plan: _Plan, bars: list[Bar], rng: np.random.Generator
) -> tuple[Part, ...]:
    style = artist.style
    parts = []

    def add(role: str, instrument: Instrument, notes: list[Note]) -> None:
        if notes:
            parts.append(Part(role, instrument, tuple(sorted(notes, key=_in_time))))

    def heard(role: str, where: tuple[str, ...] = ()) -> list[Bar]:
        return [
            bar
            for bar in bars
            if role not in plan.silent[bar.section] and (not where or bar.section in where)
        ]

    if plan.groove is not None:
        notes = [note for bar in heard("drums") for note in drum_bar(plan.groove, bar, rng)]
        add("drums", artist.kit, notes)
    bass = BassPlayer(_fitting(artist.basses, plan, rng), artist.bass, style.bass_centre)
    add("bass", artist.bass, [note for bar in heard("bass") for note in bass.bar(bar, rng)])
    for role, options in (("comp", artist.comps), ("comp-2", artist.seconds)):
        if not options:
            continue
        comp = _fitting(tuple(one for one, _ in options), plan, rng)
        instrument = next(played for one, played in options if one == comp)
        player = Accompanist(comp, instrument)
        where = heard(role, comp.sections)
        add(role, instrument, [note for bar in where for note in player.bar(bar, rng)])
    if artist.pad is not None:
        pad = Accompanist(Comp((), "x---------------", centre=62), artist.pad)
        add("pad", artist.pad, [note for bar in heard("pad") for note in pad.bar(bar, rng)])
    lead, instrument = pick(rng, artist.leads[:2])
    melodist = Melodist(lead, instrument, plan.key, minor=plan.harmony.minor, rng=rng)
    add("lead", instrument, [note for bar in heard("lead") for note in melodist.bar(bar)])
    return tuple(parts)


def _in_time(note: Note) -> tuple[float, int]:
    return note.beat, note.pitch


def _fitting(options: tuple[PLAYED, ...], plan: _Plan, rng: np.random.Generator) -> PLAYED:
    """Return one of the artist's two favourites among those that go with the groove."""
    meant = [one for one in options if plan.texture in one.grooves]
    free = [one for one in options if not one.grooves]
    return pick(rng, (meant or free)[:2])


def render_rng(seed: int, index: int) -> np.random.Generator:
    """Return the random numbers of playing and mixing a track."""
    return track_rng(seed, index, 2)
