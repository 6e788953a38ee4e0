"""New Integration: the form, and the one answer that shows the client secret (W18, W19)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.authorization_address import PARAMETERS, authorization_addresses
from grantflow.developer_portal.form import FORM_LIMIT, IF_TOO_LARGE, Typed, read_typed
from grantflow.developer_portal.form_page import all_problems, form_page, icon_to_keep, is_stale
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import Registrations
from grantflow.developer_portal.records import Session
from grantflow.developer_portal.registration import NAME_TAKEN, InvalidRegistration, Registered, check_number, register
from grantflow.protocol.secret import Secret
from grantflow.web.errors import PageError
from grantflow.web.forms import read_upload_form
from grantflow.web.site import Link


@dataclass(frozen=True, slots=True)
class NewIntegration:
    portal: Portal
    registrations: Registrations

    async def form(self, request: Request, session: Session) -> Response:
        """An address may fill it in beforehand: ``?name=Lockbot&redirect_uris=https://...&scope.spark:people_read=on``"""
        asked = {name: value for name, value in request.query_params.items() if name not in ("icon_sent", "icon")}
        typed = read_typed(asked, {})
        if "contact_email" not in asked:
            typed = replace(typed, contact_email=session.email)
        return self._page(request, session, typed, form_id=self.portal.mint(16).hex())

    async def submitted(self, request: Request, session: Session) -> Response:
        fields, files = await read_upload_form(request, limit_bytes=FORM_LIMIT, if_too_large=IF_TOO_LARGE)
        typed, form_id = read_typed(fields, files), fields.get("form_id", "")
        if stale := is_stale(self.portal, request, fields, session=session, again=paths.NEW_INTEGRATION):
            return self._page(
                request, session, typed, form_id=self.portal.mint(16).hex(), errors={"": stale}, status=400
            )
        form = _digest(form_id, typed.name)
        if made := await self.registrations.made_by(form, owner_id=session.person_id):
            raise _made_already(made, typed.name)
        try:
            registered = self._registered(typed, session)
            owned = await self.registrations.count(session.person_id)
            check_number(owned, "integrations", is_admin=session.is_admin)
        except InvalidRegistration as error:
            errors = await all_problems(error, typed, self.registrations)
            return self._page(request, session, typed, form_id=form_id, errors=errors, status=400)
        if not await self.registrations.add(
            registered.integration, registered.kept_secret, icon=icon_to_keep(typed), form=form
        ):
            if made := await self.registrations.made_by(form, owner_id=session.person_id):
                raise _made_already(made, typed.name)
            return self._page(request, session, typed, form_id=form_id, errors={"name": NAME_TAKEN}, status=400)
        return self._created(request, session, registered)

    def _registered(self, typed: Typed, session: Session) -> Registered:
        """Raises InvalidRegistration with what is wrong with the form too."""
        problems = typed.problems
        try:
            registered = register(
                typed.application(owner_id=session.person_id),
                now=self.portal.clock(),
                mint=self.portal.mint,
                sandbox=self.portal.sandbox,
            )
        except InvalidRegistration as error:
            raise InvalidRegistration({**error.problems, **problems}) from None
        if problems:
            raise InvalidRegistration(problems)
        return registered

    def _page(
        self,
        request: Request,
        session: Session,
        typed: Typed,
        *,
        form_id: str,
        errors: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        hidden = {"form_id": form_id}
        return form_page(
            self.portal,
            request,
            session,
            typed,
            action=paths.NEW_INTEGRATION,
            hidden=hidden,
            errors=errors,
            status=status,
        )

    def _created(self, request: Request, session: Session, registered: Registered) -> Response:
        """Shown once: the answer is kept nowhere (Cache-Control: no-store), and to ask again is another request."""
        integration = registered.integration
        return self.portal.page(
            request,
            "created.html",
            session,
            201,
            app=integration,
            secret=registered.secret.reveal() if registered.secret else None,
            addresses=authorization_addresses(integration, self.portal.settings.authorization_endpoint),
            parameters=PARAMETERS,
            environment=self.portal.environment_of(integration, registered.secret),
            program=self.portal.settings.program,
            warnings=tuple(dict.fromkeys(registered.warnings)),
        )


def _digest(form_id: str, name: str) -> bytes:
    """Of the form and the name in it: whoever goes back, changes the name and sends it again makes a second one."""
    return Secret(f"{form_id} {' '.join(name.split()).casefold()}").digest()


def _made_already(client_id: str, name: str) -> PageError:
    return PageError(
        409,
        "This integration was created already",
        why=f"The form for {name.strip()} was sent twice, and made one integration. Its client secret was shown in the "
        "first answer, and only there.",
        next_step="If you have not stored the secret, regenerate it: you get a new one, and the first one ends.",
        actions=(
            Link("Go to the integration", paths.app(client_id), "primary"),
            Link("Regenerate the secret", paths.secret(client_id)),
        ),
        kind="info",
        reason="the same form was sent twice",
    )
