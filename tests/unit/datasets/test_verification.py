import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre_mlops.config import DataConfig
from genre_mlops.datasets import SOURCES, open_dataset
from genre_mlops.datasets.base import Dataset, Listing
from genre_mlops.datasets.folder import FolderDataset
from genre_mlops.datasets.verification import verify
from genre_mlops.domain import Mapper, Progress, Track, sequential, silent
from genre_mlops.engine import Engine
from genre_mlops.errors import DataError
from tests.music import write_tune
from tests.sources import digest


class Listed(Dataset):
    """Files with checksums as a test wants them."""

    name, synthetic, licence, source = "listed", True, "none", "a test"

    def __init__(self, paths: Mapping[str, Path], sums: Mapping[str, str]) -> None:
        self.paths, self.sums = paths, sums

    def prepare(self, run: Mapper, progress: Progress = silent) -> None:
        """Do nothing."""

    def listing(self) -> Listing:
        return Listing(tuple(Track(i, path, "x") for i, path in sorted(self.paths.items())))

    def checksums(self) -> Mapping[str, str]:
        return self.sums


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    states=st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=3),
        st.sampled_from(["right", "changed", "missing", "gone", "unlisted"]),
        max_size=12,
    ),
    kind=st.sampled_from(["md5", "sha1", "sha256"]),
)
def test_every_file_is_accounted_for(tmp_path: Path, states: dict[str, str], kind: str):
    paths, sums = {}, {}
    for name, state in states.items():
        path = tmp_path / name
        path.write_bytes(name.encode())
        if state != "missing":
            paths[name] = tmp_path / "gone" if state == "gone" else path
        if state != "unlisted":
            sums[name] = digest(b"other" if state == "changed" else name.encode(), kind)
    found = verify(Listed(paths, sums), sequential)

    def those(*wanted: str) -> tuple[str, ...]:
        return tuple(sorted(name for name, state in states.items() if state in wanted))

    assert found.n_checked == len(those("right", "changed"))
    assert found.missing == those("missing", "gone")
    assert found.unlisted == (those("unlisted") if sums else ())
    assert found.changed == {
        name: (sums[name], digest(name.encode(), kind)) for name in those("changed")
    }
    assert found.passed == (not those("changed", "missing", "gone"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    y=st.lists(st.integers(-(2**15), 2**15 - 1), max_size=50),
    sr=st.sampled_from([8_000, 22_050, 44_100]),
    n_channels=st.integers(1, 2),
)
def test_an_au_file_is_the_wav_with_its_samples(
    tmp_path: Path, y: list[int], sr: int, n_channels: int
):
    samples = np.repeat(np.array(y, np.int16)[:, None], n_channels, axis=1)
    for suffix in (".au", ".wav"):
        soundfile.write(tmp_path / f"a{suffix}", samples, sr, subtype="PCM_16")
    wav = digest((tmp_path / "a.wav").read_bytes(), "md5")
    dataset = Listed({"a": tmp_path / "a.au"}, {"a": f"wav-{wav}"})
    assert verify(dataset, sequential).passed
    other = Listed({"a": tmp_path / "a.au"}, {"a": f"wav-md5:{'0' * 32}"})
    assert verify(other, sequential).changed == {"a": (f"wav-md5:{'0' * 32}", f"wav-{wav}")}


def test_what_cannot_be_read_has_changed(tmp_path: Path):
    (tmp_path / "a.au").write_bytes(b".snd" + bytes(9))
    (tmp_path / "b").mkdir()
    paths = {"a": tmp_path / "a.au", "b": tmp_path / "b"}
    found = verify(Listed(paths, {"a": "wav-md5:0", "b": "md5:0"}), sequential)
    assert found.n_checked == 2
    reasons = {i: reason.split(":")[0] for i, (_, reason) in found.changed.items()}
    assert reasons == {"a": "cannot be read", "b": "is no plain file"}


def test_in_parallel_it_finds_the_same(tmp_path: Path):
    paths = {f"{i:03d}": tmp_path / f"{i:03d}" for i in range(200)}
    for name, path in paths.items():
        path.write_bytes(name.encode())
    sums = {name: digest(name.encode(), "md5") for name in paths} | {"137": "md5:0"}
    dataset = Listed(paths, sums)
    assert verify(dataset, Engine(workers=2).map) == verify(dataset, sequential)
    assert list(verify(dataset, sequential).changed) == ["137"]


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    found = verify(Listed({"a": tmp_path / "pipe"}, {"a": "md5:0"}), sequential)
    assert found.changed == {"a": ("md5:0", "is no plain file")}


def test_nothing_published_is_nothing_wrong(tmp_path: Path):
    write_tune(tmp_path / "rock" / "a.wav", seed=1)
    found = verify(FolderDataset(tmp_path), sequential)
    assert (found.n_checked, found.passed, found.unlisted) == (0, True, ())


@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_every_source_is_opened_by_its_name(name: str, tmp_path: Path):
    dataset = open_dataset(DataConfig(dataset=name), root=tmp_path / "root")
    assert dataset.name.startswith(name)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gtzn", "expected one of demo, gtzan, gtzan-mini, fma-small.*; did you mean gtzan?"),
        ("fma", r"no source has this name.*did you mean fma-"),
        ("gtzan:", "no source has this name"),
        ("gtsan:/tmp", "did you mean gtzan"),
        ("gtzan:/no/such/copy", "gtzan:/no/such/copy: does not exist"),
        ("demo:/tmp", "the demo music is made, not copied"),
        ("fma-small:/tmp", "there is no fma_metadata"),
    ],
)
def test_an_unknown_name_lists_the_names(text: str, words: str, tmp_path: Path):
    with pytest.raises(DataError, match=words):
        open_dataset(DataConfig(dataset=text), root=tmp_path)


def test_a_folder_is_opened_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_tune(tmp_path / "gtzan" / "rock" / "a.wav", seed=1)
    write_tune(tmp_path / "a:b" / "rock" / "a.wav", seed=1)
    monkeypatch.chdir(tmp_path)
    for text in ("./gtzan", "a:b", str(tmp_path / "gtzan")):
        assert isinstance(open_dataset(DataConfig(dataset=text), root=tmp_path), FolderDataset)
