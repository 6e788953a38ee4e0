"""W34: the calendar through both halves: whoever is kept alive lives on past the 90 days, in every shape of answer."""

from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import KeptAlive, ReauthorizationRequired
from grantflow.protocol.registration import Profile
from tests.walkthrough.both_halves import GRACE, BothHalves, both_halves

FORTNIGHT = timedelta(days=14)


@pytest.mark.parametrize("profile", list(Profile))
def test_w34_a_grant_that_nobody_uses_is_kept_alive_past_its_90_days_and_the_others_end(
    halves: BothHalves, profile: Profile
) -> None:
    """In the profile `webex` the refresh token stays and its days slide, in `strict` it is swapped."""
    app = halves.register(f"Kept alive, {profile}", profile=profile)
    kept, left = (halves.integration(app, vault=f"{profile}-{name}.db") for name in ("kept", "left"))
    ada, grace = halves.grant(kept), halves.grant(left, GRACE)
    assert kept.expiring(FORTNIGHT) == []
    for _ in range(3):
        halves.clock.advance(days=80)
        assert [grant.id for grant in kept.expiring(FORTNIGHT)] == [ada.id]
        assert kept.keep_alive(FORTNIGHT) == KeptAlive(prolonged=1)
        assert kept.expiring(FORTNIGHT) == []
    assert kept.client_for(ada.person_id).get("people/me").status_code == 200
    assert [grant.id for grant in left.expiring(FORTNIGHT)] == [grace.id]
    assert left.keep_alive(FORTNIGHT) == KeptAlive(), "what is over by its date is left for its next call"
    with pytest.raises(ReauthorizationRequired):
        left.client_for(grace.person_id).get("people/me")
    assert left.expiring(FORTNIGHT) == []


def test_where_the_answers_count_down_what_slides_in_truth_it_is_told_and_the_grant_lives_on(tmp_path: Path) -> None:
    """As Webex has been seen to answer: whoever believed the countdown would have let it die."""
    with both_halves(tmp_path, report_countdown=True) as halves:
        integration = halves.integration(halves.register("Counted down"))
        ada = halves.grant(integration)
        halves.clock.advance(days=80)
        assert integration.keep_alive(FORTNIGHT) == KeptAlive(in_vain=1)
        assert [grant.id for grant in integration.expiring(FORTNIGHT)] == [ada.id]
        halves.clock.advance(days=80)
        assert integration.client_for(ada.person_id).get("people/me").status_code == 200
