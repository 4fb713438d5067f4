"""The instruments of the bands: General MIDI programs, each kept inside its real range."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """One sound of the SoundFont.

    Attributes
    ----------
    name : str
        Unique.
    program : int
        General MIDI program from 0, or the number of a drum kit.
    low, high : int
        Lowest and highest MIDI pitch played.
    release_s : float
        How long a note sounds on after its end, in seconds.
    strum_ms : float
        Time between two strings of a chord, in ms; 0 where all sound at once.
    is_drum : bool
        The program is a drum kit.
    decay_s : float
        Time in which a held note falls to 37 % at middle C, in seconds; 0 for what is blown,
        bowed or powered.
    attack_s : float
        Time a note takes to swell, in seconds.
    """

    name: str
    program: int
    low: int
    high: int
    release_s: float = 0.12
    strum_ms: float = 0.0
    is_drum: bool = False
    decay_s: float = 0.0
    attack_s: float = 0.0

    def fold(self, pitch: int) -> int:
        """Return `pitch` moved by octaves into the range."""
        while pitch < self.low:
            pitch += 12
        while pitch > self.high:
            pitch -= 12
        return pitch


_MELODIC = (
    Instrument("piano", 0, 28, 88, 0.25, decay_s=1.1),
    Instrument("honky-tonk", 3, 36, 86, 0.2, decay_s=0.8),
    Instrument("e-piano", 4, 33, 84, 0.25, decay_s=1.1),
    Instrument("dx-piano", 5, 36, 84, 0.25, decay_s=1.0),
    Instrument("harpsichord", 6, 36, 84, 0.2, decay_s=0.6),
    Instrument("clavinet", 7, 36, 79, 0.06, decay_s=0.35),
    Instrument("vibraphone", 11, 53, 84, 0.5, decay_s=1.2),
    Instrument("marimba", 12, 48, 84, 0.2, decay_s=0.22),
    Instrument("drawbar-organ", 16, 40, 84, 0.08),
    Instrument("percussive-organ", 17, 40, 84, 0.08),
    Instrument("rock-organ", 18, 40, 84, 0.08),
    Instrument("accordion", 21, 48, 84, 0.1, attack_s=0.02),
    Instrument("harmonica", 22, 58, 84, 0.08, attack_s=0.015),
    Instrument("nylon-guitar", 24, 40, 79, 0.2, 12.0, decay_s=0.6),
    Instrument("steel-guitar", 25, 40, 81, 0.2, 14.0, decay_s=0.8),
    Instrument("jazz-guitar", 26, 40, 81, 0.15, 10.0, decay_s=0.6),
    Instrument("clean-guitar", 27, 40, 81, 0.15, 10.0, decay_s=0.9),
    Instrument("muted-guitar", 28, 36, 76, 0.05, 6.0, decay_s=0.1),
    Instrument("overdriven-guitar", 29, 38, 84, 0.12, 6.0, decay_s=4.0),
    Instrument("distorted-guitar", 30, 35, 84, 0.1, 4.0, decay_s=6.0),
    Instrument("acoustic-bass", 32, 28, 55, 0.1, decay_s=0.6),
    Instrument("fingered-bass", 33, 28, 55, 0.08, decay_s=0.9),
    Instrument("picked-bass", 34, 26, 55, 0.08, decay_s=1.0),
    Instrument("fretless-bass", 35, 28, 55, 0.1, decay_s=1.2),
    Instrument("slap-bass", 36, 28, 55, 0.06, decay_s=0.5),
    Instrument("synth-bass", 38, 26, 55, 0.06, decay_s=0.8),
    Instrument("soft-synth-bass", 39, 26, 55, 0.08, decay_s=2.5),
    Instrument("violin", 40, 55, 86, 0.15, attack_s=0.03),
    Instrument("viola", 41, 48, 79, 0.15, attack_s=0.03),
    Instrument("cello", 42, 36, 67, 0.18, attack_s=0.03),
    Instrument("contrabass", 43, 28, 52, 0.2, attack_s=0.03),
    Instrument("pizzicato", 45, 40, 81, 0.15, decay_s=0.18),
    Instrument("harp", 46, 36, 84, 0.5, decay_s=0.9),
    Instrument("timpani", 47, 38, 55, 0.6, decay_s=0.6),
    Instrument("strings", 48, 36, 86, 0.3, attack_s=0.05),
    Instrument("slow-strings", 49, 36, 84, 0.45, attack_s=0.16),
    Instrument("synth-strings", 50, 36, 84, 0.35, attack_s=0.08),
    Instrument("choir", 52, 48, 79, 0.35, attack_s=0.1),
    Instrument("voice-oohs", 53, 48, 79, 0.15, attack_s=0.05),
    Instrument("trumpet", 56, 54, 82, 0.1, attack_s=0.01),
    Instrument("trombone", 57, 40, 70, 0.1, attack_s=0.02),
    Instrument("muted-trumpet", 59, 54, 80, 0.1, attack_s=0.01),
    Instrument("french-horn", 60, 41, 74, 0.2, attack_s=0.03),
    Instrument("brass", 61, 45, 79, 0.1, attack_s=0.015),
    Instrument("synth-brass", 62, 40, 79, 0.12),
    Instrument("alto-sax", 65, 52, 74, 0.1, attack_s=0.012),
    Instrument("tenor-sax", 66, 46, 76, 0.1, attack_s=0.012),
    Instrument("oboe", 68, 58, 84, 0.1, attack_s=0.02),
    Instrument("bassoon", 70, 36, 67, 0.1, attack_s=0.02),
    Instrument("clarinet", 71, 50, 84, 0.1, attack_s=0.02),
    Instrument("flute", 73, 60, 86, 0.12, attack_s=0.03),
    Instrument("square-lead", 80, 48, 80, 0.08),
    Instrument("saw-lead", 81, 48, 80, 0.08),
    Instrument("warm-pad", 89, 40, 79, 0.5, attack_s=0.2),
    Instrument("poly-synth", 90, 40, 79, 0.2),
    Instrument("halo-pad", 94, 40, 79, 0.5, attack_s=0.2),
    Instrument("banjo", 105, 48, 81, 0.1, 8.0, decay_s=0.28),
    Instrument("fiddle", 110, 55, 84, 0.1, attack_s=0.015),
)
_KITS = (
    Instrument("standard-kit", 0, 35, 81, is_drum=True),
    Instrument("room-kit", 8, 35, 81, is_drum=True),
    Instrument("power-kit", 16, 35, 81, is_drum=True),
    Instrument("electronic-kit", 24, 35, 81, is_drum=True),
    Instrument("808-kit", 25, 35, 81, is_drum=True),
    Instrument("jazz-kit", 32, 35, 81, is_drum=True),
    Instrument("brush-kit", 40, 35, 81, is_drum=True),
)
INSTRUMENTS = {instrument.name: instrument for instrument in (*_MELODIC, *_KITS)}

DRUMS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "low-tom": 45,
    "mid-tom": 47,
    "high-tom": 50,
    "crash": 49,
    "ride": 51,
    "bell": 53,
    "tambourine": 54,
    "cowbell": 56,
    "conga": 63,
    "low-conga": 64,
    "shaker": 70,
}
"""The pitches of a drum kit by name."""

DRUM_DECAY_S = {"kick": 0.16, "crash": 0.45, "ride": 0.22, "bell": 0.3, "open": 0.16}
"""Time in which a drum falls to 37 %; `OTHER_DRUM_DECAY_S` for those not named."""
OTHER_DRUM_DECAY_S = 0.14
