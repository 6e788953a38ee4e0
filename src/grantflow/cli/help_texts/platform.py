"""`platform ...`."""

_DATA = """\
  --data DIR                   the platform's data directory
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]"""

_SERVE = """\
grantflow platform serve [OPTIONS]

Serve a platform: authorization server, sign-in and consent, and the API.

Examples
  grantflow platform serve
  grantflow platform serve --public-url https://id.example.com \\
      --data /srv/id
  grantflow platform serve --role resource-server --port 9002 \\
      --resource-owner-url http://127.0.0.1:9000

Options (each also GRANTFLOW_PLATFORM_..., such as GRANTFLOW_PLATFORM_PORT, or
under [platform] in grantflow.toml)
  --host HOST                  where to listen [127.0.0.1]
  -p, --port PORT              0 takes a free one [9000]
  --public-url URL             how people and integrations reach it, behind a
                               proxy; https but on this machine
  --trusted-proxy NETWORK      whose X-Forwarded-For is believed; may be
                               repeated [nobody's; TRUSTED_PROXIES takes a list]
  --role ROLE                  authorization-server, resource-owner (sign-in,
                               consent, connected apps), resource-server (the
                               API) or developer-portal (My Webex Apps, App
                               Hub); may be repeated [all of them]
  --authorization-server-url URL
  --resource-owner-url URL
  --resource-server-url URL
  --developer-portal-url URL   where the roles are found that run in processes
                               of their own over the same data; all but the
                               third on one host name, for they share a session
  --workers N                  processes that share the port and the data; as
                               many as the machine has cores, at most [1]
  --data DIR                   where the database is kept
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]
  --access-token-lifetime S    seconds [1209600]
  --refresh-token-lifetime S   seconds unused, anew with each use [7776000]
  --error-body superset|webex  Webex's error bodies with the standard's members,
                               or exactly Webex's [superset]
  --token-endpoint-accepts-json
                               take JSON where only forms are due
  --report-countdown           tell a refresh token's remaining life, as Webex
                               has been seen to do
  --revoke-on-sign-out         what a person granted ends when they sign out;
                               GRANTFLOW_PLATFORM_REVOKE_ON_PASSWORD_CHANGE=true
                               ends it with `person password`
  --sandbox, --no-sandbox      banner and rules of a sandbox [as data was begun]
  --json                       one line of JSON on stdout, once it answers"""

_PERSON_ADD = f"""\
grantflow platform person add EMAIL --name NAME [OPTIONS]

Add a person who can sign in, also while the platform runs. The password is
asked for on a terminal; without one it is made up and shown this one time.

Examples
  grantflow platform person add ada@example.com --name "Ada Lovelace"
  grantflow platform person add ops@example.com --name Ops --admin \\
      --password-stdin < password.txt

Options
  --name NAME                  as others see it
  --admin                      may revoke what others granted
  --password-stdin             read the password from standard input
{_DATA}
  --json                       the result as one line of JSON"""

_PERSON_LIST = f"""\
grantflow platform person list [OPTIONS]

List the people who can sign in.

Options
{_DATA}
  --json                       the result as one line of JSON"""

_PERSON_PASSWORD = f"""\
grantflow platform person password EMAIL [OPTIONS]

Give a person another password, also while the platform runs, and end all
their sessions. It is asked for on a terminal; without one it is made up and
shown. What the person granted stays: revoke it by `platform grant revoke`.

Examples
  grantflow platform person password ada@example.com
  grantflow platform person password ada@example.com \\
      --password-stdin < password.txt

Options
  --password-stdin             read the password from standard input
{_DATA}
  --json                       the result as one line of JSON"""

_APP_ADD = f"""\
grantflow platform app add NAME --redirect-uri URI --scopes "..."
    [OPTIONS]

Register an integration, also while the platform runs. Its client secret is
shown this one time.

Examples
  grantflow platform app add "Space Helper" \\
      --redirect-uri https://app.example.com/oauth \\
      --scopes "spark:people_read spark:rooms_read"

Options
  --redirect-uri URI           where people come back to; may be repeated
  --scopes "SCOPE ..."         what it may ask for at most, separated by spaces
  --profile webex|strict       Webex's habits, or PKCE and rotation (RFC 9700)
                               [webex; a public one is strict]
  --public                     without a secret: an app on people's own devices
  --description TEXT           what it does
  --contact-email EMAIL        for the platform's staff, shown nowhere publicly
  --site-url URL               its landing page
  --owner EMAIL                the person who publishes it
{_DATA}
  --json                       the result as one line of JSON"""

