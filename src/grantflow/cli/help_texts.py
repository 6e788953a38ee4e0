"""The text of each help page, plain, so that it comes up at once. A test holds it against the commands as they are."""

OVERVIEW = """\
Grantflow: both halves of an OAuth integration.

Examples
  grantflow up                  start a sandbox with people and an integration
  grantflow up --open           ... and open the integration in the browser
  grantflow status              where everything answers, and who can sign in
  grantflow serve --tls         your own integration's pages, over https
  grantflow login               or grant it access from the terminal
  grantflow api GET people/me   call the API in a person's name
  grantflow platform serve      the platform alone

Commands on a sandbox
  up                            start platform and sample integration
  status                        show what `up` showed

Commands on your own integration
  serve                         serve its pages
  login                         take a person through the grant
  logout                        end a grant, at the platform too
  whoami                        who has granted, and what the API says of them
  api                           call the API in a person's name
  token                         print a living access token
  doctor                        look at all that it needs
  grants import                 bring in tokens that another program got
  grants list | show            what people have granted to it
  grants explain                why somebody was logged out, and what to do
  grants refresh | retry | revoke
  grants expiring | keep-alive  those that die when nobody uses them
  callers add | list | remove   programs that are handed access tokens
  keys new                      make a key that seals tokens
  keys status | rotate          which keys seal what; let a new one take over

Commands on a platform
  platform serve                serve a platform
  platform person add | list    the people who can sign in
  platform person password      give one of them another password
  platform app add | list       the integrations that are registered
  platform app delete           delete one, with all that was granted to it
  platform bot add | list       accounts of their own, with their own token
  platform bot regenerate | delete
  platform grant list | revoke  what people have granted

Everywhere
  -h, --help                    this page, or a command's own
  --version                     versions of Grantflow, Python and the schemas
  --verbose                     log each request, without codes and tokens
  --debug                       log everything and show tracebacks

Flags come before environment variables, and these before grantflow.toml.
Results go to stdout, all else to stderr; --json makes results one line of JSON.
NO_COLOR, CLICOLOR and CLICOLOR_FORCE are obeyed.

Exit codes
  0 done   1 failed   2 wrong usage, or cancelled   4 a person must grant first
  5 refused by the other side, or out of order for now   130 interrupted"""

_UP = """\
grantflow up [OPTIONS]

Start a sandbox on this machine: a Webex-compatible platform with people, rooms
and messages, and a sample integration that is registered there. It needs
neither internet nor a Webex account. Stop it with Ctrl-C.

Examples
  grantflow up
  grantflow up --open
  grantflow up --access-token-lifetime 60        tokens that die in a minute
  grantflow up --port 0 --integration-port 0 --json --data /tmp/sandbox

Options
  --data DIR                   where state is kept: people, passwords, grants
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]
  -p, --port PORT              of the platform; 0 takes a free one [9000]
  --integration-port PORT      of the sample integration [8000]
  --access-token-lifetime S    seconds that an access token lives [1209600]
  --refresh-token-lifetime S   the same of an unused refresh token [7776000]
  -o, --open                   open the sample integration in the browser
  --json                       one line of JSON on stdout, once all answers

The first start makes up passwords and credentials and keeps them in the data
directory, readable by you alone. Later starts find them again."""

_STATUS = """\
grantflow status [OPTIONS]

Show where a running `grantflow up` answers, and with which credentials.

Examples
  grantflow status
  eval "$(grantflow status -o env)"

With -o env it prints lines for a shell, for code of your own: all that
`grantflow serve` and the library need to reach the sandbox, with an
integration that is registered for you, whose redirect URI nothing of
ours answers, and a key for your vault. The sample's grants stay its own.

Options
  --data DIR                   the data directory of `grantflow up`
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]
  -o, --output text|env|json   how to show it [text]
  --json                       the same as --output json

Exit code 1: it does not run."""

_SERVE = """\
grantflow serve [OPTIONS]

Serve the pages of your own integration: landing page, redirect URI, and what
follows. Register http://localhost:8000/oauth as its redirect URI, or /oauth
below --public-url.

Examples
  (umask 077; grantflow keys new > grantflow.key)     once: it opens the vault
  export GRANTFLOW_KEY_FILE=grantflow.key
  grantflow serve --env-file my-integration.env      as the portal gives it
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
  GRANTFLOW_REVOCATION_URL     where grants are revoked (RFC 7009) [nowhere]
  GRANTFLOW_ISSUER             whom each answer must name as sender (RFC 9207);
                               without the endpoints, whose metadata names them
  GRANTFLOW_AUTHORIZATION_PARAMETERS
                               what else to ask with, such as prompt=consent
  GRANTFLOW_CLIENT_AUTHENTICATION
                               basic, or body [as the metadata says, or body]
  GRANTFLOW_NAME               what the pages call the integration
  GRANTFLOW_PLATFORM           what they call the platform
  GRANTFLOW_CONNECTED_APPS_URL its page where people revoke grants"""

