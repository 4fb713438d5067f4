"""Where public hubs keep a data set, through their own libraries."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from genre_mlops.datasets.answers import why
from genre_mlops.datasets.archives import is_damage
from genre_mlops.datasets.download import UnreachableError
from genre_mlops.errors import DataError
from genre_mlops.files import FULL, is_full


def hugging_face_url(repository: str, name: str, *, endpoint: str | None = None) -> str:
    """Return the address of a public data set's file.

    The bytes are brought by `download`: `hf_hub_download` of huggingface_hub 2.4 writes to a file
    of its own process and removes it on the way out, so that a stopped download begins anew.

    Parameters
    ----------
    repository : str
        Owner and name.
    name : str
        The file in it.
    endpoint : str, optional
        By default `HF_ENDPOINT`, else the public hub.

    Raises
    ------
    UnreachableError
        `HF_HUB_OFFLINE` is set.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import constants, hf_hub_url

    url = hf_hub_url(repository, name, repo_type="dataset", endpoint=endpoint)
    if constants.HF_HUB_OFFLINE:
        raise UnreachableError(f"{url}: HF_HUB_OFFLINE is set")
    return url


def kaggle_dataset(handle: str, cache: Path) -> Path:
    """Download a data set of Kaggle and return its folder; killed, it goes on when called again.

    Parameters
    ----------
    handle : str
        Owner and name.
    cache : Path
        Where kagglehub keeps it.

    Raises
    ------
    UnreachableError
        Kaggle cannot be reached or does not give it, or what it gave is damaged, and removed.
    DataError
        The disk is full.
    """
    with _environment(KAGGLEHUB_CACHE=str(cache), KAGGLEHUB_VERBOSITY="error"):
        import kagglehub
        import requests

        try:
            with _bars_on_terminals_only():
                return Path(kagglehub.dataset_download(handle))
        # It lets pass whatever an odd answer or a damaged archive makes go wrong inside it.
        except Exception as error:
            text = str(error)
            if isinstance(error, requests.RequestException):
                text = why(error)
            elif is_damage(error):
                text = f"the archive that came is damaged ({error})"
                # It would be taken as it is, again and again.
                shutil.rmtree(cache, ignore_errors=True)
            elif isinstance(error, OSError):
                raise _not_written(cache, error) from error
            reason = " ".join(text.split()) or type(error).__name__
            raise UnreachableError(
                f"https://www.kaggle.com/datasets/{handle}: {_shortened(reason)}"
            ) from error


def _not_written(cache: Path, error: OSError) -> DataError:
    what = FULL if is_full(error) else "cannot be written"
    reason = error.strerror or error
    return DataError(f"{cache}: {what} ({reason}); what came is kept, run again to go on")


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set variables for a while: kagglehub takes these from nowhere else."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _bars_on_terminals_only() -> Iterator[None]:
    """Keep kagglehub's progress bar, and what it prints, out of logs."""
    if sys.stderr.isatty():
        yield
        return
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def _shortened(text: str, n_shown: int = 300) -> str:
    return text if len(text) <= n_shown else f"{text[:n_shown]}..."