_APP_LIST = f"""\
grantflow platform app list [OPTIONS]

List the integrations that are registered.

Options
{_DATA}
  --json                       the result as one line of JSON"""

_APP_DELETE = f"""\
grantflow platform app delete APP [OPTIONS]

Delete an integration (APP: its name or client ID), also while the platform
runs: its client ID and secrets are gone for good, and all that people granted
it ends at once. Its name is free again.

Examples
  grantflow platform app delete "Space Helper"

Options
  --yes                        do not ask on a terminal
{_DATA}
  --json                       the result as one line of JSON"""

_BOT_ADD = f"""\
grantflow platform bot add USERNAME --name NAME [OPTIONS]

Register a bot, also while the platform runs: an account of its own that nobody
grants anything, and that sees only the rooms it was invited to. Its email is
USERNAME@webex.bot. Its token is shown this one time; it does not run out.

Examples
  grantflow platform bot add lockbot --name LockBot
  grantflow platform bot add lockbot --name LockBot > token.txt

Options
  --name NAME                  as others see it
  --description TEXT           what it does
  --owner EMAIL                the person who registers it
{_DATA}
  --json                       the result as one line of JSON"""

_BOT_LIST = f"""\
grantflow platform bot list [OPTIONS]

List the bots that are registered.

Options
{_DATA}
  --json                       the result as one line of JSON"""

_BOT_REGENERATE = f"""\
grantflow platform bot regenerate USERNAME [OPTIONS]

Give a bot a new token, shown this one time. The old one dies at once.

Options
  --yes                        do not ask on a terminal
{_DATA}
  --json                       the result as one line of JSON"""

_BOT_DELETE = f"""\
grantflow platform bot delete USERNAME [OPTIONS]

Delete a bot: its token dies at once, and it leaves its group rooms. What it
wrote stays, and its username is never given to another.

Options
  --yes                        do not ask on a terminal
{_DATA}
  --json                       the result as one line of JSON"""

_GRANT_LIST = f"""\
grantflow platform grant list [OPTIONS]

List what people have granted.

Options
  --person EMAIL               only what this person granted
  --app APP                    only to this integration: its client ID or name
{_DATA}
  --json                       the result as one line of JSON"""

_GRANT_REVOKE = f"""\
grantflow platform grant revoke [--person EMAIL] [--app APP] [OPTIONS]

Revoke what one person granted, or what one integration was granted, or both:
all its tokens die at once, and the people have to grant again. Everybody
else's grants stay.

Examples
  grantflow platform grant revoke --person ada@example.com \\
      --app "Space Helper"
  grantflow platform grant revoke --app "Space Helper" --dry-run

Options
  --person EMAIL               whose grants
  --app APP                    to which integration: its client ID or name
  --dry-run                    say what would be lost, and change nothing
  --yes                        do not ask on a terminal
{_DATA}
  --json                       the result as one line of JSON"""

COMMANDS = {
    ("platform", "serve"): _SERVE,
    ("platform", "person", "add"): _PERSON_ADD,
    ("platform", "person", "list"): _PERSON_LIST,
    ("platform", "person", "password"): _PERSON_PASSWORD,
    ("platform", "app", "add"): _APP_ADD,
    ("platform", "app", "list"): _APP_LIST,
    ("platform", "app", "delete"): _APP_DELETE,
    ("platform", "bot", "add"): _BOT_ADD,
    ("platform", "bot", "list"): _BOT_LIST,
    ("platform", "bot", "regenerate"): _BOT_REGENERATE,
    ("platform", "bot", "delete"): _BOT_DELETE,
    ("platform", "grant", "list"): _GRANT_LIST,
    ("platform", "grant", "revoke"): _GRANT_REVOKE,
}
