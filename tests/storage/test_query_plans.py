"""No statement of the authorization server reads a whole table: each stays as fast with a million rows."""

from collections.abc import Sequence
from pathlib import Path

from grantflow.storage.engine import Statement
from tests.authorization_server.given import PKCE, Server, run


def scanned(plan: Sequence[str]) -> list[str]:
    return [step for step in plan if step.startswith("SCAN ")]


def test_every_statement_of_a_grants_whole_life_is_a_probe_of_an_index(tmp_path: Path) -> None:
    statements: set[str] = set()

    async def story(server: Server) -> None:
        for connection in (server.engine._reader, server.engine._writer):
            connection.set_trace_callback(statements.add)
        person = await server.person()
        for made in (await server.integration(), await server.strict_integration()):
            app = await server.another_secret(made, others_expire_at=server.now)
            tokens = await server.tokens(app, person)
            await (await server.signed_in(person)).authorize(app, **PKCE)
            renewed = (await server.refresh(app, tokens["refresh_token"])).json()
            await server.refresh(app, tokens["refresh_token"])
            await server.revoke(app, renewed["access_token"])
            await server.revoke(app, renewed["refresh_token"])
        for connection in (server.engine._reader, server.engine._writer):
            connection.set_trace_callback(None)
        planned = [each for each in statements if each.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))]
        assert len(planned) > 20
        for statement in planned:
            plan = await server.engine.read(Statement(f"EXPLAIN QUERY PLAN {statement}"))
            assert not scanned([step["detail"] for step in plan]), statement

    run(tmp_path, story)
