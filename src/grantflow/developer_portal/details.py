"""One integration as its owner sees it: credentials, authorization URL, people, registration."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal.authorization_address import PARAMETERS, authorization_addresses
from grantflow.developer_portal.code_samples import code_samples
from grantflow.developer_portal.portal import Portal, not_yours
from grantflow.developer_portal.ports import GrantedPort, MyAppsPort
from grantflow.developer_portal.records import Integration, Session
from grantflow.protocol.scope import in_words


@dataclass(frozen=True, slots=True)
class Details:
    portal: Portal
    mine: MyAppsPort
    granted: GrantedPort

    async def page(self, request: Request, session: Session) -> Response:
        integration = await owned(request, session, self.mine)
        client_id = integration.registration.client_id
        return self.portal.page(
            request,
            "app.html",
            session,
            app=integration,
            secrets=await self.mine.secrets(client_id, now=self.portal.clock()),
            people=await self.granted.count(client_id),
            last_used_at=await self.granted.last_use(client_id),
            addresses=authorization_addresses(integration, self.portal.settings.authorization_endpoint),
            parameters=PARAMETERS,
            samples=code_samples(
                integration,
                api_url=self.portal.settings.api_url,
                authorization_endpoint=self.portal.settings.authorization_endpoint,
            ),
            program=self.portal.settings.program,
            scopes=in_words(integration.registration.scopes),
            saved="saved" in request.query_params,
        )


async def owned(request: Request, session: Session, mine: MyAppsPort) -> Integration:
    """The integration that the path names.

    Raises:
        PageError: 404, this person has none of that client ID.
    """
    integration = await mine.find(str(request.path_params["client_id"]), owner_id=session.person_id)
    if integration is None:
        raise not_yours()
    return integration
