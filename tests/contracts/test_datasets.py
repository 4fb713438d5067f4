"""What every data source guarantees, whatever it holds."""

from pathlib import Path

import pytest
import soundfile

from genre_mlops.datasets import Dataset
from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.domain import sequential
from tests.music import make_hard_folder, write_tune


class DatasetContract:
    """Subclass and supply `dataset`, which has been prepared, and `same`, another of it."""

    def test_ids_are_unique_and_sorted(self, dataset: Dataset):
        ids = [track.track_id for track in dataset.listing().tracks]
        assert ids == sorted(set(ids))
        assert ids

    def test_order_is_stable(self, dataset: Dataset, same: Dataset):
        assert dataset.listing() == dataset.listing() == same.listing()

    def test_ids_are_relative_and_portable(self, dataset: Dataset):
        for track in dataset.listing().tracks:
            assert not track.track_id.startswith("/")
            assert "\\" not in track.track_id

    def test_every_file_is_there(self, dataset: Dataset):
        assert all(track.path.is_file() for track in dataset.listing().tracks)

    def test_a_group_has_tracks_of_one_genre(self, dataset: Dataset):
        genres: dict[str, set[str]] = {}
        for track in dataset.listing().tracks:
            if track.group is not None:
                genres.setdefault(track.group, set()).add(track.genre)
        assert all(len(found) == 1 for found in genres.values())

    def test_preparing_again_changes_no_file(self, dataset: Dataset):
        before = {t.path: t.path.stat().st_mtime_ns for t in dataset.listing().tracks}
        dataset.prepare(sequential)
        assert {p: p.stat().st_mtime_ns for p in before} == before

    def test_it_says_what_it_is(self, dataset: Dataset):
        assert dataset.name
        assert dataset.licence
        assert isinstance(dataset.synthetic, bool)


class TestFolder(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        root = make_hard_folder(tmp_path_factory.mktemp("folder") / "music")
        write_tune(root / "hum" / "an artist" / "a.wav", seed=40)
        return root

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, root: Path) -> Dataset:
        return FolderDataset(root)

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, root: Path) -> Dataset:
        return FolderDataset(root)


class TestDemo(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("demo")

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, root: Path) -> Dataset:
        made = DemoDataset(root, n_tracks=12, duration_s=10)
        made.prepare(sequential)
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, root: Path) -> Dataset:
        return DemoDataset(root, n_tracks=12, duration_s=10)

    def test_what_is_listed_is_whole(self, dataset: Dataset):
        for track in dataset.listing().tracks:
            assert soundfile.info(track.path).duration == 10
