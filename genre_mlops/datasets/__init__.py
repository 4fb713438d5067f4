"""Data sources: one module each, one contract (`base.Dataset`)."""

from pathlib import Path

from genre_mlops.config import DataConfig
from genre_mlops.datasets.base import Dataset, Listing
from genre_mlops.datasets.folder import FolderDataset

__all__ = ["Dataset", "Listing", "open_dataset"]


def open_dataset(config: DataConfig, *, root: Path) -> Dataset:
    """Return the source that a config names.

    Parameters
    ----------
    config : DataConfig
        Names `demo` or a path.
    root : Path
        Where sources that make or fetch audio put it.

    Raises
    ------
    DataError
        There is no such source.
    """
    from genre_mlops.datasets.demo import DemoDataset

    if config.dataset == DemoDataset.name:
        return DemoDataset(
            root,
            n_tracks=config.demo_tracks,
            duration_s=config.demo_duration_s,
            seed=config.demo_seed,
        )
    return FolderDataset(Path(config.dataset))
