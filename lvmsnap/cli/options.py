"""The options of each command, and the table of all commands."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable

from lvmsnap.cli import commands, help_texts
from lvmsnap.cli.usage import Parser

DEFAULT_PROFILE_DIR = commands.USUAL_FOLDER
DEFAULT_WAIT_SECONDS = 60.0


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=help_texts.NAME)


def _add_boot_risk(parser: argparse.ArgumentParser) -> None:
    text = "lend a file to the root filesystem's group even if boot recovery is not installed"
    parser.add_argument("--accept-boot-risk", action="store_true", help=text)


def seconds(text: str) -> float:
    """A duration given on the command line, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return value


def _given(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("it is empty: maybe a variable that is not set")
    return text


def _picture(text: str) -> str:
    if not text.endswith((".svg", ".html", ".txt")):
        raise argparse.ArgumentTypeError(f"{text}: name a file that ends in .svg, .html or .txt")
    return text


def _add_plan(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_boot_risk(parser)
    parser.add_argument("--down", action="store_true", help="plan down instead of up")
    parser.add_argument("--offline", action="store_true", help="assume a clean system: needs neither root nor LVM")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--export",
        metavar="FILE",
        type=_picture,
        help="write the plan as a picture, page or text: FILE.svg, .html, .txt",
    )


def _add_up(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_boot_risk(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    old = parser.add_mutually_exclusive_group()
    old.add_argument("--replace", action="store_true", help="first take down whatever exists of the profile")
    old.add_argument("--if-down", action="store_true", help="if the profile is already up, keep it and succeed")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_boot_risk(parser)
    parser.add_argument("--replace", action="store_true", help="first take down whatever exists of the profile")


def _add_hold(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    _add_boot_risk(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--replace", action="store_true", help="first take down whatever exists of the profile")
    text = "only test whether a hold has it up and no snapshot was lost: exit 124 if not"
    what.add_argument("--check", action="store_true", help=text)


def _add_down(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar="NAME", nargs="?", help=help_texts.NAME)
    which.add_argument("--all", action="store_true", help="take down all profiles")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    text = (
        "ignore an unreadable record, a volume group that is gone, a backing file that is out of reach, a hook that "
        "keeps failing; skip the checks that no other host uses the group and that no other disk of it is missing"
    )
    parser.add_argument("--force", action="store_true", help=text)
    _add_stop_after(parser)


def _add_stop_after(parser: argparse.ArgumentParser) -> None:
    text = "start no further command after SECONDS, but let the running one finish (default: no limit)"
    parser.add_argument("--stop-after", metavar="SECONDS", type=seconds, help=text)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"{help_texts.NAME}; all profiles by default")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--prometheus", action="store_true", help="print metrics in Prometheus's text format")
    form.add_argument("--check", action="store_true", help="act as a monitoring plug-in: one line, and its exit codes")
    parser.add_argument("--history", action="store_true", help="show the last runs instead, as a table or with --json")
    text = "write to FILE instead of stdout, replacing it atomically"
    parser.add_argument("--output", metavar="FILE", type=_given, help=text)


def _add_recover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"{help_texts.NAME}; all profiles by default")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, without changing anything")
    text = "take down what another host left on disks that it no longer uses, or this machine under a former identity"
    parser.add_argument("--from-host", metavar="ID", type=_given, help=text)
    parser.add_argument("--yes", action="store_true", help="with --from-host: do not ask on the terminal")
    _add_stop_after(parser)


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="names of profiles, or files")


def _add_watch(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)


def _add_init(parser: argparse.ArgumentParser) -> None:
    text = "VG/LV, a device, or a mountpoint; several make one profile; without any, list the volumes"
    parser.add_argument("origins", metavar="VOLUME", nargs="*", help=text)
    text = "write NAME.yaml in the profile directory instead of printing; never overwrites a file"
    parser.add_argument("--write", metavar="NAME", help=text)


def _add_install_boot(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="remove it again")
    what.add_argument("--status", action="store_true", help="show what is installed; exit 1 if something is missing")


def _add_install_units(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    text = "when to run, see systemd.time(7); by default daily, within half an hour after midnight"
    parser.add_argument("--on-calendar", metavar="SPEC", type=_given, help=text)
    text = "use the unit that holds the profile up while other units need it, lvmsnap-hold@NAME.service; no COMMAND"
    parser.add_argument("--hold", action="store_true", help=text)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--remove", action="store_true", help="remove the profile's units")
    what.add_argument(
        "--status", action="store_true", help="show the last and the next run; exit 1 if it is not set up"
    )


def _add_schema(parser: argparse.ArgumentParser) -> None:
    text = "print the path of the schema file instead: for an editor's settings, or for the first line of a profile"
    parser.add_argument("--path", action="store_true", help=text)


def _add_help(parser: argparse.ArgumentParser) -> None:
    from lvmsnap.cli import help_pages

    parser.add_argument(
        "topic", metavar="TOPIC", nargs="?", help=f"a command, or one of {', '.join(help_pages.TOPICS)}"
    )


def _later(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """Return a command whose module is imported when it is run."""

    def run(options: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"lvmsnap.cli.{module}"), name)
        return command(options)

    return run


COMMANDS = (
    (
        "plan",
        commands.cmd_plan,
        "show what up (or down) would do, with every command",
        _add_plan,
    ),
    ("up", commands.cmd_up, "bring a profile up: do what its plan shows", _add_up),
    ("run", commands.cmd_run, "up, your command, down: the whole backup", _add_run),
    (
        "hold",
        _later("hold_command", "cmd_hold"),
        "up until it is stopped, then down: for other programs' units",
        _add_hold,
    ),
    (
        "watch",
        commands.cmd_watch,
        "guard a snapshot that is up: extend it before it is full",
        _add_watch,
    ),
    ("down", commands.cmd_down, "take a profile down: remove everything it made", _add_down),
    ("status", commands.cmd_status, "show the state of profiles", _add_status),
    ("recover", commands.cmd_recover, "clean up after a crash or a power cut", _add_recover),
    (
        "validate",
        _later("setup_commands", "cmd_validate"),
        "check profiles for mistakes",
        _add_validate,
    ),
    (
        "init",
        _later("init_command", "cmd_init"),
        "create a first profile for this machine's volumes, or list them",
        _add_init,
    ),
    (
        "install-boot",
        _later("setup_commands", "cmd_install_boot"),
        "make the boot repair what a power cut leaves",
        _add_install_boot,
    ),
    (
        "install-units",
        _later("setup_commands", "cmd_install_units"),
        "make systemd run the backup every night",
        _add_install_units,
    ),
    ("schema", _later("setup_commands", "cmd_schema"), "print the JSON Schema of profiles", _add_schema),
    ("help", _later("help_pages", "cmd_help"), "print a page of the documentation, or the list of pages", _add_help),
)


def add_commands(parser: Parser) -> None:
    """Add to the parser all commands with their options, and the options that may also precede the command."""
    _add_common(parser, top=True)
    rows = {name: (function, add_options) for name, function, _, add_options in COMMANDS}

    def prepare(name: str, command: Parser) -> None:
        function, add_options = rows[name]
        command.set_defaults(command=function)
        add_options(command)
        _add_common(command, top=False)
        if name == "help":
            command.set_defaults(parser=parser)

    parser.add_commands({name: text for name, _, text, _ in COMMANDS}, prepare)


def _add_common(parser: Parser, *, top: bool) -> None:
    def default(value: object) -> object:
        return value if top else argparse.SUPPRESS

    group = parser.options_of_all
    directory = os.environ.get("LVMSNAP_PROFILE_DIR") or DEFAULT_PROFILE_DIR
    text = f"the profile directory (default {DEFAULT_PROFILE_DIR}, or LVMSNAP_PROFILE_DIR)"
    group.add_argument("--profile-dir", metavar="DIR", type=_given, default=default(directory), help=text)
    text = f"how long to wait for another lvmsnap or LVM command (default {DEFAULT_WAIT_SECONDS:g})"
    group.add_argument("--wait", metavar="SECONDS", type=seconds, default=default(DEFAULT_WAIT_SECONDS), help=text)
    loud = group.add_mutually_exclusive_group()
    loud.add_argument(
        "-q",
        "--quiet",
        dest="verbosity",
        action="store_const",
        const=-1,
        default=default(0),
        help="print no progress",
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
