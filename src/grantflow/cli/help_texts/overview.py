"""The page of `grantflow` itself."""

OVERVIEW = """\
Grantflow: both halves of an OAuth integration.

Examples
  grantflow up                  start a sandbox with people and more
  grantflow up --open           ... and open it in the browser
  grantflow status              where all answers, and who can sign in
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
