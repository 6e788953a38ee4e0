"""The same app by hand. It behaves alike while nothing goes wrong; what it lacks stands in README.md."""

import base64
import hashlib
import logging
import os
import secrets
import sqlite3
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from flask import Flask, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

NEEDED = ("GRANTFLOW_CLIENT_ID", "GRANTFLOW_CLIENT_SECRET", "GRANTFLOW_REDIRECT_URI", "GRANTFLOW_KEY")
if missing := [name for name in NEEDED if not os.environ.get(name)]:
    raise SystemExit(f'Not set: {", ".join(missing)}. Beside ./dev up, run: eval "$(./dev grantflow status -o env)"')

CLIENT_ID = os.environ["GRANTFLOW_CLIENT_ID"]
CLIENT_SECRET = os.environ["GRANTFLOW_CLIENT_SECRET"]
REDIRECT_URI = os.environ["GRANTFLOW_REDIRECT_URI"]
API_URL = os.environ.get("GRANTFLOW_API_URL", "https://webexapis.com/v1")
SCOPES = "spark:people_read spark:rooms_read"
HOME = urlsplit(REDIRECT_URI)

app = Flask(__name__)
app.secret_key = os.environ["GRANTFLOW_KEY"]
app.config.update(
    PLATFORM=os.environ.get("GRANTFLOW_PLATFORM", "Webex"),
    SESSION_COOKIE_NAME="walkthrough",
    SESSION_COOKIE_SAMESITE="Lax",
    SESSION_COOKIE_SECURE=HOME.scheme == "https",
)


class GrantAgain(Exception):
    """The refresh token is refused as well."""


# --- tokens --------------------------------------------------------------------------------------------------------


def ask_for_tokens(**fields: str) -> dict[str, Any]:
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **fields}
    answer = requests.post(f"{API_URL}/access_token", data=form, timeout=30)
    answer.raise_for_status()
    tokens: dict[str, Any] = answer.json()
    return tokens


def get_tokens(code: str, verifier: str) -> dict[str, Any]:
    return ask_for_tokens(grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=verifier)


def refresh(person_id: str, refresh_token: str) -> str:
    try:
        tokens = ask_for_tokens(grant_type="refresh_token", refresh_token=refresh_token)
    except requests.HTTPError as error:
        raise GrantAgain from error
    save(person_id, tokens["access_token"], tokens.get("refresh_token", refresh_token))
    return str(tokens["access_token"])


def ask(path: str, access_token: str) -> requests.Response:
    return requests.get(f"{API_URL}/{path}", headers={"Authorization": f"Bearer {access_token}"}, timeout=30)


def get_oauthuser_info(access_token: str) -> dict[str, Any]:
    answer = ask("people/me", access_token)
    answer.raise_for_status()
    person: dict[str, Any] = answer.json()
    return person


def call(person_id: str, path: str) -> dict[str, Any]:
    access_token, refresh_token = load(person_id)
    answer = ask(path, access_token)
    if answer.status_code == 401:
        answer = ask(path, refresh(person_id, refresh_token))
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


# --- where they are kept -------------------------------------------------------------------------------------------


def database() -> sqlite3.Connection:
    connection = sqlite3.connect("tokens.db", isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS tokens (person_id TEXT PRIMARY KEY, access TEXT, refresh TEXT)")
    return connection


def save(person_id: str, access_token: str, refresh_token: str) -> None:
    connection = database()
    connection.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", (person_id, access_token, refresh_token))
    connection.close()


def load(person_id: str) -> tuple[str, str]:
    connection = database()
    row = connection.execute("SELECT access, refresh FROM tokens WHERE person_id = ?", (person_id,)).fetchone()
    connection.close()
    if row is None:
        raise GrantAgain
    return row[0], row[1]


# --- pages ---------------------------------------------------------------------------------------------------------


@app.get("/")
def index() -> ResponseReturnValue:
    return render_template("index.html")


@app.get("/connect")
def connect() -> ResponseReturnValue:
    session["state"], session["verifier"] = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    digest = hashlib.sha256(session["verifier"].encode()).digest()
    asked = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": SCOPES,
        "state": session["state"],
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    return redirect(f"{API_URL}/authorize?{urlencode(asked)}")


@app.get("/oauth")
def oauth() -> ResponseReturnValue:
    state, verifier = session.pop("state", ""), session.pop("verifier", "")
    if not state or not secrets.compare_digest(state.encode(), request.args.get("state", "").encode()):
        return render_template("index.html", reason="The answer does not belong to this browser. Try again."), 400
    if "code" not in request.args:
        return render_template("index.html", reason=f"No grant: {request.args.get('error', 'no code')}."), 400
    try:
        tokens = get_tokens(request.args["code"], verifier)
        person = get_oauthuser_info(tokens["access_token"])
    except (requests.RequestException, KeyError):
        return render_template("index.html", reason="The code could not be exchanged. Try again."), 400
    save(person["id"], tokens["access_token"], tokens["refresh_token"])
    session["person"] = person["id"]
    return redirect(url_for("granted"))


@app.get("/granted")
def granted() -> ResponseReturnValue:
    if "person" not in session:
        return redirect(url_for("index"))
    try:
        person = call(session["person"], "people/me")
        rooms = call(session["person"], "rooms")["items"]
    except GrantAgain:
        return redirect(url_for("connect"))
    return render_template("granted.html", person=person, rooms=rooms)


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # its log of requests would hold the codes
    print(f"Open {HOME.scheme}://{HOME.netloc}", flush=True)
    app.run(port=HOME.port or 8000)
