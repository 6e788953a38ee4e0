"""What can come to the redirect URI, under both kinds of integration: nothing is exchanged that was not asked for."""

from collections.abc import Mapping

import pytest

from grantflow import (
    AccessDenied,
    AuthorizationResponseError,
    CompletedGrant,
    ExpiredState,
    GrantflowError,
    MismatchingIssuer,
    MismatchingState,
    MissingCode,
    ReusedState,
    Status,
    TokenEndpointError,
    WrongAccount,
)
from tests.client.conftest import World
from tests.client.shells import Kinds, granted, jar

ISSUER = "https://as.example"


def without(url: str, name: str) -> str:
    before, _, query = url.partition("?")
    return before + "?" + "&".join(part for part in query.split("&") if not part.startswith(f"{name}="))


def changed(url: str, name: str, value: str) -> str:
    return f"{without(url, name)}&{name}={value}"


def test_s95_a_missing_foreign_changed_or_stale_state_exchanges_nothing(world: World, either: Kinds) -> None:
    integration = either()
    mine, theirs = integration.begin(), integration.begin()
    url = world.platform.accept(mine.url, person="mallory")
    others = world.platform.accept(theirs.url).split("state=")[1]
    answers: list[tuple[str | Mapping[str, str], dict[str, str]]] = [
        (without(url, "state"), jar(mine)),
        (changed(url, "state", ""), jar(mine)),
        (changed(url, "state", "made-up"), jar(mine)),
        (changed(url, "state", others), jar(mine)),
        (changed(url, "state", url.split("state=")[1][:-1]), jar(mine)),
        ({"code": "c", "state": "\ud800"}, jar(mine)),
        (changed(url, "state", "x" * 60_000), jar(mine)),
        (url, {}),
        (url, jar(theirs)),
        (url, {mine.cookie.name: theirs.cookie.value}),
        (url, {mine.cookie.name: ""}),
        (url, {mine.cookie.name: "\u00e9" * 50}),
        (url, {mine.cookie.name: mine.cookie.value[:-4]}),
    ]
    for answer, cookies in answers:
        with pytest.raises(MismatchingState, match=r"[Bb]egin again on the landing page") as caught:
            integration.complete(answer, cookies)
        assert type(caught.value) is MismatchingState
    world.clock.advance(minutes=10, seconds=1)
    with pytest.raises(ExpiredState, match=r"more than ten minutes ago\. Nothing was exchanged; begin again"):
        integration.complete(url, jar(mine))
    assert world.platform.counts["token"] == 0
    assert integration.grants() == []
    assert granted(integration, world).status is Status.ACTIVE


def test_s95_an_answer_that_has_served_is_told_as_such_and_harms_no_grant(world: World, either: Kinds) -> None:
    integration = either()
    begun = integration.begin()
    url = world.platform.accept(begun.url)
    assert integration.complete(url, jar(begun)).generation == 1
    fresh_code = changed(url, "code", world.platform.accept(begun.url).split("code=")[1].split("&")[0])
    for answer in (url, fresh_code, url):
        with pytest.raises(ReusedState, match="used already"):
            integration.complete(answer, jar(begun))
    world.clock.advance(minutes=11)
    with pytest.raises(ExpiredState):
        integration.complete(url, jar(begun))
    assert world.platform.counts["exchange"] == 1
    assert integration.get("people/me").status_code == 200


def test_s95_w28_of_many_loads_of_one_answer_at_once_one_is_exchanged(world: World, either: Kinds) -> None:
    integration = either()
    begun = integration.begin()
    ends = integration.complete_at_once(world.platform.accept(begun.url), jar(begun), times=12)
    assert sorted(type(end).__name__ for end in ends) == ["CompletedGrant"] + ["ReusedState"] * 11
    assert world.platform.counts["exchange"] == 1
    (grant,) = integration.grants()
    assert (grant.status, grant.generation) == (Status.ACTIVE, 1)
    assert any(isinstance(end, CompletedGrant) for end in ends)


def test_w25_who_declined_can_still_accept_and_a_decline_takes_no_grant_away(world: World, either: Kinds) -> None:
    """Back in the history, and Accept: it is the same authorization of the same browser, and has not served."""
    integration = either()
    begun = integration.begin()
    accepted = world.platform.accept(begun.url)
    declined = without(changed(accepted, "error", "access_denied"), "code")
    with pytest.raises(AccessDenied):
        integration.complete(declined, jar(begun))
    with pytest.raises(MismatchingState):
        integration.complete(accepted, {})
    assert world.platform.counts["token"] == 0
    assert integration.complete(accepted, jar(begun)).status is Status.ACTIVE
    with pytest.raises(AccessDenied):
        integration.complete(declined, jar(begun))
    with pytest.raises(ReusedState):
        integration.complete(accepted, jar(begun))
    assert integration.grants()[0].status is Status.ACTIVE
    assert world.platform.counts["exchange"] == 1


@pytest.mark.parametrize(
    "iss", [None, "", "https://evil.example", f"{ISSUER}/", ISSUER.upper(), f"{ISSUER}&iss={ISSUER}"]
)
def test_s98_an_answer_of_another_issuer_exchanges_nothing(world: World, either: Kinds, iss: str | None) -> None:
    integration = either(issuer=ISSUER)
    begun = integration.begin()
    url = world.platform.accept(begun.url)
    kind = AuthorizationResponseError if iss and "&" in iss else MismatchingIssuer
    for answer in (url, without(changed(url, "error", "access_denied"), "code")):
        with pytest.raises(kind):
            integration.complete(answer if iss is None else f"{answer}&iss={iss}", jar(begun))
    assert world.platform.counts["token"] == 0
    assert integration.complete(f"{url}&iss={ISSUER}", jar(begun)).status is Status.ACTIVE


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda url: without(url, "code"), MissingCode),
        (lambda url: changed(url, "code", ""), MissingCode),
        (lambda url: f"{url}&code=b", AuthorizationResponseError),
        (lambda url: f"{url}&a=\ud800", AuthorizationResponseError),
        (lambda url: f"{url}&a=%80", AuthorizationResponseError),
        (lambda url: f"{url}&state=b", AuthorizationResponseError),
        (lambda url: changed(url, "code", "made-up"), TokenEndpointError),
        (lambda url: changed(url, "code", "x" * 50_000), GrantflowError),
        (lambda url: f"{url}&" + "&".join(f"a{number}=1" for number in range(200)), AuthorizationResponseError),
    ],
)
def test_a_code_that_is_none_is_told_and_the_person_can_begin_again(
    world: World, either: Kinds, change: object, kind: type[GrantflowError]
) -> None:
    integration = either()
    begun = integration.begin()
    assert callable(change)
    with pytest.raises(kind, match=r"[Bb]egin again"):
        integration.complete(change(world.platform.accept(begun.url)), jar(begun))
    assert integration.grants() == []
    assert granted(integration, world).status is Status.ACTIVE


def test_somebody_else_who_grants_replaces_nothing(world: World, either: Kinds) -> None:
    integration = either()
    first = granted(integration, world)
    before = world.stored_tokens(world.integration())
    with pytest.raises(
        WrongAccount, match=r"Ada was to be renewed, but Grace signed in.*Nothing was changed"
    ) as caught:
        granted(integration, world, person="grace", grant=first.id)
    assert (caught.value.expected.id, caught.value.came) == (first.id, "Grace")
    assert world.stored_tokens(world.integration()) == before
    assert [grant.person_id for grant in integration.grants()] == ["id-ada"]
    assert granted(integration, world, grant=first.id).id == first.id
