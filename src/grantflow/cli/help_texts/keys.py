"""`keys ...`."""

_NEW = """\
grantflow keys new [OPTIONS]

Make a new random key and print it, for GRANTFLOW_KEY, or put it into a file of
its own, for GRANTFLOW_KEY_FILE. Keep it in a secret store, apart from the
vault: whoever has both can read the tokens, and without the key nobody can.

Examples
  grantflow keys new --out grantflow.key    once: it opens the vault
  export GRANTFLOW_KEY_FILE=grantflow.key

Options
  --out FILE                   make this file, for its owner alone; one that is
                               there already is left as it is, and refused"""

_STATUS = """\
grantflow keys status [OPTIONS]

Show which key seals how many grants in the vault, since when it has been in use
here, and which previous keys nothing needs any more. Keys are named by their
ids, from which no key can be told.

Options
  --env-file FILE              settings that the environment does not have
  --data DIR                   where the vault is [GRANTFLOW_DATA]
  --json                       one line of JSON on stdout

Exit code 1: a key is missing that seals some of the grants."""

_ROTATE = """\
grantflow keys rotate [OPTIONS]

Seal every grant in the vault under the primary key, while calls and refreshes
go on. GRANTFLOW_KEY (or the file that GRANTFLOW_KEY_FILE names) has the new key
first, and the old one after a comma or in the next line, at every node by now.
It is safe to run again, after a kill too: what is done is done. At the end it
says which key is needed no longer.

Options
  --env-file FILE              settings that the environment does not have
  --data DIR                   where the vault is [GRANTFLOW_DATA]
  --json                       one line of JSON on stdout

Exit code 1: some grants could not be sealed anew; what to do is told."""

COMMANDS = {
    ("keys", "new"): _NEW,
    ("keys", "status"): _STATUS,
    ("keys", "rotate"): _ROTATE,
}
