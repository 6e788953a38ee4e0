"""The lifetimes that a token answer reports."""

from datetime import datetime, timedelta

from grantflow.authorization_server.records import Redemption, Renewal, TokenPair
from grantflow.authorization_server.refresh import RefreshOutcome
from grantflow.authorization_server.settings import Settings
from grantflow.protocol.token import Tokens

_SECOND = timedelta(seconds=1)


def answer(outcome: Redemption | RefreshOutcome, *, settings: Settings, now: datetime) -> Tokens:
    """Seconds that are left, rounded down. ``scope`` is always there, spark:kms included (RFC 6749 section 5.1)."""
    pair = outcome.pair
    return Tokens(
        access_token=pair.access_token,
        expires_in=_seconds(pair.access_expires_at - now),
        refresh_token=pair.refresh_token,
        refresh_token_expires_in=_seconds(_reported_end(outcome, pair, settings) - now),
        scope=pair.scopes,
    )


def _reported_end(outcome: Redemption | RefreshOutcome, pair: TokenPair, settings: Settings) -> datetime:
    if settings.report_countdown and isinstance(outcome, Renewal):
        return outcome.presented.issued_at + settings.refresh_token_lifetime
    return pair.refresh_expires_at


def _seconds(remaining: timedelta) -> int:
    return max(0, remaining // _SECOND)
