"""Rock: back beat and eighths, overdriven guitars, pentatonic solos, chorus louder than verse."""

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
    genre="rock",
    neighbours=("metal", "blues", "pop", "country"),
    tempo_bpm=(92, 156),
    harmonies=(
        Harmony("I|bVII|IV|I", "I|IV|V|V"),
        Harmony("i|bVI|bVII|i", "bVI|bVII|i|i", minor=True),
        Harmony("I|V|vi|IV", "IV|I|V|V"),
        Harmony("I5|IV5|I5|bVII5", "IV5|V5|I5|bVII5"),
        Harmony("I7|I7|I7|I7|IV7|IV7|I7|I7|V7|IV7|I7|V7", "IV7|IV7|I7|I7|V7|V7|V7|V7"),
    ),
    grooves=(
        Groove(
            "back beat",
            {"kick": "X.....x.X.......", "snare": "....X.......X...", "hat": "X.x.X.x.X.x.X.x."},
        ),
        Groove(
            "driving",
            {"kick": "X.x.....X.x.....", "snare": "....X.......X...", "open": "X...X...X...X..."},
        ),
        Groove(
            "ride",
            {"kick": "X.....xxX.....x.", "snare": "....X.......X...", "ride": "x.x.x.x.x.x.x.x."},
        ),
        Groove(
            "half time",
            {"kick": "X.....x.....x...", "snare": "........X.......", "crash": "X.......x......."},
            tempo=0.95,
        ),
    ),
    basses=(
        BassLine("eighths", "1-1-1-1-1-1-1-1-|1-1-1-1-1-1-5-a-"),
        BassLine("with the kick", "1-----1-1-------|1-----1-1---5-a-"),
        BassLine("riff", "1-1-..8-7-5-1---"),
    ),
    comps=(
        Comp(
            ("overdriven-guitar", "distorted-guitar"),
            "X-0-0-0-X-0-0-0-|X-0-0-X-0-X-0-0-",
            "power",
            45,
        ),
        Comp(("overdriven-guitar",), "X-----x-X---x-x-", centre=55),
        Comp(("overdriven-guitar", "clean-guitar"), "X-X-..X-X-..x-x-", "power", 47),
        Comp(("clean-guitar", "steel-guitar"), "0-1-2-1-3-1-2-1-", centre=57),
        Comp(("steel-guitar",), "X.x.xoxoX.x.xoxo", centre=57),
    ),
    seconds=(
        Comp(("rock-organ", "drawbar-organ"), "x---------------", centre=62),
        Comp(("piano", "honky-tonk"), "x.x.x.x.x.x.x.x.", centre=67),
        Comp(("distorted-guitar",), "X---------------", "power", 47, sections=("chorus", "solo")),
        Comp(("overdriven-guitar",), "ppqqppqqppqqppqq", "power", 45),
    ),
    leads=(
        Lead(
            ("overdriven-guitar", "distorted-guitar", "clean-guitar"),
            "minor-pentatonic",
            (
                "x-x-x---x-x-x---",
                "..xxx-x-x---....",
                "x-------xxxxx-x-",
                "x--x--x-x-------",
                "x-xxx-xxx---....",
            ),
            centre=70,
            bend=0.3,
        ),
        Lead(
            ("voice-oohs", "overdriven-guitar", "harmonica", "rock-organ"),
            "major-pentatonic",
            ("x---x-x-x-------", "x-x-x-x-x---x---", "....x-x-x-----x-"),
            centre=68,
            bend=0.2,
        ),
    ),
    bass_instruments=("picked-bass", "fingered-bass"),
    kits=("standard-kit", "room-kit", "power-kit"),
    keys=(4, 9, 2, 7, 0, 11),
    loose_ms=(4.0, 12.0),
    gains_db={"comp": 1.0, "comp-2": -3.0},
    mix=MixHabits(
        level_dbfs=(-18, -11),
        tilt_db=(-0.8, 0.5),
        bass_db=(-1.5, 1.5),
        cutoff_hz=(6_500, 10_000),
        room_s=(0.3, 0.8),
        wet=(0.04, 0.16),
        drive=(0.25, 0.8),
        squash=(0.3, 0.7),
        hiss_db=(-66, -50),
    ),
)
