"""The page at `/` for those without a mouse, without sight, on a phone, at night."""

import time
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FileChooser, Page, expect

from tests.browser.conftest import OpenPage, Recording, ask, choose, drawn, until
from tests.served import Server
from tests.service.conftest import write_audio

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.tagName")


def outline(page: Page) -> float:
    """Return the width of the outline of what has the focus, in pixels."""
    return page.evaluate(
        """() => {
          const at = document.activeElement;
          const seen = at.id === "file" ? at.labels[0] : at;
          const {outlineStyle, outlineWidth} = getComputedStyle(seen);
          return outlineStyle === "none" ? 0 : parseFloat(outlineWidth);
        }"""
    )


def test_everything_is_done_by_keyboard(open_page: OpenPage, server: Server, recording: Recording):
    path = recording(duration_s=8.0)
    rows = ask(server.url, path)["timeline"]
    with open_page() as page:
        # Listened for from here on: Chromium takes a while to do so.
        choosers: list[FileChooser] = []
        page.on("filechooser", lambda chooser: choosers.append(chooser))
        expect(page.locator("#about")).to_be_visible()
        page.keyboard.press("Tab")
        assert focused(page) == "file"
        page.keyboard.press("Enter")
        waited_until = time.monotonic() + 15
        while not choosers:
            page.wait_for_timeout(50)
            assert time.monotonic() < waited_until
        choosers[0].set_files(path)
        expect(page.locator("#decision")).to_have_text("disco")
        expect(page.locator("#file")).to_be_focused()
        visited, outlines = ["file"], [outline(page)]
        while visited[-1] != "SUMMARY":
            page.keyboard.press("Tab")
            visited.append(focused(page))
            outlines.append(outline(page))
            assert len(visited) < 12
        # The player has a few of its own.
        assert sorted(set(visited), key=visited.index) == [
            "file", "record", "audio", "seek", "SUMMARY",
        ]  # fmt: skip
        drawn_by_us = [w for at, w in zip(visited, outlines, strict=True) if at != "audio"]
        assert min(drawn_by_us) >= 3
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Play from 0:00.0")).to_be_focused()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        seek = page.get_by_role("slider", name="Position in the recording")
        expect(seek).to_be_focused()
        starts = [f"{row['start_s']:.1f}" for row in rows]
        for key, at in [
            ("ArrowRight", starts[1]),
            ("ArrowUp", starts[2]),
            ("ArrowLeft", starts[1]),
            ("ArrowDown", starts[0]),
            ("End", "8.0"),
            ("PageDown", "7.2"),
            ("Home", "0.0"),
            ("PageUp", "0.8"),
        ]:
            page.keyboard.press(key)
            expect(seek).to_have_attribute("aria-valuenow", at)
        page.keyboard.press("Space")
        until(page, "document.getElementById('audio').currentTime > 1.2")
        page.keyboard.press("Space")
        assert page.locator("#audio").evaluate("audio => audio.paused")


def states(page: Page, recording: Recording, tmp_path: Path) -> list[str]:
    """Bring the page from state to state; yield the name of each."""
    yield "before"
    choose(page, recording("a name that goes on and on_" + 9 * "unbroken" + ".wav"))
    page.get_by_text("The timeline in words").click()
    yield "answer"
    choose(page, recording("loud.au", gain=3.0), says="none of these")
    yield "none of these, no pictures"
    text = tmp_path / "text.wav"
    text.write_text("no music")
    page.locator("#file").set_input_files(text)
    expect(page.get_by_role("alert")).not_to_be_empty()
    yield "error"
    page.get_by_role("button", name="Record from the microphone").click()
    expect(page.locator("#recorder")).to_be_visible()
    yield "recording"
    page.get_by_role("button", name="Discard").click()
    page.route("**/predict", lambda route: None)
    page.locator("#file").set_input_files(recording())
    expect(page.locator("#busy")).to_be_visible()
    yield "busy"


STATES = ["before", "answer", "none of these, no pictures", "error", "recording", "busy"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: OpenPage, recording: Recording, tmp_path: Path, scheme: str):
    with open_page(color_scheme=scheme, may_be_refused=True, permissions=["microphone"]) as page:
        expect(page.locator("#about")).to_be_visible()
        seen = []
        for state in states(page, recording, tmp_path):
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, f"{state}: {found.generate_report()}"
            seen.append(state)
        assert seen == STATES


def test_axe_finds_what_is_wrong(open_page: OpenPage):
    with open_page() as page:
        page.evaluate("document.getElementById('seek').hidden = false")
        page.evaluate("document.getElementById('file').labels[0].remove()")
        assert "label" in Axe().run(page).generate_snapshot()


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_scrolls_down_only(
    open_page: OpenPage, recording: Recording, tmp_path: Path, width: int
):
    with open_page(width=width, may_be_refused=True, permissions=["microphone"]) as page:
        expect(page.locator("#about")).to_be_visible()
        for state in states(page, recording, tmp_path):
            assert page.evaluate("document.documentElement.scrollWidth") == width, state
            for row in page.locator("#row-list tr:visible").all():
                assert row.bounding_box()["height"] < 50
            buttons = page.locator("#give .button:visible")
            for box in [button.bounding_box() for button in buttons.all()]:
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width
                # A finger's width.
                assert box["height"] >= 44


def test_an_answer_below_the_screen_is_brought_up(open_page: OpenPage, recording: Recording):
    with open_page(width=360, reduced_motion="reduce") as page:
        choose(page, recording())
        expect(page.locator("#decision")).to_be_in_viewport()
        box = page.locator("#what").bounding_box()
        assert 0 <= box["y"] < 60


def lightness(page: Page, selector: str, what: str) -> float:
    """Return 0 for black and 1 for white."""
    colour = page.locator(selector).evaluate(f"node => getComputedStyle(node).{what}")
    return sum(float(x) for x in colour[4:-1].split(",")) / 3 / 255


def picture_lightness(page: Page) -> float:
    """Return the same for the whole log-mel picture."""
    return drawn(page, "#spectrogram")[..., :3].mean() / 255


def test_light_and_dark_as_the_reader_likes_also_in_the_pictures(
    open_page: OpenPage, tmp_path: Path
):
    silence = np.zeros(8_000, np.float32)
    silence[4_000:4_020] = 0.5
    path = write_audio(tmp_path / "click.wav", silence, 8_000)
    with open_page(color_scheme="dark") as page:
        page.locator("#file").set_input_files(path)
        expect(page.locator("#verdict")).to_be_visible()
        expect(page.locator("#pictures")).to_be_visible()
        assert lightness(page, "body", "backgroundColor") < 0.15
        assert lightness(page, "body", "color") > 0.8
        assert lightness(page, ".give", "backgroundColor") < 0.2
        assert picture_lightness(page) < 0.3
        page.emulate_media(color_scheme="light")
        assert lightness(page, "body", "backgroundColor") > 0.9
        assert lightness(page, "body", "color") < 0.2
        # What is drawn is drawn again.
        page.wait_for_timeout(200)
        assert picture_lightness(page) > 0.7


def test_where_motion_is_unwelcome_nothing_moves(open_page: OpenPage):
    animation = "getComputedStyle(document.querySelector('.dot')).animationName"
    with open_page(reduced_motion="reduce") as page:
        assert page.evaluate(animation) == "none"
        page.emulate_media(reduced_motion="no-preference")
        assert page.evaluate(animation) == "breathe"
