"""Flags before environment before file; every mistake named, no secret repeated."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from grantflow.settings import IntegrationSettings, PlatformSettings, SettingsError, overruled, read_settings

COMPLETE = {
    "GRANTFLOW_CLIENT_ID": "C1",
    "GRANTFLOW_CLIENT_SECRET": "s3cret",
    "GRANTFLOW_SCOPES": "spark:people_read",
    "GRANTFLOW_KEY": "gfk_key",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("GRANTFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def integration(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> IntegrationSettings:
    for name, value in (COMPLETE | changed).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return read_settings(IntegrationSettings)


def test_w07_w08_lifetimes_are_webexs_unless_they_are_set() -> None:
    settings = read_settings(PlatformSettings)
    assert (settings.access_token_lifetime, settings.refresh_token_lifetime) == (1_209_600, 7_776_000)


def test_w14_an_integration_is_served_at_port_8000_and_a_platform_at_9000(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (integration(monkeypatch).host, integration(monkeypatch).port) == ("localhost", 8000)
    assert read_settings(PlatformSettings).port == 9000


def test_an_integration_talks_to_webex_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert integration(monkeypatch).api_url == "https://webexapis.com/v1"


def test_while_the_client_secret_is_replaced_there_are_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert integration(monkeypatch).client_secrets() == ["s3cret"]
    (tmp_path / "other").write_text("0ther\n")
    with_file = integration(monkeypatch, GRANTFLOW_OTHER_CLIENT_SECRET_FILE=str(tmp_path / "other"))
    assert with_file.client_secrets() == ["s3cret", "0ther"]
    monkeypatch.delenv("GRANTFLOW_OTHER_CLIENT_SECRET_FILE")
    assert integration(monkeypatch, GRANTFLOW_OTHER_CLIENT_SECRET="0ther").client_secrets() == ["s3cret", "0ther"]


def test_a_public_client_has_no_secret_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = integration(monkeypatch, GRANTFLOW_CLIENT_SECRET=None, GRANTFLOW_PUBLIC_CLIENT="true")
    assert settings.client_secrets() == []
    with pytest.raises(SettingsError, match="a public client has no secret"):
        integration(monkeypatch, GRANTFLOW_CLIENT_SECRET="s3cret")
    monkeypatch.delenv("GRANTFLOW_CLIENT_SECRET")
    with pytest.raises(SettingsError, match="GRANTFLOW_CLIENT_SECRET"):
        integration(monkeypatch, GRANTFLOW_CLIENT_SECRET=None, GRANTFLOW_PUBLIC_CLIENT="false")


def test_flags_come_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "grantflow.toml").write_text("[platform]\nport = 1\nerror_body = 'webex'\nhost = 'file'\n")
    monkeypatch.setenv("GRANTFLOW_PLATFORM_PORT", "2")
    monkeypatch.setenv("GRANTFLOW_PLATFORM_HOST", "environment")
    settings = read_settings(PlatformSettings, port=3, host=None)
    assert (settings.port, settings.host, settings.error_body) == (3, "environment", "webex")


@pytest.mark.parametrize("said", ["resource-owner resource-server", "resource-owner,resource-server"])
def test_w03_roles_are_named_in_one_line_of_the_environment_or_a_list_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    (tmp_path / "grantflow.toml").write_text("[platform]\nrole = ['authorization-server']\n")
    assert read_settings(PlatformSettings).role == ("authorization-server",)
    monkeypatch.setenv("GRANTFLOW_PLATFORM_ROLE", said)
    assert read_settings(PlatformSettings).role == ("resource-owner", "resource-server")


def test_another_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "other.toml"
    named.write_text("[platform]\nport = 4\n")
    monkeypatch.setenv("GRANTFLOW_CONFIG", str(named))
    assert read_settings(PlatformSettings).port == 4


def test_secrets_can_lie_in_files_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    settings = integration(
        monkeypatch, GRANTFLOW_CLIENT_SECRET=None, GRANTFLOW_CLIENT_SECRET_FILE=str(tmp_path / "secret")
    )
    assert settings.client_secret.get_secret_value() == "from a file"


@pytest.mark.parametrize(
    ("environment", "flags", "where", "what"),
    [
        ({"GRANTFLOW_PLATFORM_PORT": "abc"}, {}, "GRANTFLOW_PLATFORM_PORT", "'abc' is not a whole number"),
        ({}, {"port": 70_000}, "GRANTFLOW_PLATFORM_PORT (--port)", "less than or equal to 65535"),
        ({}, {"access_token_lifetime": 0}, "(--access-token-lifetime)", "greater than or equal to 1"),
        ({}, {"error_body": "odd"}, "(--error-body)", "'superset' or 'webex'"),
        ({}, {"public_url": "http://id.example.com"}, "(--public-url)", "use https"),
        ({}, {"public_url": "id.example.com"}, "(--public-url)", "is not an address like https://host"),
        ({"GRANTFLOW_PLATFORM_SANDBOX": "perhaps"}, {}, "GRANTFLOW_PLATFORM_SANDBOX", "neither true nor false"),
        ({"GRANTFLOW_CONFIG": "nowhere.toml"}, {}, "GRANTFLOW_CONFIG", "there is no file nowhere.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_where_it_is_set_and_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], flags: dict[str, object], where: str, what: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        read_settings(PlatformSettings, **flags)
    ((told_where, told_what),) = refused.value.problems.items()
    assert told_where.endswith(where)
    assert what in told_what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[platform]\nprot = 1\n", "there is no such setting"),
        ("[platform\n", "it is not valid TOML"),
        ("platform = 5\n", "write its settings below a line [platform]"),
        ("[[platform]]\n", "write its settings below a line [platform]"),
        ("[platform]\nhost = 'caf\xe9'\n", "it is not text"),
        ("[plattform]\nport = 1\n", "below [platform] and [integration]; did you mean [platform]?"),
        ("[integraton]\nport = 1\n", "did you mean [integration]?"),
        ("[Platform]\nport = 1\n", "did you mean [platform]?"),
        ("port = 1\n", "port: all settings stand below [platform] and [integration]; this does not"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "grantflow.toml").write_text(content, encoding="latin-1")
    with pytest.raises(SettingsError, match=r"grantflow\.toml") as refused:
        read_settings(PlatformSettings)
    assert what in str(refused.value)


def test_all_that_is_missing_is_told_at_once_with_what_to_do() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(IntegrationSettings)
    assert set(refused.value.problems) == set(COMPLETE)
    assert "grantflow keys new" in refused.value.problems["GRANTFLOW_KEY"]


@pytest.mark.parametrize(
    "changed",
    [
        {"GRANTFLOW_CLIENT_SECRET_FILE": "/nowhere"},
        {"GRANTFLOW_API_URL": "http://api.example.com"},
        {"GRANTFLOW_CLIENT_ID": ""},
    ],
)
def test_no_message_repeats_a_secret(monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        integration(monkeypatch, **changed)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(refused.value.__cause__)


def test_not_even_a_secret_of_the_wrong_kind_is_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "grantflow.toml").write_text("[integration]\nclient_secret = 123456789\n")
    with pytest.raises(SettingsError) as refused:
        integration(monkeypatch, GRANTFLOW_CLIENT_SECRET=None)
    assert "GRANTFLOW_CLIENT_SECRET" in refused.value.problems
    assert "123456789" not in str(refused.value)


@pytest.mark.parametrize("exact", ["https://app.example/oauth/", "https://app.example/oauth?via=proxy"])
def test_w11_a_redirect_uri_is_kept_to_the_letter_since_it_is_compared(
    monkeypatch: pytest.MonkeyPatch, exact: str
) -> None:
    assert integration(monkeypatch, GRANTFLOW_REDIRECT_URI=exact).redirect_uri == exact


def test_s30_an_issuer_is_kept_to_the_letter_since_it_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert integration(monkeypatch, GRANTFLOW_ISSUER="https://id.example/").issuer == "https://id.example/"


def test_an_issuer_that_is_none_is_told_alone_and_not_as_the_address_of_the_api_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsError) as refused:
        integration(monkeypatch, GRANTFLOW_ISSUER="foo")
    assert list(refused.value.problems) == ["GRANTFLOW_ISSUER"]


def test_s89_trusted_proxies_are_a_list_in_flags_environment_and_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    networks = (ip_network("10.0.0.5"), ip_network("2001:db8::/32"))
    assert read_settings(PlatformSettings).trusted_proxies == ()
    (tmp_path / "grantflow.toml").write_text("[platform]\ntrusted_proxies = ['10.0.0.5', '2001:db8::/32']\n")
    assert read_settings(PlatformSettings).trusted_proxies == networks
    for written in ("10.0.0.5 2001:db8::/32", "10.0.0.5, 2001:db8::/32"):
        monkeypatch.setenv("GRANTFLOW_PLATFORM_TRUSTED_PROXIES", written)
        assert read_settings(PlatformSettings).trusted_proxies == networks
    assert read_settings(PlatformSettings, trusted_proxies=["10.0.0.5"]).trusted_proxies == networks[:1]


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("the-proxy", "is no list of addresses or networks"),
        ("10.0.0.5/8", "is no list of addresses or networks"),
        ("*", "is no list of addresses or networks"),
        ("0.0.0.0/0", "would believe everybody"),
        ("10.0.0.5 ::/0", "would believe everybody"),
    ],
)
def test_s89_what_is_no_proxy_of_ones_own_is_refused(written: str, what: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(PlatformSettings, trusted_proxies=written)
    assert what in refused.value.problems["GRANTFLOW_PLATFORM_TRUSTED_PROXIES (--trusted-proxy)"]


def test_an_env_file_fills_in_what_the_environment_lacks_and_comes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / "app.env"
    env_file.write_text(
        "# from the portal\n\nexport GRANTFLOW_NAME='It is $mine'\nGRANTFLOW_PORT=1 # a comment\nGRANTFLOW_SCOPES=x\n"
        "GRANTFLOW_HOST=\nOTHER=2\n"
    )
    (tmp_path / "grantflow.toml").write_text("[integration]\nname = 'file'\nhost = 'file'\n")
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(IntegrationSettings, env_file, port=3)
    assert (settings.name, settings.port, settings.scopes) == ("It is $mine", 3, "spark:people_read")
    assert settings.host == "file", "what is empty is not set"


def test_what_an_env_file_says_in_vain_is_known_by_its_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRANTFLOW_PORT", "1")
    env_file = tmp_path / "app.env"
    env_file.write_text(
        "GRANTFLOW_CLIENT_ID=C2\nGRANTFLOW_CLIENT_SECRET=other\nGRANTFLOW_KEY=gfk_key\nGRANTFLOW_PORT=2\n"
        "GRANTFLOW_NAME=mine\nGRANTFLOW_SCOPES=\n"
    )
    assert overruled(IntegrationSettings, env_file) == [
        "GRANTFLOW_CLIENT_ID",
        "GRANTFLOW_CLIENT_SECRET",
        "GRANTFLOW_PORT",
    ]
    assert "GRANTFLOW_PORT" not in overruled(IntegrationSettings, env_file, port=3), "a flag stands above both"


@pytest.mark.parametrize("line", ["GRANTFLOW_NAME", "GRANTFLOW_NAME=My app", "GRANTFLOW_NAME='My app", "rm NAME=x"])
def test_a_line_of_an_env_file_that_a_shell_would_read_otherwise_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "app.env").write_text(f"GRANTFLOW_PORT=1\n{line}\n")
    with pytest.raises(SettingsError, match=r"app\.env:2: the line is not of the form NAME=value"):
        read_settings(IntegrationSettings, tmp_path / "app.env")


def test_an_env_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--env-file: .*missing\.env cannot be read"):
        read_settings(IntegrationSettings, tmp_path / "missing.env")


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("grants.db", Path("grants.db")),
        ("postgresql://ada:secret@host/grants", SecretStr("postgresql://ada:secret@host/grants")),
    ],
)
def test_a_vault_is_a_path_or_an_address_whose_password_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, where: str, kept: Path | SecretStr
) -> None:
    for name, value in {"CLIENT_ID": "C1", "CLIENT_SECRET": "s", "SCOPES": "a", "KEY": "k", "VAULT": where}.items():
        monkeypatch.setenv(f"GRANTFLOW_{name}", value)
    settings = read_settings(IntegrationSettings)
    assert settings.vault == kept
    assert "secret@host" not in repr(settings)
