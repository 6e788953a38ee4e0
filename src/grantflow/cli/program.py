"""The commands, and what becomes of the errors that they end with."""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import App, CycloptsError

from grantflow.cli import log
from grantflow.cli.help import PAGES
from grantflow.cli.output import FAILED, INTERRUPTED, USAGE, Failure, say_failure

#: Where each command is; it is imported when it is called.
COMMANDS = {
    ("up",): "grantflow.cli.up:up",
    ("status",): "grantflow.cli.status:status",
    ("serve",): "grantflow.cli.serve:serve",
    ("key", "new"): "grantflow.cli.key:new",
    ("platform", "serve"): "grantflow.cli.platform:serve",
    ("platform", "person", "add"): "grantflow.cli.person:add",
    ("platform", "person", "list"): "grantflow.cli.person:show",
    ("platform", "app", "add"): "grantflow.cli.integration:add",
    ("platform", "app", "list"): "grantflow.cli.integration:show",
    ("platform", "grant", "list"): "grantflow.cli.grant:show",
    ("platform", "grant", "revoke"): "grantflow.cli.grant:revoke",
}
#: Flags that every command takes, wherever they stand.
EVERYWHERE = ("--debug", "--verbose")


def build() -> App:
    root = App(name="grantflow", help_flags=[], version_flags=[])
    groups = {(): root}
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if debug:
            sys.stderr.write(log.redacted(traceback.format_exc()))
        failure = explain(error, rest)
        say_failure(failure)
        return failure.code


def explain(error: Exception, arguments: Sequence[str]) -> Failure:
    """The words for an error that ended a command."""
    match error:
        case Failure():
            return error
        case CycloptsError():
            return _wrong_usage(error, arguments)
        case ModuleNotFoundError(name=str(name)) if not name.startswith("grantflow"):
            return Failure(f"This command needs the package {name}.", fix='pip install "grantflow[server]"')
    logging.getLogger("grantflow.cli").debug("unexpected", exc_info=error)
    return Failure(
        f"Something unexpected: {type(error).__name__}: {log.redacted(str(error))}",
        fix="This is a fault of Grantflow. Run the command again with --debug to see where it happened.",
        code=FAILED,
    )


def _wrong_usage(error: CycloptsError, arguments: Sequence[str]) -> Failure:
    words = _command_in(arguments)
    what = " ".join(str(error).split())
    return Failure(what, fix=f"grantflow {' '.join((*words, '--help'))} shows how it is meant.", code=USAGE)
