"""What a service may be sent, the same for the same seed: files, names, fields, forms, messages."""

import gzip
import io
import itertools
import struct
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from tests.damage import good_files, make_damaged
from tests.music import tune

BOUNDARY = "x"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def clip(duration_s: float = 0.4, *, sr: int = 8_000, format_: str = "WAV") -> bytes:
    """A tune, short, in a format of libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, tune(seed=1, duration_s=duration_s, sr=sr), sr, format=format_)
    return file.getvalue()


def wav(
    data: bytes = bytes(4_000),
    *,
    sr: int = 8_000,
    n_channels: int = 1,
    n_bits: int = 16,
    code: int = 1,
    size: int | None = None,
) -> bytes:
    """A wav file whose header says what it is told to."""
    block = n_channels * n_bits // 8 % (1 << 16)
    fmt = struct.pack("<HHIIHH", code, n_channels, sr, sr * block % (1 << 32), block, n_bits)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data"
    body += struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac(*, n_samples: int, sr: int = 8_000) -> bytes:
    """A flac whose header claims a length, of 36 bits, and a sampling rate, of 20."""
    whole = bytearray(clip(format_="FLAC"))
    # What stands between them is channels and depth, of 8 bits together.
    between = int.from_bytes(whole[18:26], "big") >> 36 & 0xFF
    whole[18:26] = (sr << 44 | between << 36 | n_samples).to_bytes(8, "big")
    return bytes(whole)


def silence(n_minutes: int, format_: str, subtype: str) -> bytes:
    """Nothing to hear, for long, in as few bytes as the encoder needs."""
    file = io.BytesIO()
    sr = 8_000
    with soundfile.SoundFile(file, "w", sr, 1, format=format_, subtype=subtype) as sound:
        for _ in range(n_minutes):
            sound.write(np.zeros(60 * sr, np.int16))
    return file.getvalue()


def bombs() -> dict[str, bytes]:
    """Recordings far longer than is allowed, in few bytes: what -> file."""
    minute = silence(1, "MP3", "MPEG_LAYER_III")
    # Without the first frame, which tells how many there are.
    frames = minute[minute.index(b"\xff", 4) :]
    return {
        "flac of three hours": silence(180, "FLAC", "PCM_16"),
        "mp3 of three hours": frames * 180,
        "ogg of 11 minutes": silence(11, "OGG", "VORBIS"),
    }


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.wav", content)
    return file.getvalue()


def _no_sound() -> dict[str, bytes]:
    url = b"http://127.0.0.1:9/clip.mp3"
    return {
        "nothing": b"",
        "a byte": b"R",
        "a NUL": b"\0",
        "text": b"this is no music\n" * 30,
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "JSON": b'{"audio": "/etc/passwd"}',
        "XML with an entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "an address": url,
        "playlist": b"#EXTM3U\n" + url + b"\n",
        "another playlist": b"[playlist]\nFile1=" + url + b"\n",
        "concat script": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "program": b"\x7fELF\2\1\1" + bytes(200),
        "pickle": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R.",
        "zip bomb": _zipped(bytes(20_000_000)),
        "gzip bomb": gzip.compress(bytes(20_000_000)),
        "zipped clip": _zipped(clip()),
        "MIDI": b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0",
        "zeros": bytes(300_000),
        "ones": b"\xff" * 300_000,
        "frames of an mp3 without end": b"\xff\xfb\x90\0" * 5_000,
        "pages of an ogg without end": b"OggS\0\0" * 5_000,
        "ID3 tag and nothing else": b"ID3\4\0\0\x7f\x7f\x7f\x7f",
    }


def _lies() -> dict[str, bytes]:
    """Headers that promise what does not follow, or what nobody could use."""
    noise = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    floats = np.full(4_000, np.nan, "<f4")
    loud = np.full(4_000, 3e38, "<f4")
    infinite = np.where(np.arange(4_000) % 2, np.inf, -np.inf).astype("<f4")
    tag = b"ID3\4\0\0" + bytes([0, 0x7F, 0x7F, 0x7F]) + bytes(0x1FFFFF)
    return {
        "wav of 4 GB": wav(size=(1 << 32) - 1),
        "wav of 2 GB": wav(size=(1 << 31) - 1),
        "wav without data": wav(b""),
        "wav of no channels": wav(n_channels=0),
        "wav of 65535 channels": wav(noise, n_channels=65_535),
        "wav of 1024 channels": wav(noise, n_channels=1_024),
        "wav at 0 Hz": wav(sr=0),
        "wav at 1 Hz": wav(sr=1),
        "wav at 4 GHz": wav(sr=(1 << 32) - 1),
        "wav at 768 kHz": wav(noise, sr=768_000),
        "wav of no bits": wav(n_bits=0),
        "wav of 65535 bits": wav(n_bits=65_535),
        "wav of an unknown code": wav(code=0xABCD),
        "wav that is an mp3 inside": wav(clip(format_="MP3"), code=0x55),
        "wav of NaN": wav(floats.tobytes(), n_bits=32, code=3),
        "wav of infinities": wav(infinite.tobytes(), n_bits=32, code=3),
        "wav near the largest number": wav(loud.tobytes(), n_bits=32, code=3),
        "flac of 2^36 samples": flac(n_samples=(1 << 36) - 1),
        "flac of an unknown length": flac(n_samples=0),
        "flac at 0 Hz": flac(n_samples=3_200, sr=0),
        "flac at 1 MHz": flac(n_samples=3_200, sr=(1 << 20) - 1),
        "mp3 after a tag of 2 MB": tag + clip(format_="MP3"),
        "mp3 after ten tags": tag[:10] * 10 + clip(format_="MP3"),
    }


def recordings(folder: Path, *, n_files: int, seed: int) -> dict[str, bytes]:
    """Files that are no music, lie, or are damaged: what -> file; they are made in a folder."""
    rng = np.random.default_rng(seed)
    made = {**_no_sound(), **_lies()}
    good = good_files(0.4)
    for (one, first), (other, second) in itertools.permutations(good.items(), 2):
        half = rng.integers(1, len(first))
        made[f"{one} that goes on as {other}"] = first[:half] + second[rng.integers(len(second)) :]
    n_left = n_files - len(made)
    for name in make_damaged(folder, n_files=n_left, seed=seed, duration_s=0.4):
        made[name] = (folder / name).read_bytes()
    return made


FILE_NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows\\system.ini",
    "C:\\clip.wav",
    "a" * 3_000 + ".wav",
    "\N{MUSICAL SYMBOL G CLEF}\u202e3pm.exe",
    "%00.wav",
    "clip.wav; filename=other",
    "$(touch clip)",
    "<script>.wav",
    "' OR 1=1",
    ".",
    "..",
    " ",
    "-rf",
    "nul",
)
# Fields that are refused.
FIELDS = (
    *(("top_k", value) for value in ("0", "-1", "1.5", "NaN", "Infinity", "1e400", "two", "")),
    *(("top_k", value) for value in ("[1]", "{}", "true", '"3"', "0x3", "\u0663", "9" * 900 + "x")),
    *(("timeline", value) for value in ("", "2", "null", "perhaps", "[true]", '"true"', "yes")),
    *(("audio", value) for value in ("http://127.0.0.1:9/clip.wav", "/etc/passwd", "")),
    ("other", "1"),
    ("", "1"),
    ("top_k[]", "1"),
    ("timeline", "a" * 5_000),
)
# Fields that are odd, and taken.
TAKEN = (("top_k", "1000000000"), ("top_k", "9" * 401), ("top_k", "null"), ("timeline", "True"))


def form(*parts: tuple[str, bytes], end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    """A form of parts as they are told: what follows `form-data` in their header, and content."""
    written = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data{header}\r\n\r\n".encode() + content
        for header, content in parts
    ]
    return b"".join(part + b"\r\n" for part in written) + end.encode()


def forms(audio: bytes) -> dict[str, tuple[str, bytes]]:
    """Forms that are refused, of which all but the form is good: what -> content type, body."""
    file = ('; name="audio"; filename="clip.wav"', audio)
    field = ('; name="top_k"', b"1")
    good = form(file)
    wrong_type = {
        f"said to be {said or 'nothing'}"[:60]: (said, good)
        for said in (
            *("", ";", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed"),
            *("multipart/form-data; boundary=y", "text/plain", "application/json", "*/*"),
            *("application/octet-stream", "multipart/form-data; boundary=" + "x" * 500),
            *("application/x-www-form-urlencoded", "application/vnd.bentoml+pickle", "\xff/\xff"),
            f"{MULTIPART}; charset=undefined",
            "multipart/form-data; boundary*=utf-8''x",
        )
    }
    return {
        **wrong_type,
        "no body": (MULTIPART, b""),
        "no parts": (MULTIPART, form()),
        "no end": (MULTIPART, form(file, end="")),
        "no end of the second file": (MULTIPART, form(file, file, end="")[:-100]),
        "cut off in the middle": (MULTIPART, good[: len(good) // 2]),
        "cut off in a header": (MULTIPART, good[:40]),
        "something before it": (MULTIPART, b"abc" + good),
        "no name": (MULTIPART, form(("", audio))),
        "a name alone": (MULTIPART, form(("; name", audio))),
        "a part without headers": (MULTIPART, b"--x\r\n\r\nabc\r\n" + good),
        "a header without a colon": (MULTIPART, b"--x\r\nabc\r\n\r\nabc\r\n" + good),
        "a header of 100 kB": (MULTIPART, form((f'; a="{"b" * 100_000}"{file[0]}', audio))),
        "5,000 parameters": (MULTIPART, form(("; a=b" * 5_000 + file[0], audio))),
        "1,000 headers": (MULTIPART, good.replace(b"\r\n\r\n", b"\r\nA: b" * 1_000 + b"\r\n\r\n")),
        "10,000 fields": (MULTIPART, form(file, *[field] * 10_000)),
        "10,000 files": (MULTIPART, form(*[(file[0], b"RIFF")] * 10_000)),
        "a field twice": (MULTIPART, form(file, field, field)),
        "a field that is a file": (MULTIPART, form(file, ('; name="top_k"; filename="a"', b"1"))),
        "a file and a text of its name": (MULTIPART, form(file, ('; name="audio"', b"abc"))),
        "a file of another name": (MULTIPART, form(('; name="other"; filename="a"', audio))),
        "nothing but ampersands": ("application/x-www-form-urlencoded", b"&" * 3_000_000),
    }


def message(*headers: str, line: str = "POST /predict HTTP/1.1", body: bytes = b"") -> bytes:
    """A request as it goes over the wire, whatever its headers say of its body."""
    head = [line, "Host: 127.0.0.1", f"Content-Type: {MULTIPART}", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def messages(body: bytes, key: str) -> dict[str, tuple[bytes, int]]:
    """Odd requests that are HTTP, with a good form: what -> bytes, status of the answer."""
    length = f"Content-Length: {len(body)}"
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    crumbs = b"".join(b"1\r\n" + body[i : i + 1] + b"\r\n" for i in range(len(body)))
    good = message(key, length, body=body)

    def get(target: str, *headers: str, method: str = "GET") -> bytes:
        return message(key, *headers, line=f"{method} {target} HTTP/1.1")

    def post(*headers: str) -> bytes:
        return message(key, length, *headers, body=body)

    chunked = "Transfer-Encoding: chunked"
    odd_headers = {
        f"{header}"[:60]: (post(header), 200)
        for header in (
            *("Accept: image/png", "Accept: \xff", "Accept-Encoding: *;q=0", "Range: bytes=0-1"),
            *("Content-Encoding: gzip", "Expect: 100-continue", "Connection: keep-alive, a, b"),
            *("If-Match: a", "X-HTTP-Method-Override: DELETE", "X-Forwarded-For: ::1", "Origin: a"),
            *("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA", "Te: a"),
            *("X-Request-ID: ../../a", "X-Request-ID: " + "a" * 5_000, "A: " + "b" * 50_000),
            *("Authorization: Basic \xff", "Cookie: " + "a=b;" * 5_000, "A: b\r\n folded"),
            "B: c\r\n" * 500 + "B: c",
        )
    }
    return {
        **odd_headers,
        "in one chunk": (message(key, chunked, body=chunk), 200),
        "in chunks of a byte": (message(key, chunked, body=crumbs + b"0\r\n\r\n"), 200),
        "a chunk's extension": (
            message(key, chunked, body=chunk.replace(b"\r\n", b";a=b\r\n", 1)),
            200,
        ),
        "two at once": (good + good, 200),
        "HTTP/1.0": (message(key, length, line="POST /predict HTTP/1.0", body=body), 200),
        "HTTP/9.9": (message(key, length, line="POST /predict HTTP/9.9", body=body), 200),
        "shorter than the form": (message(key, f"Content-Length: {len(body) - 9}", body=body), 400),
        "of 10^18 bytes": (message(key, f"Content-Length: {10**18}", body=body), 413),
        "an odd key": (message("X-API-Key: \xff\xfe", length, body=body), 401),
        "two keys": (message("X-API-Key: a, key-1", length, body=body), 401),
        "an odd method": (get("/predict", method="BREW"), 405),
        "a method of 5 kB": (get("/predict", method="A" * 5_000), 405),
        "no form": (get("/predict", "Content-Length: 0", method="POST"), 400),
        "an address of 60 kB": (get("/" + "a" * 60_000), 404),
        "an address that decodes to no text": (get("/%ff%zz%00"), 404),
        "above the folder": (get("/static/..%2f..%2f..%2fetc%2fpasswd"), 404),
        "above the folder, as it is": (get("/static/../../../etc/passwd"), 404),
        "a NUL in an address": (get("/static/page.js%00.png"), 404),
        "another's address": (get("http://elsewhere.example/model"), 404),
        "two slashes": (get("//elsewhere.example/model"), 404),
        "no address": (get("*", method="OPTIONS"), 404),
        "a proxy's": (get("elsewhere.example:443", method="CONNECT"), 404),
        "a query of 50 kB": (get("/model?" + "a=b&" * 12_500), 200),
        "the start of HTTP/2": (get("*", method="PRI"), 404),
        "a WebSocket": (
            message(
                *(key, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                line="GET /predict HTTP/1.1",
            ),
            403,
        ),
    }


def no_messages(body: bytes, key: str) -> dict[str, bytes]:
    """Bytes that are no HTTP, or could be read in two ways: what -> bytes."""
    length = f"Content-Length: {len(body)}"
    chunked = "Transfer-Encoding: chunked"
    return {
        "no host": b"GET /model HTTP/1.1\r\n\r\n",
        "HTTP/0.9": b"GET /model\r\n\r\n",
        "TLS": b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(range(256)) * 2,
        "any bytes": bytes(range(256)) * 4,
        "a form alone": body,
        "lengths that differ": message(key, length, "Content-Length: 7", body=body),
        "a negative length": message(key, "Content-Length: -5", body=body),
        "a length of 5,000 digits": message(key, "Content-Length: " + "9" * 5_000, body=body),
        "a length in words": message(key, "Content-Length: many", body=body),
        "a length and chunks": message(key, length, chunked, body=body),
        "chunks of another coding": message(key, "Transfer-Encoding: gzip, chunked", body=body),
        "a chunk of no size": message(key, chunked, body=b"ZZ\r\n" + body),
        "a chunk of a negative size": message(key, chunked, body=b"-1\r\n" + body),
        "a chunk of 10^30 bytes": message(key, chunked, body=b"%x\r\n" % 10**30 + body),
        "a space before the colon": message(key, f"Content-Length : {len(body)}", body=body),
        "a NUL in a header": message(key, "A: b\0c", length, body=body),
        "a line in a header": message(key, "A: b\rContent-Length: 5", length, body=body),
        "a header without a name": message(key, ": b", length, body=body),
        "an address that is no ASCII": message(key, line="GET /\xff HTTP/1.1"),
    }


def mixture(good: bytes, folder: Path, *, seed: int) -> list[tuple[str, dict[str, object]]]:
    """Requests as they come to a service: most are good; path, and what to send."""
    files = {f"clip.{kind}": clip(format_=kind.upper()) for kind in ("wav", "flac", "mp3", "ogg")}
    bad = list(recordings(folder, n_files=200, seed=seed).values())
    batch = [("audio", good), ("audio", bad[-1]), ("audio", good)]
    one = [("/predict", {"files": {"audio": content}}) for content in files.values()]
    # For a batch too large to be kept in memory.
    large = clip(20.0, sr=44_100)
    return [
        *(one * 60),
        *[("/predict_batch", {"files": {"audio": large}})] * 20,
        *(("/predict", {"files": {"audio": content}}) for content in bad),
        *[("/predict_batch", {"files": batch})] * 30,
        *(
            ("/predict", {"content": body, "headers": {"Content-Type": type_.encode("latin-1")}})
            for type_, body in forms(good).values()
        ),
        *[("/nothing/{}", {})] * 30,
    ]
