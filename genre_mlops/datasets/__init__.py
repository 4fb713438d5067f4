"""Data sources: one module each, one contract (`base.Dataset`)."""

from dataclasses import dataclass
from pathlib import Path

from genre_mlops.config import DataConfig
from genre_mlops.datasets.base import TABLE_SUFFIXES, Dataset, Listing, PublishedSplit
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.datasets.walk import expanded, is_utf8, shown
from genre_mlops.errors import DataError
from genre_mlops.wording import did_you_mean

__all__ = ["SOURCES", "Dataset", "Listing", "PublishedSplit", "Source", "is_here", "open_dataset"]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that has a name.

    Attributes
    ----------
    name : str
        What `data.dataset` takes.
    what : str
        In a few words.
    n_tracks : int or None
        None where the config says.
    download_bytes : int
        About, for what is published in rounded numbers; 0 where nothing is downloaded.
    licence : str
        In a few words.
    """

    name: str
    what: str
    n_tracks: int | None
    download_bytes: int
    licence: str


_GIB = 2**30
_FMA_METADATA_BYTES = 342 * 2**20
SOURCES = (
    Source("demo", "10 genres, composed here", None, 0, "MIT"),
    Source("gtzan", "10 genres, 30-s clips", 1_000, 1_226_192_050, "none: research only"),
    Source("gtzan-mini", "10 clips of each of those", 100, 120_000_000,
           "none: research only"),
    Source(
        "fma-small", "8 genres, 30-s clips", 8_000,
        round(7.2 * _GIB) + _FMA_METADATA_BYTES, "each track's own, mostly CC",
    ),
    Source(
        "fma-medium", "16 genres, 30-s clips", 25_000,
        22 * _GIB + _FMA_METADATA_BYTES, "each track's own, mostly CC",
    ),
    Source(
        "fma-large", "16 genres for half of its 30-s clips", 106_574,
        93 * _GIB + _FMA_METADATA_BYTES, "each track's own, mostly CC",
    ),
)  # fmt: skip
"""In the order in which they are offered."""


def is_here(name: str, *, root: Path) -> bool:
    """Whether a named source is on this machine, whole; of the demo, whether any was made.

    Parameters
    ----------
    name : str
        Of one of `SOURCES`.
    root : Path
        As in `open_dataset`.
    """
    from genre_mlops.datasets.archives import is_whole

    if name == "demo":
        return any(root.glob("demo-*"))
    return is_whole(
        root / "fma" / name.replace("-", "_") if name.startswith("fma-") else root / name
    )


def open_dataset(config: DataConfig, *, root: Path) -> Dataset:
    """Return the source that a config names.

    Parameters
    ----------
    config : DataConfig
        Names one of `SOURCES`, ``NAME:PATH`` for a copy of one, a folder, or a table. A folder
        with the name of a source is meant by `./name`.
    root : Path
        Where sources that make or fetch audio put it.

    Raises
    ------
    DataError
        There is no such source, or a path on which its files are is not UTF-8.
    """
    name, colon, copy = config.dataset.partition(":")
    if name in {source.name for source in SOURCES} and (not colon or copy):
        _refuse_no_utf8("workspace", root)
        if copy:
            _refuse_no_utf8(f"dataset {name}", expanded(Path(copy)))
        return _open_named(name, expanded(Path(copy)) if copy else None, config, root)
    path = expanded(Path(config.dataset))
    _refuse_no_utf8("dataset", path)
    if path.suffix.lower() in TABLE_SUFFIXES and not path.is_dir():
        from genre_mlops.datasets.table import TableDataset

        return TableDataset(path)
    if not path.exists():
        raise DataError(_unknown(config.dataset, name))
    return FolderDataset(path)


def _refuse_no_utf8(what: str, path: Path) -> None:
    """Refuse paths that tables of tracks cannot hold."""
    if not is_utf8(path.absolute()):
        raise DataError(
            f"{what}: {shown(path.absolute())}: a name in this path is not UTF-8; rename it"
        )


def _open_named(name: str, copy: Path | None, config: DataConfig, root: Path) -> Dataset:
    if name == "demo":
        from genre_mlops.datasets.demo import DemoDataset

        if copy is not None:
            raise DataError(
                f"dataset demo:{copy}: the demo music is made, not copied; name a folder"
            )
        return DemoDataset(
            root,
            n_tracks=config.demo_tracks,
            duration_s=config.demo_duration_s,
            seed=config.demo_seed,
        )
    if name.startswith("fma-"):
        from genre_mlops.datasets.fma import FmaDataset

        return FmaDataset(root, name.removeprefix("fma-"), copy)
    from genre_mlops.datasets.gtzan import GtzanDataset, GtzanMiniDataset

    return (GtzanMiniDataset if name == "gtzan-mini" else GtzanDataset)(root, copy)


def _unknown(text: str, name: str) -> str:
    names = [source.name for source in SOURCES]
    return (
        f"dataset {text}: no source has this name and there is no such path; expected one of "
        f"{', '.join(names)}, NAME:PATH, a folder with one subfolder for each genre, or a table "
        f"(.csv, .parquet){did_you_mean(name, names)}"
    )
