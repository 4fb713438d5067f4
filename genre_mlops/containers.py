"""What a container says of its contents, as far as a lost end is to be noticed by it."""

import math
import re

# A cut below this share of the declared length is the rounding of encoders, not a lost end.
_LOST_SHARE = 0.01
# What libsndfile notes where a size in a header is beyond the end of the file. The sizes of RF64
# and W64 are of all that follows the header's first words: a few dozen bytes too many.
_SHORTENED = re.compile(
    r"^\s*(?:data|Data Size|SSND|Riff size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
# What stands there where a writer could not go back to the header, as in a pipe: nothing; the most
# that a number of 32 or 64 bits, with or without a sign, holds, less a header or rounded to 4 KB;
# in aiff, by sox, 0x7F000000, rounded to frames, and a header. How long such a file was to be is
# not to be known.
_UNKNOWN_SIZES = (
    range(1),
    range(0x7F00_0000 - 64, 0x7F00_0000 + 64),
    *(range((1 << n_bits) - 4096, (1 << n_bits) + 1) for n_bits in (31, 32, 63, 64)),
)
# libsndfile's length of what it cannot know: an ogg that is followed by another, a piped flac.
_UNKNOWN_LENGTH = (1 << 63) - 1


def is_truncated(duration_s: float, declared_s: float) -> bool:
    """Whether so much is missing that the end is lost; both in seconds."""
    return duration_s < declared_s * (1 - _LOST_SHARE)


def id3_size(start: bytes) -> int:
    """Return the length in bytes of the ID3v2 tag that `start` opens, 0 where there is none."""
    if len(start) < 10 or not start.startswith(b"ID3"):
        return 0
    a, b, c, d = start[6:10]
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def n_declared(format_: str, n_frames: int, log: str, head: bytes, n_decoded: int) -> float:
    """Return the number of samples that a file claims.

    Known of wav, RF64, W64, au, aiff, ogg, and of mp3 where it says so; `n_decoded` of all others,
    also of a cut flac, which cannot be decoded to its end.

    libsndfile shortens what the header of a cut file says, and notes it in its log as "1323588
    (should be 441166)"; for an mp3 it repeats the Xing header where there is one and guesses from
    the bit rate where there is none. A cut Ogg stream lacks its last page; where that is there, it
    tells the length, which what was lost in the middle does not change.

    Parameters
    ----------
    format_ : str
        As libsndfile names it, for example ``WAV``.
    n_frames : int
        What libsndfile takes for the length.
    log : str
        What libsndfile notes of a file, once it is read to its end.
    head : bytes
        The first bytes after any ID3v2 tag.
    n_decoded : int
        How many samples were found.

    Returns
    -------
    float
        Infinite where an end was to come and did not.
    """
    if format_ in {"MP3", "MPEG"}:
        told = any(mark in head[:512] for mark in (b"Xing", b"Info", b"VBRI"))
        return n_frames if told else n_decoded
    if format_ == "OGG":
        if "lacks an end-of-stream bit" in log:
            return math.inf
        return n_decoded if n_frames == _UNKNOWN_LENGTH else n_frames
    shortened = _SHORTENED.search(log)
    if not shortened:
        return n_decoded
    size, there = int(shortened[1]), int(shortened[2])
    if there == 0 or any(size in unknown for unknown in _UNKNOWN_SIZES):
        return n_decoded
    return round(n_decoded * size / there)
