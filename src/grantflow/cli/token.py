"""`grantflow token`: a living access token, for programs that make their calls themselves."""

import sys

from grantflow.cli.flags import Data, File, Json, Switch
from grantflow.cli.granted import grant_called
from grantflow.cli.log import told_by_the_command
from grantflow.cli.output import say, write, write_json
from grantflow.cli.own import own_integration
from grantflow.protocol.timestamp import write_timestamp


def token(
    person: str | None = None, /, *, check: Switch = False, env_file: File = None, data: Data = None, json: Json = False
) -> None:
    with own_integration(env_file, data=data) as integration, told_by_the_command():
        grant = grant_called(integration, person)
        if check:  # which renews it where the API refuses it
            with integration.client_for(grant.person_id, owner=grant.owner) as client:
                client.get("people/me")
        handed = integration.access_token(grant.person_id, owner=grant.owner, actor="grantflow token")
        now = integration.now()
    if sys.stdout.isatty():
        say("warning: Whoever sees this token can act in the person's name. Hand it on by a pipe, or by $(...).")
    if not json:
        write(handed.token.reveal())
        return
    write_json(
        {
            "access_token": handed.token.reveal(),
            "token_type": "Bearer",
            "expires_in": None if handed.expires_at is None else int((handed.expires_at - now).total_seconds()),
            "expires_at": write_timestamp(handed.expires_at) if handed.expires_at else None,
            "scopes": str(handed.grant.scopes),
            "person_id": handed.grant.person_id,
            "email": handed.grant.email,
            "grant_id": handed.grant.id,
        }
    )
