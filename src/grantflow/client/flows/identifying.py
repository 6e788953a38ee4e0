"""Whose an access token is: what the platform is asked, and how its answer is read."""

from collections.abc import Callable
from dataclasses import dataclass

from grantflow.client import userinfo, webex
from grantflow.client.configuration import Configuration
from grantflow.client.grant import Person
from grantflow.protocol.http import Request, Response
from grantflow.protocol.secret import Secret


@dataclass(frozen=True, slots=True)
class Question:
    """`called` names in messages what is asked, and `fix` is what to do where it names nobody."""

    request: Request
    read: Callable[[Response], Person | None]
    called: str
    fix: str


def question(configuration: Configuration, access_token: Secret) -> Question:
    endpoint = configuration.userinfo_endpoint
    if endpoint is None:
        return Question(
            webex.whoami_request(configuration.api_url, access_token),
            webex.read_person,
            "people/me",
            "ask for the scope spark:people_read, or for another kind of server give Integration(identify=...)",
        )
    return Question(
        userinfo.whoami_request(endpoint, access_token),
        userinfo.read_person,
        "userinfo",
        "ask for the scope openid, or find out by a way of your own: Integration(identify=...)",
    )
