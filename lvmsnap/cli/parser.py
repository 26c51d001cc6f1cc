"""The command line: arguments in, exit code out. Every exception becomes a message and a code here and nowhere else."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

from lvmsnap import __version__
from lvmsnap.cli import commands, setup_commands
from lvmsnap.model.errors import LvmsnapError, explained
from lvmsnap.system import streams

DEFAULT_PROFILE_DIR = commands.USUAL_FOLDER
DEFAULT_WAIT_SECONDS = 60.0

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
  124              run, down: the snapshot was lost while it was up: do not trust what was read
  125              run: the command was never started
  129, 130, 143    interrupted by HUP, INT, TERM, everything undone
  141              nobody reads the output any more, nothing changed"""


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

        # What is raised while anything is changed is undone, and told as a failed step: this is from before or after.
        return fail(LvmsnapError(explained(error), hint=f"please report it, with these lines:\n{_where(error)}"))


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

    return "".join(traceback.format_tb(error.__traceback__)[-3:]).rstrip()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("lvmsnap", description=DESCRIPTION, epilog=EXIT_CODES, formatter_class=form)
    parser.add_argument("--version", action="version", version=f"lvmsnap {__version__}")
    _add_common(parser, top=True)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, function, text, add_options in COMMANDS:
        command = subparsers.add_parser(name, help=text, description=text)
        _add_common(command, top=False)
        add_options(command)
        command.set_defaults(command=function)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, top: bool) -> None:
    def default(value: object) -> object:
        return value if top else argparse.SUPPRESS

    directory = os.environ.get("LVMSNAP_PROFILE_DIR") or DEFAULT_PROFILE_DIR
    text = f"where profiles are (default {DEFAULT_PROFILE_DIR}, or LVMSNAP_PROFILE_DIR)"
    parser.add_argument("--profile-dir", metavar="DIR", default=default(directory), help=text)
    text = f"how long to wait for another lvmsnap or LVM command (default {DEFAULT_WAIT_SECONDS:g})"
    parser.add_argument("--wait", metavar="SECONDS", type=_seconds, default=default(DEFAULT_WAIT_SECONDS), help=text)
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument(
        "-q",
        "--quiet",
        dest="verbosity",
        action="store_const",
        const=-1,
        default=default(0),
        help="no progress",
    )
    loud.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="store_const",
        const=1,
        default=default(0),
        help="print each command and its time",
    )


def _add_boot_risk(parser: argparse.ArgumentParser) -> None:
    text = "lend a file to the root filesystem's group though boot recovery is not installed"
    parser.add_argument("--accept-boot-risk", action="store_true", help=text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return value


def _picture(text: str) -> str:
    if not text.endswith((".svg", ".html", ".txt")):
        raise argparse.ArgumentTypeError(f"{text}: name a file that ends in .svg, .html or .txt")
    return text


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    _add_boot_risk(parser)
    parser.add_argument("--down", action="store_true", help="plan down instead of up")
    parser.add_argument("--offline", action="store_true", help="assume a clean system: needs neither root nor LVM")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--export", metavar="FILE", type=_picture, help="write it as a picture, page or text: FILE.svg, .html, .txt"
    )


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    _add_boot_risk(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    old = parser.add_mutually_exclusive_group()
    old.add_argument("--replace", action="store_true", help="if it is there already, take it down first")
    old.add_argument("--if-down", action="store_true", help="if it is up already, leave it and succeed")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    _add_boot_risk(parser)
    parser.add_argument("--replace", action="store_true", help="if it is there already, take it down first")


def _add_down(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", nargs="?")
    which.add_argument("--all", action="store_true", help="take down every profile of which anything stands")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    text = "ignore an unreadable record, a volume group that is gone, a backing file that is out of reach"
    parser.add_argument("--force", action="store_true", help=text)
    _add_stop_after(parser)


def _add_stop_after(parser: argparse.ArgumentParser) -> None:
    text = "start no further command after so long, and let the one that runs then finish (default: no limit)"
    parser.add_argument("--stop-after", metavar="SECONDS", type=_seconds, help=text)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--prometheus", action="store_true", help="as metrics in Prometheus's text format")
    text = "write it to FILE, as a whole or not at all, instead of printing it"
    parser.add_argument("--output", metavar="FILE", help=text)


def _add_recover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    text = "take what another host left on disks that it will never use again, or this machine under a former identity"
    parser.add_argument("--from-host", metavar="ID", help=text)
    parser.add_argument("--yes", action="store_true", help="with --from-host: do not ask on the terminal")
    _add_stop_after(parser)


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="names of profiles, or files")


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("origin", metavar="VG/LV")


def _add_install_boot(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="remove it again")
    what.add_argument("--status", action="store_true", help="show what is installed; exit 1 where something is missing")


def _add_install_units(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    text = "when to run, as systemd.time(7) has it; by default daily, within the half hour after midnight"
    parser.add_argument("--on-calendar", metavar="SPEC", help=text)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="remove the profile's units")
    what.add_argument(
        "--status", action="store_true", help="show the last and the next run; exit 1 if it is not set up"
    )


def _add_nothing(_parser: argparse.ArgumentParser) -> None:
    """Take no options but the common ones."""


COMMANDS = (
    (
        "plan",
        commands.cmd_plan,
        "show what up (or down) would do: facts, checks, every command and its undo",
        _add_plan,
    ),
    ("up", commands.cmd_up, "bring a profile up: do what its plan shows", _add_up),
    ("run", commands.cmd_run, "up, your command, down: lvmsnap run NAME -- COMMAND [ARG...]", _add_run),
    (
        "watch",
        commands.cmd_watch,
        "give a snapshot that is up more room before it is full, until it is down",
        _add_watch,
    ),
    ("down", commands.cmd_down, "take a profile down: everything it made goes", _add_down),
    ("status", commands.cmd_status, "show the state of profiles", _add_status),
    ("recover", commands.cmd_recover, "put right what a crash or a power cut left", _add_recover),
    (
        "validate",
        setup_commands.cmd_validate,
        "check profiles for mistakes; all of the profile directory by default",
        _add_validate,
    ),
    ("init", setup_commands.cmd_init, "print a first profile for a volume", _add_init),
    (
        "install-boot",
        setup_commands.cmd_install_boot,
        "have the boot repair what a power cut leaves",
        _add_install_boot,
    ),
    (
        "install-units",
        setup_commands.cmd_install_units,
        "have systemd run it every night: lvmsnap install-units NAME -- COMMAND [ARG...]",
        _add_install_units,
    ),
    ("schema", setup_commands.cmd_schema, "print the JSON Schema of profiles", _add_nothing),
)
