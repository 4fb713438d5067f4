"""Small collections in the form of the published ones."""

import csv
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import soundfile

from genre_mlops.datasets.gtzan_index import Entry, Index, gtzan_index
from genre_mlops.domain import Progress
from tests.music import tune

GTZAN_GENRES = ("blues", "jazz", "rock")
FMA_COLUMNS = {
    "album": "comments date_created date_released engineer favorites id information listens "
    "producer tags title tracks type",
    "artist": "active_year_begin active_year_end associated_labels bio comments date_created "
    "favorites id latitude location longitude members name related_projects tags website "
    "wikipedia_page",
    "set": "split subset",
    "track": "bit_rate comments composer date_created date_recorded duration favorites genre_top "
    "genres genres_all information interest language_code license listens lyricist number "
    "publisher tags title",
}


def make_gtzan(folder: Path, *, suffix: str = ".wav", genres_folder: str = "genres") -> Index:
    """Write four short clips of each of three genres; the first two of a genre are one artist's."""
    index: dict[str, Entry] = {}
    for g, genre in enumerate(GTZAN_GENRES):
        for n in range(4):
            name = f"{genre}.{n:05d}"
            path = folder / genres_folder / genre / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            y = tune(seed=10 * g + n, duration_s=0.2, sr=22_050)
            soundfile.write(path, y, 22_050, subtype="PCM_16")
            as_wav = io.BytesIO()
            soundfile.write(as_wav, y, 22_050, subtype="PCM_16", format="WAV")
            md5 = hashlib.md5(as_wav.getvalue(), usedforsecurity=False).hexdigest()
            split = ("train", "test", "validation", "test")[n]
            index[name] = Entry(md5, f"{genre} band {max(1, n)}" if n < 3 else "", split)
    return index


def make_whole_gtzan(folder: Path, *, duration_s: float, sr: int) -> None:
    """Write a clip of our own under each published name, a genre's all of one pitch.

    What is published about the clips is of others, but for one: the one that does not decode.
    """
    names = gtzan_index()
    genres = sorted({name.partition(".")[0] for name in names})
    for seed, name in enumerate(names):
        genre = name.partition(".")[0]
        path = folder / "genres" / genre / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        y = tune(seed=seed, duration_s=duration_s, sr=sr, base_hz=150 * 1.3 ** genres.index(genre))
        soundfile.write(path, y, sr, subtype="PCM_16")
    (folder / "genres" / "jazz" / "jazz.00054.wav").write_bytes(b"RIFF, and no more")


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of these members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, member in members.items():
            zipped.writestr(name, member)
    return content.getvalue()


def tar_bytes(members: Mapping[str, bytes]) -> bytes:
    """Return a tar.gz archive of these members."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as tar:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(member)
            tar.addfile(info, io.BytesIO(member))
    return content.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def digest(content: bytes, algorithm: str) -> str:
    """Return a checksum as sources write it."""
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def stop_at(label: str, nth: int) -> Progress:
    """Return a progress bar at which the user presses Ctrl-C, when it tells of a label again."""
    n_told = 0

    def progress(told: str, n_done: int, n_total: int) -> None:
        nonlocal n_told
        n_told += told.startswith(label)
        if n_told == nth:
            raise KeyboardInterrupt

    return progress


def fma_table(rows: Iterable[Mapping[tuple[str, str], str]]) -> str:
    """Return a tracks.csv as published: two rows of column names, one that names the index."""
    columns = [(top, name) for top, names in FMA_COLUMNS.items() for name in names.split()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *(top for top, _ in columns)])
    writer.writerow(["", *(name for _, name in columns)])
    writer.writerow(["track_id", *("" for _ in columns)])
    for row in rows:
        writer.writerow([row["", "id"], *(row.get(column, "") for column in columns)])
    return text.getvalue()


def fma_row(
    number: int, genre: str, artist: str, *, split: str = "training", subset: str = "small"
) -> dict[tuple[str, str], str]:
    """Return one row of it, with a biography of several lines."""
    return {
        ("", "id"): str(number),
        ("artist", "bio"): f'<p>"{artist}",\nwho else?</p>\n' * 3,
        ("artist", "name"): artist,
        ("artist", "id"): str(sum(artist.encode())) if artist else "",
        ("set", "split"): split,
        ("set", "subset"): subset,
        ("track", "genre_top"): genre,
        ("track", "license"): "Attribution-NonCommercial-ShareAlike 3.0 International"
        if number % 2
        else "",
    }


FMA_ROWS = (
    fma_row(2, "Hip-Hop", "AWOL"),
    fma_row(5, "Hip-Hop", "AWOL"),
    fma_row(140, "Folk", "Alec", split="test"),
    fma_row(141, "", "Alec", split="test"),
    fma_row(1000, "Folk", "Chad", split="validation"),
    fma_row(1007, "Rock", "", subset="medium"),
    fma_row(155321, "Rock", "Late", subset="large", split="test"),
)


def fma_archives(clips: Mapping[str, bytes], *, size: str = "small") -> dict[str, bytes]:
    """Return the two archives of a size that holds these clips (``000/000002.mp3``)."""
    sums = "".join(f"{hashlib.sha1(c, usedforsecurity=False).hexdigest()}  {n}\n"
                   for n, c in clips.items())  # fmt: skip
    audio = {f"fma_{size}/{name}": clip for name, clip in clips.items()}
    extra = {f"fma_{size}/checksums": sums.encode(), f"fma_{size}/README.txt": b"read me"}
    metadata = {
        "fma_metadata/": b"",
        "fma_metadata/tracks.csv": fma_table(FMA_ROWS).encode(),
        "fma_metadata/genres.csv": b"genre_id\n",
    }
    return {"fma_metadata.zip": zip_bytes(metadata), f"fma_{size}.zip": zip_bytes(audio | extra)}
