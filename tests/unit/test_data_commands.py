import hashlib
import json
import logging
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from genre_mlops.cli import app
from genre_mlops.config import load_config
from genre_mlops.datasets import SOURCES
from genre_mlops.domain import sequential
from genre_mlops.store import FeatureStore, Source
from tests.music import HARD_FOLDER_REASONS, write_tune


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENRE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "workspace"


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for i in range(4):
        write_tune(tmp_path / "music" / "hum" / f"{i}.wav", seed=i)
        write_tune(tmp_path / "music" / "drone" / "one artist" / f"{i}.flac", seed=10 + i)
    return tmp_path / "music"


def data(*arguments: str | Path, exit_code: int = 0) -> Result:
    root = logging.getLogger()
    before = root.handlers[:]
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    # The command's handlers write to what the runner has closed.
    root.handlers[:] = before
    assert done.exit_code == exit_code, f"{done.output}\n{done.exception!r}"
    return done


def test_list_names_every_source_and_which_is_here(workspace: Path):
    rows = {row["name"]: row for row in json.loads(data("list", "--json").stdout)}
    assert rows.keys() == {source.name for source in SOURCES}
    assert not any(row["here"] for row in rows.values())
    assert rows["gtzan"]["download_bytes"] == 1_226_192_050
    table = data("list").stdout
    lines = {line.split()[0]: line for line in table.splitlines() if line}
    assert all(lines[name].rstrip().endswith("no") for name in rows)


def test_fetch_says_what_is_there_and_what_comes_next(music: Path):
    told = data("fetch", music).stdout
    assert "music: 8 tracks" in told
    assert f"genre-mlops data verify {music}" in told


def test_fetch_unpacks_a_copy(tmp_path: Path):
    write_tune(tmp_path / "a copy" / "blues.00000.wav", seed=1)
    shutil.make_archive(str(tmp_path / "a copy"), "zip", tmp_path / "a copy")
    source = f"gtzan:{tmp_path}/a copy.zip"
    told = data("fetch", source).stdout
    assert "gtzan: 1 track\n" in told
    assert f"genre-mlops data verify '{source}'" in told


def test_an_unknown_source_is_named_with_the_known_ones():
    for command in ("fetch", "verify", "show"):
        told = data(command, "gtzam", exit_code=3).stderr
        assert "gtzam" in told
        assert "gtzan" in told


