"""`grantflow callers ...`: programs that are handed access tokens by `serve --token-api`, each by a key of its own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from grantflow.cli.administration import is_confirmed
from grantflow.cli.flags import Data, File, Json, Several, Switch
from grantflow.cli.granted import grant_called
from grantflow.cli.output import OK, USAGE, Failure, say, write, write_json, write_table
from grantflow.cli.own import own_integration
from grantflow.client.callers import Caller
from grantflow.client.grant import Grant, Status
from grantflow.protocol.timestamp import write_timestamp


def add(
    name: str,
    /,
    *,
    grant: Annotated[Several, Parameter(name="--grant")],
    env_file: File = None,
    data: Data = None,
    json: Json = False,
) -> None:
    with own_integration(env_file, data=data) as integration:
        grants = {found.id: found for found in (grant_called(integration, person) for person in grant)}
        try:
            added = integration.add_caller(name, grants=grants)
        except ValueError as error:
            raise Failure(str(error), code=USAGE) from error
        for found in grants.values():
            _warn_of_what_has_ended(found, name, grant_url=integration.configuration.grant_url(found))
    if json:
        write_json(_as_json(added.caller, grants) | {"key": added.key.reveal()})
        return
    whose = ", ".join(found.called for found in grants.values())
    say(f"{added.caller.name} may have access tokens of {whose} from grantflow serve --token-api.")
    say("The key is shown this one time:")
    write(added.key.reveal())


def _warn_of_what_has_ended(grant: Grant, name: str, *, grant_url: str) -> None:
    """A grant that was disconnected never comes back; a refused one does, under the same id, when its person grants."""
    if grant.status is Status.REAUTHORIZATION_REQUIRED:
        say(f"warning: {name} gets no token of {grant.called} before they grant again: {grant_url}")
    elif grant.status is Status.REVOKED:
        say(
            f"warning: {name} gets no token of {grant.called}: this grant was ended here. Once they have granted again "
            f"({grant_url}), name the new one to {name}: grantflow callers remove, then add."
        )


def show(*, env_file: File = None, data: Data = None, json: Json = False) -> None:
    with own_integration(env_file, data=data) as integration:
        callers = integration.callers()
        ids = {grant_id for caller in callers for grant_id in caller.grant_ids}
        grants = {id_: found[0] for id_ in ids if (found := integration.find_grants(id_))}
    if json:
        write_json([_as_json(caller, grants) for caller in callers])
        return
    rows = [(each.name, _whose(each, grants), _day(each.created_at), _day(each.last_used_at)) for each in callers]
    write_table(("NAME", "GRANTS OF", "SINCE", "LAST USED"), rows, nothing="No program has a key yet.")


def remove(name: str, /, *, yes: Switch = False, env_file: File = None, data: Data = None, json: Json = False) -> int:
    with own_integration(env_file, data=data) as integration:
        if not any(caller.name == name for caller in integration.callers()):
            raise Failure(f"There is no caller named {name}.", fix="grantflow callers list shows which there are.")
        loss = f"The key of {name} is dead from then on. Tokens that it was given live out their time."
        if not is_confirmed([loss], question="Remove it?", yes=yes):
            return USAGE
        integration.remove_caller(name)
    if json:
        write_json({"removed": name})
        return OK
    say(f"{name} is removed; its key is dead.")
    return OK


def _whose(caller: Caller, grants: Mapping[str, Grant]) -> str:
    return ", ".join(
        (grants[id_].email or grants[id_].called) if id_ in grants else f"{id_} (gone)" for id_ in caller.grant_ids
    )


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"


def _as_json(caller: Caller, grants: Mapping[str, Grant]) -> dict[str, Any]:
    return {
        "name": caller.name,
        "grants": [
            {"grant_id": id_, "person_id": grants[id_].person_id, "email": grants[id_].email}
            if id_ in grants
            else {"grant_id": id_, "person_id": None, "email": None}
            for id_ in caller.grant_ids
        ],
        "created": write_timestamp(caller.created_at),
        "last_used": write_timestamp(caller.last_used_at) if caller.last_used_at else None,
    }
