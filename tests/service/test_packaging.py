"""From a bundle to a bento: made once, pinned, latest, whole or not there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from genre_mlops.errors import ConfigError, GenreError
from genre_mlops.learning.bundle import FILTERS, INFO, ONNX, Bundle, seal_of
from genre_mlops.serving import packaging
from genre_mlops.serving.packaging import package

PROJECT = Path(__file__).parents[2]
BundleMaker = Callable[..., Path]
# As the bentos of the store have them.
LABELS = {"git_commit": "0a1b2c3"}


def latest(home: Path, kind: str) -> str:
    return (home / kind / "genre_classifier" / "latest").read_text()


def contents(folder: Path) -> dict[str, Any]:
    """All that lies in a bento or a model; what BentoML says of it is read, without the times."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        # A bento that was served before may hold what Python compiled.
        if path.is_file() and "__pycache__" not in path.parts:
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    for name in {"bento.yaml", "model.yaml"} & found.keys():
        found[name] = told = yaml.safe_load(found[name])
        for one in (told, *told.get("models", ())):
            del one["creation_time"]
    return found


def versions(home: Path, kind: str) -> list[str]:
    folder = home / kind / "genre_classifier"
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_a_bento_holds_what_answers_and_nothing_else(store):
    files = contents(store.bento(1) / "src").keys()
    include = yaml.safe_load((store.project / "bentofile.yaml").read_text())["include"]
    assert files == {"bentofile.yaml", *include}
    assert not [name for name in files if "test" in name or "packaging" in name]


def test_a_bento_installs_the_lock(store):
    lock = (store.project / "requirements" / "serving.txt").read_text()
    installed = (store.bento(1) / "env" / "python" / "requirements.txt").read_text()
    pins = {line.split(";")[0].split()[0] for line in lock.splitlines() if "==" in line[:60]}
    assert len(pins) > 30
    assert [pin for pin in pins if pin not in installed] == []
    assert installed.count("--hash=sha256:") == lock.count("--hash=sha256:")


def test_a_bento_records_its_model_and_labels(store):
    for version in (1, 2):
        info = yaml.safe_load((store.bento(version) / "bento.yaml").read_text())
        (model,) = info["models"]
        assert model["alias"] == "champion"
        assert model["tag"].startswith(f"genre_classifier:v{version}-")
        folder = store.home / "models" / model["tag"].replace(":", "/")
        labels = {
            "git_commit": "0a1b2c3",
            "registry_version": str(version),
            "bundle_sha256": seal_of(folder),
        }
        assert yaml.safe_load((folder / "model.yaml").read_text())["labels"] == labels
        service = packaging._service_digest(store.project)
        labels |= {"project": "genre-mlops", "service_sha256": service}
        assert info["labels"] == labels
        assert {"name": "BENTOML_DO_NOT_TRACK", "value": "True", "stage": "all"} in info["envs"]


