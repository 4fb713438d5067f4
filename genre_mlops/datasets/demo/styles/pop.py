"""Pop: four chords, a verse that holds back and a chorus that does not, one tune that sticks."""

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
    genre="pop",
    neighbours=("disco", "rock", "country"),
    tempo_bpm=(84, 130),
    harmonies=(
        Harmony("vi|IV|I|V", "I|V|vi|IV"),
        Harmony("I|vi|IV|V", "IV|V|iii|vi"),
        Harmony("I|iii|IV|V", "vi|IV|I|V"),
        Harmony("IV|I|V|vi", "IV|V|vi|I"),
        Harmony("i|bVI|bIII|bVII", "bVI|bVII|i|bIII", minor=True),
    ),
    grooves=(
        Groove(
            "pop beat",
            {"kick": "X.....x.x.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
        ),
        Groove(
            "dance",
            {"kick": "X...X...X...X...", "clap": "....X.......X...", "hat": "..x...x...x...x."},
            fill="snare",
        ),
        Groove(
            "ballad",
            {"kick": "X.......x.x.....", "snare": "........X.......", "hat": "x...x...x...x..."},
            tempo=0.85,
        ),
        Groove(
            "sixteenths",
            {"kick": "X..x..x...x.....", "snare": "....X.......X...", "hat": "xoxoxoxoxoxoxoxo"},
        ),
    ),
    basses=(
        BassLine("eighths", "1-1-1-1-1-1-1-1-|1-1-1-1-1-1-5-a-"),
        BassLine("syncopated", "1-----1-1-------|1-----1-5---a---"),
        BassLine("long", "1---------------"),
    ),
    comps=(
        Comp(("piano", "dx-piano"), "x---x---x---x---|x---x---x--x--x-", centre=62),
        Comp(("steel-guitar", "nylon-guitar"), "X.x.xoxo.oxoX.xo", centre=60),
        Comp(("dx-piano", "e-piano", "poly-synth"), "0-1-2-1-3-2-1-2-", centre=66),
        Comp(("clean-guitar", "muted-guitar"), "0.1.2.1.0.1.2.1.", centre=62),
        Comp(("poly-synth", "synth-strings"), "x--x--x---x--x--", centre=64),
    ),
    seconds=(
        Comp(("overdriven-guitar",), "X-x-x-x-X-x-x-x-", "power", 48, sections=("chorus", "solo")),
        Comp(("piano",), "x-------x-------", centre=67),
        Comp(("strings", "synth-strings"), "x---------------", centre=72, sections=("chorus",)),
        Comp(("steel-guitar",), "x.x.x.x.x.x.x.x.", centre=62),
    ),
    leads=(
        Lead(
            ("voice-oohs", "square-lead", "saw-lead", "alto-sax"),
            "major",
            (
                "x-x-x---x-x-x---",
                "x--x--x-x-------",
                "..x-x-x-x--x--x-",
                "x---x-x-x-------",
            ),
            centre=69,
            leap=0.18,
        ),
        Lead(
            ("voice-oohs", "flute", "clean-guitar", "poly-synth"),
            "major-pentatonic",
            ("x-x-x-x-x-------", "x-----x-x-x-x---", "....x-x-x-x-x-x-"),
            centre=70,
        ),
    ),
    bass_instruments=("fingered-bass", "synth-bass", "picked-bass", "soft-synth-bass"),
    kits=("standard-kit", "electronic-kit", "room-kit", "808-kit"),
    pads=("warm-pad", "synth-strings", "halo-pad", "slow-strings"),
    loose_ms=(2.0, 9.0),
    gains_db={"lead": 2.0, "pad": -7.0, "comp-2": -3.0},
    mix=MixHabits(
        level_dbfs=(-17, -11),
        tilt_db=(0, 1),
        bass_db=(-1, 2.5),
        cutoff_hz=(9_000, 11_000),
        room_s=(0.6, 1.3),
        wet=(0.12, 0.28),
        drive=(0.05, 0.3),
        squash=(0.45, 0.8),
        hiss_db=(-78, -60),
    ),
)
