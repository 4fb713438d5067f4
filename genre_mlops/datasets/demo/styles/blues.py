"""Blues: twelve bars of seventh chords, a shuffle or slow triplets, call and response."""

from genre_mlops.datasets.demo.styles._style import (
    BassLine,
    Comp,
    Groove,
    Harmony,
    Lead,
    MixHabits,
    Style,
)

_TWELVE = "I7|I7|I7|I7|IV7|IV7|I7|I7|V7|IV7|I7|V7"
_QUICK = "I7|IV7|I7|I7|IV7|IV7|I7|I7|V7|IV7|I7|V7"
_MINOR = "i7|i7|i7|i7|iv7|iv7|i7|i7|bVI7|V7|i7|V7"
_JAZZY = "I7|IV7|I7|I7|IV7|IV7|I7|VI7|ii7|V7|I7 VI7|ii7 V7"

STYLE = Style(
    genre="blues",
    neighbours=("rock", "country", "jazz"),
    tempo_bpm=(88, 138),
    harmonies=(
        Harmony(_TWELVE, _TWELVE),
        Harmony(_QUICK, _QUICK),
        Harmony(_MINOR, _MINOR, minor=True),
        Harmony(_JAZZY, _JAZZY),
    ),
    grooves=(
        Groove(
            "shuffle",
            {"hat": "X.x.X.x.", "kick": "x...x...", "snare": "..X...X."},
            fill="snare",
        ),
        Groove(
            "ride shuffle",
            {"ride": "X.xxX.xx", "kick": "x..ox...", "snare": "..X...X.", "pedal": "..x...x."},
            fill="snare",
        ),
        Groove(
            "slow twelve-eight",
            {"hat": "XxxXxxXxxXxx", "kick": "x....ox.....", "snare": "...X.....X.."},
            tempo=0.58,
        ),
        Groove(
            "straight rumba",
            {"hat": "xxxxxxxx", "kick": "x..xx..x", "rim": "..X...X.", "conga": "x.o.xxo."},
            swings=False,
        ),
    ),
    basses=(
        BassLine("boogie", "1-1-3-3-5-5-6-6-|8-8-6-6-5-5-3-3-"),
        BassLine("quarters", "1---3---5---6---|1---5---3---a---"),
        BassLine("shuffle", "1-.11-.15-.56-.5"),
        BassLine("walk"),
    ),
    comps=(
        Comp(("clean-guitar", "overdriven-guitar", "steel-guitar"), "ppqqppqq", "power", 45),
        Comp(("piano", "honky-tonk"), "..x...x.|..x..xx.", centre=62),
        Comp(("jazz-guitar", "clean-guitar"), "..X...X.", centre=60),
        Comp(("drawbar-organ", "rock-organ"), "x-----o-|x-------", centre=63),
    ),
    seconds=(
        Comp(("piano", "honky-tonk"), ".xo..xo.|..xoxo..", centre=69),
        Comp(("drawbar-organ",), "x-------", centre=62),
        Comp(("tenor-sax", "brass"), "......Xx|..X.....", centre=62),
    ),
    leads=(
        Lead(
            ("overdriven-guitar", "clean-guitar", "jazz-guitar"),
            "blues",
            ("..xxx-xx", "x-xxx---", ".xx-xxx-", "x---..xx", "xxxxxxxxx---", "x--xx-x-"),
            centre=69,
            bend=0.35,
            answers=True,
        ),
        Lead(
            ("harmonica", "tenor-sax"),
            "blues",
            ("x---x-x-", "..x-xxx-", "x-----xx", "x-x-x---"),
            centre=67,
            bend=0.3,
            answers=True,
        ),
    ),
    bass_instruments=("acoustic-bass", "fingered-bass", "picked-bass"),
    kits=("standard-kit", "jazz-kit", "room-kit"),
    second_share=0.7,
    form=("verse", "solo", "verse", "solo", "chorus"),
    keys=(4, 9, 2, 7, 0, 10),
    swing=(0.61, 0.69),
    loose_ms=(7.0, 18.0),
    gains_db={"lead": 1.0, "comp-2": -4.0},
    mix=MixHabits(
        level_dbfs=(-24, -15),
        tilt_db=(-1.8, -0.5),
        bass_db=(-3, 0),
        cutoff_hz=(5_500, 8_500),
        room_s=(0.4, 0.9),
        wet=(0.08, 0.2),
        drive=(0.25, 0.7),
        squash=(0.15, 0.4),
        hiss_db=(-60, -46),
        crackle=(0, 2),
    ),
)
