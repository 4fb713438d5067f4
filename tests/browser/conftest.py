"""The service's page, as a served bento serves it, in a Chromium that reaches nothing else."""

import base64
import io
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from genre_mlops.serving.packaging import package
from tests.served import Server, serve
from tests.service.conftest import copy_project, make_bundle, noise, write_audio

OpenPage = Callable[..., AbstractContextManager[Page]]
Recording = Callable[..., Path]
KEY = "a key of this service"
# A busy machine takes its time; what is not so fails then too.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Bento:
    """A packaged bundle in a BentoML home."""

    home: Path
    tag: str


@pytest.fixture(scope="session")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Bento:
    """The dense bundle; noise of the tests it takes for disco, and if it is loud for nothing."""
    folder = tmp_path_factory.mktemp("page")
    bundle = make_bundle(folder / "bundle", seed=1, sure_above=0.53)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(folder / "home"))
        project = copy_project(folder / "project")
        return Bento(folder / "home", package(bundle, version=7, labels={}, project=project))


@pytest.fixture(scope="session")
def server(bento: Bento, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Where the page is."""
    folder = tmp_path_factory.mktemp("open")
    with serve(bento.tag, home=bento.home, folder=folder) as server:
        yield server


@pytest.fixture(scope="session")
def locked_server(bento: Bento, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Where the page is, and the service answers to nobody without a key."""
    folder = tmp_path_factory.mktemp("locked")
    env = {"GENRE_API_KEYS": KEY}
    with serve(bento.tag, home=bento.home, folder=folder, env=env) as server:
        yield server


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """Return a function that writes noise to a file."""

    def write(name: str = "clip.wav", *, duration_s: float = 3.0, gain: float = 1.0) -> Path:
        y = gain * noise(duration_s=duration_s, sr=11_025, n_channels=2)
        return write_audio(tmp_path / name, y, 11_025)

    return write


@pytest.fixture
def open_page(browser: Browser, server: Server) -> OpenPage:
    """Return a function that opens the page; nothing may fail in it, or ask anyone else."""

    @contextmanager
    def opened(
        *,
        url: str = server.url,
        width: int = 1100,
        script: str = "",
        may_be_refused: bool = False,
        **options: str,
    ) -> Iterator[Page]:
        wrong: list[str] = []
        asked: set[str] = set()

        def console(message: ConsoleMessage) -> None:
            # What a browser says by itself of an answer that is an error.
            if not (may_be_refused and message.text.startswith("Failed to load resource")):
                wrong.append(message.text)

        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        context.set_default_timeout(PATIENCE_MS)
        context.route(lambda asked: not asked.startswith((f"{url}/", "blob:")), Route.abort)
        context.add_init_script(script)
        page = context.new_page()
        page.on("console", console)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page.goto(url)
        yield page
        context.close()
        assert wrong == []
        # What is in the page itself, such as its icon, has an address without a host.
        assert asked - {""} == {urlsplit(url).netloc}

    return opened


def drawn(page: Page, canvas: str) -> NDArray[np.uint8]:
    """Return the pixels of a canvas, of shape (height, width, 4)."""
    address = page.locator(canvas).evaluate("canvas => canvas.toDataURL()")
    png = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def until(page: Page, expression: str, *, patience_s: float = 15.0) -> None:
    """Wait until an expression is true; Playwright's own way is more than the page allows."""
    deadline = time.monotonic() + patience_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def ask(url: str, path: Path) -> dict[str, object]:
    """Return what the service says to a program."""
    with path.open("rb") as file:
        reply = httpx.post(
            f"{url}/predict", files={"audio": file}, data={"timeline": "true"}, timeout=30
        )
    return reply.raise_for_status().json()


def choose(page: Page, path: Path, *, says: str = "disco") -> None:
    """Choose a file and wait for the answer."""
    page.locator("#file").set_input_files(path)
    expect(page.locator("#decision")).to_have_text(says)
    expect(page.locator("#busy")).to_be_hidden()
