"""What `grantflow up` shows once everything answers, and `grantflow status` again: as text, environment or JSON."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from grantflow.cli.called import as_called
from grantflow.cli.output import styled, write, write_json
from grantflow.data_directory import DataDirectory

Form = Literal["text", "env", "json"]


def show(report: Mapping[str, Any], form: Form, *, environment: Mapping[str, str], credentials: Path) -> None:
    """``report`` is what --json prints; people are told in which file the ``credentials`` are."""
    match form:
        case "json":
            write_json(report)
        case "env":
            write("\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items()))
        case "text":
            write("\n".join(block(report, credentials)))


def block(report: Mapping[str, Any], credentials: Path) -> list[str]:
    """One aligned block, 80 columns wide at the most, that ends with what to do next."""
    people: Sequence[Mapping[str, Any]] = report["people"]
    widest = max(len(person["email"]) for person in people)
    accounts = [
        f"{person['email']:{widest}}   {person['password']}{'   (admin)' if person.get('admin') else ''}"
        for person in people
    ]
    groups = [
        [
            ("Integration", report["integration_url"]),
            ("Platform", report["platform_url"]),
            ("Portal", f"{report['portal_url']}   as {report['app']['owner']}"),
            ("API", report["api_url"]),
            ("Authorize", f"{report['api_url']}/authorize"),
        ],
        [("People" if number == 0 else "", account) for number, account in enumerate(accounts)],
        [
            ("Client ID", report["app"]["client_id"]),
            ("Secret", f"in {credentials}"),
            ("Your code", f'eval "$({as_called(status_command(credentials.parent))} -o env)"'),
        ],
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


def status_command(directory: Path) -> str:
    """For what runs on this data directory."""
    is_found = DataDirectory.find().path == directory
    return "grantflow status" if is_found else f"grantflow status --data {shlex.quote(str(directory))}"


def _styled(text: str, style: str) -> str:
    return styled(text, style, stream=sys.stdout)
