"""The commands, and what becomes of the errors that they end with."""

import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import (
    App,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from grantflow.cli import log
from grantflow.cli.help import command_in
from grantflow.cli.output import (
    GRANT_FIRST,
    INTERRUPTED,
    REFUSED,
    USAGE,
    Failure,
    say_failure,
    say_interrupted,
    write_no_more,
)
from grantflow.client.errors import IntegrationRefused, ReauthorizationRequired, TransientTokenError, VaultUnavailable
from grantflow.data_directory import BrokenFile
from grantflow.protocol.errors import GrantflowError
from grantflow.storage.engine import StorageUnavailable

#: Where each command is; it is imported when it is called.
COMMANDS = {
    ("up",): "grantflow.cli.up:up",
    ("status",): "grantflow.cli.status:status",
    ("serve",): "grantflow.cli.serve:serve",
    ("login",): "grantflow.cli.login:login",
    ("logout",): "grantflow.cli.logout:logout",
    ("whoami",): "grantflow.cli.whoami:whoami",
    ("token",): "grantflow.cli.token:token",
    ("api",): "grantflow.cli.api:api",
    ("doctor",): "grantflow.cli.doctor:doctor",
    ("grants", "import"): "grantflow.cli.grants_import:bring_in",
    ("grants", "list"): "grantflow.cli.grants:show_all",
    ("grants", "show"): "grantflow.cli.grants:show",
    ("grants", "explain"): "grantflow.cli.grants_explain:explain",
    ("grants", "refresh"): "grantflow.cli.grants_acts:refresh",
    ("grants", "retry"): "grantflow.cli.grants_acts:retry",
    ("grants", "revoke"): "grantflow.cli.grants_acts:revoke",
    ("grants", "expiring"): "grantflow.cli.grants:expiring",
    ("grants", "keep-alive"): "grantflow.cli.grants_acts:keep_alive",
    ("callers", "add"): "grantflow.cli.callers:add",
    ("callers", "list"): "grantflow.cli.callers:show",
    ("callers", "remove"): "grantflow.cli.callers:remove",
    ("keys", "new"): "grantflow.cli.keys:new",
    ("keys", "status"): "grantflow.cli.keys:status",
    ("keys", "rotate"): "grantflow.cli.keys:rotate",
    ("platform", "serve"): "grantflow.cli.platform:serve",
    ("platform", "person", "add"): "grantflow.cli.person:add",
    ("platform", "person", "list"): "grantflow.cli.person:show",
    ("platform", "person", "password"): "grantflow.cli.person:password",
    ("platform", "app", "add"): "grantflow.cli.integration:add",
    ("platform", "app", "list"): "grantflow.cli.integration:show",
    ("platform", "app", "delete"): "grantflow.cli.integration:delete",
    ("platform", "bot", "add"): "grantflow.cli.bot:add",
    ("platform", "bot", "list"): "grantflow.cli.bot:show",
    ("platform", "bot", "regenerate"): "grantflow.cli.bot:regenerate",
    ("platform", "bot", "delete"): "grantflow.cli.bot:delete",
    ("platform", "grant", "list"): "grantflow.cli.grant:show",
    ("platform", "grant", "revoke"): "grantflow.cli.grant:revoke",
}
#: What brings a package that the extra `server` does not.
_EXTRAS = {"psycopg": "server,postgres", "opentelemetry": "server,otel"}
#: Flags that every command takes, wherever they stand.
EVERYWHERE = ("--debug", "--verbose")


def build() -> App:
    root = App(name="grantflow", help_flags=[], version_flags=[])
    groups: dict[tuple[str, ...], App] = {(): root}
    for words, target in COMMANDS.items():
        for depth in range(1, len(words)):
            if words[:depth] not in groups:
                groups[words[:depth]] = App(name=words[depth - 1])
                groups[words[: depth - 1]].command(groups[words[:depth]])
        groups[words[:-1]].command(target, name=words[-1])
    return root


def perform(arguments: Sequence[str]) -> int:
    """Perform one command; answers its exit code, and tells what went wrong on stderr."""
    debug = "--debug" in arguments
    log.set_up(verbose="--verbose" in arguments, debug=debug)
    rest = [argument for argument in arguments if argument not in EVERYWHERE]
    try:
        return build()(rest, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except BrokenPipeError:  # whoever read our results has seen enough
        write_no_more()
        return 0
    except KeyboardInterrupt:
        say_interrupted()
        return INTERRUPTED
    except Exception as error:
        if debug:
            sys.stderr.write(log.redacted(traceback.format_exc()))
        failure = explain(error, rest)
        say_failure(failure)
        return failure.code


def explain(error: Exception, arguments: Sequence[str]) -> Failure:
    """The words for an error that ended a command."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, CycloptsError):
        command = " ".join(("grantflow", *command_in(arguments), "--help"))
        return Failure(wrong_usage(error, arguments), fix=f"{command} shows how it is meant.", code=USAGE)
    if isinstance(error, ImportError) and (package := missing_package(error)):
        extras = _EXTRAS.get(package, "server")
        fix = f'Install it in a clone of Grantflow: pip install ".[{extras}]"'
        return Failure(f"This command needs the package {package}.", fix=fix)
    if isinstance(error, StorageUnavailable):
        fix = "Restore a backup" if is_damaged(error) else "Try again"
        return Failure(f"The database cannot be used: {error.reason}.", fix=f"{fix}, or use another --data.")
    if isinstance(error, BrokenFile):
        return Failure(str(error), fix="Restore it from a backup, or delete it: what it held is then made up anew.")
    if isinstance(error, ReauthorizationRequired):
        fix = "grantflow login takes them through the grant here, as the page at that address does."
        return Failure(str(error), fix=fix, code=GRANT_FIRST)
    if isinstance(error, TransientTokenError | IntegrationRefused | VaultUnavailable):
        return Failure(str(error), code=REFUSED)
    if isinstance(error, GrantflowError):
        return Failure(str(error))
    if isinstance(error, FileExistsError):
        return Failure(f"{error.filename} is a file, not a folder.", fix="Name a folder with --data DIR.", code=USAGE)
    if isinstance(error, OSError) and error.filename:
        return Failure(f"{error.filename} cannot be used: {error.strerror}.", fix="Name another place with --data DIR.")
    return Failure(
        f"Something unexpected happened: {type(error).__name__}: {log.redacted(str(error))}",
        fix="This is a fault of Grantflow. Run the command again with --debug to see where.",
    )


def wrong_usage(error: CycloptsError, arguments: Sequence[str]) -> str:
    if isinstance(error, UnknownCommandError):
        return unknown_command(arguments)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        if command_in(arguments) == ("api",) and name in ("METHOD", "PATH"):  # one word alone may be meant as either
            return "METHOD and PATH are needed, as in: grantflow api GET people/me"
        return f"{name} needs a value." if name in arguments else f"{name} is missing."
    if isinstance(error, UnusedCliTokensError):
        if command_in(arguments)[:2] == ("platform", "person"):  # they may be a password: not into anybody's log
            return "Too many words. A password is never one of them: it is asked for, or read with --password-stdin."
        return f"Too many words: {' '.join(error.unused_tokens or ())}"
    words = " ".join(str(error).split())
    if isinstance(error, UnknownOptionError) and not any(word.startswith("--") for word in words.split()):
        return f"{words} An id or a name that begins with - comes last, after -- and a space."
    return words


def unknown_command(arguments: Sequence[str]) -> str:
    """Cyclopts would import every command to say this."""
    group = command_in(arguments)
    word, depth = arguments[len(group)], len(group)
    known = list(dict.fromkeys(words[depth] for words in COMMANDS if words[:depth] == group))
    close = get_close_matches(word, known, n=1)
    return f"There is no command {word!r} here." + (f" Did you mean {close[0]!r}?" if close else "")


def is_damaged(error: StorageUnavailable) -> bool:
    """Whether SQLite found what no waiting mends."""
    name = getattr(error.__cause__, "sqlite_errorname", "")
    return name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def missing_package(error: BaseException | None) -> str | None:
    """The package that is not installed, if that is why an import failed."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("grantflow"):
            return error.name.partition(".")[0]
        error = error.__cause__
    return None
