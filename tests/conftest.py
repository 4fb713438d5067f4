"""What all tests share; and where real recordings are given, nothing may be skipped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.music import make_hard_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REAL_DATA = "GENRE_TEST_DATA"
FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
# What the tests of a file share, or those of several.
SHARED = {
    f"tests/pipelines/test_{name}.py": what
    for what, names in {
        "main job": ("main", "parity", "registry", "ui"),
        "hard folder": ("hard_folder",),
        "names of GTZAN": ("gtzan",),
    }.items()
    for name in names
}


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with `gtzan_mini/genres/` and `cc/`, real recordings."""
    folder = os.environ.get(REAL_DATA)
    if not folder:
        pytest.skip(f"{REAL_DATA} is not set: no real recordings here")
    return Path(folder).resolve(strict=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where real recordings are given, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(REAL_DATA) and reporter and reporter.stats.get("skipped"):
        reporter.write_line(f"tests were skipped although {REAL_DATA} is set", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]
    """Deals tests to processes: those of a file together, for what they set up.

    By `loadgroup`, its marks would say so, but xdist 3.8 does not see them with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        # The others of the pipelines run jobs of their own, which are long.
        alone = nodeid if file.startswith("tests/pipelines/") else file
        return SHARED.get(file, alone)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """Take our own scheduler where tests run side by side."""
    return SideBySide(config, log)


@pytest.fixture
def hard_folder(tmp_path: Path) -> Path:
    """Two good genres of six tracks each, and one of everything that goes wrong."""
    return make_hard_folder(tmp_path / "music")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium as the system has it: nothing is downloaded."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        # A page that may use the microphone hears beeps.
        opened = playwright.chromium.launch(executable_path=chromium, args=FAKE_MICROPHONE)
        yield opened
        opened.close()
