"""A Django project in one file, whose users connect their account: a grant belongs to the user who is signed in.

The redirect URI lies in a folder of its own:
export GRANTFLOW_REDIRECT_URI="${GRANTFLOW_REDIRECT_URI%/oauth}/webex/oauth"
"""

from urllib.parse import urlsplit

import django
from django.conf import settings as project
from django.contrib.auth.decorators import login_required
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from own import settings

from grantflow import Integration
from grantflow.client.adapters.django import mount
from grantflow.client.pages import About

integration = Integration(**settings(below="/webex"))
SIGN_IN = '<form method="post">{% csrf_token %}{{ form }}<button>Sign in</button></form>'

project.configure(
    SECRET_KEY=integration.keys.mac_key("example: Django").hex(),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    LOGIN_URL="/sign-in",
    LOGIN_REDIRECT_URL="/",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "users.db"}},
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        f"{__name__}.middleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"sign_in.html": SIGN_IN})]},
        }
    ],
    LOGGING={"version": 1, "loggers": {"django.server": {"level": "ERROR"}}},  # it would hold the codes
)
django.setup()

webex = mount(integration, About("Space list", does="See your spaces here"), home="/")
middleware = webex.middleware


def spaces(request: HttpRequest) -> HttpResponse:
    with webex.client(request) as client:
        rooms = client.get("rooms").raise_for_status().json()["items"]
    template = engines["django"].from_string("<ul>{% for room in rooms %}<li>{{ room.title }}{% endfor %}</ul>")
    return HttpResponse(template.render({"rooms": rooms}, request))


def sign_in(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth.views import LoginView  # which a project has in a file of its own, where this is no matter

    return LoginView.as_view(template_name="sign_in.html")(request)


urlpatterns = [*webex.urlpatterns, path("", login_required(spaces)), path("sign-in", sign_in)]

if __name__ == "__main__":
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    password = integration.mint(12)
    user, _ = User.objects.get_or_create(username="you")
    user.set_password(password)
    user.save()
    print("Sign in as: you", password, flush=True)
    address = urlsplit(integration.redirect_uri)
    call_command("runserver", f"127.0.0.1:{address.port}", use_reloader=False)
