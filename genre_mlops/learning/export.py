"""Trained network -> bundle folder."""

import logging
import shutil
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from genre_mlops.learning import bundle
from genre_mlops.learning.backend import keras
from genre_mlops.learning.networks import save_network
from genre_mlops.logmel import mel_filters


def write_bundle(
    folder: Path,
    network: keras.Model,
    info: bundle.BundleInfo,
    *,
    seen: Iterable[str],
    texts: Mapping[str, str] | None = None,
) -> bundle.BundleInfo:
    """Write all files of a bundle and seal it.

    Parameters
    ----------
    folder : Path
        Made anew; an older one of that name is dropped once the new one is whole.
    network : keras.Model
        From `build_networks` or `average_networks`, trained.
    info : BundleInfo
        Its sha256 are filled in.
    seen : iterable of str
        sha256 of every track that the network was trained on or chosen by.
    texts : mapping of str to str, optional
        Other files of the bundle by name.

    Returns
    -------
    BundleInfo
        As sealed.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_network(network, partial / bundle.KERAS)
    _export_onnx(network, partial / bundle.ONNX)
    bundle.save_filters(partial, mel_filters(info.features))
    bundle.save_seen(partial, seen)
    for name, text in (texts or {}).items():
        (partial / name).write_text(text, encoding="utf-8")
    sealed = bundle.write_info(partial, info)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return sealed


def _export_onnx(network: keras.Model, path: Path) -> None:
    # Keras exports only what has been called once.
    network.predict_on_batch(np.zeros((1, *network.input_shape[1:]), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        network.export(path, format="onnx", verbose=False)
