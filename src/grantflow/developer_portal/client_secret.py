"""A client secret is regenerated: what that costs is said first, and the new one is shown once (W19)."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.details import owned
from grantflow.developer_portal.portal import Portal, version_of
from grantflow.developer_portal.ports import MyAppsPort, Registrations
from grantflow.developer_portal.records import Integration, Session
from grantflow.developer_portal.registration import new_secret
from grantflow.protocol.registration import ClientType
from grantflow.web.errors import PageError
from grantflow.web.forms import read_form
from grantflow.web.site import Link

#: How long the old secret may go on beside the new one, by the value that the form sends.
OVERLAPS = {"none": timedelta(0), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class SecretPages:
    portal: Portal
    mine: MyAppsPort
    registrations: Registrations

    async def confirm(self, request: Request, session: Session) -> Response:
        integration = await self._confidential(request, session)
        held = await self.mine.secrets(integration.registration.client_id, now=self.portal.clock())
        return self.portal.page(request, "regenerate.html", session, app=integration, secrets=held)

    async def regenerated(self, request: Request, session: Session) -> Response:
        fields = await read_form(request)
        integration = await self._confidential(request, session)
        client_id = integration.registration.client_id
        self.portal.check(request, fields, session, again=paths.secret(client_id))
        overlap = OVERLAPS.get(fields.get("overlap", "none"), OVERLAPS["none"])
        now = self.portal.clock()
        secret, kept = new_secret(now=now, mint=self.portal.mint)
        version = version_of(fields)
        if not await self.registrations.add_secret(client_id, kept, others_expire_at=now + overlap, version=version):
            raise _regenerated_already(client_id)
        take_over = self.portal.settings.take_over
        return self.portal.page(
            request,
            "new_secret.html",
            session,
            201,
            app=integration,
            secret=secret.reveal(),
            old_ends_at=now + overlap if overlap else None,
            is_taken_over=take_over is not None and take_over(client_id, secret),
            environment=self.portal.environment_of(integration, secret),
            program=self.portal.settings.program,
        )

    async def _confidential(self, request: Request, session: Session) -> Integration:
        integration = await owned(request, session, self.mine)
        if integration.registration.client_type is ClientType.PUBLIC:
            raise PageError(
                404,
                "This integration has no client secret",
                why="It is public: what runs on people's own devices could not keep one.",
                next_step="Its client ID and PKCE are all that it needs.",
                actions=(Link("Back to it", paths.app(integration.registration.client_id), "primary"),),
                kind="info",
            )
        return integration


def _regenerated_already(client_id: str) -> PageError:
    return PageError(
        409,
        "Nothing was regenerated",
        why="The integration was changed after this form was opened; perhaps the form was sent twice. A new secret is "
        "shown in the first answer, and only there.",
        next_step="If you have stored it, all is well. If not, regenerate the secret once more.",
        actions=(
            Link("Go to the integration", paths.app(client_id), "primary"),
            Link("Regenerate the secret", paths.secret(client_id)),
        ),
        kind="info",
        reason="the form names a version that is outdated",
    )
