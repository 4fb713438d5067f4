"""Hip hop: slow swung sixteenths, a deep sparse bass and short loops off dusty records."""

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
    genre="hiphop",
    neighbours=("reggae", "disco", "jazz"),
    tempo_bpm=(78, 106),
    harmonies=(
        Harmony("i7|i7", "i7|i7", minor=True),
        Harmony("i7|iv7", "i7|iv7", minor=True),
        Harmony("i7|bVImaj7|i7|V7", "i7|bVImaj7|i7|V7", minor=True),
        Harmony("ii7|V7|Imaj7|Imaj7", "ii7|V7|Imaj7|Imaj7"),
        Harmony("i9|i9|bVI|bVII", "i9|i9|bVI|bVII", minor=True),
    ),
    grooves=(
        Groove(
            "boom bap",
            {
                "kick": "X......o..X.....|X.....x...x..x..",
                "snare": "....X.......X...",
                "hat": "x.x.x.xox.x.x.x.",
            },
            fill="none",
        ),
        Groove(
            "head nod",
            {
                "kick": "X.x.......X..x..|X.x......xX.....",
                "snare": "....X..o.o..X..o",
                "hat": "x.x.x.x.x.x.x.x.",
                "open": "..............x.|................",
            },
            fill="none",
        ),
        Groove(
            "machine",
            {
                "kick": "X.....x...x.....|X..x......x..x..",
                "clap": "........X.......",
                "hat": "x.x.xxx.x.x.x.xx|x.x.x.x.xxxxx.x.",
                "cowbell": "......o.........|..........o.....",
            },
            fill="none",
        ),
    ),
    basses=(
        BassLine("sub", "1-----1...1-....|1-----......3-5-"),
        BassLine("long", "1-------....1-..|1-----------7---"),
        BassLine("loop", "1--1....8-.1....|1--1......5-7-8-"),
    ),
    comps=(
        Comp(("e-piano", "piano", "jazz-guitar"), "x-----x-........|x-----x---x-....", centre=64),
        Comp(("vibraphone", "dx-piano", "nylon-guitar"), "0-2-1-3-..2-....", centre=67),
        Comp(("strings", "synth-strings", "piano"), "x-----------....", centre=66),
        Comp(("piano", "clavinet"), "x...x...x...x...|x...x...x.x.x...", centre=66),
    ),
    seconds=(
        Comp(("brass", "synth-brass"), "X.......X.......|................", centre=65),
        Comp(("choir", "voice-oohs", "warm-pad"), "x---------------", centre=64),
        Comp(("flute", "pizzicato"), "....2-1-....0---|................", centre=74),
    ),
    leads=(
        Lead(
            ("square-lead", "saw-lead", "flute", "voice-oohs"),
            "minor-pentatonic",
            ("x--x--x-........", "..x-x-x-..x-....", "x-x-..x-x-..x---", "................"),
            centre=70,
            leap=0.3,
            answers=True,
        ),
        Lead(
            ("muted-trumpet", "e-piano", "vibraphone"),
            "minor-pentatonic",
            ("x-----x-....x-x-", "........x-x-x---", "x--xx-..........", "................"),
            centre=69,
            answers=True,
        ),
    ),
    bass_instruments=("soft-synth-bass", "synth-bass", "acoustic-bass", "fingered-bass"),
    kits=("808-kit", "electronic-kit", "standard-kit", "room-kit"),
    form=("intro", "verse", "verse", "chorus", "verse", "chorus"),
    swing=(0.52, 0.62),
    swing_unit=0.25,
    bass_centre=34,
    loose_ms=(1.0, 10.0),
    gains_db={"drums": 4.0, "bass": 3.0, "lead": -4.0, "comp-2": -6.0, "comp": -1.0},
    mix=MixHabits(
        level_dbfs=(-18, -11),
        tilt_db=(-1.2, 0.2),
        bass_db=(4, 8),
        cutoff_hz=(7_000, 10_500),
        room_s=(0.2, 0.5),
        wet=(0, 0.1),
        drive=(0.25, 0.7),
        squash=(0.45, 0.85),
        hiss_db=(-62, -46),
        crackle=(1, 12),
    ),
)
