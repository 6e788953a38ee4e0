"""The errors that an integration's author catches."""

import pickle
from datetime import UTC, datetime

import pytest

import grantflow
from grantflow import GrantflowError, migrations, sealing
from grantflow.client import errors
from grantflow.client.grant import Grant, Status
from grantflow.protocol.scope import Scopes

GRANT = Grant(
    id="g",
    integration="C",
    owner="o",
    person_id="p",
    display_name="Ada",
    email=None,
    status=Status.ACTIVE,
    scopes=Scopes.of("a"),
    generation=1,
    granted_at=datetime(2026, 1, 1, tzinfo=UTC),
)
MADE = [
    errors.AuthorizationResponseError("words", error="invalid_scope"),
    errors.AccessDenied("words"),
    errors.ExpiredState("words"),
    errors.ReusedState("words"),
    errors.MismatchingState("words"),
    errors.MismatchingIssuer("words"),
    errors.MissingCode("words"),
    errors.UnknownPerson("words"),
    errors.WrongAccount("words", expected=GRANT, came="Grace"),
    errors.TokenEndpointError("words", status=400),
    errors.TransientTokenError("words", retry_after=3, grant=GRANT),
    errors.IntegrationRefused("words", status=401, retry_after=1),
    errors.RefusalHeldBack("words", grant=GRANT, retry_after=300),
    errors.ReauthorizationRequired("words", grant=GRANT, grant_url="/connect"),
    errors.RefreshOutcomeUnknown("words", grant=GRANT, grant_url="/connect"),
    errors.VaultUnavailable("words", retry_after=5),
    errors.VaultNotOpened("words", retry_after=60),
    errors.DiscoveryFailed("words"),
    errors.CallerRefused("words"),
    errors.UnknownCaller("words"),
    errors.NotForCaller("words"),
    errors.GrantGone("words"),
    errors.CallerExists("words"),
    errors.ForeignOrigin("words"),
    errors.BodyNotReplayable("words"),
]
ELSEWHERE = [
    sealing.SealingError("words"),
    sealing.MissingKey("words"),
    sealing.MalformedKey("words"),
    sealing.WrongKey("aaaa", known=["bbbb"]),
    sealing.Tampered(),
    migrations.SchemaTooNew("words"),
]


def test_the_table_is_complete() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GrantflowError)}
    assert {type(error) for error in MADE} == kinds - {GrantflowError}


@pytest.mark.parametrize("error", [*MADE, *ELSEWHERE], ids=lambda error: type(error).__name__)
def test_an_error_survives_a_task_queue_whole(error: GrantflowError) -> None:
    error.return_to = "/home"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert error not in MADE or str(copy) == "words"
    assert copy.__dict__ == error.__dict__
    assert copy.return_to == "/home"


@pytest.mark.parametrize("error", [*MADE, *ELSEWHERE], ids=lambda error: type(error).__name__)
def test_an_error_is_public_and_has_a_code_of_its_own(error: GrantflowError) -> None:
    assert getattr(grantflow, type(error).__name__) is type(error)
    assert [type(each) for each in [*MADE, *ELSEWHERE] if each.code == error.code] == [type(error)]


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if "──" in line]
    depth = {line.split("── ")[1].split()[0]: line.index("──") // 4 for line in drawn}
    assert {type(error).__name__ for error in [*MADE, *ELSEWHERE]} == set(depth)
    top = depth["TokenEndpointError"]
    for error in [*MADE, *ELSEWHERE]:
        assert type(error).__mro__.index(GrantflowError) - 1 == depth[type(error).__name__] - top
