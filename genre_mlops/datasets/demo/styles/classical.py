"""Classical: functional harmony without drums, rubato, chamber groups in large rooms."""

from genre_mlops.datasets.demo.styles._style import (
    BassLine,
    Comp,
    Harmony,
    Lead,
    MixHabits,
    Style,
)

STYLE = Style(
    genre="classical",
    neighbours=("jazz", "pop"),
    tempo_bpm=(58, 138),
    harmonies=(
        Harmony("I|V|vi|iii|IV|I|IV|V", "I|IV|V7|I|vi|ii|V7|I"),
        Harmony("I|I|V7|V7|V7|V7|I|I", "ii|V7|I|vi|ii|V7|I|I"),
        Harmony("i|iv|bVII|bIII|bVI|iidim|V7|i", "i|V7|i|iv|i|iv|V7|i", minor=True),
        Harmony("i|i|V7|i|bVI|iv|V|V7", "bIII|bVII|bVI|V|i|iv|V7|i", minor=True),
        Harmony("I IV|I V7|vi ii|V7 I", "IV I|ii V7|I IV|V7 I"),
    ),
    basses=(
        BassLine("held", "1---------------"),
        BassLine("cadence", "1-------5-------|1-------3---a---"),
        BassLine("continuo", "1---3---5---8---|1---8---5---3---"),
        BassLine("plucked", "1...............|1.......5......."),
    ),
    comps=(
        Comp(("piano", "harpsichord"), "0-2-1-2-0-2-1-2-", centre=60),
        Comp(("piano", "harp"), "0-1-2-1-0-1-2-1-|0-1-2-3-2-1-2-1-", centre=62),
        Comp(("strings", "slow-strings"), "x---------------", centre=60),
        Comp(("viola", "strings"), "..x...x...x...x.", centre=60),
        Comp(("pizzicato", "harp"), "....x...x...x...", centre=60),
        Comp(("strings", "viola"), "x-x-x-x-x-x-x-x-", centre=58),
    ),
    seconds=(
        Comp(("french-horn", "clarinet", "slow-strings"), "x---------------", centre=60),
        Comp(("bassoon", "cello"), "x-------1-------", centre=50),
        Comp(("timpani",), "b...............|................", centre=43, sections=("chorus",)),
    ),
    leads=(
        Lead(
            ("violin", "flute", "oboe", "clarinet", "strings", "piano"),
            "mode",
            (
                "x-----x-x---x---",
                "x-------x---x---",
                "x---x-x-x-------",
                "x-x-x-x-x---x---",
                "x-----------x---",
            ),
            centre=74,
            leap=0.15,
        ),
        Lead(
            ("violin", "harpsichord", "piano", "flute"),
            "mode",
            ("xxxxxxxxx-x-x-x-", "x-xxx-xxx-x-x---", "x---xxxxx-x-x---", "x-x-x-x-xxxxx---"),
            centre=76,
            leap=0.12,
        ),
    ),
    bass_instruments=("cello", "contrabass", "cello", "bassoon", "piano"),
    pads=("slow-strings", "strings"),
    second_share=0.8,
    form=("verse", "verse", "chorus", "verse", "chorus"),
    bass_centre=43,
    loose_ms=(8.0, 22.0),
    rubato=(0.03, 0.09),
    gains_db={"lead": 1.0, "pad": -7.0, "comp-2": -4.0, "bass": -2.0},
    mix=MixHabits(
        level_dbfs=(-29, -20),
        tilt_db=(-1.4, 0.2),
        bass_db=(-3, 1),
        cutoff_hz=(6_500, 10_500),
        room_s=(1.2, 2.4),
        wet=(0.3, 0.5),
        drive=(0, 0.05),
        squash=(0, 0.12),
        hiss_db=(-66, -50),
        crackle=(0, 0.5),
    ),
)
