"""Music made for the tests, and a folder of everything that goes wrong."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


def tune(*, seed: int, duration_s: float, sr: int, base_hz: float = 220.0) -> NDArray[np.float64]:
    """A noisy, slowly changing tone [shape=(n_samples,)], different for each seed."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * sr)) / sr
    vibrato = 1 + 0.01 * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t)
    partials = [np.sin(2 * np.pi * base_hz * k * t * vibrato) / k for k in (1, 2, 3)]
    return 0.2 * np.sum(partials, axis=0) + 0.02 * rng.standard_normal(t.size)


def write_tune(
    path: Path,
    *,
    seed: int,
    duration_s: float = 4.0,
    sr: int = 22_050,
    stereo: bool = False,
    **kind: float,
) -> Path:
    """Write a tune in the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y = tune(seed=seed, duration_s=duration_s, sr=sr, **kind)
    # The right channel is another player's: a mix that takes one channel would be noticed.
    right = tune(seed=seed + 1_000, duration_s=duration_s, sr=sr)
    soundfile.write(path, np.stack([y, right], axis=1) if stereo else y, sr)
    return path


def make_hard_folder(root: Path) -> Path:
    """Write two good genres of six tracks each, and one of everything that goes wrong."""
    for i in range(6):
        write_tune(root / "hum" / f"{i}.wav", seed=i, base_hz=110 + 9 * i)
        write_tune(root / "whistle" / f"{i}.wav", seed=10 + i, base_hz=1_500 + 90 * i)
    (root / "hum" / "zero.wav").write_bytes(b"")
    (root / "hum" / "text.mp3").write_text("this is no music\n" * 30)
    whole = write_tune(root / "whole.mp3", seed=30, duration_s=12, sr=44_100)
    cut = whole.read_bytes()
    (root / "hum" / "cut.mp3").write_bytes(cut[: len(cut) // 2])
    whole.unlink()
    soundfile.write(root / "whistle" / "silent.wav", np.zeros(5 * 22_050), 22_050)
    write_tune(root / "whistle" / "short.wav", seed=31, duration_s=0.5)
    (root / "whistle" / "copy.wav").write_bytes((root / "whistle" / "3.wav").read_bytes())
    (root / "hum" / ".DS_Store").write_bytes(b"\0\1")
    (root / "cover.jpg").write_bytes(b"\xff\xd8")
    write_tune(root / "alone" / "one.wav", seed=32)
    return root


HARD_FOLDER_REASONS = {
    "hum/zero.wav": "empty",
    "hum/text.mp3": "cannot be decoded",
    "hum/cut.mp3": "truncated",
    "whistle/silent.wav": "silent",
    "whistle/short.wav": "0.5 s long",
    "whistle/copy.wav": "same audio as whistle/3.wav",
    "alone/one.wav": "genre alone has 1 usable track",
}
