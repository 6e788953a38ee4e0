"""`grantflow whoami`: who has granted here, and what the API says of them now."""

from dataclasses import dataclass
from typing import Any

from grantflow.cli.api import code_of
from grantflow.cli.flags import Data, File, Json
from grantflow.cli.granted import grant_called, no_grant
from grantflow.cli.grants import WORDS, who
from grantflow.cli.log import told_by_the_command
from grantflow.cli.output import GRANT_FIRST, OK, REFUSED, say, write_json, write_table
from grantflow.cli.own import own_integration
from grantflow.client import userinfo, webex
from grantflow.client.errors import GrantflowError, ReauthorizationRequired
from grantflow.client.grant import Grant, Status
from grantflow.client.integration import Integration
from grantflow.client.shells.clients import NoAnswer
from grantflow.protocol.http import Response

#: How many are asked for at the API, where nobody is named.
_ASKED = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """A grant as it is after the API was asked, what the API said, and the exit code that it would have alone."""

    grant: Grant
    says: str
    code: int


def whoami(person: str | None = None, /, *, env_file: File = None, data: Data = None, json: Json = False) -> int:
    with own_integration(env_file, data=data) as integration, told_by_the_command():
        grants = [grant_called(integration, person)] if person else _living(integration)
        seen = [_ask(integration, grant) for grant in grants[:_ASKED]]
    if json:
        write_json([_as_json(each) for each in seen])
    else:
        rows = [(who(each.grant), each.grant.display_name or "", WORDS[each.grant.status], each.says) for each in seen]
        write_table(("PERSON", "NAME", "STATUS", "THE API SAYS"), rows)
    if len(grants) > _ASKED:
        say("... and more, of whom the API was not asked. Name one: grantflow whoami PERSON")
    return min((each.code for each in seen), default=OK)


def _living(integration: Integration) -> list[Grant]:
    living = [status for status in Status if status is not Status.REVOKED]
    found = list(integration.page_of_grants(statuses=living, limit=_ASKED + 1))
    if not found:
        raise no_grant(integration)
    return found


def _ask(integration: Integration, grant: Grant) -> Seen:
    try:
        with integration.client_for(grant.person_id, owner=grant.owner) as client:
            answer = client.get(integration.configuration.userinfo_endpoint or "people/me")
        code = code_of(answer.status_code)
        says = _words(Response(answer.status_code, dict(answer.headers), answer.content))
    except ReauthorizationRequired as error:
        reason = error.grant.reason if error.grant and error.grant.reason else "disconnected"
        says, code = f"must grant again: {reason}", GRANT_FIRST
    except (GrantflowError, NoAnswer) as error:
        says, code = f"not asked: {error}", REFUSED
    return Seen(integration.grant(grant.person_id, owner=grant.owner) or grant, says, code)


def _words(response: Response) -> str:
    person = webex.read_person(response) or userinfo.read_person(response)
    if person is None:
        return f"answered {response.status} when asked who this is"
    return f"{person.display_name or person.person_id} <{person.email}>" if person.email else person.person_id


def _as_json(seen: Seen) -> dict[str, Any]:
    grant = seen.grant
    return {
        "grant_id": grant.id,
        "person_id": grant.person_id,
        "email": grant.email,
        "name": grant.display_name,
        "owner": grant.owner,
        "status": grant.status.value,
        "scopes": str(grant.scopes),
        "works": seen.code == OK,
        "api_says": seen.says,
    }