_PERSON = """\
PERSON is an e-mail address, an id at the platform, or the id of a grant; where
one person only has granted, it may be left out."""

_OWN = """\
  --env-file FILE              settings that the environment does not have, such
                               as the portal's .env; `serve --help` lists them
  --data DIR                   where the vault lies
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]"""

_LOGIN = f"""\
grantflow login [PERSON] [OPTIONS]

Take a person through the grant, and keep it for your integration. The browser
opens at the platform; the answer comes to the redirect URI, where the command
listens if it is on this machine. Without a browser here (ssh), open the address
that is shown anywhere, and paste the one that the browser was sent to.

Examples
  grantflow login
  grantflow login --env-file my-integration.env
  grantflow login ada@example.com                   renew this grant, no other

Options
  --no-browser                 only show the address
  -p, --port PORT              listen at another port than the redirect URI's, 0
                               at a free one: where the platform takes any port
                               of a loopback address (RFC 8252); so it is done
                               by itself for http://127.0.0.1/oauth
  --scopes "SCOPE ..."         ask for these [GRANTFLOW_SCOPES]
  --timeout S                  seconds to wait for the answer [600]
{_OWN}
  --json                       the result as one line of JSON

Exit codes: 4 nothing was granted; 1 the port is taken that the answer comes to."""

_LOGOUT = f"""\
grantflow logout [PERSON] [OPTIONS]

End a person's grant: the platform is asked to revoke it (RFC 7009), where
GRANTFLOW_REVOCATION_URL says how, and the tokens here are forgotten in every
case. It says which of the two happened.

{_PERSON}

Options
{_OWN}
  --json                       the result as one line of JSON

Exit code 5: forgotten here, but the platform did not revoke it."""

_WHOAMI = f"""\
grantflow whoami [PERSON] [OPTIONS]

Show who has granted, and ask the API who they are: GET people/me with the token
of each, renewed where it has to be.

{_PERSON}

Options
{_OWN}
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
{_OWN}

Exit codes by the answer's status: 0 below 400, 4 for 401, 5 for 408, 425, 429
and from 500 on, 1 for others."""

_TOKEN = f"""\
grantflow token [PERSON] [OPTIONS]

Print a living access token, alone, for programs that call the API by
themselves. It is renewed first, where its time is as good as over. The audit
log says that it was handed out.

{_PERSON}

Examples
  curl --oauth2-bearer "$(grantflow token)" https://webexapis.com/v1/people/me
  grantflow token ada@example.com --check --json

Options
  --check                      ask the API too whether it takes the token, and
                               renew it if not
{_OWN}
  --json                       with its lifetime, as one line of JSON"""

_DOCTOR = f"""\
grantflow doctor [OPTIONS]

Look at everything that your own integration needs, a line for each, and below
it what to do where something is not well: settings, key, vault and its disk,
scopes, redirect URI, certificates, the platform, its clock and what it says of
itself, what it answers to an authorization request, the client secret. No
grant is changed, and nobody's token is sent.

Options
{_OWN}
  --json                       the findings as one line of JSON

Exit code 1: something has to be mended (FAIL)."""

_GRANTS_IMPORT = f"""\
grantflow grants import FILE [OPTIONS]

Bring in tokens that another program got, so that nobody has to grant again.
They are kept in the vault that `grantflow serve` has with the same settings.
FILE is a list of objects in JSON, or one a line; a token file of wxc_sdk; an
Authlib token, or a mapping of them by user. It is told by its shape; - reads
standard input.

Examples
  grantflow grants import tokens.json --dry-run
  grantflow grants import tokens.yml --env-file my-integration.env
  my-export | grantflow grants import -

Options
  --dry-run                    say what would become of each, and change nothing
  --names owner|person         what the names of a mapping are: your own users,
                               or people's ids at the platform [owner]
  --replace                    in place of grants that are here already, too
{_OWN}
  --json                       the result as one line of JSON

Where an entry has no person_id, the platform is asked whose its tokens are;
the refresh token is in the vault before. An entry that cannot be used is named
with what to do, and all others come in. It is safe to run again, after a kill
too. The other program must not use the tokens any more.

Exit codes: 1 some failed; 5 the platform was out of order, run it again."""

_PERSON_OF_GRANTS = """\
PERSON is an e-mail address, an id at the platform, or the id of a grant."""

