"""The ten genres, one module each."""

from genre_mlops.datasets.demo.styles import (
    blues,
    classical,
    country,
    disco,
    hiphop,
    jazz,
    metal,
    pop,
    reggae,
    rock,
)

STYLES = {
    module.STYLE.genre: module.STYLE
    for module in (blues, classical, country, disco, hiphop, jazz, metal, pop, reggae, rock)
}
GENRES = tuple(sorted(STYLES))
