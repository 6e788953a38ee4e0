"""Authlib's Flask authorization server, put together as its documentation does, with SQLAlchemy: plain OAuth 2, no
userinfo; refresh tokens rotate, and a used one is revoked.

`python -m tests.interop.servers.authlib_server FOLDER '{"client_id", "client_secret", "redirect_uri"}'` prints its
issuer, which has a path. Beside it an API, which Authlib's own resource protector guards, and below /control what the
tests want to know and to have happen.
"""

import json
import logging
import os
import sys
import time
from collections import Counter
from typing import Any, ClassVar

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.integrations.sqla_oauth2 import (
    OAuth2AuthorizationCodeMixin,
    OAuth2ClientMixin,
    OAuth2TokenMixin,
    create_bearer_token_validator,
    create_query_client_func,
    create_revocation_endpoint,
    create_save_token_func,
)
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, Response, jsonify, render_template_string, request
from sqlalchemy import create_engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker
from werkzeug.serving import make_server

SCOPES = "profile rooms"
PAGE = """<!doctype html><title>Authlib's server</title>
<h1>{{ client }} asks for {{ scope }}</h1>
<form method="post"><input name="person"><button name="answer" value="yes">Accept</button>
<button name="answer" value="no">Decline</button></form>"""

folder, settings = sys.argv[1], json.loads(sys.argv[2])
engine = create_engine(f"sqlite:///{folder}/authlib.db")
session: Any = scoped_session(sessionmaker(engine))
counts: Counter[str] = Counter(exchange=0, refresh=0, refused=0, revoke=0, api=0)
losing: list[bool] = []


class Base(DeclarativeBase):
    id: Mapped[int] = mapped_column(primary_key=True)


class Client(Base, OAuth2ClientMixin):  # type: ignore[misc]
    __tablename__ = "clients"


class Code(Base, OAuth2AuthorizationCodeMixin):  # type: ignore[misc]
    __tablename__ = "codes"
    user_id: Mapped[str]


class Token(Base, OAuth2TokenMixin):  # type: ignore[misc]
    __tablename__ = "tokens"
    user_id: Mapped[str]


class Person:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_user_id(self) -> str:
        return self.name


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic"]

    def save_authorization_code(self, code: str, request: Any) -> None:
        payload = request.payload
        session.add(
            Code(
                code=code,
                client_id=request.client.client_id,
                redirect_uri=payload.redirect_uri,
                scope=payload.scope,
                user_id=request.user.name,
                code_challenge=payload.data.get("code_challenge"),
                code_challenge_method=payload.data.get("code_challenge_method"),
            )
        )
        session.commit()

    def query_authorization_code(self, code: str, client: Any) -> Any:
        found = session.query(Code).filter_by(code=code, client_id=client.client_id).first()
        return found if found and not found.is_expired() else None

    def delete_authorization_code(self, authorization_code: Any) -> None:
        session.delete(authorization_code)
        session.commit()

    def authenticate_user(self, authorization_code: Any) -> Person:
        return Person(authorization_code.user_id)


class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        found = session.query(Token).filter_by(refresh_token=refresh_token).first()
        return found if found and not found.refresh_token_revoked_at else None

    def authenticate_user(self, refresh_token: Any) -> Person:
        return Person(refresh_token.user_id)

    def revoke_old_credential(self, refresh_token: Any) -> None:
        refresh_token.refresh_token_revoked_at = refresh_token.access_token_revoked_at = int(time.time())
        session.commit()


app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
listening = make_server("127.0.0.1", 0, app, threaded=True)
url = f"http://127.0.0.1:{listening.port}"
issuer = f"{url}/tenant"


class Issuer(IssuerParameter):  # type: ignore[misc]
    def get_issuer(self) -> str:
        return issuer


server = AuthorizationServer(
    app, query_client=create_query_client_func(session, Client), save_token=create_save_token_func(session, Token)
)
server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
server.register_grant(RefreshTokenGrant)
server.register_endpoint(create_revocation_endpoint(session, Token))
server.register_extension(Issuer())
protector = ResourceProtector()
protector.register_token_validator(create_bearer_token_validator(session, Token)())


@app.get("/.well-known/oauth-authorization-server/tenant")
def metadata() -> Response:
    members = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": SCOPES.split(),
        "authorization_response_iss_parameter_supported": True,
    }
    return jsonify(members)


@app.route("/tenant/authorize", methods=["GET", "POST"])
def authorize() -> Any:
    if request.method == "POST":
        person = Person(request.form["person"]) if request.form["answer"] == "yes" else None
        return server.create_authorization_response(grant_user=person)
    try:
        grant = server.get_consent_grant(end_user=None)
    except OAuth2Error as error:
        return error.description or error.error, 400
    return render_template_string(PAGE, client=grant.client.client_name, scope=grant.request.payload.scope)


@app.post("/tenant/token")
def token() -> Any:
    answer = server.create_token_response()
    kind = "refresh" if request.form.get("grant_type") == "refresh_token" else "exchange"
    counts[kind if answer.status_code == 200 else "refused"] += 1
    if answer.status_code == 200 and losing:
        losing.clear()
        request.environ["werkzeug.socket"].shutdown(2)  # the tokens are kept here, and their answer never arrives
    return answer


@app.post("/tenant/revoke")
def revoke() -> Any:
    counts["revoke"] += 1
    return server.create_endpoint_response("revocation")


@app.get("/api/<path:_>")
def api(_: str) -> Any:
    counts["api"] += 1
    return who()


@protector("profile")  # type: ignore[untyped-decorator]
def who() -> Any:
    return jsonify(person=current_token.user_id)


@app.route("/control/<what>")
def control(what: str) -> Any:
    if what == "expire":
        session.execute(update(Token).values(issued_at=1))
    elif what == "end":
        now = int(time.time())
        session.execute(update(Token).values(refresh_token_revoked_at=now, access_token_revoked_at=now))
    elif what == "lose":
        losing.append(True)
    session.commit()
    return jsonify(counts)


@app.teardown_appcontext
def end_session(_: object) -> None:
    session.remove()


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs addresses, and codes with them
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback
    Base.metadata.create_all(engine)
    client = Client(client_id=settings["client_id"], client_secret=settings["client_secret"], client_id_issued_at=1)
    client.set_client_metadata(
        {
            "client_name": "Foreign",
            "redirect_uris": [settings["redirect_uri"]],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": SCOPES,
            "token_endpoint_auth_method": "client_secret_basic",
        }
    )
    session.add(client)
    session.commit()
    session.remove()
    print(json.dumps({"issuer": issuer, "url": url}), flush=True)
    listening.serve_forever()


if __name__ == "__main__":
    main()
