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


def test_a_rotation_costs_the_same_whatever_its_family_has_gone_through(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, of all statements that write."""

    async def story(server: Server) -> None:
        app = await server.strict_integration()
        tokens = await server.tokens(app, await server.person())
        steps: list[int] = []

        async def rotation(token: str) -> tuple[str, int]:
            steps.clear()
            server.engine._writer.set_progress_handler(lambda: steps.append(1), 1)
            rotated = (await server.refresh(app, token)).json()
            server.engine._writer.set_progress_handler(None, 1)
            return rotated["refresh_token"], len(steps)

        token, _ = await rotation(tokens["refresh_token"])
        token, young = await rotation(token)
        await server.run(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO refresh_tokens (token_hash, family, grant_id, client_id, person_id, scopes, issued_at,"
            " expires_at, replaced_at, successor_hash)"
            " SELECT 'old' || i, family, grant_id, client_id, person_id, scopes, issued_at, expires_at, 1,"
            " 'old' || (i + 1) FROM refresh_tokens, n WHERE replaced_at IS NULL"
        )
        token, old = await rotation(token)
        assert abs(old - young) < 100, (young, old)

    run(tmp_path, story)
