"""Metal: palm-muted riffs and power chords low on the neck, double kick, dark scales."""

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
    genre="metal",
    neighbours=("rock",),
    tempo_bpm=(100, 186),
    harmonies=(
        Harmony("i5|i5|bVI5|bVII5", "i5|bVI5|bIII5|bVII5", minor=True),
        Harmony("i5|bII5|i5|bVII5", "bVI5|bVI5|bII5|i5", minor=True),
        Harmony("i5|i5|i5|iv5", "iv5|bVI5|bVII5|i5", minor=True),
        Harmony("i5|i5|bIII5|bII5", "i5|v5|bVI5|bII5", minor=True),
    ),
    grooves=(
        Groove(
            "double kick",
            {"kick": "xxxxxxxxxxxxxxxx", "snare": "....X.......X...", "ride": "X...X...X...X..."},
        ),
        Groove(
            "gallop",
            {"kick": "X.xxX.xxX.xxX.xx", "snare": "....X.......X...", "hat": "X...X...X...X..."},
        ),
        Groove(
            "thrash",
            {"kick": "X.X.X.X.X.X.X.X.", "snare": "..X...X...X...X.", "hat": "X.X.X.X.X.X.X.X."},
            tempo=1.05,
        ),
        Groove(
            "half time",
            {"kick": "X.xx..x.....xxxx", "snare": "........X.......", "crash": "X...x...X...x..."},
            tempo=0.9,
        ),
    ),
    basses=(
        BassLine("sixteenths", "1111111111111111"),
        BassLine("gallop", "1-111-111-111-11"),
        BassLine("eighths", "1-1-1-1-1-1-1-1-|1-1-1-1-1-1-a-a-"),
    ),
    comps=(
        Comp(("distorted-guitar",), "X-00X-0000X-00X-|X-00X-00j-00h-X-", "power", 41),
        Comp(("distorted-guitar",), "0.000.000.00X-k-|0.000.00j-X-t-X-", "power", 41),
        Comp(("distorted-guitar",), "0000X-0000h-X---|0000X-00l-k-j-h-", "power", 41),
        Comp(
            ("distorted-guitar", "overdriven-guitar"),
            "X---------X-j---|X-------k---l-k-",
            "power",
            41,
        ),
    ),
    seconds=(
        Comp(("distorted-guitar",), "X-------X-------", "power", 48),
        Comp(("distorted-guitar",), "X-00X-0000X-00X-", "power", 41),
        Comp(("choir", "strings"), "x---------------", centre=60, sections=("chorus",)),
        Comp(("clean-guitar",), "0-1-2-1-0-1-2-1-", centre=57, sections=("intro", "break")),
    ),
    leads=(
        Lead(
            ("distorted-guitar", "overdriven-guitar"),
            "phrygian",
            (
                "xxxxxxxxxxxxxxxx",
                "x---xxxxx---xxxx",
                "x-xxx-xxx-xxx---",
                "x-------x---x---",
                "xxxxxxxxxxxx",
            ),
            centre=72,
            bend=0.15,
            leap=0.15,
        ),
        Lead(
            ("overdriven-guitar", "distorted-guitar"),
            "minor",
            ("x-------x-------", "x---x---x-----x-", "x-x-x-x-x---x---"),
            centre=71,
            bend=0.2,
        ),
    ),
    bass_instruments=("picked-bass", "picked-bass", "fingered-bass"),
    kits=("power-kit", "room-kit", "standard-kit"),
    form=("intro", "verse", "verse", "chorus", "break", "verse", "solo", "chorus"),
    keys=(4, 4, 2, 0, 11, 1),
    bass_centre=31,
    loose_ms=(2.0, 7.0),
    gains_db={"comp": 3.0, "comp-2": 1.0, "lead": -1.0, "bass": -1.0},
    mix=MixHabits(
        level_dbfs=(-16, -10),
        tilt_db=(-0.2, 1),
        bass_db=(-1, 3),
        cutoff_hz=(7_500, 11_000),
        room_s=(0.25, 0.7),
        wet=(0.02, 0.12),
        drive=(0.6, 1.3),
        squash=(0.5, 0.9),
        hiss_db=(-64, -50),
    ),
)
