"""Names and attributes of cookies."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from grantflow.web.cookies import Cookies
from grantflow.web.site import Role, Site


def cookies(base_url: str, role: Role = "platform") -> Cookies:
    return Cookies(Site(name="Gallery", base_url=base_url, role=role))


@pytest.mark.parametrize(
    ("base_url", "role", "name"),
    [
        ("https://platform.example", "platform", "__Host-grantflow_platform_session"),
        ("https://localhost:9000", "platform", "__Host-grantflow_platform_9000_session"),
        ("http://127.0.0.1:9000", "platform", "grantflow_platform_9000_session"),
        ("http://127.0.0.1:9001", "platform", "grantflow_platform_9001_session"),
        ("http://127.0.0.1:9000", "integration", "grantflow_integration_9000_session"),
    ],
)
def test_s90_a_cookies_name_says_whose_it_is_and_binds_it_to_the_host_over_https(
    base_url: str, role: Role, name: str
) -> None:
    assert cookies(base_url, role).name("session") == name


def test_s90_over_https_a_cookie_is_secure_http_only_and_lax() -> None:
    response = Response()
    cookies("https://platform.example").set(response, "session", "abc", max_age=60)
    assert attributes(response) == {
        "__Host-grantflow_platform_session=abc",
        "Max-Age=60",
        "Path=/",
        "HttpOnly",
        "SameSite=lax",
        "Secure",
    }


def test_over_loopback_http_a_cookie_is_not_secure_since_safari_would_drop_it() -> None:
    response = Response()
    cookies("http://localhost:9000").set(response, "session", "abc")
    assert attributes(response) == {"grantflow_platform_9000_session=abc", "Path=/", "HttpOnly", "SameSite=lax"}


def test_clearing_names_the_same_attributes_or_the_browser_would_keep_the_cookie() -> None:
    response = Response()
    cookies("https://platform.example").clear(response, "session")
    assert {"Max-Age=0", "Path=/", "Secure", "HttpOnly"} <= attributes(response)


def test_reading_takes_this_apps_cookie_and_none_of_another_port() -> None:
    request = Request({"type": "http", "headers": [(b"cookie", b"grantflow_platform_9001_session=theirs")]})
    assert cookies("http://127.0.0.1:9000").read(request, "session") is None
    assert cookies("http://127.0.0.1:9001").read(request, "session") == "theirs"


def attributes(response: Response) -> set[str]:
    return {
        part.strip() for part in response.headers["set-cookie"].split(";") if not part.strip().startswith("expires=")
    }
