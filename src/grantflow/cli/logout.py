"""`grantflow logout`: ends a person's grant, at the platform and here."""

from grantflow.cli.administration import is_confirmed
from grantflow.cli.flags import Data, File, Json, Switch
from grantflow.cli.granted import grant_called
from grantflow.cli.output import OK, REFUSED, USAGE, say, write_json
from grantflow.cli.own import own_integration
from grantflow.client.grant import Grant, Revocation, Status


def logout(
    person: str | None = None, /, *, yes: Switch = False, env_file: File = None, data: Data = None, json: Json = False
) -> int:
    with own_integration(env_file, data=data) as integration:
        grant = grant_called(integration, person, refused_too=True)
        if not is_to_end(grant, yes=yes):
            return USAGE
        done = integration.revoke(grant.person_id, owner=grant.owner)
        is_asked = integration.configuration.revocation_url is not None
    return tell(grant, done, is_asked=is_asked, json=json)


def is_to_end(grant: Grant, *, yes: bool) -> bool:
    """Asked on a terminal, before anything is lost; of what has ended here already there is nothing to lose."""
    loss = f"{grant.called} must grant again, before this integration can act for them once more."
    return grant.status is Status.REVOKED or is_confirmed([loss], question="Revoke?", yes=yes)


def tell(grant: Grant, done: Revocation, *, is_asked: bool, json: bool) -> int:
    """What happened; `grant` is as it was before, `is_asked`: it is known where the platform can be asked. Answers the
    exit code."""
    if json:
        write_json(
            {
                "grant_id": grant.id,
                "person_id": grant.person_id,
                "at_platform": done.at_platform,
                "had_ended": done.had_ended,
                "reason": done.reason,
            }
        )
    elif grant.status is Status.REVOKED:
        say(f"The grant of {grant.called} was ended here already.")
    elif grant.status is Status.REAUTHORIZATION_REQUIRED and (done.at_platform or done.had_ended):
        say(f"The platform had refused the grant of {grant.called} already; it is forgotten here.")
    elif done.at_platform:
        say(f"The grant of {grant.called} is revoked at the platform and forgotten here.")
    else:
        say(f"The grant of {grant.called} is forgotten here, but not revoked at the platform. {done.reason}")
        if not is_asked:
            say("If the platform has one (RFC 7009), set GRANTFLOW_REVOCATION_URL to it.")
    return OK if done.at_platform or done.had_ended or not is_asked else REFUSED
