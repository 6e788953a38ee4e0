"""The walkthrough's own app in today's Flask: a start page, the redirect URI, a page for success."""

import logging
import os
from urllib.parse import urlsplit

from flask import Flask, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from grantflow import GrantflowError, Integration, KeyRing, ReauthorizationRequired, TokenEndpointError, open_vault

KEY = "GRANTFLOW_KEY_FILE" if os.environ.get("GRANTFLOW_KEY_FILE") else "GRANTFLOW_KEY"
NEEDED = ("GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI", KEY)
if missing := [name for name in NEEDED if not os.environ.get(name)]:
    raise SystemExit(f'Not set: {", ".join(missing)}. Beside ./dev up, run: eval "$(./dev grantflow status -o env)"')

integration = Integration(
    os.environ["GRANTFLOW_CLIENT_ID"],
    os.environ["GRANTFLOW_CLIENT_SECRET"],
    redirect_uri=os.environ["GRANTFLOW_REDIRECT_URI"],
    scopes="spark:people_read spark:rooms_read",
    vault=open_vault(os.environ.get("GRANTFLOW_VAULT", "grants.db"), keys=KeyRing.from_env()),
    api_url=os.environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1"),
)
HOME = urlsplit(integration.redirect_uri)

app = Flask(__name__)
app.secret_key = integration.keys.mac_key("flask session")
app.config.update(
    PLATFORM=os.environ.get("GRANTFLOW_PLATFORM", "Webex"),
    SESSION_COOKIE_NAME="walkthrough",
    SESSION_COOKIE_SAMESITE="Lax",
    SESSION_COOKIE_SECURE=HOME.scheme == "https",
)


@app.get("/")
def index() -> ResponseReturnValue:
    return render_template("index.html")


@app.get("/connect")
def connect() -> ResponseReturnValue:
    begun = integration.authorization_request(grant=request.args.get("grant"))
    response = redirect(begun.url)
    response.headers.add("Set-Cookie", begun.cookie.header)
    return response


@app.get("/oauth")
def oauth() -> ResponseReturnValue:
    try:  # checks state, turns the code into tokens, asks who the person is, seals and stores it all
        grant = integration.complete_authorization(request.url, request.cookies)
    except GrantflowError as error:
        return render_template("index.html", reason=error), 400
    session["person"] = grant.person_id
    return redirect(url_for("granted"))


@app.get("/granted")
def granted() -> ResponseReturnValue:
    if "person" not in session:
        return redirect(url_for("index"))
    try:
        with integration.client_for(session["person"]) as webex:
            person = webex.get("people/me").raise_for_status().json()
            rooms = webex.get("rooms").raise_for_status().json()["items"]
    except ReauthorizationRequired as error:
        return redirect(error.grant_url)
    except TokenEndpointError as error:
        return render_template("index.html", reason=error), 503
    return render_template("granted.html", person=person, rooms=rooms)


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # its log of requests would hold the codes
    print(f"Open {HOME.scheme}://{HOME.netloc}", flush=True)
    app.run(port=HOME.port or 8000)
