"""The commands on one's own integration: from `serve` to `doctor`."""

from grantflow.cli.help_texts.shared import OWN

_PERSON = """\
PERSON is an e-mail address, an id at the platform, or the id of a grant; where
one person only has granted, it may be left out."""

_SERVE = """\
grantflow serve [OPTIONS]

Serve the pages of your own integration: landing page, redirect URI, and what
follows. Register http://localhost:8000/oauth as its redirect URI, or /oauth
below --public-url.

Examples
  grantflow keys new --out grantflow.key    once: it opens the vault
  export GRANTFLOW_KEY_FILE=grantflow.key
  grantflow serve --env-file my-integration.env   as the portal gives it
  grantflow serve --tls
  grantflow serve --public-url https://example.ngrok.app

Options
  --host HOST                  where to listen [GRANTFLOW_HOST; localhost]
  -p, --port PORT              0 takes a free one [GRANTFLOW_PORT; that of a
                               redirect URI on this machine, or else 8000]
  --public-url URL             how people and the platform reach it, behind a
                               proxy or tunnel [GRANTFLOW_PUBLIC_URL]
  --tls                        speak https, with a certificate made on the spot
  --token-api                  hand living access tokens to programs with a key
                               (`callers add`): POST /token, at an address of
                               its own [GRANTFLOW_TOKEN_API]
  --token-api-host HOST        where; beyond this machine over --tls alone
                               [GRANTFLOW_TOKEN_API_HOST; 127.0.0.1]
  --token-api-port PORT        0 takes a free one [GRANTFLOW_TOKEN_API_PORT;
                               8010]
  --try-it                     let whoever granted post a message; it takes the
                               scopes people_read, rooms_read, messages_write
  --metrics                    for Prometheus, at /metrics of an address of its
                               own [GRANTFLOW_METRICS]
  --metrics-host HOST          where [GRANTFLOW_METRICS_HOST; 127.0.0.1]
  --metrics-port PORT          0 takes a free one [GRANTFLOW_METRICS_PORT;
                               9464]
  --env-file FILE              settings that the environment does not have, such
                               as the portal's .env
  --data DIR                   where vault and certificates are kept
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]
  -o, --open                   open the landing page in the browser
  --json                       one line of JSON on stdout, once it answers

Settings (environment, or [integration] in grantflow.toml in lower case and
without GRANTFLOW_; GRANTFLOW_CONFIG names another file)
  GRANTFLOW_CLIENT_ID          from the platform, when it was registered
  GRANTFLOW_CLIENT_SECRET      the same; or GRANTFLOW_CLIENT_SECRET_FILE
  GRANTFLOW_OTHER_CLIENT_SECRET
                               while it is replaced: the one that works is used
  GRANTFLOW_PUBLIC_CLIENT      true: it has no secret
  GRANTFLOW_SCOPES             what to ask for, separated by spaces
  GRANTFLOW_KEY                seals tokens; or GRANTFLOW_KEY_FILE
  GRANTFLOW_VAULT              what keeps grants: a file [one in DIR], or
                               postgresql://account:password@host/name
  GRANTFLOW_REDIRECT_URI       [/oauth below the public URL]
  GRANTFLOW_API_URL            [the issuer, or https://webexapis.com/v1]
  GRANTFLOW_AUTHORIZATION_ENDPOINT, GRANTFLOW_TOKEN_ENDPOINT
                               [/authorize and /access_token below the API]
  GRANTFLOW_REVOCATION_URL     where grants are revoked (RFC 7009)
                               [the issuer's, or nowhere]
  GRANTFLOW_ISSUER             whom each answer must name as sender (RFC 9207);
                               without the endpoints, whose metadata names them
  GRANTFLOW_AUTHORIZATION_PARAMETERS
                               what else to ask with, such as prompt=consent
  GRANTFLOW_CLIENT_AUTHENTICATION
                               basic, or body [as the metadata says, or body]
  GRANTFLOW_NAME               what the pages call the integration
  GRANTFLOW_PLATFORM           what they call the platform
  GRANTFLOW_CONNECTED_APPS_URL its page where people revoke grants"""

