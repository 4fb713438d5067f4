"""A set whose own split leaks is refused before anything is trained on it."""

from pathlib import Path

import pandas as pd
import pytest
import soundfile

from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.domain import sequential
from tests.pipelines.conftest import Place
from tests.pipelines.runs import client, runs_of


def make_leaking_set(root: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Write a table of music of which half the test tracks are train tracks, encoded again.

    Returns
    -------
    tuple of Path and list
        The table, and the pairs of copy and original.
    """
    demo = DemoDataset(root, n_tracks=40, duration_s=12)
    demo.prepare(sequential)
    rows, pairs = [], []
    for genre, of_genre in pd.DataFrame(demo.listing().tracks).groupby("genre"):
        first, second, third, fourth = (str(p.relative_to(root)) for p in of_genre["path"])
        copy = f"copies/{genre}.mp3"
        y, sr = soundfile.read(root / first, dtype="float32")
        (root / "copies").mkdir(exist_ok=True)
        # From one second in, quieter, lossy: no byte and no sample is the same.
        soundfile.write(root / copy, 0.5 * y[sr:], sr, format="MP3")
        parts = {first: "train", second: "train", third: "validation", fourth: "test", copy: "test"}
        rows += [{"path": path, "genre": genre, "split": part} for path, part in parts.items()]
        pairs.append((copy, first))
    table = root / "music.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table, pairs


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_a_real_leak_is_refused_naming_the_pairs(place: Place):
    table, pairs = make_leaking_set(place.root / "music")
    done = place.pipeline(["--dataset", str(table)], step="validate", exit_code=3)
    assert "the data set is refused: duplicates_in_one_split" in done.stderr
    for copy, original in pairs:
        line = next(line for line in done.stderr.splitlines() if line.startswith(f"  {copy}: "))
        assert f"the same as {original}, which is in train" in line
    validate = runs_of(place, "validate")
    assert {run.info.status for run in validate} == {"FAILED"}
    report = {
        file.path for file in client(place).list_artifacts(validate[1].info.run_id, "quality")
    }
    assert "quality/report.html" in report

    # Dealt anew, copies and originals are kept together, and nothing is refused.
    done = place.pipeline(
        ["--dataset", str(table), "--set", "split.scheme=grouped"], step="validate"
    )
    assert "50 usable track(s) of 10 genre(s), split: grouped" in done.stdout
    tracks = pd.read_parquet(next((place.root / "workspace" / "splits").glob("*.parquet")))
    for copy, original in pairs:
        assert tracks.at[copy, "split"] == tracks.at[original, "split"]
