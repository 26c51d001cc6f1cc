"""The command line: arguments in, exit code out. Only here do exceptions become messages and exit codes."""

from __future__ import annotations

import argparse
import atexit
import gc
import signal
import sys
from collections.abc import Callable, Sequence

from lvmsnap import __version__
from lvmsnap.cli import help_texts, live_line, usage
from lvmsnap.cli.options import COMMANDS, add_commands
from lvmsnap.model.errors import LvmsnapError, UsageError, explained, is_used_up, what_is_used_up
from lvmsnap.model.printable import NEXT_LINE, on_lines
from lvmsnap.system import streams

HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run lvmsnap and return its exit code."""
    if arguments is None:
        _prepare_python()
    streams.prepare()
    if arguments is None:
        streams.never_wait_on_stderr()
    # If SIGCHLD was inherited as ignored, every failed command would look like a successful one (wait(2)).
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        # A plan or a status that could not be written is a failure.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader went away (`lvmsnap plan x | head`): no traceback.
        streams.give_up(sys.stdout)
        return 141
    except OSError as error:
        from lvmsnap.cli.error_view import fail

        streams.give_up(sys.stdout)
        where = error.filename or ("" if is_used_up(error) else "standard output")
        return fail(LvmsnapError(": ".join(filter(None, (error.strerror, where))), hint=what_is_used_up(error)))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from lvmsnap.cli.error_view import fail

        # Exceptions during a change are reported as a failed step, after the undo: this one is from before or after.
        return fail(LvmsnapError(explained(error), hint=f"please report it, with these lines:{_where(error)}"))


def _prepare_python() -> None:
    if sys.getfilesystemencoding() != "utf-8":
        from lvmsnap.system import processes

        processes.begin_anew_in_utf_8()
    # By default Python's garbage collector runs after every 700 new objects, and over all of them at exit. Imported
    # modules are not garbage, and importing takes a tenth longer with it.
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)


def _run(arguments: Sequence[str]) -> int:
    options = argparse.Namespace(verbosity=0)
    try:
        options = parse(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except LvmsnapError as error:
        from lvmsnap.cli import error_view

        streams.flush(sys.stdout)
        if isinstance(error, UsageError):
            from lvmsnap.cli import monitoring_check

            if monitoring_check.is_asked(arguments):
                return monitoring_check.give_up(error)
        return error_view.fail(error, is_verbose=getattr(options, "verbosity", 0) > 0)
    except SystemExit as ended:
        streams.flush(sys.stderr)
        if not ended.code:
            sys.stdout.flush()  # the help
        raise
    finally:
        live_line.clear()  # however it ended, leave the terminal clean


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; `argv` is what follows `--`: only `run` and `install-units` take that, and they need it.

    Raises UsageError.
    """
    words = list(arguments)
    if not words:
        return argparse.Namespace(command=_show_overview)
    ours, command = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    parser = build_parser()
    if not command:
        _refuse_help_of_a_command_without_dashes(ours, parser)
    options, rest = parser.parse_known_args(ours)
    if options.command is None and not rest:
        raise UsageError("a command is missing", hint="lvmsnap --help lists the commands")
    name, taking = options.command_name, _takes_command(options)
    if not command and _lacks_dashes(options, rest):
        raise usage.lacks_dashes(ours, rest, name, options.name)
    if rest:
        raise usage.unknown(rest[0], parser.commands.get(name, parser), parser)
    if taking and not command:
        raise UsageError(f"{name} needs a command after `--`: lvmsnap {name} {options.name} -- COMMAND [ARG...]")
    if command and not taking:
        if name == "install-units":
            raise usage.takes_no_command(options, command)
        raise UsageError(f"only run and install-units take a command after `--`: {' '.join(command)}")
    options.argv, options.words = tuple(command), tuple(words)
    return options


def _refuse_help_of_a_command_without_dashes(words: Sequence[str], parser: usage.Parser) -> None:
    """Raise UsageError for `run NAME COMMAND -h`: -h is meant for COMMAND, but argparse would show our own help."""
    asks = next((place for place, word in enumerate(words) if word in HELP), 0)
    if not asks:
        return
    try:
        options, rest = parser.parse_known_args(words[:asks])
    except UsageError:
        return  # other mistakes do not matter: the help is shown
    if _lacks_dashes(options, rest):
        raise usage.lacks_dashes(words, rest, options.command_name, options.name)


def _lacks_dashes(options: argparse.Namespace, rest: Sequence[str]) -> bool:
    return bool(rest) and not rest[0].startswith("-") and _takes_command(options)


def _takes_command(options: argparse.Namespace) -> bool:
    if options.command_name == "install-units":
        return not (options.remove or options.status or options.hold)
    return options.command_name is not None and help_texts.COMMANDS[options.command_name].takes_command


def _show_overview(_options: argparse.Namespace) -> int:
    print(usage.overview((name, text) for name, _, text, _ in COMMANDS), end="")
    return 0


def _where(error: Exception) -> str:
    """Return an error's innermost stack frames, without source: those files may be of another version by now."""
    places, at = list[str](), error.__traceback__
    while at:
        code = at.tb_frame.f_code
        places.append(f'File "{code.co_filename}", line {at.tb_lineno}, in {code.co_name}')
        at = at.tb_next
    return NEXT_LINE + on_lines("\n".join(places[-3:]))


def build_parser() -> usage.Parser:
    """Return the parser of all commands."""
    parser = usage.Parser("lvmsnap", usage="lvmsnap [OPTION...] COMMAND [ARG...]")
    parser.set_defaults(command=None)
    add_commands(parser)
    version, text = f"lvmsnap {__version__}", "print the version and exit"
    parser.options_of_all.add_argument("--version", action="version", version=version, help=text)
    return parser