def test_the_model_is_a_sealed_bundle_without_what_serving_does_not_need(store):
    folder = next((store.home / "models" / "genre_classifier").glob("v1-*"))
    assert {path.name for path in folder.iterdir()} == {
        *(INFO, ONNX, FILTERS),
        *("card.md", "model.yaml"),
    }
    assert set(Bundle(folder).info.sha256) == {ONNX, FILTERS}


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_wherever_and_whenever_it_is_built(
    store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = shutil.copytree(store.project, tmp_path / "elsewhere")
    bundle = shutil.copytree(store.bundles[1], tmp_path / "other")
    # What the service would read of this machine.
    monkeypatch.setenv("GENRE_THREADS", "7")
    monkeypatch.setenv("GENRE_API_KEYS", "a secret")
    monkeypatch.setenv("GENRE_FOLLOW_CHAMPION", "1")
    tag = package(bundle, version=1, labels=LABELS, project=project, card="# tunes 1")
    assert tag == store.tags[1]
    place = Path("bentos", *tag.split(":"))
    assert contents(home / place) == contents(store.home / place)
    model = f"models/genre_classifier/{versions(home, 'models')[0]}"
    assert contents(home / model) == contents(store.home / model)


def test_packaging_again_builds_nothing_and_is_silent(
    store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(packaging, "_run_child", lambda *_: pytest.fail("was built again"))
    tag = package(store.bundles[2], version=2, labels=LABELS, project=store.project)
    assert tag == store.tags[2]
    assert capfd.readouterr() == ("", "")


def test_packaging_an_earlier_version_again_makes_it_latest(store):
    package(store.bundles[1], version=1, labels=LABELS, project=store.project, card="# tunes 1")
    assert f"genre_classifier:{latest(store.home, 'bentos')}" == store.tags[1]
    assert latest(store.home, "models").startswith("v1-")
    package(store.bundles[2], version=2, labels=LABELS, project=store.project)
    assert f"genre_classifier:{latest(store.home, 'bentos')}" == store.tags[2]


@pytest.mark.slow
def test_changed_service_code_gives_a_new_tag_of_the_same_model(
    home: Path, project: Path, bundle_maker: BundleMaker, capfd: pytest.CaptureFixture[str]
):
    bundle = bundle_maker()
    before = dict(os.environ), Path.cwd(), list(sys.path)
    first = package(bundle, version=3, labels={}, project=project)
    service = project / "genre_mlops" / "serving" / "service.py"
    service.write_text(service.read_text() + "# changed\n")
    second = package(bundle, version=3, labels={}, project=project)
    (project / "requirements" / "serving.txt").open("a").write("# changed\n")
    third = package(bundle, version=3, labels={}, project=project)
    assert len({first, second, third}) == 3
    assert len(versions(home, "bentos")) == 3
    assert len(versions(home, "models")) == 1
    assert f"genre_classifier:{latest(home, 'bentos')}" == third
    built = home / "bentos" / second.replace(":", "/") / "src" / service.relative_to(project)
    assert built.read_text().endswith("# changed\n")
    assert not list((home / "tmp").iterdir())
    assert capfd.readouterr() == ("", "")
    assert before == (dict(os.environ), Path.cwd(), list(sys.path))


def test_other_files_of_the_project_do_not_change_the_tag(project: Path):
    before = packaging._service_digest(project)
    (project / "data.csv").write_text("other\n")
    (project / "genre_mlops" / "serving" / "packaging.py").write_text("")
    assert packaging._service_digest(project) == before


def test_another_network_card_or_label_gives_another_model(bundle_maker: BundleMaker):
    infos = [Bundle(bundle_maker(f"b{seed}", seed=seed)).info for seed in (1, 2)]
    relabelled = infos[0].model_copy(update={"genres": ("a", "b", "c")})
    made = [packaging._model_digest(info, LABELS) for info in [*infos, relabelled]]
    made += [packaging._model_digest(infos[0], {}), packaging._model_digest(infos[0], LABELS, "#")]
    assert len(set(made)) == 5


def test_a_model_of_another_form_is_not_taken_for_this_one(
    bundle_maker: BundleMaker, monkeypatch: pytest.MonkeyPatch
):
    info = Bundle(bundle_maker()).info
    now = packaging._model_digest(info, LABELS)
    monkeypatch.setattr(packaging, "_FORM", 1)
    assert packaging._model_digest(info, LABELS) != now


@pytest.mark.slow
def test_killed_while_it_publishes_it_works_the_next_time(
    home: Path, project: Path, bundle_maker: BundleMaker, monkeypatch: pytest.MonkeyPatch
):
    bundle = bundle_maker()
    publish = packaging._publish

    def killed_before_the_bento(made: Path, place: Path) -> None:
        if place.parts[-3] == "bentos":
            raise KeyboardInterrupt
        publish(made, place)

    with monkeypatch.context() as patch:
        patch.setattr(packaging, "_publish", killed_before_the_bento)
        with pytest.raises(KeyboardInterrupt):
            package(bundle, version=1, labels={}, project=project)
    assert len(versions(home, "models")) == 1
    assert not (home / "bentos" / "genre_classifier").exists()
    tag = package(bundle, version=1, labels={}, project=project)
    assert (home / "bentos" / tag.replace(":", "/") / "bento.yaml").is_file()


@pytest.mark.slow
def test_bentoml_build_by_hand_takes_the_model_packaged_last(
    home: Path, project: Path, bundle_maker: BundleMaker
):
    for version in (1, 2):
        bundle = bundle_maker(f"bundle{version}", seed=version)
        tag = package(bundle, version=version, labels={}, project=project)
        packaged = contents(home / "bentos" / tag.replace(":", "/"))
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    env = os.environ | {"GENRE_THREADS": "1"}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=True)
    built = done.stdout.strip().removeprefix("__tag__:")
    assert f"genre_classifier:{latest(home, 'bentos')}" == built
    by_hand = contents(home / "bentos" / built.replace(":", "/"))
    assert by_hand["bento.yaml"]["models"][0]["tag"].startswith("genre_classifier:v2-")
    differ = {name for name in packaged | by_hand if packaged.get(name) != by_hand.get(name)}
    assert differ == {"bento.yaml", "src/bentofile.yaml"}  # the latter for the labels
    was, told = packaged["bento.yaml"], by_hand["bento.yaml"]
    assert {key for key in was | told if was.get(key) != told.get(key)} == {"version", "labels"}


def test_a_damaged_bundle_is_refused(home: Path, bundle_maker: BundleMaker):
    bundle = bundle_maker()
    (bundle / ONNX).write_bytes(b"other")
    with pytest.raises(GenreError, match="sha256 differs"):
        package(bundle, version=1, labels={}, project=PROJECT)
    assert not home.exists()


def test_a_folder_without_a_bentofile_is_refused(
    home: Path, bundle_maker: BundleMaker, tmp_path: Path
):
    del home
    with pytest.raises(ConfigError, match=r"bentofile\.yaml cannot be read"):
        package(bundle_maker(), version=1, labels={}, project=tmp_path)


def test_a_missing_ingredient_is_named(home: Path, bundle_maker: BundleMaker, project: Path):
    del home
    (project / "genre_mlops" / "audio.py").unlink()
    with pytest.raises(ConfigError, match=r"genre_mlops/audio\.py: not a file of"):
        package(bundle_maker(), version=1, labels={}, project=project)


@pytest.mark.slow
def test_what_bentoml_cannot_build_leaves_nothing(
    home: Path, bundle_maker: BundleMaker, project: Path
):
    service = project / "genre_mlops" / "serving" / "service.py"
    service.write_text("import no_such_module\n")
    with pytest.raises(GenreError, match="no_such_module"):
        package(bundle_maker(), version=1, labels={}, project=project)
    assert not list(home.rglob("genre_classifier"))
    assert not list((home / "tmp").iterdir())


def test_a_home_that_is_no_folder_is_an_error_that_says_so(home: Path, bundle_maker: BundleMaker):
    home.write_text("a file")
    with pytest.raises(GenreError, match="BENTOML_HOME names another"):
        package(bundle_maker(), version=1, labels={}, project=PROJECT)


@pytest.mark.slow
def test_a_deleted_model_comes_back(home: Path, project: Path, bundle_maker: BundleMaker):
    bundle = bundle_maker()
    tag = package(bundle, version=1, labels={}, project=project)
    (model,) = versions(home, "models")
    shutil.rmtree(home / "models" / "genre_classifier" / model)
    assert package(bundle, version=1, labels={}, project=project) == tag
    assert versions(home, "models") == [model]
