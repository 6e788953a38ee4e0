"""How the look's own files are served."""

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from grantflow.web.static import FOLDER, Static

STATIC = Static()


def client() -> TestClient:
    return TestClient(Starlette(routes=[Mount("/webex", routes=[STATIC.route()])]))


def test_a_file_is_kept_for_ever_below_a_path_that_names_its_content() -> None:
    answer = client().get("/webex" + STATIC.path("grantflow.css"))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.content == (FOLDER / "grantflow.css").read_bytes()


def test_a_page_of_another_version_gets_the_file_but_may_not_keep_it() -> None:
    answer = client().get("/webex/static/0123456789ab/grantflow.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


def test_nothing_but_the_listed_files_can_be_asked_for() -> None:
    for name in ("nothing.css", "..%2Fpages.py", "%2e%2e/pages.py", "../pages.py"):
        assert client().get(f"/webex/static/{STATIC.digest}/{name}").status_code == 404


def test_the_stylesheet_stays_small_and_loads_nothing_from_elsewhere() -> None:
    sheet = (FOLDER / "grantflow.css").read_text()
    assert sheet.count("\n") < 600
    assert "http" not in sheet
    assert "@import" not in sheet
