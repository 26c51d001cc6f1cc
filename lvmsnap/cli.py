"""The command line: arguments in, exit code out. Every exception becomes a message and a code here and nowhere else."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lvmsnap import __version__
from lvmsnap.errors import LvmsnapError, ProfileError, ProfileProblem, RefusedError, UsageError

if TYPE_CHECKING:
    from lvmsnap.model import Plan, Profile
    from lvmsnap.session import Session

DEFAULT_PROFILE_DIR = "/etc/lvmsnap"
DEFAULT_WAIT_SECONDS = 60.0
EXIT_REFUSED = 3

DESCRIPTION = "LVM snapshots for backups, from named profiles: planned, made, and taken back completely."
EXIT_CODES = """\
exit codes: 0 done; 1 a step failed, everything begun was undone; 2 wrong usage or invalid profile;
3 refused by a check, nothing changed; 4 a step failed and undoing failed too: what is left is named;
130, 143, 129 interrupted by INT, TERM, HUP, everything undone"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run lvmsnap and return its exit code."""
    try:
        options = build_parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        code = command(options)
        sys.stdout.flush()
        return code
    except LvmsnapError as error:
        from lvmsnap.render import fail

        return fail(error)
    except BrokenPipeError:
        # The reader went away (`lvmsnap plan x | head`): no traceback, and no second try at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("lvmsnap", description=DESCRIPTION, epilog=EXIT_CODES, formatter_class=form)
    parser.add_argument("--version", action="version", version=f"lvmsnap {__version__}")
    _add_common(parser, top=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        _add_common(command, top=False)
        command.set_defaults(command=function)
        return command

    _add_plan(add("plan", cmd_plan, "show what up (or down) would do: facts, checks, every command and its undo"))
    _add_up(add("up", cmd_up, "bring a profile up: do what its plan shows"))
    down = add("down", cmd_down, "take a profile down: everything it made goes")
    down.add_argument("name", metavar="NAME")
    down.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    down.add_argument(
        "--force", action="store_true", help="ignore an unreadable record, and a volume group that is gone"
    )
    status = add("status", cmd_status, "show the state of profiles")
    status.add_argument("names", metavar="NAME", nargs="*")
    status.add_argument("--json", action="store_true", help="as JSON")
    recover = add("recover", cmd_recover, "put right what a crash or a power cut left")
    recover.add_argument("names", metavar="NAME", nargs="*")
    recover.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    validate = add("validate", cmd_validate, "check profiles for mistakes; all of the profile directory by default")
    validate.add_argument("files", metavar="FILE", nargs="*", help="names of profiles, or files")
    init = add("init", cmd_init, "print a first profile for a volume")
    init.add_argument("origin", metavar="VG/LV")
    add("schema", cmd_schema, "print the JSON Schema of profiles")
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
        "-q", "--quiet", dest="verbosity", action="store_const", const=-1, default=default(0), help="print errors only"
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


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--down", action="store_true", help="plan down instead of up")
    parser.add_argument("--offline", action="store_true", help="assume a clean system: needs neither root nor LVM")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--export", metavar="FILE", help="write it as a picture, page or text: FILE.svg, .html, .txt")


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    old = parser.add_mutually_exclusive_group()
    old.add_argument("--replace", action="store_true", help="if it is there already, take it down first")
    old.add_argument("--if-down", action="store_true", help="if it is up already, leave it and succeed")


def cmd_plan(options: argparse.Namespace) -> int:
    """`lvmsnap plan`: exit 3 where a check refuses it."""
    if options.down:
        return _show_down(options)
    from lvmsnap import session

    if options.offline:
        from lvmsnap import offline, profile

        path = profile.find(options.name, options.profile_dir)
        loaded = profile.load(path, require_root_owned=False)
        return _show_plan(options, loaded, offline.plan(loaded), note="offline: a clean system is assumed")
    loaded, _ = session.load_for_change(options.name, options.profile_dir)
    return _show_plan(options, loaded, session.plan(_session(options), loaded), note=loaded.path)


def _show_plan(options: argparse.Namespace, loaded: Profile, plan: Plan, *, note: str) -> int:
    from lvmsnap import render

    if getattr(options, "json", False):
        print(render.to_json(plan))
    else:
        lines = list(render.plan_lines(loaded.name, plan, note=note))
        if getattr(options, "export", None):
            render.export(lines, options.export, f"lvmsnap plan {loaded.name}")
        else:
            render.show(lines, sys.stdout)
    return 0 if all(check.passed for check in plan.checks) else EXIT_REFUSED


def _show_down(options: argparse.Namespace) -> int:
    from lvmsnap import render, session

    if getattr(options, "offline", False):
        raise UsageError("plan --down --offline makes no sense", hint="what stands is only known on the machine itself")
    name = _name(options.name)
    plan = session.plan_down(_session(options), name, session.load_if_valid(name, options.profile_dir))
    if getattr(options, "json", False):
        print(render.to_json(plan))
        return 0
    lines = list(render.plan_lines(name, plan))
    if getattr(options, "export", None):
        render.export(lines, options.export, f"lvmsnap plan {name} --down")
    else:
        render.show(lines, sys.stdout)
    return 0


def cmd_up(options: argparse.Namespace) -> int:
    """`lvmsnap up`: prints where the snapshot is, the mountpoint or the device."""
    if options.dry_run:
        return cmd_plan(argparse.Namespace(**{**vars(options), "down": False, "offline": False}))
    from lvmsnap import session

    loaded, text = session.load_for_change(options.name, options.profile_dir)
    _require_root(f"lvmsnap up {loaded.name}")
    target = session.up(_session(options), loaded, text, replace_old=options.replace, if_down=options.if_down)
    print(target.mount.mountpoint if target.mount else f"/dev/{target.vg}/{target.snapshot}")
    return 0


def cmd_down(options: argparse.Namespace) -> int:
    """`lvmsnap down`: nothing there is success too."""
    if options.dry_run:
        return _show_down(options)
    from lvmsnap import session

    name = _name(options.name)
    _require_root(f"lvmsnap down {name}")
    working = _session(options)
    loaded = session.load_if_valid(name, options.profile_dir)
    if not session.down(working, name, loaded, force=options.force):
        working.progress.note(f"{name} is down already: nothing of it stands")
    return 0


def cmd_status(options: argparse.Namespace) -> int:
    """`lvmsnap status`: a table, or JSON."""
    from lvmsnap import render, session

    _require_root("lvmsnap status")
    names = tuple(_name(name) for name in options.names)
    found = session.statuses(_session(options), names, lambda name: session.load_if_valid(name, options.profile_dir))
    if options.json:
        print(render.to_json(found))
    else:
        render.show(render.status_lines(found, render.now()), sys.stdout)
    return 0


def cmd_recover(options: argparse.Namespace) -> int:
    """`lvmsnap recover`: takes down what is partial or stale, leaves alone what is properly up."""
    from lvmsnap import recovery, render, session

    _require_root("lvmsnap recover")
    names, working = tuple(_name(name) for name in options.names), _session(options)

    def load(name: str) -> Profile | None:
        return session.load_if_valid(name, options.profile_dir)

    if options.dry_run:
        for name, plan in recovery.plan_recover(working, names, load):
            render.show(render.plan_lines(name, plan), sys.stdout)
        return 0
    found = recovery.recover(working, names, load)
    render.show(render.recovered_lines(found), sys.stdout)
    return 0


def cmd_validate(options: argparse.Namespace) -> int:
    """`lvmsnap validate`: every mistake of every file; exit 2 where there is one."""
    from lvmsnap import profile

    names = options.files or list(profile.names(options.profile_dir))
    if not names:
        raise UsageError(
            f"there are no profiles in {options.profile_dir}", hint="lvmsnap init VG/LV prints a first one"
        )
    problems: list[ProfileProblem] = []
    for name in names:
        try:
            path = profile.find(name, options.profile_dir)
            profile.load(path, require_root_owned=False)
        except ProfileError as error:
            problems += error.problems
        else:
            if options.verbosity >= 0:
                print(f"{path}: valid")
    if problems:
        raise ProfileError(tuple(problems))
    return 0


def cmd_schema(_options: argparse.Namespace) -> int:
    """`lvmsnap schema`."""
    from lvmsnap import profile

    print(profile.schema_text(), end="")
    return 0


def cmd_init(options: argparse.Namespace) -> int:
    """`lvmsnap init VG/LV`: a commented profile, to be redirected into a file."""
    from lvmsnap import first_profile

    print(first_profile.text(options.origin), end="")
    return 0


def _name(name: str) -> str:
    """Return the profile's name where a name or a file of it is given."""
    return os.path.basename(name).removesuffix(".yaml") if name.endswith(".yaml") else name


def _require_root(command: str) -> None:
    if os.geteuid() != 0:
        from lvmsnap.errors import Refusal

        raise RefusedError((Refusal(f"{command} needs root", f"sudo {command}"),))


def _session(options: argparse.Namespace) -> Session:
    from lvmsnap.progress import Reporter
    from lvmsnap.runner import Runner, Signals
    from lvmsnap.session import Session

    reporter, signals = Reporter(options.verbosity), Signals()
    runner = Runner(reporter.observe, reporter.stalled, signals)
    return Session(runner, signals, reporter, options.profile_dir, options.wait)
