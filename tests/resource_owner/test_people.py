"""People are added once, found however their email is spelled, and signed out when their password changes."""

import secrets
from pathlib import Path

import pytest

from grantflow.resource_owner.people import UnfitPerson, new_person
from grantflow.resource_owner.records import Credentials
from grantflow.storage.people import EmailTaken, NobodyThere, PeopleStore
from tests.resource_owner.given import NOW, ORG, PASSWORD_HASH, House, run


def test_a_person_is_found_as_added_with_an_email_in_lower_case(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        people = PeopleStore(house.engine)
        ada = new_person(
            " Ada@Sandbox.Example ",
            "Ada  Lovelace",
            org_id=ORG,
            now=NOW,
            mint=secrets.token_bytes,
            first_name="Ada",
            last_name="Lovelace",
            nick_name="Countess",
            is_admin=True,
        )
        assert (ada.email, ada.display_name) == ("ada@sandbox.example", "Ada Lovelace")
        await people.add(ada, password_hash=PASSWORD_HASH)
        assert await people.find("ADA@sandbox.example") == ada
        assert await people.find("nobody@sandbox.example") is None
        assert await people.credentials("ada@SANDBOX.example") == Credentials(ada.id, PASSWORD_HASH)

    run(tmp_path, story)


def test_an_email_belongs_to_one_person_and_the_second_is_told_so(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada = await house.person()
        with pytest.raises(EmailTaken, match=r"ada@sandbox.example belongs to somebody already: choose"):
            await house.person("ADA@sandbox.example", "Another Ada")
        assert await PeopleStore(house.engine).find("ada@sandbox.example") == ada

    run(tmp_path, story)


def test_people_are_listed_page_by_page_in_the_order_of_their_emails(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        for name in ("cora", "ada", "bea"):
            await house.person(f"{name}@sandbox.example", name)
        people = PeopleStore(house.engine)
        first = await people.list(limit=2)
        assert [person.display_name for person in first] == ["ada", "bea"]
        rest = await people.list(limit=2, after=first[-1].email)
        assert [person.display_name for person in rest] == ["cora"]

    run(tmp_path, story)


def test_a_new_password_signs_the_person_and_nobody_else_out_everywhere(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        ada, grace = await house.person(), await house.person("grace@sandbox.example", "Grace Hopper")
        at_home, at_work, graces = [await house.signed_in(person) for person in (ada, ada, grace)]
        await PeopleStore(house.engine).set_password("Ada@sandbox.example", password_hash="$argon2id$new")
        assert (await at_home.open("/connected-apps")).status_code == 303
        assert (await at_work.open("/connected-apps")).status_code == 303
        assert (await graces.open("/connected-apps")).status_code == 200
        assert await PeopleStore(house.engine).credentials(ada.email) == Credentials(ada.id, "$argon2id$new")
        with pytest.raises(NobodyThere, match="add that person first"):
            await PeopleStore(house.engine).set_password("nobody@sandbox.example", password_hash="$argon2id$new")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("email", "name", "words"),
    [
        ("ada", "Ada", "write it like name@example.com"),
        ("ada@", "Ada", "write it like name@example.com"),
        ("a da@example.com", "Ada", "write it like name@example.com"),
        ("<ada@example.com>", "Ada", "write it like name@example.com"),
        ("ada@example.com, grace@example.com", "Ada", "write it like name@example.com"),
        ("a" * 250 + "@example.com", "Ada", "write it like name@example.com"),
        ("ada@example.com", "  ", "The display name"),
        ("ada@example.com", "A" * 121, "The display name"),
        ("ada@example.com", "Ada\u202egro.elpmaxe", "The display name"),
    ],
)
def test_an_unfit_person_is_refused_with_the_rule_that_is_broken(email: str, name: str, words: str) -> None:
    with pytest.raises(UnfitPerson, match=words):
        new_person(email, name, org_id=ORG, now=NOW, mint=secrets.token_bytes)
