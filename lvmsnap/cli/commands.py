"""The commands for snapshots: options in, exit code out. Heavy modules are imported where they are needed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from lvmsnap.model.errors import LvmsnapError, UsageError, as_ours, worst

if TYPE_CHECKING:
    from lvmsnap.cli.layout import Line
    from lvmsnap.model.plan import Plan
    from lvmsnap.model.profile import Profile
    from lvmsnap.operations.sessions import Session
    from lvmsnap.planning.state import Status

EXIT_REFUSED = 3
USUAL_FOLDER = "/etc/lvmsnap"


def cmd_plan(options: argparse.Namespace) -> int:
    """`lvmsnap plan`: exit 3 if a check refuses it."""
    if options.down:
        return _show_down(options)
    from lvmsnap.cli import arguments
    from lvmsnap.operations import preparation

    if options.offline:
        from lvmsnap.planning import offline
        from lvmsnap.profile import loading

        path = loading.find(options.name, options.profile_dir)
        profile = loading.load(path, require_root_owned=False)
        return _show_plan(options, profile, offline.plan(profile), note="offline: a clean system is assumed")
    profile, _ = arguments.load_for_change(options)
    plan = preparation.plan(_session(options, reads_only=True), profile)
    return _show_plan(options, profile, plan, note=profile.path)


def _show_plan(options: argparse.Namespace, profile: Profile, plan: Plan, *, note: str) -> int:
    from lvmsnap.cli import views

    loud = options.verbosity > 0
    lines = list(views.plan_lines(profile.name, plan, note=note, description=profile.description, is_verbose=loud))
    return _print_plan(options, plan, lines, f"lvmsnap plan {profile.name}")


def _print_plan(options: argparse.Namespace, plan: Plan, lines: list[Line], title: str) -> int:
    from lvmsnap.cli import layout, pictures, views
    from lvmsnap.cli.progress import Reporter

    if getattr(options, "json", False):
        print(views.to_json(plan))
    elif getattr(options, "export", None):
        pictures.export(lines, options.export, title)
        Reporter(options.verbosity).note(f"wrote {options.export}")
    else:
        layout.show(lines, sys.stdout)
    return 0 if all(check.passed for check in plan.checks) else EXIT_REFUSED


def _show_down(options: argparse.Namespace) -> int:
    from lvmsnap.cli import arguments, views
    from lvmsnap.operations import named_profile, preparation

    if getattr(options, "offline", False):
        raise UsageError(
            "plan --down cannot be combined with --offline", hint="what exists is only known on the machine itself"
        )
    name, directory = arguments.place(options, options.name)
    # LVM shows nothing to other users: "nothing exists" would be wrong.
    _require_root(options, f"lvmsnap plan {name} --down")
    profile = named_profile.load_if_valid(name, directory)
    plan = preparation.plan_down(_session(options, reads_only=True), name, profile)
    lines = list(views.plan_lines(name, plan, is_verbose=options.verbosity > 0))
    return _print_plan(options, plan, lines, f"lvmsnap plan {name} --down")


def cmd_up(options: argparse.Namespace) -> int:
    """`lvmsnap up`: prints where the snapshot is, the mountpoint or the device."""
    if options.dry_run:
        return cmd_plan(argparse.Namespace(**{**vars(options), "down": False, "offline": False}))
    from lvmsnap.cli import arguments, found_up
    from lvmsnap.operations import up_down

    profile, text = arguments.load_for_change(options)
    _require_root(options, f"lvmsnap up {profile.name}")
    session = _session(options)
    with session.signals:  # a signal that arrives when all is up is too late to look as if `up` was undone
        target = up_down.up(session, profile, text, replace_old=options.replace, if_down=options.if_down)
        found_up.answer(target)
        found_up.note_next_commands(target.name, session.progress)
    return 0


def cmd_run(options: argparse.Namespace) -> int:
    """`lvmsnap run`: exits as the command did; 124 if its snapshot was lost, 125 if it never started."""
    from lvmsnap.cli import arguments, error_view
    from lvmsnap.operations import run
    from lvmsnap.operations.course import Course, kept
    from lvmsnap.profile import loading

    session, course = _session(options), Course.of(options.argv)
    with kept(session, loading.name_of(options.name), course):
        profile, text = arguments.load_to_run(options)
        course.exit_code = run.run(session, profile, text, options.argv, replace_old=options.replace, course=course)
    return course.exit_code and error_view.fail(LvmsnapError(course.complaint(options.argv[0])), course.exit_code)


def cmd_watch(options: argparse.Namespace) -> int:
    """`lvmsnap watch`: ends with the snapshot; 124 if that was lost."""
    from lvmsnap.cli import arguments
    from lvmsnap.operations import named_profile, watch

    name, directory = arguments.place(options, options.name)
    _require_root(options, f"lvmsnap watch {name}")
    arguments.refuse_unknown(name, directory)
    session = _session(options)
    watch.watch(session, name, lambda name: named_profile.load_if_valid(name, directory))
    return 128 + session.signals.received if session.signals.received else 0


def cmd_down(options: argparse.Namespace) -> int:
    """`lvmsnap down`: nothing there is success too."""
    if options.all:
        return _down_all(options)
    if options.dry_run:
        return _show_down(options)
    from lvmsnap.cli import arguments

    name, directory = arguments.place(options, options.name)
    _require_root(options, f"lvmsnap down {name}")
    # The profile is read before the first change, and only if the record is not enough.
    _down(options, _session(options, reads_profiles=False), name, directory)
    return 0


def _down_all(options: argparse.Namespace) -> int:
    """Take everything down, even if some fail; report each error, and return the worst exit code."""
    from lvmsnap.cli import error_view
    from lvmsnap.operations import sessions

    _require_root(options, "lvmsnap down --all")
    session = _session(options)
    failures: list[LvmsnapError] = []
    names = sessions.names_with_traces(session)
    for name in names:
        try:
            if options.dry_run:
                _show_down(argparse.Namespace(**{**vars(options), "name": name}))
            else:
                _down(options, session, name, options.profile_dir)
        except Exception as error:
            failures.append(as_ours(error))
            error_view.fail(failures[-1], is_verbose=options.verbosity > 0)
    if not failures and not (options.dry_run and names):
        done = f"taken down: {', '.join(names)}" if names else "no profile is up: nothing to take down"
        session.progress.note(done)
    return worst(failure.exit_code for failure in failures)


def _down(options: argparse.Namespace, session: Session, name: str, directory: str) -> None:
    from lvmsnap.operations import named_profile, up_down

    if not up_down.down(session, name, lambda: named_profile.load_if_valid(name, directory), force=options.force):
        session.progress.note(f"{name} is down already: nothing of it exists")
        if near := named_profile.meant_instead(name, directory):
            session.progress.warn(f"there is no profile {name}: did you mean {near}?")


def cmd_status(options: argparse.Namespace) -> int:
    """`lvmsnap status`: a table, JSON or metrics, to stdout or into a file; exit 2 if a name is unknown."""
    from lvmsnap.cli import arguments
    from lvmsnap.operations.status import statuses, unknown

    if options.check:
        return _check_status(options)
    places = dict(arguments.place(options, name) for name in options.names)
    _require_root(options, "lvmsnap status")
    if options.history:
        return _show_history(options, places)
    found = statuses(_session(options, reads_only=True), tuple(places), places)
    _show_statuses(options, found)
    if places and (lacking := unknown(found)):
        # The others have been shown by now.
        raise arguments.unknown(lacking, options.profile_dir)
    return 0


def _check_status(options: argparse.Namespace) -> int:
    from lvmsnap.cli import arguments, monitoring_check
    from lvmsnap.operations.status import statuses, unknown

    def look() -> monitoring_check.Verdict:
        if options.history or options.output:
            raise UsageError("--check cannot be combined with --history or --output")
        places = dict(arguments.place(options, name) for name in options.names)
        _require_root(options, "lvmsnap status --check")
        found = statuses(_session(options, reads_only=True), tuple(places), places)
        if places and (lacking := unknown(found)):
            raise arguments.unknown(lacking, options.profile_dir)
        return monitoring_check.verdict(found, are_named=bool(places))

    return monitoring_check.answer(look)


def _show_history(options: argparse.Namespace, places: dict[str, str]) -> int:
    from lvmsnap.cli import run_table

    if options.prometheus:
        raise UsageError("--history cannot be combined with --prometheus", hint="--prometheus includes the last run")
    known = [name for name, directory in places.items() if os.path.lexists(f"{directory}/{name}.yaml")]
    run_table.show(options, tuple(places), known)
    return 0


def _show_statuses(options: argparse.Namespace, found: tuple[Status, ...]) -> None:
    from datetime import UTC, datetime

    from lvmsnap.cli import layout, metrics, status_table, views
    from lvmsnap.system import atomic_files

    now = datetime.now(UTC)
    if not (options.json or options.prometheus or options.output):
        layout.show(status_table.status_lines(found, now, status_table.terminal_columns()), sys.stdout)
        return
    if options.prometheus:
        text = metrics.to_prometheus(found, now)
    elif options.json:
        text = f"{views.to_json(found)}\n"
    else:
        text = layout.plain(status_table.status_lines(found, now))
    if options.output:
        atomic_files.write_whole(options.output, text)
    else:
        print(text, end="")


def cmd_recover(options: argparse.Namespace) -> int:
    """`lvmsnap recover`: takes down what is partial or stale, leaves alone what is properly up."""
    from lvmsnap.cli import arguments, layout, takeover, views
    from lvmsnap.operations import named_profile, recover

    places = dict(arguments.place(options, name) for name in options.names)
    _require_root(options, "lvmsnap recover")
    names, session = tuple(places), _session(options)
    if options.from_host is not None or options.yes:
        return takeover.recover_from_host(options, session)

    def load(name: str) -> Profile | None:
        return named_profile.load_if_valid(name, places.get(name, options.profile_dir))

    if options.dry_run:
        plans = recover.plan_recover(session, names, load)
        for name, plan in plans:
            layout.show(views.plan_lines(name, plan, is_verbose=options.verbosity > 0), sys.stdout)
        if not plans:
            whose = " of " + ", ".join(names) if names else ""
            layout.show([(("", f"nothing{whose} is left over: nothing to recover"),)], sys.stdout)
    else:
        layout.tell(views.recovered_lines(recover.recover(session, names, load), names), sys.stdout)
    return 0


def _require_root(options: argparse.Namespace, command: str) -> None:
    from lvmsnap.cli import arguments

    if os.geteuid() != 0:
        raise arguments.needs_root(options, command)


def _session(
    options: argparse.Namespace,
    *,
    notes_are_output: bool = False,
    reads_only: bool = False,
    reads_profiles: bool = True,
) -> Session:
    from lvmsnap.cli.progress import Reporter
    from lvmsnap.execution.context import Sheltered
    from lvmsnap.operations.sessions import Session
    from lvmsnap.system.held_signals import Signals
    from lvmsnap.system.processes import Runner

    if not reads_only:
        from lvmsnap.cli import beforehand
        from lvmsnap.system import limits

        limits.lift()
        beforehand.import_rest(reads_profiles=reads_profiles)
    reporter, signals = Reporter(options.verbosity, notes_are_output=notes_are_output), Signals()
    stop_after = getattr(options, "stop_after", None)
    runner = Runner(reporter.observe, reporter.stalled, signals, stop_after, reporter.warn)
    return Session(runner, signals, Sheltered(reporter), options.profile_dir, options.wait)
