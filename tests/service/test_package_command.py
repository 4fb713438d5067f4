"""`genre-mlops package`, of a real registry with two versions."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from genre_mlops import registry, tracking
from genre_mlops.cli import app
from genre_mlops.learning.bundle import ONNX, Bundle
from genre_mlops.registry import CHAMPION
from tests.service.conftest import PROJECT, make_bundle

NAME = "tunes"
TAGS = {"dataset": "music", "split_digest": "0a1b", "validation_loss": "0.5"}


@dataclass(frozen=True)
class Place:
    """A registry in which version 1 of 2 is the champion, and a BentoML home."""

    root: Path
    home: Path

    def version(self, number: int) -> Path:
        """Return where the registry keeps a bundle."""
        return registry.find_version(NAME, number).bundle

    def package(self, *arguments: str, model: str = NAME, exit_code: int = 0) -> Result:
        done = CliRunner().invoke(app, ["package", *arguments, "--model", model])
        assert done.exit_code == exit_code, done.output
        return done

    def bento(self, tag: str) -> dict[str, object]:
        folder = self.home / "bentos" / tag.replace(":", "/")
        return yaml.safe_load((folder / "bento.yaml").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("package")
    before = tracking.tracking_uri(), Path.cwd(), logging.root.handlers[:], logging.root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(root / "home"))
        # Elsewhere than in the project, and where MLflow puts files.
        patch.chdir(root)
        tracking.use_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
        for number in (1, 2):
            bundle = make_bundle(root / f"b{number}", seed=number)
            with tracking.open_run("register"):
                tracking.log_text(f"# {number}", "card.md")
                info = Bundle(bundle).info
                assert registry.register(bundle, info, name=NAME, tags=TAGS) == number
        tracking.set_alias(NAME, CHAMPION, 1)
        yield Place(root, root / "home")
    tracking.use_tracking_uri(before[0])
    logging.root.handlers[:], logging.root.level = before[2:]


@pytest.mark.slow
def test_it_makes_a_bento_of_the_champion_and_says_how_to_serve_it(place: Place):
    said = json.loads(place.package("--json").stdout)
    sealed = registry.find_version(NAME, 1).tags["bundle_sha256"]
    labels = {"registered_model": NAME, "dataset": "music", "split_digest": "0a1b"}
    labels["registered_sha256"] = sealed
    assert said["labels"] == labels
    assert (said["version"], said["champion"]) == (1, True)
    bento = place.bento(said["bento"])
    assert bento["labels"].items() >= {**labels, "registry_version": "1"}.items()
    model = place.home / "models" / bento["models"][0]["tag"].replace(":", "/")
    assert (model / "card.md").read_text() == "# 1"
    told = place.package()
    assert f"{said['bento']} answers by tunes 1, the champion" in told.stdout
    assert f"next: bentoml serve {said['bento']} --host 127.0.0.1" in told.stdout
    tracking.set_alias(NAME, CHAMPION, 2)
    told = place.package("1", "--project", str(PROJECT)).stdout
    tracking.set_alias(NAME, CHAMPION, 1)
    assert f"{said['bento']} answers by tunes 1, which is not the champion" in told


def test_what_is_not_there_is_said(place: Place, tmp_path: Path):
    assert "no champion of nobody" in place.package(model="nobody", exit_code=1).stderr
    assert "tunes has no version 9" in place.package("9", exit_code=1).stderr
    elsewhere = place.package("--project", str(tmp_path), exit_code=2).stderr
    assert "bentofile.yaml cannot be read: a bento is built from the project" in elsewhere


def test_a_changed_file_is_refused_by_name(place: Place):
    network = place.version(1) / ONNX
    whole = network.read_bytes()
    network.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        assert f"{ONNX} is not the file that was sealed" in place.package(exit_code=1).stderr
    finally:
        network.write_bytes(whole)


def test_installed_without_the_project_it_asks_for_its_folder(place: Place, tmp_path: Path):
    shutil.copytree(PROJECT / "genre_mlops", tmp_path / "site" / "genre_mlops")
    env = os.environ | {
        "PYTHONPATH": str(tmp_path / "site"),
        "MLFLOW_TRACKING_URI": tracking.tracking_uri(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "genre_mlops", "package", "--model", NAME],
        cwd=place.root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "name the project's folder by --project" in " ".join(done.stderr.split())
