"""`callers ...`."""

from grantflow.cli.help_texts.shared import OWN

_ADD = f"""\
grantflow callers add NAME --grant PERSON [OPTIONS]

Let a program of another kind have living access tokens, of the grants that are
named and of no others, from `grantflow serve --token-api`. Its key is
shown this one time; kept is its SHA-256. Each hand-over is in the audit log,
and so is that a program was added or removed.

Examples
  grantflow callers add deploy --grant ada@example.com
  grantflow callers add both --grant a@example.com --grant g@example.com
  printf 'Authorization: Bearer %s' "$(cat deploy.key)" | curl -s -H @- \\
      -d person=ada@example.com http://127.0.0.1:8010/token

Options
  --grant PERSON               an e-mail address, or an id at the platform or of
                               a grant; may be repeated
{OWN}
  --json                       the result as one line of JSON"""

_LIST = f"""\
grantflow callers list [OPTIONS]

List the programs that may have access tokens, of whom, and when they were last
here.

Options
{OWN}
  --json                       the result as one line of JSON"""

_REMOVE = f"""\
grantflow callers remove NAME [OPTIONS]

End a program's key, at once. Tokens that it was given live out their time;
`grantflow logout` ends them with the grant.

Options
  --yes                        do not ask on a terminal
{OWN}
  --json                       the result as one line of JSON"""

COMMANDS = {
    ("callers", "add"): _ADD,
    ("callers", "list"): _LIST,
    ("callers", "remove"): _REMOVE,
}
