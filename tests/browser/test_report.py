from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from genre_mlops.datasets.base import Listing
from genre_mlops.quality.report import quality_report
from tests.inspections import MadeSource, join, made_catalog, spoil, verdict

pytestmark = pytest.mark.browser
OpenPage = Callable[..., AbstractContextManager[Page]]


def long_names() -> str:
    """A refused set of which everything that can be long is long."""
    catalog = spoil(made_catalog(), 12)
    catalog.index = catalog.index.map(lambda track_id: "unbroken" * 12 + track_id)
    catalog["genre"] = "genre_of_many_letters_without_a_blank_" + catalog["genre"]
    catalog["group"] = "x" * 100 + catalog["group"]
    catalog["licence"] = "https://licences.example/" + "y" * 90
    one, other = (catalog.index[catalog["split"] == name][7] for name in ("train", "test"))
    found = verdict(catalog, join(catalog, [(one, other, 7.0, 15.0, 0.97)]))
    source = MadeSource("a set of a long name/" + "z" * 100)
    source.source = "https://music.example/" + "w" * 200
    return quality_report(found, Listing((), ("v" * 300,)), source, digest="0123456789ab")


def plain() -> str:
    source = MadeSource()
    return quality_report(verdict(made_catalog()), source.listing(), source)


@pytest.fixture(params=[plain, long_names])
def open_page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> OpenPage:
    path = tmp_path / "report.html"
    path.write_text(request.param(), encoding="utf-8")

    @contextmanager
    def opened(*, width: int = 1100, color_scheme: str = "light") -> Iterator[Page]:
        wrong: list[str] = []
        context = browser.new_context(
            offline=True,
            color_scheme=color_scheme,
            viewport={"width": width, "height": 800},
        )
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        yield page
        context.close()
        assert wrong == []
        # An empty icon is in the page itself, so that no browser asks for one.
        assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}

    return opened


def lightness(page: Page, selector: str, what: str) -> float:
    """Return 0 for black and 1 for white."""
    colour = page.eval_on_selector(selector, f"node => getComputedStyle(node).{what}")
    channels = [float(x) for x in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(channels) / 3 / 255


def test_the_verdict_is_seen_without_scrolling_and_the_page_asks_for_nothing(open_page: OpenPage):
    for width in (1100, 360):
        with open_page(width=width) as page:
            box = page.locator("#verdict").bounding_box()
            assert box is not None
            assert 0 < box["y"] < box["y"] + box["height"] < 800


def test_a_phone_scrolls_down_only(open_page: OpenPage):
    with open_page(width=360) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_is_light_or_dark_as_the_reader_likes(
    open_page: OpenPage, scheme: str, is_dark: bool
):
    with open_page(color_scheme=scheme) as page:
        assert (lightness(page, "body", "backgroundColor") < 0.2) == is_dark
        assert (lightness(page, "body", "color") > 0.8) == is_dark
        assert (lightness(page, "#verdict", "color") > 0.5) == is_dark


def test_pictures_are_drawn_and_named(open_page: OpenPage):
    with open_page() as page:
        pictures = page.locator("svg[role=img]")
        assert pictures.count() == 10 + 3
        for picture in pictures.all():
            box = picture.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 10
            assert picture.get_attribute("aria-label")
        for bar in page.locator("rect.used, .bars td rect").all():
            box = bar.bounding_box()
            assert box is not None
            assert box["width"] > 0
