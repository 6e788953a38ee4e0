"""What operators and developers write: settings in flags, environment, files; and what servers tell them in logs."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import category
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from grantflow.cli.log import redacted
from grantflow.cli.output import one_line
from grantflow.data_directory import BrokenFile, read_json
from grantflow.developer_portal.authorization_address import environment_file
from grantflow.developer_portal.bots import BotApplication, read_username, register_bot
from grantflow.developer_portal.records import Integration
from grantflow.developer_portal.registration import InvalidRegistration, read_name
from grantflow.protocol.minting import mint_token
from grantflow.protocol.registration import Registration
from grantflow.protocol.scope import Scopes
from grantflow.protocol.secret import Secret
from grantflow.settings import (
    IntegrationSettings,
    PlatformSettings,
    SettingsError,
    check_issuer,
    check_redirect_uri,
    read_settings,
    split_words,
)
from tests.properties.reading import ANY_TEXT, JSON_VALUES, TEXT, read_or_refused

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ORG = "8b1d7f52-52c5-4f0a-9a3c-0f6f4b1f8c11"
#: What can stand in an environment at all.
VARIABLE = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
NUMBERS = st.integers(-5, 10**12).map(str)
PLATFORM = [f"GRANTFLOW_PLATFORM_{name.upper()}" for name in PlatformSettings.model_fields]
INTEGRATION = [f"GRANTFLOW_{name.upper()}" for name in IntegrationSettings.model_fields if not name.endswith("_file")]
COMPLETE = {"client_id": "C1", "client_secret": "s3cret", "scopes": "a", "key": "gfk_key"}


@given(st.dictionaries(st.sampled_from(PLATFORM), VARIABLE | NUMBERS | st.sampled_from(["true", "localhost"])))
def test_w07_any_environment_is_settings_of_a_platform_or_each_mistake_is_named(environment: dict[str, str]) -> None:
    with patch.dict(os.environ, environment, clear=True):
        settings = read_or_refused(lambda: read_settings(PlatformSettings), SettingsError)
    assert settings is None or (0 <= settings.port <= 65_535 and 1 <= settings.workers <= 64)


@given(st.dictionaries(st.sampled_from(INTEGRATION), VARIABLE | NUMBERS), VARIABLE.filter(lambda text: len(text) > 4))
def test_s94_any_environment_is_settings_of_an_integration_or_mistakes_that_quote_no_secret(
    environment: dict[str, str], secret: str
) -> None:
    given_secret = f"secret-{secret}-secret"
    environment |= {"GRANTFLOW_CLIENT_SECRET": given_secret, "GRANTFLOW_KEY": given_secret}
    told: str | None = None
    with patch.dict(os.environ, environment, clear=True):
        try:
            settings = read_settings(IntegrationSettings)
        except SettingsError as error:
            told = str(error)
        else:
            assert settings.client_secret.get_secret_value() == given_secret
            assert given_secret not in repr(settings)
    assert told is None or given_secret not in told


LINES = st.lists(
    st.builds("{}{}={}{}".format, st.sampled_from(["", "export ", "#", " "]), st.sampled_from(INTEGRATION), TEXT, TEXT)
    | TEXT
)


@given(LINES.map("\n".join).map(str.encode) | st.binary(max_size=200))
def test_w14_any_env_file_is_settings_or_told_wrong_by_its_line(content: bytes) -> None:
    with TemporaryDirectory() as folder, patch.dict(os.environ, {}, clear=True):
        file = Path(folder) / ".env"
        file.write_bytes(content)
        read_or_refused(lambda: read_settings(IntegrationSettings, file, **COMPLETE), SettingsError)


NAMES = TEXT.map(read_name).filter(lambda name: bool(name) and name.isprintable())
REDIRECT_URIS = st.sampled_from(
    ["http://localhost:8000/oauth", "https://app.example/oauth?a='b'&c=$d", "https://a/`x`"]
)
SCOPES = st.lists(st.sampled_from(["a", "spark:kms"]), min_size=1).map(lambda tokens: Scopes.of(*tokens))


@given(NAMES, REDIRECT_URIS, SCOPES)
def test_w22_the_env_file_of_the_portal_reads_back_as_the_settings_of_its_integration(
    name: str, uri: str, scopes: Scopes
) -> None:
    made = Integration(Registration("C1", name, (uri,), scopes), NOW)
    api_url, elsewhere = "https://api.example/v1", "https://as.example/v1/authorize"
    text = environment_file(
        made,
        Secret("s3cret"),
        api_url=api_url,
        authorization_endpoint=elsewhere,
        platform="Grantflow",
        connected_apps_url="https://platform.example/connected-apps",
    )
    with TemporaryDirectory() as folder, patch.dict(os.environ, {}, clear=True):
        file = Path(folder) / ".env"
        file.write_text(text, encoding="utf-8")
        settings = read_settings(IntegrationSettings, file, key="gfk_key")
    assert (settings.name, settings.client_id, settings.client_secret.get_secret_value()) == (name, "C1", "s3cret")
    assert (settings.redirect_uri, settings.scopes, settings.api_url) == (uri, str(scopes), api_url)
    assert (settings.authorization_endpoint, settings.port) == (elsewhere, 8000)
    assert (settings.issuer, settings.revocation_url) == ("https://as.example/v1", "https://as.example/v1/revoke")


TOML = st.dictionaries(
    st.sampled_from(["platform", "integration"]),
    st.dictionaries(st.sampled_from([*PlatformSettings.model_fields]), st.integers(-9, 9) | st.booleans() | TEXT),
).map(
    lambda tables: "\n".join(
        f"[{table}]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in members.items())
        for table, members in tables.items()
    ).encode()
)


@given(TOML | st.binary(max_size=200))
def test_w14_any_configuration_file_is_settings_or_told_wrong(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "grantflow.toml"
        file.write_bytes(content)
        with patch.dict(os.environ, {"GRANTFLOW_CONFIG": str(file)}, clear=True):
            read_or_refused(lambda: read_settings(PlatformSettings), SettingsError)
            read_or_refused(lambda: read_settings(IntegrationSettings, None, **COMPLETE), SettingsError)


@given(ANY_TEXT | st.sampled_from(["http://[", "https://host:x", "https://host?x#y", "https://@/", "https://a/b?"]))
def test_s75_any_text_is_an_issuer_or_redirect_uri_or_told_wrong(text: str) -> None:
    assert read_or_refused(lambda: check_redirect_uri(text), ValueError) in (None, text)
    read_or_refused(lambda: check_issuer(text), ValueError)


@given(st.lists(st.text(st.sampled_from("ab-:."), min_size=1)), st.sampled_from([" ", ",", ", "]))
def test_what_one_line_lists_is_split_again(words: list[str], between: str) -> None:
    assert split_words(between.join(words)) == words


@given(JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_any_file_of_the_data_directory_is_json_or_called_broken(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "sandbox.json"
        file.write_bytes(content)
        read_or_refused(lambda: read_json(file), BrokenFile)


USERNAMES = st.text(st.sampled_from("aZ09._-"), min_size=1, max_size=70)


@given(USERNAMES)
def test_w04_a_bot_is_meant_by_its_username_and_its_email_however_it_is_typed(username: str) -> None:
    assert read_username(f" {username.upper()}@Webex.bot ") == read_username(username) == username.lower()


@given(st.fixed_dictionaries({"username": TEXT | USERNAMES, "name": TEXT, "description": TEXT, "icon": TEXT}))
def test_w04_any_form_of_a_bot_is_registered_or_told_what_is_wrong(fields: dict[str, str]) -> None:
    application = BotApplication(**fields)
    made = read_or_refused(
        lambda: register_bot(application, org_id=ORG, now=NOW, mint=lambda n: b"m" * n), InvalidRegistration
    )
    if made is not None:
        assert read_username(made.bot.email) == made.bot.username == read_username(fields["username"])


#: What stands around a token in a log: no letter or digit, which would make another word of it.
AROUND = TEXT.filter(lambda text: not text[-1:].isalnum() and not text[:1].isalnum())


@given(AROUND, st.binary(min_size=36, max_size=36), AROUND, st.sampled_from(["Bearer ", "code=", '"access_token": "']))
def test_s94_a_token_is_struck_out_wherever_it_stands_in_a_log(
    before: str, chance: bytes, after: str, named: str
) -> None:
    token = mint_token(lambda _: chance, org_id=ORG).reveal()
    assert token not in redacted(f"{before} {token} {after}")
    assert token not in redacted(f"{before}{named}{token} {after}")


@given(ANY_TEXT)
def test_any_text_is_one_line_of_a_log_though_spaces_of_every_width_stay(text: str) -> None:
    line = one_line(text)
    assert all(character.isprintable() or category(character) == "Zs" for character in line)
    assert len(line.splitlines()) <= 1
    redacted(text)
