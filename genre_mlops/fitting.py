"""One network for one config, in any process: what a trial of the search and a member share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from genre_mlops.config import Config, FeatureConfig
from genre_mlops.domain import RunLog, sequential
from genre_mlops.errors import DataError
from genre_mlops.files import alone
from genre_mlops.processes import JOB_TAG, in_one_line, is_gone, this_process
from genre_mlops.readings import State
from genre_mlops.splits import TEST, TRAIN, VALIDATION
from genre_mlops.store import FeatureStore, Source

if TYPE_CHECKING:
    import pandas as pd

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
        Digest of all that decides what a trial finds.
    tracking_uri, experiment_id, parent_run_id : str
        Where runs are logged.
    synthetic : bool
        Whether scores are on music made for testing: runs say so.
    tags : dict of str to str
        What runs say of their data.
    storage : SecretStr
        The database of the studies, an address that may hold a password; empty: a SQLite file in
        `folder`.
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
    storage: SecretStr = field(default_factory=lambda: SecretStr(""))
    job: dict[str, str] = field(default_factory=this_process)

    @property
    def run_tags(self) -> dict[str, str]:
        """What the runs below this job's say: of their data, and whose they are."""
        return self.tags | {JOB_TAG: in_one_line(self.job)}

    @property
    def score_prefix(self) -> str:
        """What is said before a score: ``"synthetic "``, or nothing."""
        return "synthetic " if self.synthetic else ""

    @property
    def database(self) -> str:
        """The address of the studies' database."""
        return database_of(self.storage, self.folder)

    def tracks(self, split: str, features: FeatureConfig) -> "TrackSet":
        """Look up the spectrograms of one split, and compute those that are missing.

        Raises
        ------
        DataError
            A recording gives none: it has changed since the catalog was made.
        """
        import pandas as pd

        from genre_mlops.learning.batches import load_tracks

        store, catalog = FeatureStore(self.features, features), pd.read_parquet(self.catalog)
        # What is searched may be a feature config of its own; one process computes it for all.
        with alone(store.folder):
            report = store.build(sources_of(catalog[catalog["split"] != TEST]), sequential)
        if report.failures:
            path, why = next(iter(report.failures.items()))
            raise DataError(f"features: {path}: {why}")
        return load_tracks(catalog, store, self.genres, split)


def database_of(storage: SecretStr, folder: Path) -> str:
    """Return the address of the studies' database: the one named, or a file in their folder."""
    return storage.get_secret_value() or f"sqlite:///{folder / 'search.db'}"


def sources_of(catalog: "pd.DataFrame") -> dict[str, Source]:
    """Return the files of a catalog by their sha256, with what is known of them."""
    paths = map(Path, catalog["path"])
    states = map(State._make, zip(*(catalog[name] for name in State._fields), strict=True))
    files = map(Source, paths, catalog["duration_s"], states)
    return dict(zip(catalog["sha256"], files, strict=True))


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
    UntrainableError
        A loss is not finite, or the memory is too small.
    SystemExit
        The process that asked for it is gone.
    """
    from genre_mlops.learning.backend import keras, tf
    from genre_mlops.learning.checkpoints import Checkpoint
    from genre_mlops.learning.training import TooLargeError, be_deterministic, train

    def checked_report(epoch: int, loss: float) -> None:
        # A worker of a cluster does not end with the job it works for.
        if is_gone(plan.job):
            raise SystemExit("the job that asked for this training is gone")
        report(epoch, loss)

    # Collects garbage too.
    keras.backend.clear_session()
    be_deterministic(config.seed, threads)
    training, validation = (plan.tracks(split, config.features) for split in (TRAIN, VALIDATION))
    try:
        return train(
            training,
            validation,
            config=config,
            n_genres=len(plan.genres),
            log=log,
            report=checked_report,
            checkpoint=Checkpoint(state),
        )
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise TooLargeError("this network and batch do not fit into the memory") from error
