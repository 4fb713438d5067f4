"""Damaged audio files, the same for the same seed, and what else a music folder may hold."""

import hashlib
import io
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from genre_mlops import readings
from genre_mlops.apart import renew
from genre_mlops.levels import LevelMeter
from genre_mlops.readings import Reading, read_file
from tests.music import tune

# Suffix, libsndfile's format, its subtype.
KINDS = {
    "wav16": (".wav", "WAV", "PCM_16"),
    "wav24": (".wav", "WAV", "PCM_24"),
    "wav8": (".wav", "WAV", "PCM_U8"),
    "wavfloat": (".wav", "WAV", "FLOAT"),
    "wavulaw": (".wav", "WAV", "ULAW"),
    "wavadpcm": (".wav", "WAV", "MS_ADPCM"),
    "au": (".au", "AU", "PCM_16"),
    "flac": (".flac", "FLAC", "PCM_16"),
    "mp3": (".mp3", "MP3", "MPEG_LAYER_III"),
    "vorbis": (".ogg", "OGG", "VORBIS"),
    "opus": (".opus", "OGG", "OPUS"),
    "aiff": (".aiff", "AIFF", "PCM_16"),
}
NUMBERS = (0, 1, 2, 255, 65_535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
# Where sizes, rates and counts stand: (offset, bytes, byte order).
FIELDS = {
    "RIFF": [(4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4)],
    ".snd": [(4, 4), (8, 4), (12, 4), (16, 4), (20, 4)],
    "FORM": [(4, 4), (16, 4), (20, 2), (22, 4), (26, 2), (28, 4), (32, 4), (42, 4)],
    "fLaC": [(4, 4), (8, 2), (10, 2), (12, 4), (18, 4), (20, 2), (22, 4)],
    "OggS": [(4, 2), (6, 4), (14, 4), (18, 4), (26, 2), (28, 4), (36, 4), (39, 2), (40, 4)],
}

Damage = Callable[[np.random.Generator, bytes], bytes]


def good_files(duration_s: float = 1.5) -> dict[str, bytes]:
    """One small recording in every format, some in stereo."""
    files = {}
    for i, (kind, (_, format_, subtype)) in enumerate(KINDS.items()):
        sr = 24_000 if kind == "opus" else 22_050
        y = tune(seed=i, duration_s=duration_s, sr=sr)
        both = np.stack([y, tune(seed=i + 99, duration_s=duration_s, sr=sr)], axis=1)
        buffer = io.BytesIO()
        soundfile.write(buffer, both if i % 3 == 0 else y, sr, format=format_, subtype=subtype)
        files[kind] = buffer.getvalue()
    return files


def cut(rng: np.random.Generator, whole: bytes) -> bytes:
    # Half of the cuts are in the header.
    return whole[: rng.integers(1, 80 if rng.random() < 0.5 else len(whole))]


def flip_bits(rng: np.random.Generator, whole: bytes) -> bytes:
    bits = np.unpackbits(np.frombuffer(whole, np.uint8))
    bits[rng.integers(0, bits.size, rng.integers(1, 400))] ^= 1
    return np.packbits(bits).tobytes()


def flip_bits_of_the_head(rng: np.random.Generator, whole: bytes) -> bytes:
    return flip_bits(rng, whole[:100]) + whole[100:]


def overwrite_field(rng: np.random.Generator, whole: bytes) -> bytes:
    fields = FIELDS.get(whole[:4].decode("latin-1"), [(o, 4) for o in range(0, 48, 2)])
    data = bytearray(whole)
    for _ in range(rng.integers(1, 3)):
        offset, n = fields[rng.integers(len(fields))]
        number = int(rng.choice(NUMBERS)) % (1 << 8 * n)
        little = rng.random() < (0.9 if whole[:4] in (b"RIFF", b"OggS") else 0.1)
        data[offset : offset + n] = number.to_bytes(n, "little" if little else "big")
    return bytes(data)


def zero_a_stretch(rng: np.random.Generator, whole: bytes) -> bytes:
    start = rng.integers(0, len(whole))
    n = rng.integers(1, 5_000)
    return whole[:start] + bytes(n) + whole[start + n :]


def swap_halves(rng: np.random.Generator, whole: bytes) -> bytes:
    at = rng.integers(4, len(whole))
    return whole[:4] + whole[at:] + whole[4:at]


def randomize(rng: np.random.Generator, whole: bytes) -> bytes:
    n = rng.integers(4, 64)
    return whole[:n] + rng.bytes(rng.integers(0, 50_000))


def spoil_floats(rng: np.random.Generator, whole: bytes) -> bytes:
    data = np.frombuffer(whole, np.uint8).copy()
    n = (data.size - 100) // 4
    samples = data[data.size - 4 * n :].view(np.uint8).reshape(n, 4)
    value = rng.choice(np.array([np.nan, np.inf, -np.inf, 3e38, 1e-42], "<f4"))
    samples[rng.integers(0, n, rng.integers(1, n))] = np.array([value]).view(np.uint8)
    return data.tobytes()


def put_under_a_huge_tag(rng: np.random.Generator, whole: bytes) -> bytes:
    size = bytes(rng.integers(0, 128, 4).tolist()) if rng.random() < 0.5 else b"\x7f" * 4
    return b"ID3\x04\0\0" + size + whole


def repeat(rng: np.random.Generator, whole: bytes) -> bytes:
    return whole + whole[: rng.integers(1, len(whole))]


def empty(rng: np.random.Generator, whole: bytes) -> bytes:
    return b""


DAMAGES: tuple[Damage, ...] = (
    cut,
    flip_bits,
    flip_bits_of_the_head,
    overwrite_field,
    overwrite_field,
    zero_a_stretch,
    swap_halves,
    randomize,
    put_under_a_huge_tag,
    repeat,
)

DAMAGE_NAMES = {damage.__name__ for damage in (*DAMAGES, spoil_floats, empty)}


def make_damaged(
    folder: Path, *, n_files: int, seed: int, duration_s: float = 1.5
) -> dict[str, str]:
    """Write damaged files; their names -> the damage."""
    rng = np.random.default_rng(seed)
    good = good_files(duration_s)
    folder.mkdir(parents=True)
    made = {}
    for i in range(n_files):
        kind = list(KINDS)[i % len(KINDS)]
        damage = DAMAGES[i // len(KINDS) % len(DAMAGES)]
        # A few of what needs one format, or no randomness.
        if kind == "wavfloat" and i % 5 < 2:
            damage = spoil_floats
        elif i % 97 == 50:
            damage = empty
        suffix = KINDS[kind][0]
        if rng.random() < 0.1:
            suffix = str(rng.choice([".wav", ".mp3", ".flac", ".ogg", ".au", ".m4a", ".wma"]))
        name = f"{i:04d}-{kind}-{damage.__name__}{suffix}"
        (folder / name).write_bytes(damage(rng, good[kind]))
        made[name] = damage.__name__
    return made


def hold_up(subtype: str, *, n_bytes: int) -> bytes:
    """Return an ogg that goes over into what looks like the start of a page everywhere."""
    y = np.random.default_rng(0).uniform(-0.3, 0.3, (24_000 * 9, 2))
    buffer = io.BytesIO()
    soundfile.write(buffer, y, 24_000, format="OGG", subtype=subtype)
    return buffer.getvalue()[:20_000] + b"OggS\0\0" * (n_bytes // 6)


def make_odd_things(folder: Path) -> dict[str, str]:
    """Make what is no plain file with a plain name; names as they may be shown -> what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    wav = good_files()["wav16"]
    made = {
        "new\nline.wav": "newline in its name",
        "loop.wav": "link to itself",
        "dangling.wav": "dangling link",
        "pipe.wav": "pipe",
        "socket.wav": "socket",
        "device.wav": "device",
        "folder.wav/": "folder",
        "secret.wav": "unreadable",
        ".hidden.wav": "hidden",
        "latin\ufffd.wav": "name is not UTF-8",
        "far/up/": "link to a folder above",
    }
    (folder / "new\nline.wav").write_bytes(wav)
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    os.mkfifo(folder / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        # The path of a socket must be short.
        os.chdir(folder)
        listener.bind("socket.wav")
        os.chdir(here)
    (folder / "device.wav").symlink_to("/dev/zero")
    (folder / "folder.wav").mkdir()
    (folder / "secret.wav").write_bytes(wav)
    (folder / "secret.wav").chmod(0)
    (folder / ".hidden.wav").write_bytes(wav)
    (Path(os.fsdecode(os.fsencode(folder) + b"/latin\xe9.wav"))).write_bytes(wav)
    (folder / "far").mkdir()
    (folder / "far" / "up").symlink_to(folder)
    return made


def ends_its_process(path: str) -> Reading:
    """Read a file as bad decoders do: crash, hang where no Python runs, be killed from outside."""
    if path.endswith("1.wav"):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.endswith("3.wav"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.endswith("4.wav"):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
    return read_file(path)


def compute(duration_s: float) -> None:
    """Keep a core busy for some seconds."""
    until_s = time.process_time() + duration_s
    while time.process_time() < until_s:
        pass


def computes_on(n_times: int) -> int:
    """Compute for 0.1 s many times, saying each time that it goes on."""
    for _ in range(n_times):
        compute(0.1)
        renew(0.25)
    return n_times


def is_measured_slowly(path: str) -> Reading:
    """Read a file of which each block takes much of the time that a block may take."""

    class Slow(LevelMeter):
        def add(self, *blocks: np.ndarray) -> None:
            compute(0.1)
            super().add(*blocks)

    readings.LevelMeter, readings._LIMIT_S = Slow, 0.25
    return read_file(path)


def has_no_memory(path: str) -> Reading:
    """Read a file where some cannot be measured."""

    def measure(path: str) -> dict[str, object]:
        if path.endswith("3.wav"):
            raise MemoryError("no more than a byte")
        return real(path)

    real, readings._measure = readings._measure, measure
    try:
        return read_file(path)
    finally:
        readings._measure = real
