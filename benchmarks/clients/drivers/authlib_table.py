"""A table of tokens, which Authlib's documentation lets the application have, looked up as it shows."""

import sqlite3
import time
from contextlib import closing


def keep(place, tokens, code):
    with closing(sqlite3.connect(place["store"])) as database, database:
        database.execute("CREATE TABLE tokens (access_token TEXT, refresh_token TEXT, expires_at INTEGER)")
        row = (tokens["access_token"], tokens["refresh_token"], int(time.time()) + tokens["expires_in"])
        database.execute("INSERT INTO tokens VALUES (?, ?, ?)", row)


def load(place):
    with closing(sqlite3.connect(place["store"])) as database:
        (row,) = database.execute("SELECT * FROM tokens").fetchall()
    return {**dict(zip(("access_token", "refresh_token", "expires_at"), row, strict=True)), "token_type": "Bearer"}


def updater(place):
    def update_token(token, refresh_token=None, access_token=None):
        row = (token["access_token"], token.get("refresh_token"), token["expires_at"], refresh_token)
        with closing(sqlite3.connect(place["store"], timeout=20)) as database, database:
            database.execute(
                "UPDATE tokens SET access_token = ?, refresh_token = ?, expires_at = ? WHERE refresh_token = ?", row
            )

    return update_token