_OF_OWNER = """\
  --owner OWNER                the one that belongs to this user of your own"""

_GRANTS_LIST = f"""\
grantflow grants list [OPTIONS]

List what people have granted to your integration, by owner and person, however
many there are: who, whether it works, and when it ends if nobody uses it.

Examples
  grantflow grants list
  grantflow grants list --status refused --json

Options
  --status STATUS              only these: active, delayed (the platform does
                               not renew it for now), refused (the person must
                               grant again), revoked; or as --json names them;
                               may be repeated
  --owner OWNER                only those of this user of your own
{_OWN}
  --json                       the result as one line of JSON"""

_GRANTS_SHOW = f"""\
grantflow grants show PERSON [OPTIONS]

Show all that is known of a person's grants, but no token.

{_PERSON_OF_GRANTS}

Options
{_OF_OWNER}
{_OWN}
  --json                       the result as one line of JSON"""

_GRANTS_EXPLAIN = f"""\
grantflow grants explain PERSON [OPTIONS]

Tell why a person was logged out: what happened to the grant, oldest first, with
incidents and the fingerprints of tokens (never tokens), and what to do now.

{_PERSON_OF_GRANTS}

Examples
  grantflow grants explain ada@example.com

Options
{_OF_OWNER}
{_OWN}
  --json                       the result as one line of JSON"""

_GRANTS_REFRESH = f"""\
grantflow grants refresh PERSON [OPTIONS]

Renew a grant now, without waiting for a call that needs it.

{_PERSON_OF_GRANTS}

Options
{_OF_OWNER}
{_OWN}
  --json                       the result as one line of JSON

Exit codes: 4 the person must grant again; 5 the platform did not help."""

_GRANTS_RETRY = f"""\
grantflow grants retry PERSON | --all-refused [OPTIONS]

Try refused refresh tokens again, once the platform has mended what was wrong.
They are kept for 30 days. Where refusals are held back, since there were
suddenly many, --all-refused lets them count again as soon as some of these
grants work; where none does, nothing is declared dead.

{_PERSON_OF_GRANTS}

Examples
  grantflow grants retry ada@example.com
  grantflow grants retry --all-refused

Options
  --all-refused                all of them, one after another
  --release-brake              let refusals count again in any case: what the
                               platform refuses now is declared dead
  --owner OWNER                only those of this user of your own
{_OWN}
  --json                       the result as one line of JSON

Exit codes: 4 some were refused once more; 5 the platform did not help."""

_GRANTS_REVOKE = f"""\
grantflow grants revoke PERSON [OPTIONS]

End a person's grant, as an operator: at the platform where it can be asked, and
here in every case. It says which of the two happened.

{_PERSON_OF_GRANTS}

Options
{_OF_OWNER}
  --yes                        do not ask on a terminal
{_OWN}
  --json                       the result as one line of JSON

Exit code 5: forgotten here, but the platform did not revoke it."""

_GRANTS_EXPIRING = f"""\
grantflow grants expiring [OPTIONS]

List the grants that die when nobody uses them, soonest first.

Examples
  grantflow grants expiring --days 14

Options
  --days N                     within so many days [30]
{_OWN}
  --json                       the result as one line of JSON"""

_GRANTS_KEEP_ALIVE = f"""\
grantflow grants keep-alive [OPTIONS]

Renew the grants that would die within some days, one after another, and leave
all others alone. Run it once a day on as many nodes as you like: none is
renewed twice. It stops where the platform says slow down or is out of order,
and tells where renewing does not help, since the end does not move.

Examples
  grantflow grants keep-alive --days 7

Options
  --days N                     those that end within so many days [7]
{_OWN}
  --json                       the result as one line of JSON

Exit code 5: the platform did not help with all of them; run it again later."""

_CALLERS_ADD = f"""\
grantflow callers add NAME --grant PERSON [OPTIONS]

Let a program of another kind have living access tokens, of the grants that are
named and of no others, from `grantflow serve --token-api`. Its key is shown
this one time; kept is its SHA-256. Each hand-over is in the audit log.

Examples
  grantflow callers add deploy --grant ada@example.com
  grantflow callers add reports --grant ada@example.com --grant g@example.com
  curl -H "Authorization: Bearer $KEY" -d person=ada@example.com \\
      http://127.0.0.1:8010/token

Options
  --grant PERSON               an e-mail address, or an id at the platform or of
                               a grant; may be repeated
{_OWN}
  --json                       the result as one line of JSON"""

_CALLERS_LIST = f"""\
grantflow callers list [OPTIONS]

List the programs that may have access tokens, of whom, and when they were last
here.

Options
{_OWN}
  --json                       the result as one line of JSON"""

