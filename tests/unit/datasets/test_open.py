import os
from pathlib import Path

import pytest

from genre_mlops.config import DataConfig
from genre_mlops.datasets import SOURCES, Dataset, open_dataset
from genre_mlops.domain import sequential
from genre_mlops.errors import DataError
from tests.sources import FMA_ROWS, fma_table, zip_bytes


def opened(dataset: str, root: Path) -> Dataset:
    return open_dataset(DataConfig(dataset=dataset), root=root)


@pytest.fixture
def not_utf8(tmp_path: Path) -> Path:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/m\xfcsik"))
    folder.mkdir()
    return folder


@pytest.mark.parametrize("source", ["{}", "{}/t.csv", "{}/gone", "gtzan:{}", "fma-small:{}"])
def test_a_path_that_is_not_utf8_is_refused(source: str, not_utf8: Path, tmp_path: Path):
    (not_utf8 / "t.csv").write_text("path,genre\na.wav,x\n")
    (not_utf8 / "fma_metadata").mkdir()
    (not_utf8 / "fma_metadata" / "tracks.csv").write_text(fma_table(FMA_ROWS))
    with pytest.raises(DataError, match=r"m\ufffdsik.*: a name in this path is not UTF-8; rename"):
        opened(source.format(not_utf8), tmp_path)


def test_a_working_folder_that_is_not_utf8_counts_for_what_is_below_it(
    not_utf8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(not_utf8)
    (not_utf8 / "t.csv").write_text("path,genre\na.wav,x\n")
    for source, root in [("t.csv", tmp_path), (".", tmp_path), ("demo", not_utf8)]:
        with pytest.raises(DataError, match=r"m\ufffdsik.*: a name in this path is not UTF-8"):
            opened(source, root)
    assert opened("gtzan", tmp_path).name == "gtzan"


@pytest.mark.parametrize("source", ["~no-such-user/music", "gtzan:~no-such-user/music"])
def test_the_home_of_nobody_is_said(source: str, tmp_path: Path):
    with pytest.raises(DataError, match="there is no user of this name"):
        opened(source, tmp_path)


@pytest.mark.parametrize("name", [source.name for source in SOURCES if source.name != "demo"])
def test_what_is_not_here_yet_says_how_to_fetch_it(name: str, tmp_path: Path):
    dataset = opened(name, tmp_path)
    assert not dataset.local
    with pytest.raises(DataError, match=f"^dataset {name}: not here yet: .* data fetch {name}$"):
        dataset.listing()


def test_what_needs_no_network_says_so(tmp_path: Path):
    (tmp_path / "my music").mkdir()
    (tmp_path / "my music" / "t.csv").write_text("path,genre\na.wav,x\n")
    (tmp_path / "a copy.zip").write_bytes(zip_bytes({"blues.00000.wav": b""}))
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata" / "tracks.csv").write_text(fma_table(FMA_ROWS))
    for before, path in [
        ("", "my music"), ("", "my music/t.csv"),
        ("gtzan:", "a copy.zip"), ("gtzan:", "my music"), ("fma-large:", "."),
    ]:  # fmt: skip
        assert opened(f"{before}{tmp_path / path}", tmp_path).local
    assert opened("demo", tmp_path).local
    archive = opened(f"gtzan:{tmp_path}/a copy.zip", tmp_path)
    with pytest.raises(DataError, match=r"not here yet: .* data fetch 'gtzan:.*/a copy\.zip'$"):
        archive.listing()
    archive.prepare(sequential)
    assert [track.track_id for track in archive.listing().tracks] == ["blues.00000"]
