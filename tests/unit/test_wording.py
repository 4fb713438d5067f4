from hypothesis import given
from hypothesis import strategies as st

from genre_mlops.wording import counted, did_you_mean, in_cell, printable, without_password


@given(st.text())
def test_what_is_printed_is_one_line_that_can_be_seen(text: str):
    shown = printable(text)
    assert shown.isprintable()
    assert text.isprintable() == (shown == text)


def test_escapes_are_those_of_python():
    assert printable("a\nb\x1b[31m\u202ec\ud800") == r"a\nb\x1b[31m\u202ec\ud800"


def test_what_stands_in_a_cell_is_one_line_and_no_markdown():
    assert in_cell("R&B|Soul\n*live* <b>") == r"R&B\|Soul \*live\* \<b\>"


def test_what_was_perhaps_meant_is_the_nearest_name():
    assert did_you_mean("grouppd", ["kfold", "grouped"]) == "; did you mean grouped?"
    assert did_you_mean("zzz", ["kfold", "grouped"]) == did_you_mean("zzz", []) == ""
    equals = did_you_mean("network.filters", ["network.b.filters", "network.a.filters", "filters"])
    assert equals == "; did you mean network.a.filters or network.b.filters?"


def test_one_is_not_many():
    assert [counted(n, "file") for n in (0, 1, 2_000)] == ["0 files", "1 file", "2,000 files"]


def test_a_password_in_an_address_is_not_told():
    address = "postgresql+psycopg://anna:s%40crét@db.example:5432/runs"
    told = without_password(f"{address} cannot be read: no route to {address}?user=anna", address)
    shown = "postgresql+psycopg://***@db.example:5432/runs"
    assert told == f"{shown} cannot be read: no route to {shown}?user=anna"
    assert (
        without_password("https://t0ken@host is away", "https://t0ken@host")
        == "https://***@host is away"
    )
    asked = "postgresql://host/runs?password=s%40crét&sslmode=require"
    assert without_password(asked, asked) == "postgresql://host/runs?password=***&sslmode=require"
    for plain in ("sqlite:////home/anna/mlflow.db", "http://127.0.0.1:5000", "mlruns", "http://[x"):
        assert without_password(f"{plain} is away", plain) == f"{plain} is away"