_LOGIN = f"""\
grantflow login [PERSON] [OPTIONS]

Take a person through the grant, and keep it for your integration. The browser
opens at the platform; the answer comes to the redirect URI, where the command
listens if it is on this machine. Without a browser here (ssh), open the address
that is shown anywhere, and paste the one that the browser was sent to.

Examples
  grantflow login
  grantflow login --env-file my-integration.env
  grantflow login ada@example.com             renew this grant, no other

Options
  --no-browser                 only show the address
  -p, --port PORT              listen at another port than the redirect URI's, 0
                               at a free one: where the platform takes any port
                               of a loopback address (RFC 8252); so it is done
                               by itself for http://127.0.0.1/oauth
  --scopes "SCOPE ..."         ask for these [GRANTFLOW_SCOPES]
  --timeout S                  seconds to wait for the answer [600]
{OWN}
  --json                       the result as one line of JSON

Exit codes: 4 nothing was granted; 1 the port is taken that the answer comes to."""

_LOGOUT = f"""\
grantflow logout [PERSON] [OPTIONS]

End a person's grant: the platform is asked to revoke it (RFC 7009), where
GRANTFLOW_REVOCATION_URL says how, and the tokens here are forgotten in every
case. It says which of the two happened.

{_PERSON}

Options
  --yes                        do not ask on a terminal
{OWN}
  --json                       the result as one line of JSON

Exit code 5: forgotten here, but the platform did not revoke it."""

_WHOAMI = f"""\
grantflow whoami [PERSON] [OPTIONS]

Show who has granted, and ask the API who they are: GET people/me with the token
of each, renewed where it has to be.

{_PERSON}

Options
{OWN}
  --json                       the result as one line of JSON

Exit code 4: the person, or each of them, must grant again. 5: the API did not
answer for another reason."""

_API = f"""\
grantflow api METHOD PATH [OPTIONS]

Call the API in a person's name and write the answer to stdout: as it came, or
on a terminal in lines. A token that the API refuses is renewed on the way.
PATH lies below GRANTFLOW_API_URL; a whole address works if it is the API's.

Examples
  grantflow api GET people/me
  grantflow api GET rooms -f max=2 --paginate --person ada@example.com
  grantflow api POST messages -f toPersonEmail=g@example.com -f text=Hello
  grantflow api PUT rooms/ID --body @room.json

Options
  --person PERSON              in whose name: an e-mail address, or an id at the
                               platform or of a grant [who alone has granted]
  -f, --field NAME=TEXT        a member of a JSON body, or of the query of GET,
                               HEAD and DELETE; NAME:=JSON for what is no text;
                               may be repeated
  --body TEXT                  the whole body; @FILE reads it, @- from stdin.
                               It is JSON, if --header says nothing else
  -H, --header NAME:TEXT       may be repeated
  -i, --include                show status and headers too
  --paginate                   follow the links to further pages, and write the
                               items of all in one object
{OWN}

Exit codes by the answer's status: 0 below 400, 4 for 401, 5 for 408, 425, 429
and from 500 on, 1 for others."""

_TOKEN = f"""\
grantflow token [PERSON] [OPTIONS]

Print a living access token, alone, for programs that call the API by
themselves. It is renewed first, where its time is as good as over. The audit
log says that it was handed out.

{_PERSON}

Examples
  curl --oauth2-bearer "$(grantflow token)" \\
      https://webexapis.com/v1/people/me
  grantflow token ada@example.com --check --json

Options
  --check                      ask the API too whether it takes the token, and
                               renew it if not
{OWN}
  --json                       with its lifetime, as one line of JSON"""

_DOCTOR = f"""\
grantflow doctor [OPTIONS]

Look at everything that your own integration needs, a line for each, and below
it what to do where something is not well: settings, key, vault and its disk,
scopes, redirect URI, certificates, the platform, its clock and what it says of
itself, what it answers to an authorization request, the client secret. No
grant is changed, and nobody's token is sent.

Options
{OWN}
  --json                       the findings as one line of JSON

Exit code 1: something has to be mended (FAIL)."""

COMMANDS = {
    ("serve",): _SERVE,
    ("login",): _LOGIN,
    ("logout",): _LOGOUT,
    ("whoami",): _WHOAMI,
    ("api",): _API,
    ("token",): _TOKEN,
    ("doctor",): _DOCTOR,
}
