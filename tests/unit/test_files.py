"""Who waits for whom."""

import logging
import threading
from pathlib import Path

import pytest

from genre_mlops import files


@pytest.mark.parametrize("busy", ["waiting for the other", ""])
def test_who_waits_says_so_once_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, busy: str
):
    caplog.set_level(logging.INFO)
    inside, go_on, order = threading.Event(), threading.Event(), []

    def first() -> None:
        with files.alone(tmp_path / "study", busy=busy):
            inside.set()
            go_on.wait(60)
            order.append("first")

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    assert inside.wait(60)
    threading.Timer(0.3, go_on.set).start()
    with files.alone(tmp_path / "study", busy=busy):
        order.append("second")
    thread.join(60)
    assert order == ["first", "second"]
    assert [record.message for record in caplog.records] == [busy] * bool(busy)
