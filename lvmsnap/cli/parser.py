"""The command line: arguments in, exit code out. Every exception becomes a message and a code here and nowhere else."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from lvmsnap import __version__
from lvmsnap.cli import commands, setup_commands
from lvmsnap.cli.options import add_commands
from lvmsnap.model.errors import LvmsnapError, explained
from lvmsnap.model.printable import NEXT_LINE, on_lines
from lvmsnap.system import streams

DESCRIPTION = """\
LVM snapshots for backups, from named profiles: planned, made, and taken back
completely."""
EXIT_CODES = """\
exit codes:
  0                done
  1                a step failed, everything begun was undone
  2                wrong usage or invalid profile, nothing changed
  3                refused by a check, nothing changed
  4                a step failed and undoing failed too: what is left is named
  124              run, down, watch: the snapshot was lost: do not trust what was read
  125              run: the command was never started
  129, 130, 143    interrupted by HUP, INT, TERM, everything undone
  141              the reader closed the pipe, nothing changed"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run lvmsnap and return its exit code."""
    streams.prepare()
    # It may be inherited ignored: then every command that fails looks like one that did not (wait(2)).
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        # A plan or a status that could not be written is not done.
        sys.stdout.flush()
        return code
    except LvmsnapError as error:
        from lvmsnap.cli.error_view import fail

        streams.flush(sys.stdout)
        return fail(error)
    except BrokenPipeError:
        # The reader went away (`lvmsnap plan x | head`): no traceback.
        streams.give_up(sys.stdout)
        return 141
    except OSError as error:
        from lvmsnap.cli.error_view import fail

        streams.give_up(sys.stdout)
        return fail(LvmsnapError(f"{error.strerror}: {error.filename or 'standard output'}"))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from lvmsnap.cli.error_view import fail

        # What is raised during a change is undone and reported as a failed step: this is from before or after.
        return fail(LvmsnapError(explained(error), hint=f"please report it, with these lines:{_where(error)}"))


def _run(arguments: Sequence[str]) -> int:
    try:
        options = parse(arguments)
    except SystemExit as ended:
        streams.flush(sys.stderr)
        if not ended.code:
            sys.stdout.flush()  # the help
        raise
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; `argv` is what follows `--`, which only `run` and `install-units` take, and must have."""
    words = list(arguments)
    ours, command = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = build_parser()
    options = parser.parse_args(ours)
    taking = {commands.cmd_run: "run", setup_commands.cmd_install_units: "install-units"}.get(options.command, "")
    if taking == "install-units" and (options.remove or options.status):
        taking = ""
    if taking and not command:
        parser.error(f"{taking} needs a command: lvmsnap {taking} NAME -- COMMAND [ARG...]")
    if command and not taking:
        parser.error(f"only run and install-units take a command after --: {' '.join(command)}")
    options.argv = tuple(command)
    return options


def _where(error: Exception) -> str:
    import traceback

    return NEXT_LINE + on_lines("".join(traceback.format_tb(error.__traceback__)[-3:]))


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or an error; argparse's own says nothing where a help cannot be written."""
        if file is sys.stdout:
            sys.stdout.write(message)
        else:
            super()._print_message(message, file)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    form = argparse.RawDescriptionHelpFormatter
    parser = _Parser("lvmsnap", description=DESCRIPTION, epilog=EXIT_CODES, formatter_class=form)
    parser.add_argument("--version", action="version", version=f"lvmsnap {__version__}")
    add_commands(parser)
    return parser
