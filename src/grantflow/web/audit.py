"""What administrators do to other people's grants, a line each in the log: who, what, to whom. Never a secret.

Ids stand before names, and what its developer called an app is in quotes: no name passes for the rest of a line, and
what is struck out after a name that reads like ``token:`` is none of the ids.
"""

import json
import logging

log = logging.getLogger("grantflow.audit")


def note_grant_ended(*, by: str, person: str, app: str, grant_id: str) -> None:
    log.info("%s revoked grant %s, what %s had granted to %s", by, grant_id, person, _quoted(app))


def note_token_ended(*, by: str, person: str, app: str, token_id: str) -> None:
    log.info("%s revoked access token %s of %s for %s", by, token_id, person, _quoted(app))


def note_all_of_a_person_ended(*, by: str, person: str, count: int) -> None:
    log.info("%s revoked all that %s had granted (%d grants)", by, person, count)


def note_all_to_an_app_ended(*, by: str, app: str, client_id: str, count: int) -> None:
    log.info("%s revoked all %d grants to client %s, called %s", by, count, client_id, _quoted(app))


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
