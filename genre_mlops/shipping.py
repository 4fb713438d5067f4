"""Trained networks -> the bundle that is shipped: averaged, calibrated, sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genre_mlops.config import Config
from genre_mlops.fitting import Plan
from genre_mlops.lineage import Lineage, libraries, this_code, this_machine
from genre_mlops.splits import TEST, VALIDATION, data_digest, split_digest


@dataclass(frozen=True)
class Shipped:
    """A bundle, and what its making says of it.

    Attributes
    ----------
    folder : Path
        The bundle's.
    metrics : dict of str to float
        On the validation tracks, for the run: the averaged network's accuracy and log-loss, its
        temperature and threshold; parameters and multiply-adds of a segment.
    summary : str
        The network's layers.
    """

    folder: Path
    metrics: dict[str, float]
    summary: str


@dataclass(frozen=True)
class Origin:
    """What networks come from, beside their plan.

    Attributes
    ----------
    source : str
        Where the data set is from.
    threads : int
        Of TensorFlow, when they were trained.
    runs : mapping of str to str
        Step -> id of its run.
    cut_short : bool
        Whether the first of them had fewer epochs than its config says.
    chosen_by : str
        How their config was chosen.
    n_trials : int
        Of the search that chose it.
    cpu_s : float
        CPU-seconds that these took.
    """

    source: str
    threads: int
    runs: Mapping[str, str]
    cut_short: bool
    chosen_by: str
    n_trials: int
    cpu_s: float


def ship(
    plan: Plan,
    config: Config,
    networks: Sequence[Path],
    folder: Path,
    provenance: Mapping[str, str | int | float],
    *,
    origin: Origin,
) -> Shipped:
    """Average networks, calibrate the average on the validation tracks, and write its bundle.

    Parameters
    ----------
    plan : Plan
        Names tracks and genres.
    config : Config
        That of the networks.
    networks : sequence of Path
        `.keras` files of the members.
    folder : Path
        The bundle's: made anew, whatever was in it.
    provenance : mapping
        What the bundle says of where it comes from, in short.
    origin : Origin
        What the lineage says of the search.

    Returns
    -------
    Shipped
        The bundle's folder, and figures.
    """
    import pandas as pd

    from genre_mlops.learning.bundle import LINEAGE, BundleInfo
    from genre_mlops.learning.calibration import calibrate
    from genre_mlops.learning.export import write_bundle
    from genre_mlops.learning.metrics import accuracy, log_loss
    from genre_mlops.learning.networks import (
        average_networks,
        describe,
        gpu_names,
        load_network,
        summary,
        weights_sha256,
    )
    from genre_mlops.learning.reference import FILE as REFERENCE
    from genre_mlops.learning.reference import Listener
    from genre_mlops.learning.training import predict_tracks
    from genre_mlops.segments import temper

    network = average_networks([load_network(path) for path in networks])
    validation = plan.tracks(VALIDATION, config.features)
    listener = Listener(len(validation), config.features, seed=config.seed)
    found = predict_tracks(network, validation, listen=listener)
    calibration = calibrate(found, validation.labels, sure_accuracy=config.evaluation.sure_accuracy)
    info = BundleInfo(
        genres=plan.genres,
        features=config.features,
        segment_frames=config.network.segment_frames,
        synthetic=plan.synthetic,
        temperature=calibration.temperature,
        sure_above=calibration.sure_above,
        provenance={**provenance, "members": len(networks)},
    )
    catalog = pd.read_parquet(plan.catalog, columns=["sha256", "genre", "split"])
    seen = catalog.loc[catalog["split"] != TEST, "sha256"]
    lineage = Lineage(
        config=config.model_dump(mode="json"),
        genres=plan.genres,
        dataset=plan.tags.get("genre.dataset", ""),
        source=origin.source,
        licence=plan.tags.get("genre.data_licence", ""),
        synthetic=plan.synthetic,
        data_digest=data_digest(catalog),
        split_digest=split_digest(catalog),
        features_digest=config.features.digest(),
        code=this_code(),
        libraries=libraries(),
        machine=this_machine(gpu_names()),
        threads=origin.threads,
        runs=dict(origin.runs),
        cut_short=origin.cut_short,
        chosen_by=origin.chosen_by,
        n_trials=origin.n_trials,
        cpu_s=origin.cpu_s,
        weights_sha256=weights_sha256(network),
    )
    said = temper(found, calibration.temperature)
    texts = {
        LINEAGE: lineage.model_dump_json(indent=2) + "\n",
        REFERENCE: listener.reference(said, plan.genres).model_dump_json() + "\n",
    }
    write_bundle(folder, network, info, seen=seen, texts=texts)
    metrics = {
        "validation_accuracy": accuracy(found, validation.labels),
        "validation_loss": log_loss(found, validation.labels),
        "temperature": calibration.temperature,
        "sure_above": calibration.sure_above,
        "validation_coverage": calibration.coverage,
        **describe(network),
    }
    if calibration.accuracy is not None:
        metrics["validation_accuracy_when_sure"] = calibration.accuracy
    return Shipped(folder, metrics, summary(network))
