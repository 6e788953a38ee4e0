"""What `grantflow up` shows once everything answers, and `grantflow status` again: as text, environment or JSON."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from grantflow.cli.output import styled, write, write_json

Form = Literal["text", "env", "json"]


def show(report: Mapping[str, Any], form: Form, *, credentials: Path) -> None:
    """``report`` is what --json prints; people are told in which file the ``credentials`` are."""
    match form:
        case "json":
            write_json(report)
        case "env":
            write("\n".join(f"{name}={shlex.quote(value)}" for name, value in environment(report).items()))
        case "text":
            write("\n".join(block(report, credentials)))


def environment(report: Mapping[str, Any]) -> dict[str, str]:
    """As `grantflow serve` and an integration of one's own read it."""
    app = report["app"]
    return {
        "GRANTFLOW_API_URL": report["api_url"],
        "GRANTFLOW_CLIENT_ID": app["client_id"],
        "GRANTFLOW_CLIENT_SECRET": app["client_secret"],
        "GRANTFLOW_SCOPES": app["scopes"],
        "GRANTFLOW_REDIRECT_URI": app["redirect_uris"][0],
    }


def block(report: Mapping[str, Any], credentials: Path) -> list[str]:
    """One aligned block, 80 columns wide at the most, that ends with what to do next."""
    people: Sequence[Mapping[str, str]] = report["people"]
    widest = max(len(person["email"]) for person in people)
    accounts = [f"{person['email']:{widest}}   {person['password']}" for person in people]
    groups = [
        [
            ("Integration", report["integration_url"]),
            ("Platform", report["platform_url"]),
            ("API", report["api_url"]),
            ("Authorize", f"{report['api_url']}/authorize"),
        ],
        [("People" if number == 0 else "", account) for number, account in enumerate(accounts)],
        [("Client ID", report["app"]["client_id"]), ("Secret", f"in {credentials}")],
    ]
    lines = [_styled("Grantflow sandbox", "bold"), ""]
    for rows in groups:
        lines += [f"  {_styled(f'{label:11}', 'dim')}  {text}" for label, text in rows]
        lines.append("")
    first = people[0]["email"]
    lines += [
        f"{_styled('Next', 'bold')}  Open {_styled(report['integration_url'], 'bold')}, click Grant,",
        f"      and sign in as {first}. Ctrl-C stops it.",
    ]
    return lines


def _styled(text: str, style: str) -> str:
    return styled(text, style, stream=sys.stdout)
