"""What every data source guarantees, whatever it holds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from genre_mlops.datasets import Dataset
from genre_mlops.datasets.demo import DemoDataset
from genre_mlops.datasets.fma import FmaDataset
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.datasets.gtzan import GtzanDataset, GtzanMiniDataset
from genre_mlops.datasets.gtzan_index import Index
from genre_mlops.datasets.table import TableDataset
from genre_mlops.datasets.verification import verify
from genre_mlops.domain import sequential
from tests.loopback import Loopback
from tests.music import make_hard_folder, write_tune
from tests.sources import contents, digest, fma_archives, make_gtzan, tar_bytes, zip_bytes


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

    def test_splits_are_of_what_is_listed(self, dataset: Dataset):
        listing = dataset.listing()
        ids = {track.track_id for track in listing.tracks}
        for split in listing.splits.values():
            assert split.of.keys() <= ids
            assert set(split.of.values()) <= {"train", "validation", "test"}

    def test_a_split_that_shares_groups_says_so(self, dataset: Dataset):
        listing = dataset.listing()
        for split in listing.splits.values():
            sides: dict[str, set[str]] = {}
            for track in listing.tracks:
                if track.group is not None and track.track_id in split.of:
                    sides.setdefault(track.group, set()).add(split.of[track.track_id])
            assert split.shares_groups or all(len(found) == 1 for found in sides.values())

    def test_files_are_those_published(self, dataset: Dataset):
        found = verify(dataset, sequential)
        assert (found.changed, found.missing) == ({}, ())
        assert found.n_checked == len(dataset.checksums())

    def test_preparing_again_changes_no_file(self, dataset: Dataset):
        before = {t.path: t.path.stat().st_mtime_ns for t in dataset.listing().tracks}
        dataset.prepare(sequential)
        assert {p: p.stat().st_mtime_ns for p in before} == before

    def test_it_says_what_it_is(self, dataset: Dataset):
        assert dataset.name
        assert dataset.licence
        assert isinstance(dataset.synthetic, bool)
        assert isinstance(dataset.local, bool)


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

    def test_an_artist_has_tracks_of_one_genre(self, dataset: Dataset):
        genres: dict[str | None, set[str]] = {}
        for track in dataset.listing().tracks:
            genres.setdefault(track.group, set()).add(track.genre)
        assert None not in genres
        assert all(len(found) == 1 for found in genres.values())


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback().running() as running:
        yield running


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Index]:
    folder = tmp_path_factory.mktemp("clips")
    return folder, make_gtzan(folder)


class TestGtzan(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def dataset(
        cls, server: Loopback, clips: tuple[Path, Index], tmp_path_factory: pytest.TempPathFactory
    ) -> Dataset:
        archive = tar_bytes(contents(clips[0]))
        server.serve("/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz", archive)
        made = GtzanDataset(
            tmp_path_factory.mktemp("gtzan"),
            index=clips[1],
            checksum=digest(archive, "md5"),
            size=len(archive),
            endpoint=server.url,
        )
        made.prepare(sequential)
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, dataset: GtzanDataset, clips: tuple[Path, Index]) -> Dataset:
        root = dataset.listing().tracks[0].path.parents[3]
        return GtzanDataset(root, index=clips[1])


class TestGtzanCopy(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, clips: tuple[Path, Index]) -> Dataset:
        return GtzanDataset(Path("unused"), clips[0], index=clips[1])

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, clips: tuple[Path, Index]) -> Dataset:
        return GtzanDataset(Path("unused"), clips[0], index=clips[1])


class TestGtzanMini(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("mini")

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, server: Loopback, clips: tuple[Path, Index], root: Path) -> Dataset:
        server.serve("/main.zip", zip_bytes(contents(clips[0])))
        made = GtzanMiniDataset(root, index=clips[1], url=f"{server.url}/main.zip")
        made.prepare(sequential)
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, clips: tuple[Path, Index], root: Path) -> Dataset:
        return GtzanMiniDataset(root, index=clips[1])


class TestFma(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("fma")

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, server: Loopback, root: Path) -> Dataset:
        clips = {f"000/{n:06d}.mp3": b"clip %d" % n for n in (2, 5, 140, 141)}
        archives = fma_archives(clips)
        for name, content in archives.items():
            server.serve(f"/fma/{name}", content)
        sums = {name: digest(content, "sha1") for name, content in archives.items()}
        made = FmaDataset(root, "small", url=f"{server.url}/fma/", checksums=sums)
        made.prepare(sequential)
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, root: Path) -> Dataset:
        return FmaDataset(root, "small")


class TestTable(DatasetContract):
    @pytest.fixture(scope="class")
    @classmethod
    def path(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("table")
        outside = write_tune(folder / "outside.wav", seed=1)
        for name in ("b.wav", "deep/a.wav"):
            write_tune(folder / "here" / name, seed=2)
        path = folder / "here" / "music.csv"
        path.write_text(
            "path,genre,group,split\n"
            f"{outside},hum,x,test\nb.wav,hum,y,training\ndeep/a.wav,whistle,y,train\n"
        )
        return path

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, path: Path) -> Dataset:
        return TableDataset(path)

    @pytest.fixture(scope="class")
    @classmethod
    def same(cls, path: Path) -> Dataset:
        return TableDataset(path)
