"""The SoundFont that `pretty_midi` carries, put in tune, and the notes it sounds.

The synthesizer of `symusic` has four habits that this module hides:

- It reads the pitch of a sample from the sample's header and passes over the zone's own root
  key, which takes most instruments of this SoundFont off by up to 20 semitones, each by another
  amount. `tuned` writes the root keys into the headers before the synthesizer sees them.
- It plays every note equally loud, lets none decay and cuts it at its end. `NoteBank` therefore
  returns single notes and leaves dynamics, decay and release to the mixer.
- What an instrument sounds like depends on which others that share its samples came before. Each
  instrument of a `NoteBank` therefore gets a synthesizer of its own.
- It never returns from notes too far above their sample, as some were with the wrong root keys.
  `NoteBank` refuses what an instrument cannot play, so none is asked for.
"""

import struct
import tempfile
from collections import defaultdict
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre_mlops.datasets.demo.instruments import Instrument
from genre_mlops.errors import DataError

SR = 22_050
"""Sampling rate of everything rendered, in Hz."""

_GEN_SAMPLE, _GEN_ROOT_KEY = 53, 58
_SAMPLE_HEADER_BYTES, _HEADER_PITCH = 46, 40


def soundfont_bytes() -> bytes:
    """Return the SoundFont file of `pretty_midi`, which need not be importable.

    Raises
    ------
    DataError
        `pretty_midi` is not installed or carries no SoundFont.
    """
    try:
        return (files("pretty_midi") / "TimGM6mb.sf2").read_bytes()
    except (ImportError, OSError) as error:
        raise DataError(
            "the demo music needs the SoundFont of pretty_midi: install genre-mlops[pipeline]"
        ) from error


def tuned(soundfont: bytes) -> bytes:
    """Return the SoundFont with every zone's root key written into a sample header of its own.

    A sample may serve zones with different root keys, so each pair gets a copy of the header
    with the pitch replaced; the audio is shared. Chunks and fields: SoundFont 2.04
    specification, section 7.

    Parameters
    ----------
    soundfont : bytes
        A whole SF2 file whose last chunk is the table of sample headers.
    """
    data = bytearray(soundfont)
    pdta = data.find(b"pdta")
    bags, n_bags = _chunk(data, b"ibag", pdta)
    gens, _ = _chunk(data, b"igen", pdta)
    table, n_table = _chunk(data, b"shdr", pdta)
    headers = [
        bytes(data[at : at + _SAMPLE_HEADER_BYTES])
        for at in range(table, table + n_table, _SAMPLE_HEADER_BYTES)
    ]
    end_of_samples = headers.pop()
    copies: dict[tuple[int, int], int] = {}
    edges = [struct.unpack_from("<H", data, at)[0] for at in range(bags, bags + n_bags, 4)]
    for first, last in pairwise(edges):
        zone = {}
        for at in range(gens + 4 * first, gens + 4 * last, 4):
            operator, amount = struct.unpack_from("<HH", data, at)
            zone[operator] = (at, amount)
        if _GEN_ROOT_KEY not in zone or _GEN_SAMPLE not in zone:
            continue
        (at, sample), (_, root) = zone[_GEN_SAMPLE], zone[_GEN_ROOT_KEY]
        if (sample, root) not in copies:
            header = bytearray(headers[sample])
            header[_HEADER_PITCH] = root
            copies[sample, root] = len(headers)
            headers.append(bytes(header))
        struct.pack_into("<H", data, at + 2, copies[sample, root])
    new_table = b"".join([*headers, end_of_samples])
    data[table : table + n_table] = new_table
    struct.pack_into("<I", data, table - 4, len(new_table))
    struct.pack_into("<I", data, pdta - 4, len(data) - pdta)
    struct.pack_into("<I", data, 4, len(data) - 8)
    return bytes(data)


def _chunk(data: bytearray, name: bytes, start: int) -> tuple[int, int]:
    """Return where the content of a chunk begins and how many bytes it has."""
    at = data.find(name, start)
    return at + 8, struct.unpack_from("<I", data, at + 4)[0]


@cache
def _tuned_soundfont() -> bytes:
    return tuned(soundfont_bytes())


class NoteBank:
    """Single notes of one piece, each rendered once at the longest length asked for."""

    def __init__(self) -> None:
        self._longest_s: dict[Instrument, dict[int, float]] = defaultdict(dict)
        self._notes: dict[tuple[Instrument, int], NDArray[np.float32]] = {}

    def ask(self, instrument: Instrument, pitch: int, duration_s: float) -> None:
        """Announce a note, such that `render` makes it long enough.

        Parameters
        ----------
        instrument : Instrument
            What plays.
        pitch : int
            MIDI pitch, or the drum of a kit.
        duration_s : float
            How long the key is held, in seconds.

        Raises
        ------
        ValueError
            `pitch` is outside of what the instrument plays.
        """
        if not instrument.low <= pitch <= instrument.high:
            raise ValueError(
                f"{instrument.name} plays {instrument.low} to {instrument.high}, got {pitch}"
            )
        longest = self._longest_s[instrument]
        longest[pitch] = max(longest.get(pitch, 0.0), duration_s)

    def render(self) -> None:
        """Make all notes that were announced."""
        from symusic import Synthesizer

        # The synthesizer wants a path, and holds what it needs once it is made.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tuned.sf2"
            path.write_bytes(_tuned_soundfont())
            for instrument, pitches in self._longest_s.items():
                synthesizer = Synthesizer(str(path), SR, 0)
                for pitch, duration_s in pitches.items():
                    self._notes[instrument, pitch] = _play(
                        synthesizer, instrument, pitch, duration_s
                    )

    def note(self, instrument: Instrument, pitch: int) -> NDArray[np.float32]:
        """Return a rendered note at `SR`, [shape=(n_samples,)], at least as long as announced."""
        return self._notes[instrument, pitch]


def _play(
    synthesizer: Any, instrument: Instrument, pitch: int, duration_s: float
) -> NDArray[np.float32]:
    from symusic import Note, Score, Track

    # Typed loosely: symusic declares one class for each unit of time and returns their union.
    score: Any = Score(ttype="second")
    track: Any = Track(program=instrument.program, is_drum=instrument.is_drum, ttype="second")
    track.notes.append(Note(0.0, duration_s, pitch, 100, "second"))
    score.tracks.append(track)
    stereo = synthesizer.render(score, True)
    return np.asarray(np.mean(stereo, axis=0), dtype=np.float32)
