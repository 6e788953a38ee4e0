"""What may be registered, and the identifiers and secrets that an integration is given."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from grantflow.developer_portal.registration import Application, InvalidRegistration, new_secret, register
from grantflow.protocol.registration import CLIENT_ID, CLIENT_SECRET, ClientType, Profile
from grantflow.storage.registrations import RegistrationStore
from tests.authorization_server.given import NOW, Server, run
from tests.developer_portal.given import FILLED, NEW, House, form_of, text_of
from tests.developer_portal.given import run as play

APPLICATION = Application("LockBot", ("https://app.example/oauth",), "spark:people_read")
PUBLIC = ClientType.PUBLIC


def problems_of(application: Application, *, sandbox: bool = True) -> dict[str, str]:
    with pytest.raises(InvalidRegistration) as caught:
        register(application, now=NOW, mint=secrets.token_bytes, sandbox=sandbox)
    return caught.value.problems


def test_w05_w06_s11_s56_client_id_and_secret_have_webexs_shape_and_are_random() -> None:
    made = [register(APPLICATION, now=NOW, mint=secrets.token_bytes, sandbox=True) for _ in range(20)]
    ids = {each.integration.registration.client_id for each in made}
    texts = {each.secret.reveal() for each in made if each.secret}
    assert len(ids) == len(texts) == 20
    assert all(CLIENT_ID.fullmatch(each) for each in ids)
    assert all(CLIENT_SECRET.fullmatch(each) for each in texts)


def test_s57_only_the_hash_of_a_secret_and_its_last_four_digits_are_kept() -> None:
    secret, kept = new_secret(now=NOW, mint=secrets.token_bytes)
    assert secret.matches(kept.digest)
    assert kept.last_four == secret.reveal()[-4:]
    assert secret.reveal() not in repr(kept)


def test_s10_a_public_client_gets_no_secret_and_is_strict() -> None:
    made = register(replace(APPLICATION, client_type=PUBLIC), now=NOW, mint=secrets.token_bytes, sandbox=True)
    assert made.secret is None
    assert made.kept_secret is None
    assert made.integration.registration.profile is Profile.STRICT


def test_s11_nobody_chooses_a_client_id_least_of_all_a_persons_id(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        browser = await house.signed_in(ada)
        assert not CLIENT_ID.fullmatch(ada.id), "the two spaces have no text in common"
        form = form_of(await browser.open(NEW))
        sent = {**form.fields, **FILLED, "client_id": ada.id, "id": ada.id, "kind": "webex"}
        made = await browser.client.post(form.action, data=sent)
        assert made.status_code in (200, 201), text_of(made)
        (row,) = await house.rows("SELECT client_id FROM integrations")
        assert CLIENT_ID.fullmatch(row["client_id"])

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"name": "  "}, "name", "needs a name"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"name": "a\0b"}, "name", "printable"),
        ({"name": "a\u202eb"}, "name", "printable"),
        ({"redirect_uris": ()}, "redirect_uris", "At least one"),
        ({"redirect_uris": ("https://a.example/o",) * 2}, "redirect_uris", "twice"),
        ({"redirect_uris": tuple(f"https://a.example/{n}" for n in range(51))}, "redirect_uris", "At most 50"),
        ({"redirect_uris": ("app.example",)}, "redirect_uris", "absolute"),
        ({"redirect_uris": ("https://app.example",)}, "redirect_uris", "no path"),
        ({"redirect_uris": ("https://app.example/oauth#here",)}, "redirect_uris", "no fragment"),
        ({"redirect_uris": ("http://app.example/oauth",)}, "redirect_uris", "loopback only"),
        ({"redirect_uris": ("javascript:alert(1)",)}, "redirect_uris", "never a redirect URI"),
        ({"redirect_uris": ("https://a@app.example/",)}, "redirect_uris", "user name"),
        ({"redirect_uris": ("https://app.example/../x",)}, "redirect_uris", "path segments"),
        ({"redirect_uris": ("https://app.example/<b>",)}, "redirect_uris", "character"),
        ({"redirect_uris": ("myapp:/cb",), "profile": Profile.STRICT}, "redirect_uris", "no period"),
        ({"redirect_uris": ("myapp:/cb",), "client_type": PUBLIC}, "redirect_uris", "no period"),
        ({"redirect_uris": ("http://localhost/cb",), "profile": Profile.STRICT}, "redirect_uris", "loopback only"),
        ({"scopes": ""}, "scopes", "At least one scope"),
        ({"scopes": "people_read"}, "scopes", "looks like spark:people_read"),
        ({"scopes": "openid"}, "scopes", "not registered"),
        ({"scopes": 'spark:people_read"'}, "scopes", "character"),
        ({"scopes": " ".join(f"spark:{'x' * n}" for n in range(1, 202))}, "scopes", "At most 200 scopes"),
        ({"scopes": "spark:" + "x" * 95}, "scopes", "of 100 characters each"),
        ({"description": "x" * 1_001}, "description", "at most 1000"),
        ({"description": "a\x1b[2J"}, "description", "control character"),
        ({"contact_email": "nobody"}, "contact_email", "name@example.com"),
        ({"site_url": "javascript:alert(1)"}, "site_url", "web address"),
    ],
)
def test_w11_s03_s04_s05_s07_what_may_not_be_registered_is_told_field_by_field(
    changed: dict[str, object], field: str, words: str
) -> None:
    problems = problems_of(replace(APPLICATION, **changed))  # type: ignore[arg-type]
    assert list(problems) == [field]
    assert words in problems[field]


CONTROLS = [
    "\0",
    "\x07",
    "\x0b",
    "\r",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u202a",
    "\u202e",
    "\u2066",
    "\u2069",
    "\ud800",
]


@pytest.mark.parametrize("character", CONTROLS)
def test_no_description_moves_a_cursor_or_turns_a_line_about(character: str) -> None:
    application = replace(APPLICATION, description=f"Locks{character}spaces")
    assert "control character" in problems_of(application)["description"]


@pytest.mark.parametrize("text", ["two\r\nlines", "a\n\nb", "a\tb", "שלום\u200f", "👩\u200d🚀 Zoë", "x" * 1_000 + "\n"])
def test_a_description_may_have_lines_any_script_and_joined_pictures(text: str) -> None:
    made = register(replace(APPLICATION, description=text), now=NOW, mint=secrets.token_bytes, sandbox=True)
    assert made.integration.description == text.replace("\r\n", "\n").replace("\t", " ").strip()


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_form() -> None:
    wrong = Application("", (), "", contact_email="x")
    assert list(problems_of(wrong)) == ["name", "contact_email", "redirect_uris", "scopes"]


@pytest.mark.parametrize(
    ("uri", "warned"),
    [
        ("https://app.example/oauth", False),
        ("com.example.app:/oauth", False),
        ("mydemoapp://oauth", True),
        ("http://localhost:8000/oauth", False),
        ("http://127.0.0.1:8000/oauth", False),
    ],
)
def test_w11_s04_s07_what_webex_allows_is_registered_with_a_warning(uri: str, warned: bool) -> None:
    made = register(replace(APPLICATION, redirect_uris=(uri,)), now=NOW, mint=secrets.token_bytes, sandbox=True)
    assert bool(made.warnings) is warned


def test_s04_outside_a_sandbox_plain_http_is_for_loopback_addresses_alone() -> None:
    local = replace(APPLICATION, redirect_uris=("http://localhost:8000/oauth",))
    assert "loopback only" in problems_of(local, sandbox=False)["redirect_uris"]


def test_kms_comes_by_itself_with_any_spark_scope_as_in_webexs_portal() -> None:
    for asked, kept in (
        ("spark:people_read", "spark:people_read spark:kms"),
        ("spark:kms spark:people_read", "spark:kms spark:people_read"),
        ("meeting:schedules_read", "meeting:schedules_read"),
    ):
        made = register(replace(APPLICATION, scopes=asked), now=NOW, mint=secrets.token_bytes, sandbox=True)
        assert str(made.integration.registration.scopes) == kept


def test_a_registration_is_kept_whole_and_its_name_is_unique_whatever_the_case(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        store, owner = RegistrationStore(server.engine), await server.person()
        application = Application(
            " Lock  Bot ",
            ("https://b.example/oauth", "https://a.example/oauth"),
            "spark:people_read",
            description="Locks spaces.",
            contact_email="dev@sandbox.example",
            owner_id=owner.id,
            site_url="https://app.example/",
        )
        made = register(application, now=NOW, mint=secrets.token_bytes, sandbox=True)
        assert await store.add(made.integration, made.kept_secret)
        found = await store.find(made.integration.registration.client_id)
        assert found == made.integration
        assert found.registration.name == "Lock Bot"
        assert await store.find_by_name("lock bot") == found
        again = register(replace(application, name="LOCK BOT"), now=NOW, mint=secrets.token_bytes, sandbox=True)
        assert not await store.add(again.integration, again.kept_secret)
        assert await store.find(again.integration.registration.client_id) is None
        assert len(await server.rows("SELECT 1 FROM client_secrets")) == 1

    run(tmp_path, story)


def test_only_a_confidential_integration_gets_another_secret(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        store, app = RegistrationStore(server.engine), await server.public_integration()
        _, kept = new_secret(now=NOW, mint=secrets.token_bytes)
        assert not await store.add_secret(app.client_id, kept, others_expire_at=None)
        assert not await store.add_secret("C" + "0" * 64, kept, others_expire_at=None)

    run(tmp_path, story)
