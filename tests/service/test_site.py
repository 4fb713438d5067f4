"""The files of the page as they are served: all of them in the bento, nothing from elsewhere."""

import re
from pathlib import Path

import pytest
import yaml
from starlette.applications import Starlette
from starlette.testclient import TestClient

from genre_mlops.serving.site import site

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "genre_mlops" / "serving" / "page"
FILES = sorted(path.name for path in FOLDER.iterdir())
TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=site.routes))


def address(name: str) -> str:
    return "/" if name == "index.html" else f"/static/{name}"


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_served_as_what_it_is(client: TestClient, name: str):
    answer = client.get(address(name))
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-type"] == f"{TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    assert client.head(address(name)).headers["content-length"] == str(len(answer.content))


def test_a_browser_that_has_the_file_is_told_so(client: TestClient):
    first = client.get("/static/page.js")
    assert first.headers["cache-control"] == "no-cache"
    headers = {"If-None-Match": first.headers["etag"]}
    again = client.get("/static/page.js", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/page.css", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/", "/static/none.js", "/static/index.html", "/static/..%2f..%2fsite.py", "/x"]
)
def test_nothing_else_is_served(client: TestClient, path: str):
    assert client.get(path).status_code == 404


def test_it_is_only_read(client: TestClient):
    assert client.post("/").status_code == 405
    assert client.put("/static/page.js").status_code == 405


def test_every_file_is_in_the_bento():
    include = yaml.safe_load((PROJECT / "bentofile.yaml").read_text())["include"]
    folder = "genre_mlops/serving/page/"
    assert sorted(name.removeprefix(folder) for name in include if folder in name) == FILES


@pytest.mark.parametrize("name", FILES)
def test_no_file_asks_anyone_else_or_runs_what_the_policy_forbids(name: str):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert {*re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", text)} <= {"http://www.w3.org"}
    assert "console." not in text
    if name == "index.html":
        assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src=)", text) == []


def test_the_page_asks_only_for_files_that_are_there():
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    asked = re.findall(r"(?:href|src)=\"static/([^\"]+)\"", text)
    for name in FILES:
        if name.endswith(".js"):
            script = (FOLDER / name).read_text(encoding="utf-8")
            asked += re.findall(r"from \"\./([^\"]+)\"|new URL\(\"([^\"]+)\"", script)
    flat = {name for item in asked for name in ([item] if isinstance(item, str) else item) if name}
    assert flat == {*FILES} - {"index.html"}
