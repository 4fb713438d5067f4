"""One network for one config, in any process: what a trial of the search and a member share."""

import gc
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genre_mlops.config import Config
from genre_mlops.domain import RunLog
from genre_mlops.processes import is_gone, this_process
from genre_mlops.splits import TRAIN, VALIDATION
from genre_mlops.store import FeatureStore

if TYPE_CHECKING:
    from genre_mlops.learning.backend import keras
    from genre_mlops.learning.batches import TrackSet
    from genre_mlops.learning.training import Report, TrainingResult


@dataclass(frozen=True)
class Plan:
    """All that training needs, in any process.

    Attributes
    ----------
    config : Config
        What a search starts from.
    genres : tuple of str
        Labels in order.
    catalog : Path
        Parquet file of the usable tracks with their splits.
    features : Path
        Root of the feature stores.
    folder : Path
        Holds the search's database and a folder for each study.
    key : str
        Digest of all that decides the outcome.
    tracking_uri, experiment_id, parent_run_id : str
        Where runs are logged.
    synthetic : bool
        Whether scores are on music made for testing: runs say so.
    tags : dict of str to str
        What runs say of their data.
    job : dict of str to str
        The process that asks for all this, as `this_process` names it.
    """

    config: Config
    genres: tuple[str, ...]
    catalog: Path
    features: Path
    folder: Path
    key: str
    tracking_uri: str
    experiment_id: str
    parent_run_id: str
    synthetic: bool
    tags: dict[str, str]
    job: dict[str, str] = field(default_factory=this_process)

    def tracks(self, split: str) -> "TrackSet":
        """Look up the spectrograms of one split."""
        import pandas as pd

        from genre_mlops.learning.batches import load_tracks

        store = FeatureStore(self.features, self.config.features)
        return load_tracks(pd.read_parquet(self.catalog), store, self.genres, split)


def fit(
    plan: Plan, config: Config, *, log: RunLog, report: "Report", state: Path, threads: int = 0
) -> "tuple[keras.Model, TrainingResult]":
    """Train a network on the tracks of a plan.

    Parameters
    ----------
    plan : Plan
        Names the tracks.
    config : Config
        How the network is built and trained.
    log : RunLog
        Told what is measured.
    report : callable
        Told (epoch from 1, validation loss); raises to end the training early.
    state : Path
        Where the training keeps its state: it goes on from there. To be removed by the caller
        when it is safe that nobody has to train this once more.
    threads : int
        For TensorFlow; 0 leaves it the choice.

    Returns
    -------
    tuple of keras.Model and TrainingResult
        The network of the best epoch, and its figures.

    Raises
    ------
    TrainingDivergedError
        A loss is not finite.
    SystemExit
        The process that asked for it is gone.
    """
    from genre_mlops.learning.backend import keras
    from genre_mlops.learning.checkpoints import Checkpoint
    from genre_mlops.learning.training import be_deterministic, train

    def checked_report(epoch: int, loss: float) -> None:
        # A worker of a cluster does not end with the job it works for.
        if is_gone(plan.job):
            raise SystemExit("the job that asked for this training is gone")
        report(epoch, loss)

    gc.collect()
    keras.backend.clear_session()
    be_deterministic(config.seed, threads)
    return train(
        plan.tracks(TRAIN),
        plan.tracks(VALIDATION),
        config=config,
        n_genres=len(plan.genres),
        log=log,
        report=checked_report,
        checkpoint=Checkpoint(state),
    )
