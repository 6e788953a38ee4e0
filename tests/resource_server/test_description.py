"""The OpenAPI document of our own API: what is served is what it says. At length: ./dev soak api."""

import re
from pathlib import Path
from typing import Any

import httpx2
from openapi_schema_validator import OAS31Validator
from starlette.routing import Route

from grantflow.protocol.scope import MEANINGS
from grantflow.resource_server.api import LastResort, Resource
from grantflow.resource_server.description import PATH, described
from tests.resource_server.given import API_URL, Platform, run

DOCUMENT = described("https://api.example/v1")
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_every_route_and_method_that_is_served_is_described_with_its_scope_and_no_other(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        served: dict[tuple[str, str], str] = {}
        for route in platform.app.routes:
            if isinstance(route, Route) and not isinstance(route, LastResort) and isinstance(route.endpoint, Resource):
                path = re.sub(r"_(\w)", lambda found: found[1].upper(), route.path.removeprefix("/v1"))
                served |= {(name, path): method.needs for name, method in route.endpoint.methods.items()}
        assert {called: one["security"][0]["bearer"][0] for called, one in OPERATIONS.items()} == served
        assert set(served.values()) <= set(MEANINGS)

    run(tmp_path, story)


def test_the_document_is_served_to_anybody_at_the_address_of_this_platform(tmp_path: Path) -> None:
    async def story(platform: Platform) -> None:
        transport = httpx2.ASGITransport(app=platform.app)
        async with httpx2.AsyncClient(transport=transport, base_url=API_URL.removesuffix("/v1")) as anybody:
            answer = await anybody.get(PATH)
        assert answer.status_code == 200
        assert answer.json()["paths"] == DOCUMENT["paths"]
        assert answer.json()["servers"] == [{"url": API_URL}]

    run(tmp_path, story)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    components = DOCUMENT["components"]
    for schema in components["schemas"].values():
        OAS31Validator.check_schema(schema)
    for reference in references(DOCUMENT):
        _, kind, name = reference.removeprefix("#/").split("/")
        assert name in components[kind], reference


def references(part: object) -> list[str]:
    if isinstance(part, list):
        return [found for one in part for found in references(one)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if "$ref" in part else []
    return own + [found for one in part.values() for found in references(one)]
