"""Country: bass on root and fifth, boom-chick and banjo rolls, train beats and waltzes."""

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
    genre="country",
    neighbours=("rock", "blues", "pop"),
    tempo_bpm=(92, 132),
    harmonies=(
        Harmony("I|I|IV|I|I|I|V|V", "IV|IV|I|I|V|V|I|I"),
        Harmony("I|IV|I|V|I|IV|V|I", "IV|I|V|I|IV|I|V|I"),
        Harmony("I|vi|IV|V", "IV|V|I|vi|IV|V|I|I"),
        Harmony("I|V|V|I|I|IV|V|I", "IV|IV|I|I|II7|II7|V7|V7"),
    ),
    grooves=(
        Groove(
            "train",
            {"snare": "oxoXoxoXoxoXoxoX", "kick": "x...x...x...x...", "pedal": "..x...x...x...x."},
            fill="snare",
        ),
        Groove(
            "two-beat",
            {"kick": "x.......x.......", "rim": "....X.......X...", "hat": "x.o.x.o.x.o.x.o."},
            fill="snare",
        ),
        Groove(
            "waltz",
            {"kick": "x...........", "rim": "....x...x...", "hat": "x...o...o..."},
            beats=3,
            fill="none",
        ),
        Groove(
            "country rock",
            {"kick": "x.....x.x.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            fill="toms",
        ),
    ),
    basses=(
        BassLine("root and fifth", "1-------5-------|1-------5---a---"),
        BassLine("two-step", "1---....5---....|1---....5---a---"),
        BassLine("walk-up", "1-------5-------|1---5---3---a---"),
        BassLine("waltz", "1-----------|5-----------", grooves=("waltz",)),
    ),
    comps=(
        Comp(("steel-guitar", "nylon-guitar"), "b...x.o.f...x.o.", centre=57),
        Comp(("steel-guitar", "clean-guitar"), "b...x...f...xoxo", centre=57),
        Comp(("steel-guitar", "nylon-guitar"), "b...x.o.x.o.", centre=57, grooves=("waltz",)),
        Comp(("banjo",), "0213021302130213|0123012301230132", centre=66),
        Comp(("piano", "honky-tonk"), "b...x...f...x...", centre=60),
    ),
    seconds=(
        Comp(("fiddle", "slow-strings"), "x---------------", centre=66),
        Comp(("banjo",), "..0213..0213.213", centre=66),
        Comp(("harmonica", "accordion"), "x-------........", centre=67),
        Comp(("clean-guitar",), "....X.......X...", centre=64),
    ),
    leads=(
        Lead(
            ("clean-guitar", "steel-guitar", "fiddle"),
            "major-pentatonic",
            (
                "x-x-x-x-x---x-x-",
                "x---x-x-x-x-x---",
                "..xxx-x-x---....",
                "x-x-x---x-x-x---",
            ),
            centre=69,
            bend=0.4,
        ),
        Lead(
            ("fiddle", "harmonica", "violin"),
            "major",
            ("x-----x-x-------", "x---x---x-x-x---", "x-------x---x---"),
            centre=71,
            bend=0.25,
        ),
    ),
    bass_instruments=("acoustic-bass", "fingered-bass", "picked-bass"),
    kits=("standard-kit", "brush-kit", "room-kit"),
    second_share=0.8,
    keys=(7, 2, 9, 4, 0),
    swing=(0.5, 0.56),
    loose_ms=(5.0, 13.0),
    gains_db={"drums": -4.0, "comp-2": -4.0, "comp": 1.0},
    mix=MixHabits(
        level_dbfs=(-22, -14),
        tilt_db=(0, 1.2),
        bass_db=(-3, 0),
        cutoff_hz=(7_500, 10_500),
        room_s=(0.4, 0.9),
        wet=(0.08, 0.2),
        drive=(0, 0.2),
        squash=(0.2, 0.5),
        hiss_db=(-70, -54),
    ),
)
