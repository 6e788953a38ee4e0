"""A registration is changed by its owner: all fields but client ID and client type."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from grantflow.developer_portal import paths
from grantflow.developer_portal.details import owned
from grantflow.developer_portal.form import FORM_LIMIT, IF_TOO_LARGE, Typed, read_typed, typed_of
from grantflow.developer_portal.form_page import all_problems, form_page, icon_to_keep, is_stale
from grantflow.developer_portal.portal import Portal
from grantflow.developer_portal.ports import GrantedPort, MyAppsPort, Registrations
from grantflow.developer_portal.records import Amendment, Integration, Session
from grantflow.developer_portal.registration import NAME_TAKEN, Amended, InvalidRegistration, amend
from grantflow.web.forms import read_upload_form

CHANGED_MEANWHILE = (
    "The registration was changed meanwhile, in another tab perhaps. Nothing was saved; look it through and "
    "save it once more."
)


@dataclass(frozen=True, slots=True)
class Amending:
    portal: Portal
    mine: MyAppsPort
    registrations: Registrations
    granted: GrantedPort

    async def form(self, request: Request, session: Session) -> Response:
        known = await owned(request, session, self.mine)
        return await self._page(request, session, typed_of(known), known)

    async def submitted(self, request: Request, session: Session) -> Response:
        fields, files = await read_upload_form(request, limit_bytes=FORM_LIMIT, if_too_large=IF_TOO_LARGE)
        known = await owned(request, session, self.mine)
        path = paths.registration(known.registration.client_id)
        typed = read_typed(fields, files, current_icon=typed_of(known).current_icon)
        if stale := is_stale(self.portal, request, fields, session=session, again=path):
            return await self._page(request, session, typed, known, errors={"": stale})
        if fields.get("version") != str(known.version):
            return await self._page(request, session, typed, known, errors={"": CHANGED_MEANWHILE})
        try:
            amended = self._amended(known, typed)
        except InvalidRegistration as error:
            errors = await all_problems(error, typed, self.registrations, known=known)
            return await self._page(request, session, typed, known, errors=errors)
        match await self.registrations.amend(amended.integration, icon=icon_to_keep(typed)):
            case Amendment.NAME_TAKEN:
                return await self._page(request, session, typed, known, errors={"name": NAME_TAKEN})
            case Amendment.STALE:
                known = await owned(request, session, self.mine)
                return await self._page(request, session, typed, known, errors={"": CHANGED_MEANWHILE})
        return self.portal.redirect(paths.app(known.registration.client_id), saved="yes")

    def _amended(self, known: Integration, typed: Typed) -> Amended:
        """Raises InvalidRegistration with what is wrong with the form too."""
        assert known.owner_id is not None  # it was found by its owner
        try:
            amended = amend(known, typed.application(owner_id=known.owner_id), sandbox=self.portal.sandbox)
        except InvalidRegistration as error:
            raise InvalidRegistration({**error.problems, **typed.problems}) from None
        if typed.problems:
            raise InvalidRegistration(typed.problems)
        return amended

    async def _page(
        self,
        request: Request,
        session: Session,
        typed: Typed,
        known: Integration,
        *,
        errors: Mapping[str, str] | None = None,
    ) -> Response:
        client_id = known.registration.client_id
        return form_page(
            self.portal,
            request,
            session,
            typed,
            action=paths.registration(client_id),
            hidden={"version": str(known.version)},
            known=known,
            people=await self.granted.count(client_id),
            errors=errors,
            status=400 if errors else 200,
        )
