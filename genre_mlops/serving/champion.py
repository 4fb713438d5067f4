"""Looks for the registry's champion: the process that `follow` starts, as it needs MLflow.

Writes a line of JSON for each look, and ends when its standard input is closed: its parent is gone.
"""

import json
import logging
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from genre_mlops.names import BUNDLE_INFO, CARD, CHAMPION, SEAL, TAKEN
from genre_mlops.wording import without_password

_SHORT = 200
# MLflow would try for minutes, where the next look is a try, and report its use to its makers.
_MLFLOW = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def looks(
    name: str, place: Path, every_s: float, known: tuple[str, str]
) -> Iterator[dict[str, Any]]:
    """Look again and again, until nobody listens.

    Parameters
    ----------
    name : str
        The registered model's.
    place : Path
        Where bundles are brought to, each in a folder of its own.
    every_s : float
        Pause between two looks, in seconds.
    known : tuple of (str, str)
        Number and seal of the version that answers already.

    Yields
    ------
    dict
        ``{"same": version}`` where the champion answers already, ``{"refused": version}`` where it
        was tried before, ``{"problem": text}`` where it cannot be said who is champion, and
        otherwise ``{"version", "seal", "folder"}``: then a line of standard input is waited for,
        `TAKEN` where that one answers from now on.
    """
    for variable, value in _MLFLOW.items():
        os.environ.setdefault(variable, value)
    # After these are set; what it remarks is not for the service's log.
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    client = mlflow.MlflowClient()
    refused: tuple[str, str] | None = None
    while True:
        try:
            champion = client.get_model_version_by_alias(name, CHAMPION)
            # A version that was deleted and a new database may have a number once more.
            found = (str(champion.version), champion.tags.get(SEAL, ""))
            folder = None if found in (known, refused) else _bring(mlflow, champion, place)
        except Exception as error:  # whatever MLflow raises, the next look is another try
            text = " ".join(str(error).split()) or type(error).__name__
            text = without_password(text, mlflow.get_tracking_uri())
            yield {"problem": f"{name}: {text[:_SHORT]}"}
        else:
            if folder is None:
                yield {"same" if found == known else "refused": int(found[0])}
            else:
                yield {"version": int(found[0]), "seal": found[1], "folder": str(folder)}
                if sys.stdin.readline().strip() == TAKEN:
                    known = found
                else:
                    refused = found
        if select.select([sys.stdin], [], [], every_s)[0]:
            return


def _bring(mlflow: Any, champion: Any, place: Path) -> Path:
    """Copy a version's bundle and its card to a folder of its own."""
    for former in place.iterdir():  # half brought
        shutil.rmtree(former, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    model = f"models:/{champion.name}/{champion.version}"
    mlflow.artifacts.download_artifacts(model, dst_path=str(folder))
    bundle = next((path.parent for path in folder.glob(f"**/artifacts/*/{BUNDLE_INFO}")), None)
    if bundle is None:
        raise FileNotFoundError(f"the files of version {champion.version} hold no {BUNDLE_INFO}")
    with suppress(mlflow.MlflowException):  # an older genre-mlops made none
        card = mlflow.artifacts.load_text(f"runs:/{champion.run_id}/{CARD}")
        (bundle / CARD).write_text(card, encoding="utf-8")
    return bundle


def _main(name: str, place: str, every_s: str, version: str, seal: str) -> None:
    # What libraries print must not come between the lines.
    lines, sys.stdout = sys.stdout, sys.stderr
    try:
        for look in looks(name, Path(place), float(every_s), (version, seal)):
            print(json.dumps(look), file=lines, flush=True)
    except BrokenPipeError:
        pass
    finally:
        # Where the parent was killed, nobody else does.
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
