"""An integration is deleted, with all that people granted it: its name has to be typed first."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.details import owned
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import GrantedPort, MyAppsPort, Registrations
from grantflow.developer_portal.records import Integration, Session
from grantflow.web.forms import read_form


@dataclass(frozen=True, slots=True)
class Deletion:
    portal: Portal
    mine: MyAppsPort
    registrations: Registrations
    granted: GrantedPort

    async def confirm(self, request: Request, session: Session) -> Response:
        return await self._page(request, session, await owned(request, session, self.mine))

    async def deleted(self, request: Request, session: Session) -> Response:
        fields = await read_form(request)
        integration = await owned(request, session, self.mine)
        client_id = integration.registration.client_id
        self.portal.check(request, fields, session, again=paths.deletion(client_id))
        typed = fields.get("name", "")
        if _plain(typed) != _plain(integration.registration.name):
            return await self._page(request, session, integration, typed=typed)
        await self.registrations.delete(client_id, owner_id=session.person_id)
        proof = self.portal.proof(session, f"deleted {client_id}")
        return self.portal.redirect(paths.MY_APPS, deleted=client_id, proof=proof)

    async def _page(
        self, request: Request, session: Session, integration: Integration, *, typed: str | None = None
    ) -> Response:
        registration = integration.registration
        wrong = {"name": "Type the integration's name as it stands above."} if typed is not None else {}
        people = await self.granted.count(registration.client_id)
        status = 400 if wrong else 200
        return self.portal.page(
            request, "delete_app.html", session, status, app=integration, people=people, typed=typed or "", errors=wrong
        )


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
