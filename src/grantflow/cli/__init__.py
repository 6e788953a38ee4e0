"""The command line: what people type, what they read, and what the shell is told (the exit code)."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

EXTRA = ("cyclopts", "rich")
INSTALL_EXTRA = (
    'The grantflow command needs more packages. Install them in a clone of Grantflow: pip install ".[server]"'
)


def main() -> None:
    """The ``grantflow`` script."""
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while still loading
        sys.exit(130)


def run(arguments: Sequence[str]) -> int:
    """Perform one command; answers the exit code. Help comes first: it is plain text and loads nothing else."""
    if not all(map(find_spec, EXTRA)):
        print(INSTALL_EXTRA, file=sys.stderr)
        return 1
    from grantflow.cli.called import as_called
    from grantflow.cli.help import page
    from grantflow.cli.output import write_no_more

    if (text := page(arguments)) is not None:
        try:
            print(as_called(text), flush=True)
        except BrokenPipeError:  # whoever read it has seen enough
            write_no_more()
        return 0
    from grantflow.cli.program import perform

    return perform(arguments)
