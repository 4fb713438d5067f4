"""Reggae: nothing on the one, chords off the beat, a bass that sings, echoes."""

from genre_mlops.datasets.demo.styles._style import (
    BassLine,
    Comp,
    Groove,
    Harmony,
    Lead,
    MixHabits,
    Style,
)

STYLE = Style(
    genre="reggae",
    neighbours=("hiphop", "pop"),
    tempo_bpm=(118, 164),
    harmonies=(
        Harmony("I|I|IV|IV", "I|V|IV|IV"),
        Harmony("i|i|iv|iv", "i|bVII|i|bVII", minor=True),
        Harmony("I|V|ii|IV", "I|IV|I|V"),
        Harmony("i|i|bVII|bVII", "bVI|bVII|i|i", minor=True),
        Harmony("I|ii|I|ii", "IV|V|IV|V"),
    ),
    grooves=(
        Groove(
            "one drop",
            {"kick": "....X...", "rim": "....X...", "hat": "x.xox.xo"},
        ),
        Groove(
            "one drop with cross-stick",
            {
                "kick": "....X...",
                "snare": "....x...",
                "hat": "xxxxxxxx",
                "rim": "......o.|.o......",
            },
        ),
        Groove(
            "steppers",
            {"kick": "X.X.X.X.", "rim": "....X...", "hat": "xoxoxoxo"},
        ),
        Groove(
            "rockers",
            {"kick": "x...X..o", "snare": "....X...", "hat": "x.x.x.x."},
        ),
    ),
    basses=(
        BassLine("roots", "1--.3-5-|1-.1.5--"),
        BassLine("steady", "1-1-..5-|3-3-..1-|1-1-..5-|8-5-3---"),
        BassLine("drop", "..1-1-3-|..5-3-1-"),
        BassLine("long", "1---..1-|5-3-1---"),
    ),
    comps=(
        Comp(("clean-guitar", "muted-guitar"), "..X...X.", centre=65),
        Comp(("piano", "clean-guitar"), "..X...Xx", centre=66),
        Comp(("drawbar-organ", "rock-organ"), "..X...X.", centre=65),
    ),
    seconds=(
        Comp(("drawbar-organ", "percussive-organ"), ".oxo.oxo", centre=62),
        Comp(("piano",), "..x...x.", centre=67),
        Comp(("brass", "trombone"), "X--x....|........|........|........", centre=64),
        Comp(("clavinet", "muted-guitar"), "0.1.0.2.|0.1.2.1.", centre=57),
    ),
    leads=(
        Lead(
            ("accordion", "harmonica", "alto-sax", "clean-guitar"),
            "mode",
            ("x-x-x---", "..x-x-x-", "x---x-x-", "x-----x-", "........"),
            centre=71,
            answers=True,
        ),
        Lead(
            ("trombone", "brass", "voice-oohs", "percussive-organ"),
            "minor-pentatonic",
            ("x--x--x-", "....x-x-", "x---....", "..xxx---"),
            centre=65,
            answers=True,
        ),
    ),
    bass_instruments=("fingered-bass", "soft-synth-bass", "fretless-bass"),
    kits=("standard-kit", "room-kit", "electronic-kit"),
    swing=(0.5, 0.6),
    bass_centre=33,
    loose_ms=(6.0, 15.0),
    gains_db={"bass": 4.0, "drums": -1.0, "lead": -2.0, "comp-2": -3.0},
    mix=MixHabits(
        level_dbfs=(-21, -14),
        tilt_db=(-1.8, -0.4),
        bass_db=(2.5, 6.5),
        cutoff_hz=(5_500, 9_000),
        room_s=(0.8, 2),
        wet=(0.15, 0.35),
        drive=(0.05, 0.3),
        squash=(0.2, 0.55),
        hiss_db=(-66, -50),
        crackle=(0, 3),
        echo=(0.0, 0.35),
    ),
)
