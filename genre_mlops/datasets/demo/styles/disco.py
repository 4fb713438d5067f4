"""Disco: four on the floor, open hat off the beat, octave bass, strings and wah guitars."""

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
    genre="disco",
    neighbours=("pop", "hiphop"),
    tempo_bpm=(106, 130),
    harmonies=(
        Harmony("i7|i7|IV7|IV7", "bVImaj7|bVII|i7|i7", minor=True),
        Harmony("vi7|ii7|V7|Imaj7", "IVmaj7|V7|iii7|vi7"),
        Harmony("i7|bVII|bVI|V7", "iv7|bVII|bIII|V7", minor=True),
        Harmony("ii7|V7|ii7|V7", "Imaj7|vi7|ii7|V7"),
    ),
    grooves=(
        Groove(
            "four on the floor",
            {"kick": "X...X...X...X...", "snare": "....X.......X...", "open": "..x...x...x...x."},
            fill="snare",
        ),
        Groove(
            "sixteenths",
            {
                "kick": "X...X...X...X...",
                "clap": "....X.......X...",
                "hat": "xox.xox.xox.xox.",
                "open": "..x...x...x...x.",
            },
        ),
        Groove(
            "with congas",
            {
                "kick": "X...X...X...X...",
                "snare": "....X.......X..o",
                "hat": "x.x.x.x.x.x.x.x.",
                "conga": "..x..xo...x.xx..",
                "tambourine": "....x.......x...",
            },
        ),
    ),
    basses=(
        BassLine("octaves", "1-8-1-8-1-8-1-8-"),
        BassLine("gallop", "1.881.881.881.88|1.881.885.881.a8"),
        BassLine("funk", "1--18-.1..1-8-7-|1--18-.1..5-7-8-"),
    ),
    comps=(
        Comp(("clean-guitar", "muted-guitar"), "..xox.xo..xox.xo", centre=66),
        Comp(("clavinet", "e-piano"), "x.ox..xo.ox..x.o", centre=63),
        Comp(("piano", "dx-piano"), "x--x--x---x--x--", centre=64),
    ),
    seconds=(
        Comp(("strings", "synth-strings"), "x---------------", centre=74),
        Comp(("brass", "synth-brass"), "........Xx.X....|................", centre=67),
        Comp(("e-piano", "piano"), "..x...x...x...x.", centre=66),
    ),
    leads=(
        Lead(
            ("strings", "synth-strings", "voice-oohs"),
            "mode",
            ("x-----x-x---x---", "x-x-x-x-x-------", "....x-x-x-x-x---", "x-----------xxxx"),
            centre=76,
        ),
        Lead(
            ("brass", "alto-sax", "trumpet", "saw-lead"),
            "minor-pentatonic",
            ("x--x--x-....x-x-", "..x-x--xx---....", "x-x-..x-..x-x---"),
            centre=70,
        ),
    ),
    bass_instruments=("fingered-bass", "slap-bass", "synth-bass", "picked-bass"),
    kits=("standard-kit", "electronic-kit", "room-kit"),
    pads=("strings", "synth-strings"),
    pad_share=1.0,
    keys=(9, 2, 4, 7, 0, 11),
    loose_ms=(2.0, 8.0),
    gains_db={"drums": 1.0, "bass": 1.0, "pad": -4.0, "comp-2": -4.0, "comp": -2.0},
    mix=MixHabits(
        level_dbfs=(-19, -13),
        tilt_db=(0.6, 1.6),
        bass_db=(0, 3),
        cutoff_hz=(8_000, 11_000),
        room_s=(0.4, 1.0),
        wet=(0.1, 0.25),
        drive=(0.05, 0.25),
        squash=(0.3, 0.6),
        hiss_db=(-72, -56),
    ),
)
