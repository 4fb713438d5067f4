import errno
import os

import pytest

from genre_mlops import tracking
from genre_mlops.console import exit_codes
from genre_mlops.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("no [such] setting"), 2, "error: no [such] setting\n"),
        (DataError("two\nlines, \x1b[2Jone \u202ename"), 3,
         "error: two\nlines, \\x1b[2Jone \\u202ename\n"),
        (PermissionError(errno.EACCES, "denied", "/a/b"), 1, "error: /a/b: denied\n"),
        (PermissionError(errno.EACCES, "denied", b"/a/\xff"), 1, "error: /a/\\udcff: denied\n"),
        (OSError(errno.ENOSPC, "no space left"), 1, "error: no space left\n"),
        (KeyboardInterrupt(), 130, "stopped; run the same command to go on\n"),
    ],
)  # fmt: skip
def test_an_error_is_one_message_and_an_exit_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err == words


def test_what_the_store_refuses_says_where_it_is(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise tracking.StoreError("no answer")
    assert ended.value.code == 1
    uri = tracking.tracking_uri()
    assert capsys.readouterr().err == f"error: {uri} (MLFLOW_TRACKING_URI): no answer\n"


@pytest.mark.parametrize(
    "error", [ValueError("a mistake"), FileNotFoundError(errno.ENOENT, os.strerror(2), "/a/b")]
)
def test_what_may_be_our_own_mistake_keeps_its_traceback(error: Exception):
    with pytest.raises(type(error)), exit_codes():
        raise error
