"""What several pages say in the same words."""

OWN = """\
  --env-file FILE              settings that the environment does not have, such
                               as the portal's .env; `serve --help` lists them
  --data DIR                   where the vault lies
                               [GRANTFLOW_DATA; ~/.local/share/grantflow]"""
