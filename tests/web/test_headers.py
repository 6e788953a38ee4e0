"""The security headers of pages."""

import pytest
from starlette.testclient import TestClient

from grantflow.web.headers import content_security_policy, form_action_source, page_headers
from grantflow.web.site import Site
from tests.web.gallery import INTEGRATION, MESSAGES, PLATFORM, gallery

HTTPS = Site(name="Gallery", base_url="https://platform.example")


@pytest.mark.parametrize("path", [*PLATFORM, "/missing", "/refused", "/broken"])
def test_s20_no_page_can_be_framed_cached_or_made_to_load_anything_foreign(path: str) -> None:
    headers = TestClient(gallery("platform"), raise_server_exceptions=False).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", [*INTEGRATION, *MESSAGES])
def test_s21_no_page_names_another_host(path: str) -> None:
    page = TestClient(gallery("integration")).get(path)
    assert 'src="http' not in page.text
    assert 'href="http' not in page.text
    assert 'style="' not in page.text
    assert "<script>" not in page.text


def test_s21_a_page_behind_the_redirect_uri_sends_no_referrer() -> None:
    assert TestClient(gallery("integration")).get("/granted").headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://lockbot.example/oauth?a=1", "https://lockbot.example"),
        ("https://lockbot.example:8443/oauth", "https://lockbot.example:8443"),
        ("http://127.0.0.1:6001/redirect", "http://127.0.0.1:6001"),
        ("http://[::1]:6001/redirect", "http:"),
        ("mydemoapp://oauth", "mydemoapp:"),
        ("com.example.app:/oauth", "com.example.app:"),
        ("https://user@lockbot.example/", "https:"),
        ("https://lockbot.example;script-src */", "https:"),
        ("https://bücher.example/", "https:"),
    ],
)
def test_a_forms_further_target_is_named_as_narrowly_as_a_policy_can(uri: str, source: str) -> None:
    assert form_action_source(uri) == source
    assert f"form-action 'self' {source};" in content_security_policy([uri, uri])


@pytest.mark.parametrize("uri", ["/oauth", "", "//host/path", "; script-src *"])
def test_a_forms_further_target_must_be_absolute(uri: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        form_action_source(uri)


@pytest.mark.parametrize(
    ("base_url", "sent"),
    [
        ("https://platform.example", True),
        ("https://localhost:8000", False),
        ("https://127.0.0.1:8000", False),
        ("http://platform.example", False),
    ],
)
def test_s90_https_is_insisted_on_but_never_for_all_ports_of_loopback(base_url: str, sent: bool) -> None:
    assert ("Strict-Transport-Security" in page_headers(Site(name="Gallery", base_url=base_url))) is sent