def test_verify_of_good_music_is_exit_code_0_and_writes_a_report(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for i in range(3):
        write_tune(music / "drone" / f"artist {i}" / "a.wav", seed=20 + i)
    told = data("verify", music, "--report", tmp_path / "new" / "report").stdout
    assert "checksums: none published" in told
    assert "11 usable tracks of 2 genres, split: grouped" in told
    assert "This set can be used" in (tmp_path / "new" / "report" / "report.html").read_text()
    assert {path.name for path in (tmp_path / "new" / "report").iterdir()} == {
        *("report.html", "data_docs.html", "checks.json", "catalog.parquet", "duplicates.parquet")
    }
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    data("verify", music, "--report=~/mine")
    assert len(list((tmp_path / "mine").iterdir())) == 5
    (tmp_path / "file").touch()
    refused = data("verify", music, "--report", tmp_path / "file", exit_code=2)
    assert "is a file; name a folder" in refused.stderr


def test_a_report_that_cannot_be_written_is_said_before_anything_is_read(
    music: Path, tmp_path: Path, workspace: Path
):
    (tmp_path / "file").touch()
    told = data("verify", music, "--report", tmp_path / "file" / "report", exit_code=2).stderr
    assert "file/report: cannot be written to: Not a directory" in told
    long = data("verify", music, "--report", "a" * 300, exit_code=2).stderr
    assert "cannot be written to: File name too long" in long
    assert "names no folder" in data("verify", music, "--report", "", exit_code=2).stderr
    assert not (workspace / "catalogs").exists()


def test_verify_of_the_demo_makes_it_first(monkeypatch: pytest.MonkeyPatch):
    told = data("verify", "demo", "--set", "data.demo_tracks=30 data.demo_duration_s=10").stdout
    assert "30 usable tracks of 10 genres" in told


def test_what_is_not_here_is_said_with_the_command_that_brings_it():
    for command in ("verify", "show"):
        told = data(command, "gtzan-mini", exit_code=3).stderr
        assert "genre-mlops data fetch gtzan-mini" in told


def test_a_split_that_is_not_there_is_said_before_anything_is_read(music: Path, workspace: Path):
    told = data("verify", music, "--set", "split.scheme=kfolds", exit_code=2).stderr
    assert "did you mean kfold?" in told
    assert not (workspace / "catalogs").exists()


def test_verify_names_what_would_be_set_aside(hard_folder: Path):
    told = data("verify", hard_folder).stdout
    for track, reason in HARD_FOLDER_REASONS.items():
        assert reason in next(line for line in told.splitlines() if track in line)


def test_verify_of_a_set_that_would_be_refused_is_exit_code_3(music: Path):
    (music / "drone" / "copy.wav").write_bytes((music / "hum" / "0.wav").read_bytes())
    told = data("verify", music, exit_code=3).stdout
    assert "checks: refused: one_genre_a_recording" in told
    assert "drone/copy.wav: is the same audio as hum/0.wav: the genre is drone here" in told
    assert 'settings: --set "a.b=c" of this command' in told
    found = json.loads(data("verify", music, "--json", exit_code=3).stdout)
    assert "one_genre_a_recording" in found["refused"]
    assert found["quarantined"].keys() >= {"drone/copy.wav", "hum/0.wav"}
    assert (found["dataset"], found["source"]) == ("music", str(music))


def test_settings_reach_the_checks(music: Path):
    told = data("verify", music, "--set", "split.by_group=false quality.min_sr=8000").stdout
    assert "8 usable tracks of 2 genres, split: grouped, groups in several splits" in told
    wrong = data("verify", music, "--set", "quality.min_srr=1", exit_code=2)
    assert "did you mean quality.min_sr?" in wrong.stderr


def test_a_copy_that_is_not_the_published_one_is_exit_code_3(tmp_path: Path):
    for i in range(3):
        write_tune(tmp_path / "copy" / "blues" / f"blues.0000{i}.wav", seed=i)
        write_tune(tmp_path / "copy" / "disco" / f"disco.0000{i}.wav", seed=10 + i)
    settings = ("--set", "split.by_group=false")
    told = data("verify", f"gtzan-mini:{tmp_path / 'copy'}", *settings, exit_code=3).stdout
    assert "6 files compared, 6 changed, 94 missing" in told
    assert "checks: 6 usable tracks" in told
    assert "checksums: refused: this is not the whole set" in told
    assert "blues.00002: expected md5:" in told


def test_a_name_is_one_line_whatever_it_holds(music: Path):
    for i in range(3):
        write_tune(music / "drone" / f"artist {i}" / "a.wav", seed=20 + i)
    (music / "hum" / "b\n\x1b[31mchecks: refused.wav").write_bytes(b"")
    (music / "no\tmusic.txt").write_text("")
    told = data("verify", music).stdout
    assert r"  hum/b\n\x1b[31mchecks: refused.wav: is empty (0 bytes)" in told.splitlines()
    assert r"  no\tmusic.txt" in told.splitlines()
    assert r"hum" in data("show", music).stdout


def test_no_source_and_two_sources_are_usage_errors(music: Path):
    assert "data.dataset: names no source" in data("verify", " ", exit_code=2).stderr
    two = data("verify", music, "--set", "data.dataset=gtzan", exit_code=2).stderr
    assert f"the source is the argument, {music}" in two


def test_a_workspace_that_cannot_be_is_one_line(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENRE_WORKSPACE", str(tmp_path / "file" / "workspace"))
    told = data("verify", music, exit_code=1).stderr
    assert (
        "file/workspace: cannot be written to: Not a directory; name another place by GENRE_W"
        in told
    )
    monkeypatch.setenv("GENRE_WORKSPACE", "~no-such-user/workspace")
    assert "there is no user of this name" in data("list", exit_code=2).stderr


def test_show_tells_what_is_in_a_file(music: Path):
    told = data("show", music / "hum" / "0.wav").stdout
    for line in ("format           WAV/PCM_16", "sr               22050", "duration_s       4"):
        assert " ".join(line.split()) in [" ".join(row.split()) for row in told.splitlines()]
    (digest,) = [row.split()[1] for row in told.splitlines() if row.startswith("sha256")]
    assert len(digest) == 64
    (music / "hum" / "0.wav").write_bytes(b"")
    broken = json.loads(data("show", music / "hum" / "0.wav", "--json", exit_code=3).stdout)
    assert broken["error"] == "is empty (0 bytes)"


def test_show_tells_what_is_in_a_source_genre_by_genre(music: Path):
    (music / "notes.txt").write_text("no music")
    answer = json.loads(data("show", music, "--json").stdout)
    assert answer["passed_over"] == ["notes.txt"]
    assert answer["source"] == str(music)
    rows = answer["genres"]
    assert [(row["genre"], row["files"], row["groups"]) for row in rows] == [
        ("drone", 4, 1),
        ("hum", 4, 0),
    ]
    told = data("show", music).stdout
    assert "FLAC/PCM_16" in told
    assert "passed over: 1 file\n" in told


def test_features_are_compared_with_their_files(music: Path, workspace: Path):
    settings = ("--set", "split.by_group=false features.n_mels=20")
    config = load_config(None, settings[1].split())
    told = data("verify-features", music, *settings, exit_code=3).stdout
    assert "features: 8 tracks, 8 missing, 0 damaged; 0 recomputed" in told
    assert "  drone/one artist/0.flac and 7 more: was not computed" in told.splitlines()
    step = f'-e features -P dataset={shlex.quote(str(music))} -P set="{settings[1]}"'
    assert f"to go on: make run ARGS={shlex.quote(step)} computes what was not" in told
    store = FeatureStore(workspace / "features", config.features)
    files = [path for path in music.rglob("*.*") if path.is_file()]
    sources = {hashlib.sha256(p.read_bytes()).hexdigest(): Source(p, 4.0) for p in files}
    store.build(sources, sequential)
    strict = ("--set", "quality.min_duration_s=60")
    refused = data("verify-features", music, *strict, exit_code=3).stderr
    assert "music is refused" in refused
    told = data("verify-features", music, *settings, "--sample", "5").stdout
    assert "8 tracks, 0 missing, 0 damaged; 5 recomputed: 5 identical, 0 different" in told
    (digest,) = [sha256 for sha256, (path, *_) in sources.items() if path.match("hum/0.wav")]
    shard = store.folder / str(store.index.shard_of(digest))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    found = json.loads(data("verify-features", music, *settings, "--json", exit_code=3).stdout)
    assert (found["passed"], found["n_tracks"], found["store"]) == (False, 8, str(store.folder))
    assert found["damaged"] == {"hum/0.wav": f"{shard.name} is not as it was written"}


def test_every_command_shows_an_example():
    for command in ("list", "fetch", "verify", "verify-features", "show"):
        assert f"Example: genre-mlops data {command}" in data(command, "--help").stdout
