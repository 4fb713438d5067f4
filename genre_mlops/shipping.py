"""Trained networks -> the bundle that is shipped: averaged, calibrated, sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genre_mlops.config import Config
from genre_mlops.fitting import Plan
from genre_mlops.splits import TEST, VALIDATION


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


def ship(
    plan: Plan,
    config: Config,
    networks: Sequence[Path],
    folder: Path,
    provenance: Mapping[str, str | int | float],
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
        What the bundle says of where it comes from.

    Returns
    -------
    Shipped
        The bundle's folder, and figures.
    """
    import pandas as pd

    from genre_mlops.learning.bundle import BundleInfo
    from genre_mlops.learning.calibration import calibrate
    from genre_mlops.learning.export import write_bundle
    from genre_mlops.learning.metrics import accuracy, log_loss
    from genre_mlops.learning.networks import average_networks, describe, load_network, summary
    from genre_mlops.learning.training import predict_tracks

    network = average_networks([load_network(path) for path in networks])
    validation = plan.tracks(VALIDATION, config.features)
    found = predict_tracks(network, validation)
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
    catalog = pd.read_parquet(plan.catalog, columns=["sha256", "split"])
    seen = catalog.loc[catalog["split"] != TEST, "sha256"]
    write_bundle(folder, network, info, seen=seen)
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
