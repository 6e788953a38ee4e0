"""People: oneself, and whom one may look up."""

from pathlib import Path

from tests.resource_server.given import Caller, Platform, refused, run, uuid

OTHER_ORG = "00000000-0000-4000-8000-000000000001"


async def names(caller: Caller, **query: str) -> list[str]:
    answer = await caller.get("people", **query)
    assert answer.status_code == 200, answer.text
    return [person["displayName"] for person in answer.json()["items"]]


def test_people_me_says_who_granted(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada Lovelace")
        answer = await platform.caller(ada).get("people/me", callingData="true")
        assert answer.json() == {
            "id": ada.id,
            "emails": ["ada@example.com"],
            "displayName": "Ada Lovelace",
            "firstName": "Ada",
            "lastName": "Lovelace",
            "orgId": answer.json()["orgId"],
            "created": "2026-10-24T12:00:00.000Z",
            "type": "person",
        }
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"

    run(tmp_path, story)


def test_what_a_person_never_set_is_left_out(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        cher = await platform.person("Cher")
        assert not {"lastName", "nickName"} & set((await platform.caller(cher).get("people/me")).json())

    run(tmp_path, story)


def test_people_are_listed_by_email_by_the_beginning_of_their_name_and_by_ids(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada Lovelace")
        alan = await platform.person("Alan Turing")
        await platform.person("élan 100%_vital", email="elan@example.com")
        caller = platform.caller(ada)
        for query, expected in [
            ({"email": "ALAN@example.com"}, ["Alan Turing"]),
            ({"email": "nobody@example.com"}, []),
            ({"email": "%"}, []),
            ({"displayName": "a"}, ["Ada Lovelace", "Alan Turing"]),
            ({"displayName": "ALAN t"}, ["Alan Turing"]),
            ({"displayName": "Turing"}, []),
            ({"displayName": "%"}, []),
            ({"displayName": "_"}, []),
            ({"displayName": "élan 100%_"}, ["élan 100%_vital"]),
            ({"id": f"{alan.id},{ada.id}"}, ["Ada Lovelace", "Alan Turing"]),
            ({"id": f"{alan.uuid}, {alan.id}"}, ["Alan Turing"]),
        ]:
            assert await names(caller, **query) == expected, query

    run(tmp_path, story)


def test_ids_that_name_nobody_are_listed_apart(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, nobody = await platform.person("Ada"), uuid()
        body = (await platform.caller(ada).get("people", id=f"{nobody},{ada.id}")).json()
        assert [person["id"] for person in body["items"]] == [ada.id]
        assert len(body["notFoundIds"]) == 1

    run(tmp_path, story)


def test_one_call_looks_up_85_ids_and_no_more(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        ids = [uuid() for _ in range(86)]
        assert (await ada.get("people", id=",".join(ids[:85]))).status_code == 200
        assert refused(await ada.get("people", id=",".join(ids)))[0] == 400

    run(tmp_path, story)


def test_a_list_without_a_filter_is_refused(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        for query in [{}, {"max": "5"}, {"email": ""}, {"roles": "x"}]:
            expected = (400, "Email, displayName, or id list should be specified.")
            assert refused(await ada.get("people", **query)) == expected, query

    run(tmp_path, story)


def test_people_of_another_organization_are_seen_only_by_those_who_share_a_room_with_them(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = await platform.person("Ada")
        eve = await platform.person("Eve", org_id=OTHER_ORG)
        caller = platform.caller(ada)
        ways = [{"email": eve.email}, {"id": eve.id}, {"displayName": "Eve"}]
        assert [await names(caller, **way) for way in ways] == [[], [], []]
        assert refused(await caller.get(f"people/{eve.id}")) == (404, "Person not found")

        await caller.add(await caller.open_room(), eve)
        assert [await names(caller, **way) for way in ways] == [["Eve"], ["Eve"], []]
        assert (await caller.get(f"people/{eve.id}")).json()["displayName"] == "Eve"
        assert (await platform.caller(eve).get(f"people/{ada.id}")).json()["displayName"] == "Ada"

    run(tmp_path, story)


def test_a_person_who_does_not_exist_is_not_found(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada = platform.caller(await platform.person("Ada"))
        assert refused(await ada.get(f"people/{uuid()}")) == (404, "Person not found")
        assert refused(await ada.get("people/nobody")) == (400, "Expect base64 ID or UUID.")

    run(tmp_path, story)
