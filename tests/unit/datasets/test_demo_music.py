"""What makes each genre, looked for in the composed notes."""

from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest

from genre_mlops.datasets.demo.artists import draw_artist, place
from genre_mlops.datasets.demo.composer import compose, render_rng
from genre_mlops.datasets.demo.instruments import DRUMS, INSTRUMENTS
from genre_mlops.datasets.demo.performance import perform, swung
from genre_mlops.datasets.demo.players import Bar, steps
from genre_mlops.datasets.demo.score import Section
from genre_mlops.datasets.demo.styles import GENRES, STYLES
from genre_mlops.datasets.demo.theory import Chord, chord, nearest, voicing

N_TRACKS = 150


@cache
def pieces(genre):
    indices = range(GENRES.index(genre), N_TRACKS, len(GENRES))
    return [compose(3, index, 30.0)[0] for index in indices]


def drum_beats(piece, drum):
    """Beats within their bars, for all bars whose section has drums, and how many bars."""
    notes = piece.part("drums").notes
    bars = {int(note.beat // piece.beats_per_bar) for note in notes}
    at = [note.beat % piece.beats_per_bar for note in notes if note.pitch == DRUMS[drum]]
    return Counter(at), len(bars)


def roles(piece):
    return {part.role for part in piece.parts}


def with_drums(genre, groove=""):
    found = [
        piece
        for piece in pieces(genre)
        if "drums" in roles(piece) and piece.groove.startswith(groove)
    ]
    assert found
    return found


@pytest.mark.parametrize("genre", GENRES)
def test_pieces_last_and_stay_in_their_instruments_ranges(genre):
    for piece in pieces(genre):
        assert piece.genre == genre
        assert piece.n_bars * piece.beats_per_bar * 60 / piece.tempo_bpm > 30.0
        assert piece.key == piece.key % 12
        assert {"bass", "comp"} <= roles(piece)
        for part in piece.parts:
            low, high = part.instrument.low, part.instrument.high
            assert all(low <= note.pitch <= high for note in part.notes)
            assert all(1 <= note.velocity <= 127 and note.length > 0 for note in part.notes)
            assert [note.beat for note in part.notes] == sorted(note.beat for note in part.notes)


@pytest.mark.parametrize("genre", GENRES)
def test_tempo_stays_in_the_range_of_the_genre_and_varies(genre):
    style = STYLES[genre]
    slowest, fastest = style.tempo_bpm
    factors = [groove.tempo for groove in style.grooves] or [1.0]
    tempos = [piece.tempo_bpm for piece in pieces(genre)]
    assert slowest * min(factors) <= min(tempos)
    assert max(tempos) <= fastest * max(factors)
    assert np.ptp(tempos) > 0.2 * (fastest - slowest)


def test_genres_differ_in_tempo():
    median = {genre: np.median([piece.tempo_bpm for piece in pieces(genre)]) for genre in GENRES}
    assert median["hiphop"] < median["pop"] < median["disco"] < median["metal"]
    assert median["classical"] < median["rock"] < median["reggae"]
    assert max(piece.tempo_bpm for piece in pieces("metal")) > 150


def test_blues_has_twelve_bars_and_seventh_chords():
    for piece in pieces("blues"):
        assert {len(section.chords) for section in piece.sections} == {12}
        for section in piece.sections:
            roots = [(bar[0].root - piece.key) % 12 for bar in section.chords]
            assert (roots[0], roots[4], roots[5], roots[10]) == (0, 5, 5, 0)
            assert all("7" in one.quality for bar in section.chords for one in bar)


def test_blues_shuffles():
    for piece in pieces("blues"):
        assert piece.swing == 0.5 if piece.groove == "straight rumba" else piece.swing > 0.6
    assert any("shuffle" in piece.groove for piece in pieces("blues"))


def test_disco_has_four_on_the_floor():
    for piece in with_drums("disco"):
        kicks, n_bars = drum_beats(piece, "kick")
        # Fills take the last beat or two of a section.
        assert kicks[0] == kicks[1] == n_bars
        assert kicks[2] > 0.7 * n_bars
        assert set(kicks) == {0, 1, 2, 3}


def test_disco_bass_plays_octaves():
    octaves = 0
    for piece in pieces("disco"):
        pitches = [note.pitch for note in piece.part("bass").notes]
        octaves += 12 in np.abs(np.diff(pitches))
    assert octaves > 0.8 * len(pieces("disco"))


def test_reggae_leaves_out_the_one_in_a_one_drop():
    for piece in with_drums("reggae", "one drop"):
        kicks, n_bars = drum_beats(piece, "kick")
        assert kicks[0] == 0
        assert kicks[2] > 0.8 * n_bars


def test_reggae_chops_off_the_beat():
    for piece in pieces("reggae"):
        at = {note.beat % 4 for note in piece.part("comp").notes}
        assert {1.0, 3.0} <= at
        assert 0.0 not in at
        assert 2.0 not in at


def test_jazz_walks_and_swings():
    walks = 0
    for piece in pieces("jazz"):
        bass = piece.part("bass").notes
        quarters = [note for note in bass if note.beat == int(note.beat)]
        n_bars = len({note.beat // 4 for note in bass})
        walks += len(quarters) == 4 * n_bars
        if piece.groove != "bossa":
            assert 0.58 < piece.swing < 0.68
    assert walks > 0.4 * len(pieces("jazz"))


def test_a_walking_bass_reaches_roots_and_moves_in_small_steps():
    walking = [
        piece
        for piece in pieces("jazz")
        if all(note.length <= 0.9 for note in piece.part("bass").notes)
    ]
    assert walking
    for piece in walking:
        notes = piece.part("bass").notes
        steps_ = np.abs(np.diff([note.pitch for note in notes]))
        assert np.mean(steps_ <= 7) > 0.8
        roots = {
            section.first_beat + 4 * bar: chords[0].root
            for section in piece.sections
            for bar, chords in enumerate(section.chords)
        }
        for note in notes:
            if note.beat in roots:
                assert note.pitch % 12 == roots[note.beat]


def test_swing_is_heard_in_what_is_played():
    index = next(i for i in range(5, N_TRACKS, 10) if compose(3, i, 30.0)[0].groove == "swing")
    piece, artist = compose(3, index, 30.0)
    ride = piece.part("drums")
    events = perform(ride, piece, artist, render_rng(3, index))
    beat_s = 60.0 / piece.tempo_bpm
    late = [
        event.onset_s / beat_s - int(note.beat)
        for note, event in zip(ride.notes, events, strict=True)
        if note.beat % 1 == 0.5 and note.pitch == DRUMS["ride"]
    ]
    on = [
        event.onset_s / beat_s - int(note.beat)
        for note, event in zip(ride.notes, events, strict=True)
        if note.beat % 1 == 0 and note.pitch == DRUMS["ride"]
    ]
    assert np.median(late) - np.median(on) == pytest.approx(piece.swing, abs=0.03)


def test_metal_is_low_dark_and_fast_on_the_feet():
    doubles = 0
    for piece in pieces("metal"):
        assert all(bar[0].quality == "5" for section in piece.sections for bar in section.chords)
        if "drums" in roles(piece):
            kicks, n_bars = drum_beats(piece, "kick")
            doubles += sum(kicks.values()) > 5 * n_bars
    assert doubles > 0.7 * len(pieces("metal"))
    amplified = {"distorted-guitar", "overdriven-guitar"}
    players = [{part.instrument.name for part in piece.parts} for piece in pieces("metal")]
    assert np.mean([bool(names & amplified) for names in players]) > 0.9


@pytest.mark.parametrize("genre", ["pop", "rock"])
def test_the_snare_is_on_the_back_beat(genre):
    hits = Counter()
    for piece in with_drums(genre):
        for drum in ("snare", "clap"):
            hits += drum_beats(piece, drum)[0]
    assert hits[0] < 0.1 * max(hits[1], hits[2], hits[3])
    assert hits[1] + hits[2] + hits[3] > 0.75 * sum(hits.values())


def test_hip_hop_loops_and_swings_sixteenths():
    for piece in pieces("hiphop"):
        assert piece.swing_unit == 0.25
        assert 76 < piece.tempo_bpm < 108
        bars = defaultdict(list)
        for note in piece.part("comp").notes:
            bars[note.beat // 4].append((note.beat % 4, note.pitch))
        # Loops come back note for note.
        assert len({tuple(bar) for bar in bars.values()}) <= 0.7 * len(bars)


def test_country_alternates_root_and_fifth():
    degrees = Counter()
    for piece in pieces("country"):
        chords = [bar[0] for section in piece.sections for bar in section.chords]
        for note in piece.part("bass").notes:
            bar, beat = divmod(note.beat, piece.beats_per_bar)
            if beat in (0, 2):
                degrees[beat, (note.pitch - chords[int(bar)].root) % 12] += 1
    on_one = [count for (beat, _), count in degrees.items() if beat == 0]
    on_three = [count for (beat, _), count in degrees.items() if beat == 2]
    assert degrees[0, 0] > 0.9 * sum(on_one)
    assert degrees[2, 7] > 0.7 * sum(on_three)


def test_country_has_waltzes():
    metres = {
        (piece.groove, piece.beats_per_bar)
        for seed in range(4)
        for turn in range(9)
        for piece in [compose(seed, GENRES.index("country") + 10 * turn, 10.0)[0]]
    }
    assert {n_beats for groove, n_beats in metres if groove == "waltz"} == {3}
    assert {n_beats for groove, n_beats in metres if groove != "waltz"} == {4}


def test_classical_has_no_drums_and_breathes():
    for index in range(1, N_TRACKS, 10):
        piece, artist = compose(3, index, 30.0)
        assert "drums" not in roles(piece)
        assert artist.rubato >= 0.03
    assert {piece.beats_per_bar for piece in pieces("classical")} == {3, 4}


@pytest.mark.parametrize("genre", GENRES)
def test_melodies_come_back_to_their_motif(genre):
    """The second bar of a phrase has the rhythm of the first."""
    same = phrases = 0
    for piece in pieces(genre):
        if "lead" not in roles(piece):
            continue
        bars = defaultdict(list)
        for note in piece.part("lead").notes:
            bars[note.beat // piece.beats_per_bar].append(note.beat % piece.beats_per_bar)
        for section in piece.sections:
            first = section.first_beat // piece.beats_per_bar
            for bar in range(0, len(section.chords), 4):
                if bars[first + bar]:
                    phrases += 1
                    same += bars[first + bar] == bars[first + bar + 1]
    assert phrases > 5
    assert same > 0.9 * phrases


@pytest.mark.parametrize("genre", GENRES)
def test_long_melody_notes_on_the_beat_fit_the_chord(genre):
    fits = notes = 0
    for piece in pieces(genre):
        if "lead" not in roles(piece):
            continue
        for section in piece.sections:
            for note in piece.part("lead").notes:
                bar = int((note.beat - section.first_beat) // piece.beats_per_bar)
                if note.length < 0.9 or note.beat % 1 or not 0 <= bar < len(section.chords):
                    continue
                offset = (note.beat - section.first_beat) % piece.beats_per_bar
                chords = section.chords[bar]
                now = chords[int(offset / piece.beats_per_bar * len(chords))]
                notes += 1
                fits += note.pitch % 12 in now.pitch_classes
    assert notes
    # Blue notes are meant to rub.
    assert fits > (0.2 if genre == "blues" else 0.6) * notes


def test_tracks_of_an_artist_share_habits_and_differ():
    first, again = (compose(3, index, 30.0) for index in (0, 30))
    assert place(0)[:2] == place(30)[:2]
    assert first[1] == again[1]
    assert first[0] != again[0]
    assert draw_artist(3, "blues", 0) == first[1]
    assert draw_artist(3, "blues", 1) != first[1]
    assert draw_artist(4, "blues", 0) != first[1]


def test_some_artists_cross_over_to_a_neighbour():
    borrowed = 0
    for genre in GENRES:
        style = STYLES[genre]
        own = {name for comp in style.comps for name in comp.instruments}
        for number in range(12):
            artist = draw_artist(0, genre, number)
            borrowed += any(instrument.name not in own for _, instrument in artist.comps)
    assert 0.05 < borrowed / 120 < 0.4


def letters_of(style):
    for groove in style.grooves:
        assert set(groove.lines) <= set(DRUMS)
        yield from ((line, "Xxo", groove.name) for line in groove.lines.values())
    for bass in style.basses:
        yield bass.pattern or "1-------", "135678ab", bass.name
    for comp in (*style.comps, *style.seconds):
        yield comp.pattern, "Xxo0123bfpqhjklrt", comp.pattern
    for lead in style.leads:
        yield from ((cell, "x", cell) for cell in lead.cells)


@pytest.mark.parametrize("genre", GENRES)
def test_styles_are_well_formed(genre):
    style = STYLES[genre]
    assert set(style.neighbours) <= set(GENRES) - {genre}
    for pattern, letters, name in letters_of(style):
        for bar in pattern.split("|"):
            assert len(bar) in (8, 12, 16), name
            assert set(bar) <= set(letters + ".-"), name
    for comp in (*style.comps, *style.seconds, *style.leads):
        assert set(comp.instruments) <= set(INSTRUMENTS)
    assert {*style.kits, *style.pads, *style.bass_instruments} <= set(INSTRUMENTS)
    for harmony in style.harmonies:
        for text in (harmony.verse, harmony.chorus):
            assert all(chord(one, 0) for bar in text.split("|") for one in bar.split())


def bar_of(n_beats):
    home = Chord(0, "")
    section = Section("verse", 0.0, ((home,),))
    return Bar(0, 0.0, n_beats, section.chords[0], home, "verse", opens=True, closes=True)


@pytest.mark.parametrize(
    ("pattern", "n_beats", "expected"),
    [
        ("x-..x-x.", 4, [(0, 1), (2, 1), (3, 0.5)]),
        ("x-..x-x.", 3, [(0, 1), (2, 1)]),
        ("x...-...x..x....", 4, [(0, 0.25), (2, 0.25), (2.75, 0.25)]),
        ("x--x........", 4, [(0, 1), (1, 1 / 3)]),
        ("x--x........", 3, [(0, 0.75), (0.75, 0.25)]),
    ],
)
def test_patterns_are_read(pattern, n_beats, expected):
    read = [(offset, length) for offset, length, _ in steps(pattern, bar_of(n_beats))]
    np.testing.assert_allclose(read, expected)


@pytest.mark.parametrize(
    ("symbol", "root", "intervals"),
    [
        ("I", 2, (0, 4, 7)),
        ("ii7", 4, (0, 3, 7, 10)),
        ("bVIImaj7", 0, (0, 4, 7, 11)),
        ("iim7b5", 4, (0, 3, 6, 10)),
        ("V", 9, (0, 4, 7)),
        ("iv", 7, (0, 3, 7)),
        ("i5", 2, (0, 7)),
    ],
)
def test_roman_numerals(symbol, root, intervals):
    read = chord(symbol, 2)
    assert (read.root, read.intervals) == (root, intervals)


@pytest.mark.parametrize("wrong", ["H7", "IIII", "Vx", ""])
def test_what_is_no_chord_is_refused(wrong):
    with pytest.raises(ValueError, match=r"Roman numeral|unknown quality"):
        chord(wrong, 0)


def test_voicings_hold_the_chord_and_move_little():
    piano = INSTRUMENTS["piano"]
    before = voicing((0, 4, 7), 60, (), piano)
    after = voicing((5, 9, 0), 60, before, piano)
    assert {pitch % 12 for pitch in after} == {5, 9, 0}
    assert sum(min(abs(one - other) for other in before) for one in after) <= 4


def test_nearest_is_within_half_an_octave():
    for pitch_class in range(12):
        found = nearest(pitch_class, 47)
        assert found % 12 == pitch_class
        assert abs(found - 47) <= 6


def test_straight_time_is_left_alone_and_triplets_stay():
    for beat in (0.0, 0.25, 0.5, 1 / 3, 7.75):
        assert swung(beat, 0.5, 0.5) == pytest.approx(beat)
    assert swung(3.5, 2 / 3, 0.5) == pytest.approx(3 + 2 / 3)
    assert swung(3 + 1 / 3, 0.6, 0.5) == pytest.approx(3 + 1 / 3)
    assert swung(1.25, 0.6, 0.25) == pytest.approx(1.3)
    assert swung(1.5, 0.6, 0.25) == pytest.approx(1.5)
