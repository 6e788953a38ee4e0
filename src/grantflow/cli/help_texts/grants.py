"""`grants ...`."""

from grantflow.cli.help_texts.shared import OWN

_PERSON = """\
PERSON is an e-mail address, an id at the platform, or the id of a grant."""

_OF_OWNER = """\
  --owner OWNER                the one that belongs to this user of your own"""

#: The group's own page: those of all its commands in one would be too long.
GROUP = f"""\
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

{_PERSON}

Options of all
{OWN}
  --json                       the result as one line of JSON

grantflow grants COMMAND --help shows its own."""

_IMPORT = f"""\
grantflow grants import FILE [OPTIONS]

Bring in tokens that another program got, so that nobody has to grant again.
They are kept in the vault of `grantflow serve` with the same settings.
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
{OWN}
  --json                       the result as one line of JSON

Where an entry has no person_id, the platform is asked whose its tokens are;
the refresh token is in the vault before. An entry that cannot be used is named
with what to do, and all others come in. It is safe to run again, after a kill
too. The other program must not use the tokens any more.

Exit codes: 1 some failed; 5 the platform was out of order, run it again."""

_LIST = f"""\
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
{OWN}
  --json                       the result as one line of JSON"""

_SHOW = f"""\
grantflow grants show PERSON [OPTIONS]

Show all that is known of a person's grants, but no token.

{_PERSON}

Options
{_OF_OWNER}
{OWN}
  --json                       the result as one line of JSON"""

_EXPLAIN = f"""\
grantflow grants explain PERSON [OPTIONS]

Tell why a person was logged out: what happened to the grant, oldest first, with
incidents and the fingerprints of tokens (never tokens), and what to do now.

{_PERSON}

Examples
  grantflow grants explain ada@example.com

Options
{_OF_OWNER}
{OWN}
  --json                       the result as one line of JSON"""

_REFRESH = f"""\
grantflow grants refresh PERSON [OPTIONS]

Renew a grant now, without waiting for a call that needs it.

{_PERSON}

Options
{_OF_OWNER}
{OWN}
  --json                       the result as one line of JSON

Exit codes: 4 the person must grant again; 5 the platform did not help."""

_RETRY = f"""\
grantflow grants retry PERSON | --all-refused [OPTIONS]

Try refused refresh tokens again, once the platform has mended what was wrong.
They are kept for 30 days. Where refusals are held back, since there were
suddenly many, --all-refused lets them count again as soon as some of these
grants work; where none does, nothing is declared dead.

{_PERSON}

Examples
  grantflow grants retry ada@example.com
  grantflow grants retry --all-refused

Options
  --all-refused                all of them, one after another
  --release-brake              let refusals count again in any case: what the
                               platform refuses now is declared dead
  --owner OWNER                only those of this user of your own
{OWN}
  --json                       the result as one line of JSON

Exit codes: 4 some were refused once more; 5 the platform did not help; 1 the
record of some does not open."""

_REVOKE = f"""\
grantflow grants revoke PERSON [OPTIONS]

End a person's grant, as an operator: at the platform where it can be asked, and
here in every case. It says which of the two happened.

{_PERSON}

Options
{_OF_OWNER}
  --yes                        do not ask on a terminal
{OWN}
  --json                       the result as one line of JSON

Exit code 5: forgotten here, but the platform did not revoke it."""

_EXPIRING = f"""\
grantflow grants expiring [OPTIONS]

List the grants that die when nobody uses them, soonest first.

Examples
  grantflow grants expiring --days 14

Options
  --days N                     within so many days [30]
{OWN}
  --json                       the result as one line of JSON"""

_KEEP_ALIVE = f"""\
grantflow grants keep-alive [OPTIONS]

Renew the grants that would die within some days, one after another, and leave
all others alone. Run it once a day on as many nodes as you like: none is
renewed twice. It stops where the platform says slow down or is out of order,
and tells where renewing does not help, since the end does not move.

Examples
  grantflow grants keep-alive --days 7

Options
  --days N                     those that end within so many days [7]
{OWN}
  --json                       the result as one line of JSON

Exit codes: 5 the platform did not help with all of them, run it again later;
1 the record of some does not open."""

COMMANDS = {
    ("grants", "import"): _IMPORT,
    ("grants", "list"): _LIST,
    ("grants", "show"): _SHOW,
    ("grants", "explain"): _EXPLAIN,
    ("grants", "refresh"): _REFRESH,
    ("grants", "retry"): _RETRY,
    ("grants", "revoke"): _REVOKE,
    ("grants", "expiring"): _EXPIRING,
    ("grants", "keep-alive"): _KEEP_ALIVE,
}