_CALLERS_REMOVE = f"""\
grantflow callers remove NAME [OPTIONS]

End a program's key, at once. Tokens that it was given live out their time;
`grantflow logout` ends them with the grant.

Options
  --yes                        do not ask on a terminal
{_OWN}
  --json                       the result as one line of JSON"""

_KEYS_NEW = """\
grantflow keys new

Make a new random key for GRANTFLOW_KEY and print it. Keep it in a secret store,
apart from the vault: whoever has both can read the tokens, and without the key
nobody can.

Example
  (umask 077; grantflow keys new > grantflow.key)     once: it opens the vault
  export GRANTFLOW_KEY_FILE=grantflow.key"""

_KEYS_STATUS = """\
grantflow keys status [OPTIONS]

Show which key seals how many grants in the vault, since when it has been in use
here, and which previous keys nothing needs any more. Keys are named by their
ids, from which no key can be told.

Options
  --env-file FILE              settings that the environment does not have
  --data DIR                   where the vault is [GRANTFLOW_DATA]
  --json                       one line of JSON on stdout

Exit code 1: a key is missing that seals some of the grants."""

_KEYS_ROTATE = """\
grantflow keys rotate [OPTIONS]

Seal every grant in the vault under the primary key, while calls and refreshes
go on. GRANTFLOW_KEY (or the file that GRANTFLOW_KEY_FILE names) has the new key
first and the old one after a comma, at every node by now. It is safe to run
again, after a kill too: what is done is done. At the end it says which key is
needed no longer.

Options
  --env-file FILE              settings that the environment does not have
  --data DIR                   where the vault is [GRANTFLOW_DATA]
  --json                       one line of JSON on stdout

Exit code 1: some grants could not be sealed anew; what to do is told."""

_PLATFORM_SERVE = """\
grantflow platform serve [OPTIONS]

Serve a platform: authorization server, sign-in and consent, and the API.

Examples
  grantflow platform serve
  grantflow platform serve --public-url https://id.example.com --data /srv/id
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

_DATA = """\
  --data DIR                   the platform's data directory
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]"""

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
grantflow platform app add NAME --redirect-uri URI --scopes "..." [OPTIONS]

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
  grantflow platform grant revoke --person ada@example.com --app "Space Helper"
  grantflow platform grant revoke --app "Space Helper" --dry-run

Options
  --person EMAIL               whose grants
  --app APP                    to which integration: its client ID or name
  --dry-run                    say what would be lost, and change nothing
  --yes                        do not ask on a terminal
{_DATA}
  --json                       the result as one line of JSON"""

GRANTS = f"""\
grantflow grants COMMAND [OPTIONS]

What people have granted to your own integration: the vault that `grantflow
serve` has with the same settings.

Commands
  grants import FILE           bring in tokens that another program got
  grants list                  who has granted, and when it ends
  grants show PERSON           all that is known, but no token
  grants explain PERSON        why somebody was logged out, and what to do
  grants refresh PERSON        renew one now
  grants retry PERSON          try a refused token again; --all-refused
  grants revoke PERSON         end one, at the platform too
  grants expiring              those that die when nobody uses them
  grants keep-alive            renew those, and no others

{_PERSON_OF_GRANTS}

Options of all
{_OWN}
  --json                       the result as one line of JSON

grantflow grants COMMAND --help shows its own."""

COMMANDS = {
    ("up",): _UP,
    ("status",): _STATUS,
    ("serve",): _SERVE,
    ("login",): _LOGIN,
    ("logout",): _LOGOUT,
    ("whoami",): _WHOAMI,
    ("api",): _API,
    ("token",): _TOKEN,
    ("doctor",): _DOCTOR,
    ("grants", "import"): _GRANTS_IMPORT,
    ("grants", "list"): _GRANTS_LIST,
    ("grants", "show"): _GRANTS_SHOW,
    ("grants", "explain"): _GRANTS_EXPLAIN,
    ("grants", "refresh"): _GRANTS_REFRESH,
    ("grants", "retry"): _GRANTS_RETRY,
    ("grants", "revoke"): _GRANTS_REVOKE,
    ("grants", "expiring"): _GRANTS_EXPIRING,
    ("grants", "keep-alive"): _GRANTS_KEEP_ALIVE,
    ("callers", "add"): _CALLERS_ADD,
    ("callers", "list"): _CALLERS_LIST,
    ("callers", "remove"): _CALLERS_REMOVE,
    ("keys", "new"): _KEYS_NEW,
    ("keys", "status"): _KEYS_STATUS,
    ("keys", "rotate"): _KEYS_ROTATE,
    ("platform", "serve"): _PLATFORM_SERVE,
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
