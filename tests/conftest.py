"""What all tests share; and where real recordings are given, nothing may be skipped."""

import os
from pathlib import Path

import pytest

from tests.music import make_hard_folder

REAL_DATA = "GENRE_TEST_DATA"


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests have to run in one process: those that share what they set up."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    if "main_job" in getattr(item, "fixturenames", ()):
        return "main job"
    # The others of the pipelines run jobs of their own, which are long.
    return item.nodeid if item.path.parent.name == "pipelines" else str(item.path)


@pytest.fixture
def hard_folder(tmp_path: Path) -> Path:
    """Two good genres of six tracks each, and one of everything that goes wrong."""
    return make_hard_folder(tmp_path / "music")
