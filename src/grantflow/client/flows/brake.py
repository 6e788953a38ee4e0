"""The brake on mass refusals: where a platform suddenly refuses many grants, none is declared dead any more.

A database that was restored from last week, a registration that was disabled, a server that answers for another: each
says invalid_grant for everybody, and would cost every person their grant. So refusals are counted over all processes,
in the audit log, and beyond a bound they are held back until an operator has looked.
"""

from grantflow.client.events import Kind
from grantflow.client.flows.parts import Parts
from grantflow.client.flows.recording import tell
from grantflow.client.grant import Brake
from grantflow.client.steps import Flow, current_time, load, save


def is_on(parts: Parts) -> Flow[bool]:
    integration = parts.configuration.client_id
    return (yield from load(lambda: parts.vault.brake(integration))).on_since is not None


def release(parts: Parts, *, actor: str | None) -> Flow[bool]:
    """Refusals count again, from now on. Answers whether the brake was on."""
    integration = parts.configuration.client_id
    brake = yield from load(lambda: parts.vault.brake(integration))
    now = yield from current_time()
    released = Brake(released_at=now, reason="an operator has looked")
    yield from _set(parts, released, kind=Kind.BRAKE_RELEASED, actor=actor)
    return brake.on_since is not None


def _set(parts: Parts, brake: Brake, *, kind: Kind, actor: str | None = None) -> Flow[None]:
    now, integration = (yield from current_time()), parts.configuration.client_id
    event = parts.event(kind, at=now, reason=brake.reason, incident=parts.incident(), actor=actor)
    yield from save(lambda: parts.vault.set_brake(integration, brake, event=event))
    yield from tell(parts, event)
