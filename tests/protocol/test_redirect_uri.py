"""Redirect URIs."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow.protocol.errors import InvalidRequest
from grantflow.protocol.redirect_uri import (
    check_registrable,
    find_registered,
    origin,
    split_redirect_uris,
    with_parameters,
)


@pytest.mark.parametrize(
    ("uri", "strict"),
    [
        ("https://app.example/oauth", True),
        ("https://app.example/oauth?tenant=1", True),
        ("https://[2001:db8::1]/oauth", True),
        ("http://127.0.0.1/oauth", True),
        ("http://[::1]:8000/oauth", True),
        ("com.example.app:/oauth", True),
        ("http://localhost:8000/oauth", False),
        ("mydemoapp://oauth", False),
        ("com.example.app:/8056/oauth", False),
        ("com.example.app:8a", False),
        ("https://app.example/x*?y=*", False),
    ],
)
def test_w11_an_https_address_a_loopback_address_or_an_apps_own_scheme_may_be_registered(
    uri: str, strict: bool
) -> None:
    check_registrable(uri, strict=strict)


@pytest.mark.parametrize(
    ("uri", "strict", "words"),
    [
        ("http://app.example/oauth", False, "use https"),
        ("http://127.0.0.1.evil.example/", False, "use https"),
        ("http://localhost:8000/oauth", True, "use https"),
        ("https://app.example/oauth#top", False, "fragment"),
        ("https://app.example/oauth#", False, "fragment"),
        ("https://user@app.example/oauth", False, "user name"),
        ("https://app.example/a/../b", False, "path segments"),
        ("https://app.example/a/%2e%2E/b", False, "path segments"),
        ("https:///oauth", False, "no host"),
        ("https://app.example", False, r"no path; .*, at least with a slash: https://app\.example/"),
        ("https://app.example:8443?a=1", False, "no path"),
        ("http://127.0.0.1:8000", True, "no path"),
        ("https://app.example:port/", False, "malformed"),
        ("https://app.example/a b", False, "%-encode"),
        ("https://app.example/é", False, "%-encode"),
        ("https://app.example/\n", False, "%-encode"),
        ("javascript:alert(1)", False, "never"),
        ("JavaScript:alert(1)", False, "never"),
        ("data:text/html,x", False, "never"),
        ("mailto:somebody@evil.example", False, "never"),
        ("tel:+1555", False, "never"),
        ("jar:https://app.example/x", False, "never"),
        ("Chrome-Extension://abc/oauth", False, "never"),
        ("ms-settings:privacy", False, "never"),
        ("web+app://oauth", False, "never"),
        ("ssh://app.example/oauth", False, "never"),
        ("//app.example/oauth", False, "absolute"),
        ("/oauth", False, "absolute"),
        ("app.example", False, "absolute"),
        ("", False, "%-encode"),
        ("https://app.example/" + "x" * 2000, False, "longer"),
        ("mydemoapp://oauth", True, "period"),
        ("localhost:8056/oauth", False, r"no scheme\. Did you mean http://localhost:8056/oauth\?"),
        ("LOCALHOST:8056", False, r"mean http://localhost:8056\?"),
        ("localhost:/oauth", False, r"mean http://localhost/oauth\?"),
        ("localhost://oauth", False, r"mean http://localhost/oauth\?"),
        ("localhost:8056/oauth", True, r"mean http://127\.0\.0\.1:8056/oauth\?"),
        ("127.0.0.1:8056/oauth", True, r"mean http://127\.0\.0\.1:8056/oauth\?"),
        ("app.example:8443/oauth?a=1", False, r"mean https://app\.example:8443/oauth\?a=1\?"),
        ("myhost:443", False, r"mean https://myhost:443\?"),
        ("localhost:8056/é", False, "%-encode"),
        ("https://*.example.com/x", False, "letter by letter"),
        ("https://*/x", True, "letter by letter"),
        ("mydemoapp://*/x", False, "letter by letter"),
    ],
)
def test_s03_s04_s05_s07_what_may_not_be_registered_is_refused_with_the_rule(
    uri: str, strict: bool, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        check_registrable(uri, strict=strict)


def test_s07_a_scheme_without_a_period_is_warned_about() -> None:
    assert check_registrable("mydemoapp://oauth", strict=False)
    assert not check_registrable("com.example.app:/oauth", strict=False)


def test_w13_in_a_sandbox_plain_http_on_this_machine_needs_no_note() -> None:
    for uri in ("http://localhost:8000/oauth", "http://127.0.0.1:8000/oauth"):
        assert check_registrable(uri, strict=False, sandbox=True) == []
    assert check_registrable("http://127.0.0.1:8000/oauth", strict=False, sandbox=False)


def test_s04_outside_a_sandbox_localhost_needs_https() -> None:
    with pytest.raises(InvalidRequest, match="use https"):
        check_registrable("http://localhost:8000/oauth", strict=False, sandbox=False)


REGISTERED = "https://app.example/oauth"


@pytest.mark.parametrize(
    "presented",
    [
        REGISTERED + "/",
        REGISTERED.upper(),
        "https://APP.example/oauth",
        "https://app.example/OAuth",
        "https://app.example/oauth/more",
        "https://app.example/x/../oauth",
        REGISTERED + "?a=1",
        REGISTERED + "?",
        REGISTERED + "#x",
        "https://user@app.example/oauth",
        "https://app.example/%6Fauth",
        "https://app.example:443/oauth",
        "https://app.example:8443/oauth",
        "https://sub.app.example/oauth",
        "https://app.example.evil.example/oauth",
        "http://app.example/oauth",
        " " + REGISTERED,
        "",
    ],
)
def test_s01_a_redirect_uri_matches_by_exact_string_alone(presented: str) -> None:
    assert find_registered(presented, [REGISTERED]) is None
    assert find_registered(REGISTERED, ["https://other.example/", REGISTERED]) == REGISTERED


@pytest.mark.parametrize(
    ("presented", "registered", "same"),
    [
        ("http://127.0.0.1:51234/oauth", "http://127.0.0.1/oauth", True),
        ("http://127.0.0.1:51234/oauth", "http://127.0.0.1:8000/oauth", True),
        ("http://[::1]:51234/oauth", "http://[::1]/oauth", True),
        ("http://127.0.0.1:51234/oauth?a=1", "http://127.0.0.1/oauth?a=1", True),
        ("http://127.0.0.1:51234/other", "http://127.0.0.1/oauth", False),
        ("http://127.0.0.1:51234/oauth?a=1", "http://127.0.0.1/oauth", False),
        ("http://127.0.0.1:51234/oauth#", "http://127.0.0.1/oauth", False),
        ("http://user@127.0.0.1:51234/oauth", "http://127.0.0.1/oauth", False),
        ("http://127.0.0.2:51234/oauth", "http://127.0.0.1/oauth", False),
        ("http://localhost:51234/oauth", "http://localhost:8000/oauth", False),
        ("https://127.0.0.1:51234/oauth", "https://127.0.0.1/oauth", False),
        ("http://127.0.0.1:99999/oauth", "http://127.0.0.1/oauth", False),
        ("http://127.0.0.1:0/oauth", "http://127.0.0.1/oauth", False),
    ],
)
def test_s02_any_port_matches_for_a_loopback_address_and_nothing_else(
    presented: str, registered: str, same: bool
) -> None:
    assert (find_registered(presented, [registered]) == registered) is same


@pytest.mark.parametrize(
    ("text", "uris"),
    [
        ("https://a.example/x, https://b.example/y", ["https://a.example/x", "https://b.example/y"]),
        ("https://a.example/x,https://b.example/y", ["https://a.example/x", "https://b.example/y"]),
        ("https://a.example/x,y", ["https://a.example/x,y"]),
        ("https://a.example/x%2Chttps://b.example/", ["https://a.example/x%2Chttps://b.example/"]),
        ("https://a.example/\r\nmydemoapp://oauth,\n", ["https://a.example/", "mydemoapp://oauth"]),
        (" , ", []),
        ("\xa0", []),
        (", ,https://a.example/ , ,", ["https://a.example/"]),
    ],
)
def test_w18_a_comma_splits_where_another_address_follows_and_only_there(text: str, uris: list[str]) -> None:
    assert split_redirect_uris(text) == uris


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://a.example/x", "https://a.example/x?code=c%2F1&state=s"),
        ("https://a.example/x?", "https://a.example/x?code=c%2F1&state=s"),
        ("https://a.example/x?a=1", "https://a.example/x?a=1&code=c%2F1&state=s"),
        ("https://a.example/x?state=old&a=%20", "https://a.example/x?a=%20&code=c%2F1&state=s"),
        ("mydemoapp://oauth", "mydemoapp://oauth?code=c%2F1&state=s"),
    ],
)
def test_s06_the_query_of_a_registered_uri_is_kept_and_no_parameter_appears_twice(uri: str, expected: str) -> None:
    assert with_parameters(uri, [("code", "c/1"), ("state", "s")]) == expected


@given(st.text(st.characters(codec="utf-8")))
def test_s28_any_state_comes_back_unchanged(state: str) -> None:
    address = with_parameters("https://a.example/x?a=1", [("state", state)])
    assert dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))["state"] == state


def test_the_origin_of_an_app_scheme_is_the_scheme() -> None:
    assert origin("mydemoapp://oauth") == "mydemoapp:"
    assert origin("https://a.example:8443/x?y") == "https://a.example:8443"
