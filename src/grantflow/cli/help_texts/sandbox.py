"""`up` and `status`: the sandbox."""

_UP = """\
grantflow up [OPTIONS]

Start a sandbox on this machine: a Webex-compatible platform with people, rooms
and messages, and a sample integration that is registered there. It needs
neither internet nor a Webex account. Stop it with Ctrl-C.

Examples
  grantflow up
  grantflow up --open
  grantflow up --access-token-lifetime 60   tokens that die in a minute
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

COMMANDS = {
    ("up",): _UP,
    ("status",): _STATUS,
}
