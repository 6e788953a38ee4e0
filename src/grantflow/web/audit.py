"""What administrators do to other people's grants, a line each in the log: who, what, to whom. Never a secret."""

import logging

log = logging.getLogger("grantflow.audit")


def note_grant_ended(*, by: str, person: str, app: str, grant_id: str) -> None:
    log.info("%s revoked what %s had granted to %s (grant %s)", by, person, app, grant_id)


def note_token_ended(*, by: str, person: str, app: str, token_id: str) -> None:
    log.info("%s revoked an access token of %s for %s (token %s)", by, person, app, token_id)


def note_all_of_a_person_ended(*, by: str, person: str, count: int) -> None:
    log.info("%s revoked all that %s had granted (%d grants)", by, person, count)


def note_all_to_an_app_ended(*, by: str, app: str, client_id: str, count: int) -> None:
    log.info("%s revoked what everybody had granted to %s (client %s, %d grants)", by, app, client_id, count)
