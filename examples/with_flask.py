"""A Flask application whose users connect their account: pages, signed-in user, and a page that calls in their name.

The redirect URI lies in a folder of its own:
export GRANTFLOW_REDIRECT_URI="${GRANTFLOW_REDIRECT_URI%/oauth}/webex/oauth"
"""

import logging
from urllib.parse import urlsplit

from flask import Flask, abort, redirect, render_template_string, request, session
from flask.typing import ResponseReturnValue
from own import settings

from grantflow import Integration
from grantflow.client.adapters.flask import mount
from grantflow.client.pages import About

app = Flask(__name__)
integration = Integration(**settings(below="/webex"))
app.secret_key = integration.keys.mac_key("example: Flask's session")


def signed_in() -> str:
    """Your application's own user. Whoever is not signed in is sent to sign in first."""
    user: str | None = session.get("user")
    return user or abort(redirect("/sign-in"))


webex = mount(app, integration, About("Space list", does="See your spaces here"), owner_of=signed_in, home="/")


@app.get("/")
def spaces() -> str:
    with webex.client() as client:
        rooms = client.get("rooms").raise_for_status().json()["items"]
    return render_template_string("<ul>{% for room in rooms %}<li>{{ room.title }}{% endfor %}</ul>", rooms=rooms)


@app.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    """Any name will do here; yours asks for more."""
    if request.method == "GET":
        return '<form method="post"><input name="user" aria-label="Name"><button>Sign in</button></form>'
    session["user"] = request.form["user"]
    return redirect("/")


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # its log of requests would hold the codes
    app.run(port=urlsplit(integration.redirect_uri).port)
