from pathlib import Path

import pytest
from rich.console import Console

from genre_mlops.domain import silent
from genre_mlops.learning.bundle import Bundle
from genre_mlops.predictions import Answer, Champion, as_table, predict_files
from tests.music import write_tune
from tests.service.conftest import make_bundle


def answer(tmp_path: Path, *, sure_above: float) -> Answer:
    bundle = Bundle(make_bundle(tmp_path / "bundle", seed=1, sure_above=sure_above))
    path = write_tune(tmp_path / "tune.wav", seed=1)
    (found,) = predict_files(Champion("genres", 3, bundle), [path], silent)
    return found


@pytest.mark.parametrize(("sure_above", "sure"), [(0.0, True), (1.0, False)])
def test_an_answer_says_whether_it_is_sure(tmp_path: Path, sure_above: float, sure: bool):
    found = answer(tmp_path, sure_above=sure_above)
    assert found.as_json()["sure"] is sure
    console = Console(width=100)
    with console.capture() as capture:
        console.print(as_table([found], top=2))
    assert found.prediction is not None
    assert found.prediction.genre in capture.get()
    assert ("none of these?" in capture.get()) is not sure


def test_what_is_missing_does_not_stop_the_rest(tmp_path: Path):
    bundle = Bundle(make_bundle(tmp_path / "bundle", seed=1))
    tune = write_tune(tmp_path / "music" / "tune.wav", seed=1)
    (tmp_path / "empty").mkdir()
    sources = [tmp_path / "gone.wav", tune.parent, tmp_path / "empty"]
    found = list(predict_files(Champion("genres", 3, bundle), sources, silent))
    assert [(a.path, a.error) for a in found] == [
        (tmp_path / "gone.wav", "there is no such file or folder"),
        (tune, None),
        (tmp_path / "empty", "no audio file in this folder or below it"),
    ]
    assert found[1].prediction is not None
