"""The developer portal's pages, put together."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starlette.routing import BaseRoute, Route

from grantflow.developer_portal import paths
from grantflow.developer_portal.amending import Amending
from grantflow.developer_portal.app_hub import AppHubPages
from grantflow.developer_portal.bot_pages import BotPages
from grantflow.developer_portal.client_secret import SecretPages
from grantflow.developer_portal.deleting import Deletion
from grantflow.developer_portal.details import Details
from grantflow.developer_portal.my_apps import MyAppsPages
from grantflow.developer_portal.new_integration import NewIntegration
from grantflow.developer_portal.people import PeoplePages
from grantflow.developer_portal.portal import OwnPage, Portal
from grantflow.developer_portal.ports import AppHubPort, Bots, GrantedPort, MyAppsPort, Registrations, Sessions
from grantflow.developer_portal.settings import PortalSettings
from grantflow.protocol.minting import Mint
from grantflow.web.csrf import FormGuard
from grantflow.web.pages import Pages

#: To be among the folders of the `Pages` that `routes` is given.
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Ports:
    """What storage must offer."""

    sessions: Sessions
    registrations: Registrations
    mine: MyAppsPort
    granted: GrantedPort
    hub: AppHubPort
    bots: Bots


def routes(
    ports: Ports, settings: PortalSettings, *, pages: Pages, clock: Callable[[], datetime], mint: Mint
) -> list[BaseRoute]:
    """My Webex Apps, the forms and pages of each integration, the App Hub and the list of scopes."""
    guard = FormGuard(pages.site, settings.form_key, mint=lambda: base64.urlsafe_b64encode(mint(24)).decode("ascii"))
    portal = Portal(pages, guard, ports.sessions, settings, clock, mint)
    mine = MyAppsPages(portal, ports.mine, ports.bots)
    new = NewIntegration(portal, ports.registrations)
    details = Details(portal, ports.mine, ports.granted)
    amending = Amending(portal, ports.mine, ports.registrations, ports.granted)
    secret = SecretPages(portal, ports.mine, ports.registrations)
    deletion = Deletion(portal, ports.mine, ports.registrations, ports.granted)
    people = PeoplePages(portal, ports.mine, ports.granted)
    hub = AppHubPages(portal, ports.hub)
    bots = BotPages(portal, ports.bots)
    one, grant, bot = "{client_id}", "{grant_id}", "{username}"

    def own(path: str, shown: OwnPage, submitted: OwnPage | None = None) -> Route:
        return Route(path, portal.signed_in(shown, submitted), methods=["GET", "POST"] if submitted else ["GET"])

    return [
        own(paths.MY_APPS, mine.overview),
        own(paths.NEW, mine.chooser),
        own(paths.NEW_INTEGRATION, new.form, new.submitted),
        own(paths.NEW_BOT, bots.form, bots.submitted),
        own(paths.bot(bot), bots.page),
        own(paths.bot_token(bot), bots.confirm_token, bots.regenerated),
        own(paths.bot_deletion(bot), bots.confirm_deletion, bots.deleted),
        own(paths.app(one), details.page),
        own(paths.registration(one), amending.form, amending.submitted),
        own(paths.secret(one), secret.confirm, secret.regenerated),
        own(paths.deletion(one), deletion.confirm, deletion.deleted),
        own(paths.people(one), people.overview),
        own(paths.revocation(one, grant), people.confirm, people.revoked),
        Route(paths.expiry(one, grant), portal.signed_in(people.expired, form_at=paths.people(one)), methods=["POST"]),
        Route(paths.APP_HUB, hub.overview, methods=["GET"]),
        Route(paths.hub_entry(one), hub.entry, methods=["GET"]),
        Route(paths.SCOPES, hub.scopes, methods=["GET"]),
    ]
