"""django-oauth-toolkit as a peer: opaque tokens, no rotation, PKCE optional, on PostgreSQL by kept connections.

Where ``ROTATES`` is set, refresh tokens are swapped and protected against reuse, with ``GRACE_SECONDS`` of grace.

The person signs in by opening ``/enter?person=N``; the application skips the question for consent. Its secret is kept
in clear, since the default (PBKDF2, a million rounds) takes most of a second for each request. ``DATABASE`` and
``REDIRECT_URI`` stand in the environment. ``python server.py`` makes tables, people and application, and serves with
gunicorn, two workers of sixteen threads; it prints its address.
"""

import json
import os
import socket
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command

DATABASE = urlsplit(os.environ["DATABASE"])
PEOPLE = 8

settings.configure(
    SECRET_KEY="a key of this benchmark alone",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="server_urls",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": DATABASE.hostname,
            "PORT": DATABASE.port,
            "USER": DATABASE.username,
            "NAME": DATABASE.path.lstrip("/"),
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    LOGIN_URL="/enter",
    OAUTH2_PROVIDER={
        "PKCE_REQUIRED": False,
        "ROTATE_REFRESH_TOKEN": "ROTATES" in os.environ,
        "REFRESH_TOKEN_REUSE_PROTECTION": "ROTATES" in os.environ,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": int(os.environ.get("GRACE_SECONDS", "0")),
        "SCOPES": {"read": "Read"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": 1_209_600,
        "AUTHORIZATION_CODE_EXPIRE_SECONDS": 300,
        "REFRESH_TOKEN_EXPIRE_SECONDS": 7_776_000,
    },
)
django.setup()


def furnish() -> None:
    from django.contrib.auth.models import User
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    for number in range(PEOPLE):
        User.objects.get_or_create(username=f"person-{number}")
    Application.objects.get_or_create(
        client_id="bench",
        client_secret="bench-secret-bench-secret-bench-secret",
        hash_client_secret=False,
        name="bench",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=os.environ["REDIRECT_URI"],
        skip_authorization=True,
    )


def main() -> None:
    from django.core.wsgi import get_wsgi_application
    from django.db import connections
    from gunicorn.app.base import BaseApplication

    class Gunicorn(BaseApplication):
        def load_config(self) -> None:
            options = {"workers": 2, "threads": 16, "worker_class": "gthread", "keepalive": 75, "loglevel": "warning"}
            for name, value in {**options, "bind": f"127.0.0.1:{port}", "when_ready": ready}.items():
                self.cfg.set(name, value)

        def load(self) -> object:
            return get_wsgi_application()

    def ready(_: object) -> None:
        print(json.dumps({"platform_url": f"http://127.0.0.1:{port}"}), flush=True)

    if "FURNISHED" not in os.environ:  # a cold start is measured without it
        furnish()
    connections.close_all()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    Gunicorn().run()


if __name__ == "__main__":
    main()
