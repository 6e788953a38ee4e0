"""Every answer of ours, held against the schemas of Webex's own OpenAPI documents.

The documents (github.com/webex/webex-openapi-specs, CC BY 4.0) are not part of the project. Their schemas require no
member and allow any other, so the test is stricter than they are: a member that they do not name is a mistake, unless
it stands in BEYOND. Their examples of messages show times as ``+00:00``; real answers, and what clients parse, end in
``.sssZ``.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator
from starlette.routing import Route

from tests.parts import ROOT
from tests.resource_server.given import Platform, run

FOLDERS = [os.environ.get("WEBEX_OPENAPI_DIR"), ROOT.parent / "shared" / "webex-openapi"]
FOLDER = next((Path(folder) for folder in FOLDERS if folder and (Path(folder) / "messaging.json").is_file()), None)

pytestmark = pytest.mark.skipif(
    FOLDER is None,
    reason="Webex's OpenAPI documents are not here: put messaging.json and admin.json of "
    "github.com/webex/webex-openapi-specs into a folder and name it in WEBEX_OPENAPI_DIR.",
)

#: What we answer beyond a schema: real Webex does so too, and the schema of the same thing elsewhere names it.
BEYOND = {
    "Message": {"parentId", "isVoiceClip"},  # named by ListMessage
    "DirectMessage": {"isVoiceClip"},  # named by ListMessage
}
TIMES = {"created", "updated", "lastActivity"}


@cache
def document(name: str) -> dict[str, Any]:
    assert FOLDER is not None
    found: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return found


def resolved(schema: Any, schemas: dict[str, Any]) -> Any:
    """The schema with what it refers to in its place, and no further members allowed in any object."""
    if isinstance(schema, list):
        return [resolved(part, schemas) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = resolved(schemas[name], schemas)
        further: dict[str, Any] = {member: {} for member in BEYOND.get(name, ())}
        return found | {"properties": found.get("properties", {}) | further}
    closed = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {key: resolved(value, schemas) for key, value in schema.items()} | closed


def check_against(name: str, path: str, method: str, *, status: int, body: Any) -> None:
    """Raises ValidationError where the document does not describe such an answer."""
    operation = document(name)["paths"][path][method.lower()]
    assert str(status) in operation["responses"], f"{method} {path} is not said to answer {status}"
    content = operation["responses"][str(status)].get("content", {})
    if "application/json" not in content:
        assert body is None, f"{method} {path} is not said to answer with a body"
        return
    schema = resolved(content["application/json"]["schema"], document(name)["components"]["schemas"])
    OAS30Validator(schema).validate(body)


#: Path in the document, method, and the body that is sent; ``{...}`` is filled with ids of earlier answers.
CALLS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("/people/me", "GET", None, ""),
    ("/people/{personId}", "GET", None, ""),
    ("/people", "GET", None, "?email=bob@example.com"),
    ("/people", "GET", None, "?id={personId},00000000-0000-4000-8000-000000000000"),
    ("/rooms", "POST", {"title": "Engines", "isLocked": True, "description": "d"}, ""),
    ("/rooms", "GET", None, ""),
    ("/rooms/{roomId}", "GET", None, ""),
    ("/rooms/{roomId}", "PUT", {"title": "Looms", "isLocked": False}, ""),
    ("/memberships", "POST", {"roomId": "{roomId}", "personEmail": "bob@example.com"}, ""),
    ("/memberships", "GET", None, "?roomId={roomId}"),
    ("/memberships/{membershipId}", "GET", None, ""),
    ("/memberships/{membershipId}", "PUT", {"isModerator": True, "isRoomHidden": False}, ""),
    ("/messages", "POST", {"toPersonEmail": "bob@example.com", "text": "x"}, ""),
    ("/messages", "POST", {"roomId": "{roomId}", "markdown": "*x*"}, ""),
    ("/messages", "POST", {"roomId": "{roomId}", "parentId": "{messageId}", "text": "x"}, ""),
    ("/messages", "POST", {"roomId": "{roomId}", "markdown": "<@personId:{personId}> x"}, ""),
    ("/messages", "GET", None, "?roomId={roomId}"),
    ("/messages/direct", "GET", None, "?personId={personId}"),
    ("/messages/{messageId}", "GET", None, ""),
    ("/messages/{messageId}", "PUT", {"roomId": "{roomId}", "text": "y"}, ""),
    ("/messages/{messageId}", "GET", None, ""),
    ("/messages/{messageId}", "DELETE", None, ""),
    ("/memberships/{membershipId}", "DELETE", None, ""),
    ("/rooms/{roomId}", "DELETE", None, ""),
]

#: The same of the calls of administrators, in Webex's admin.json.
ADMIN_CALLS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("/authorizations/tokenExpiry", "GET", None, ""),
    ("/authorizations", "GET", None, "?personEmail=bob@example.com"),
    ("/authorizations", "GET", None, "?personId={personId}"),
    ("/authorizations/{authorizationId}", "DELETE", None, ""),
    ("/authorizations", "DELETE", None, "?clientId={clientId}"),
]


def filled(template: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], template)


def times_in(body: Any) -> list[str]:
    if isinstance(body, list):
        return [time for part in body for time in times_in(part)]
    if not isinstance(body, dict):
        return []
    own = [value for key, value in body.items() if key in TIMES]
    return own + [time for value in body.values() for time in times_in(value)]


def test_every_answer_is_one_that_webex_s_own_documents_describe(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        ada, bob = await platform.person("Ada Lovelace"), await platform.person("Bob Noyce")
        caller, ids = platform.caller(ada), {"personId": bob.id}
        for path, method, sent, query in CALLS:
            body = json.loads(filled(json.dumps(sent), ids)) if sent else None
            answer = await caller.send(method, filled(path[1:] + query, ids), json=body)
            found = answer.json() if answer.content else None
            assert answer.status_code in (200, 204), (method, path, answer.text)
            check_against("messaging.json", path, method, status=answer.status_code, body=found)
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times_in(found))
            if method == "POST":
                ids[path[1:-1] + "Id"] = answer.json()["id"]

    run(tmp_path, story)


def test_every_answer_to_an_administrator_is_one_that_webex_s_own_documents_describe(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        scopes = "identity:tokens_read identity:tokens_write"
        grace, bob = await platform.person("Grace", scopes=scopes, is_admin=True), await platform.person("Bob Noyce")
        caller, ids = platform.caller(grace), {"personId": bob.id, "clientId": platform.client_id}
        for path, method, _, query in ADMIN_CALLS:
            answer = await caller.send(method, filled(path[1:] + query, ids))
            found = answer.json() if answer.content else None
            check_against("admin.json", path, method, status=answer.status_code, body=found)
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times_in(found))
            if found and "items" in found:
                assert {item["type"] for item in found["items"]} == {"refresh", "access"}
                ids["authorizationId"] = found["items"][0]["id"]

    run(tmp_path, story)


def test_the_calls_above_are_all_that_are_served(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        def shape(path: str) -> str:
            return re.sub(r"\{\w+\}", "{}", path)

        resources = [route for route in platform.app.routes if isinstance(route, Route)]
        served = {
            (shape(route.path.removeprefix("/v1")), method)
            for route in resources
            for method in getattr(route.app, "methods", ())
        }
        assert served == {(shape(path), method) for path, method, _, _ in CALLS + ADMIN_CALLS}

    run(tmp_path, story)


REFUSALS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("/people/me", "POST", 405, {}),
    ("/people", "GET", 400, {}),
    ("/rooms/{roomId}", "GET", 404, {}),
    ("/rooms", "POST", 415, {"content": b"x"}),
    ("/rooms", "GET", 401, {"headers": {"authorization": "Bearer x"}}),
]


def test_every_refusal_has_the_shape_that_webex_s_documents_give_an_error(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        caller = platform.caller(await platform.person("Ada"))
        schema = resolved({"$ref": "#/components/schemas/Error"}, document("admin.json")["components"]["schemas"])
        for path, method, status, request in REFUSALS:
            where = path[1:].replace("{roomId}", "00000000-0000-4000-8000-000000000000")
            answer = await caller.send(method, where, **request)
            assert answer.status_code == status
            body = answer.json()
            # Of the members of an error's entries the document names none; clients know `description`.
            entries = body.pop("errors")
            OAS30Validator(schema).validate(body)
            assert [set(entry) for entry in entries] == [{"description"}]

    run(tmp_path, story)
