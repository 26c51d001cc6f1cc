"""What each command does: options in, exit code out. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import TYPE_CHECKING

from lvmsnap import streams
from lvmsnap.errors import LvmsnapError, ProfileError, ProfileProblem, Refusal, RefusedError, UsageError, as_ours, worst

if TYPE_CHECKING:
    from lvmsnap.model import Plan, Profile
    from lvmsnap.render import Line
    from lvmsnap.session import Session
    from lvmsnap.status import Status

EXIT_REFUSED = 3
USUAL_FOLDER = "/etc/lvmsnap"


def cmd_plan(options: argparse.Namespace) -> int:
    """`lvmsnap plan`: exit 3 where a check refuses it."""
    if options.down:
        return _show_down(options)
    from lvmsnap import arguments, session

    if options.offline:
        from lvmsnap import offline, profile

        path = profile.find(options.name, options.profile_dir)
        loaded = profile.load(path, require_root_owned=False)
        return _show_plan(options, loaded, offline.plan(loaded), note="offline: a clean system is assumed")
    loaded, _ = arguments.load_for_change(options)
    return _show_plan(options, loaded, session.plan(_session(options), loaded), note=loaded.path)


def _show_plan(options: argparse.Namespace, loaded: Profile, plan: Plan, *, note: str) -> int:
    from lvmsnap import render

    lines = list(render.plan_lines(loaded.name, plan, note=note, description=loaded.description))
    return _print_plan(options, plan, lines, f"lvmsnap plan {loaded.name}")


def _print_plan(options: argparse.Namespace, plan: Plan, lines: list[Line], title: str) -> int:
    from lvmsnap import render

    if getattr(options, "json", False):
        print(render.to_json(plan))
    elif getattr(options, "export", None):
        render.export(lines, options.export, title)
    else:
        render.show(lines, sys.stdout)
    return 0 if all(check.passed for check in plan.checks) else EXIT_REFUSED


def _show_down(options: argparse.Namespace) -> int:
    from lvmsnap import arguments, loading, render, session

    if getattr(options, "offline", False):
        raise UsageError("plan --down --offline makes no sense", hint="what stands is only known on the machine itself")
    name, directory = arguments.place(options, options.name)
    # LVM shows nothing to anybody else: "nothing stands" would be a lie.
    _require_root(f"lvmsnap plan {name} --down")
    plan = session.plan_down(_session(options), name, loading.load_if_valid(name, directory))
    return _print_plan(options, plan, list(render.plan_lines(name, plan)), f"lvmsnap plan {name} --down")


def cmd_up(options: argparse.Namespace) -> int:
    """`lvmsnap up`: prints where the snapshot is, the mountpoint or the device."""
    if options.dry_run:
        return cmd_plan(argparse.Namespace(**{**vars(options), "down": False, "offline": False}))
    from lvmsnap import arguments, session

    loaded, text = arguments.load_for_change(options)
    _require_root(f"lvmsnap up {loaded.name}")
    working = _session(options)
    with working.signals:  # a signal that comes when all is up is too late to make it look undone
        target = session.up(working, loaded, text, replace_old=options.replace, if_down=options.if_down)
        streams.answer(target.mount.mountpoint if target.mount else f"/dev/{target.vg}/{target.snapshot}")
    return 0


def cmd_run(options: argparse.Namespace) -> int:
    """`lvmsnap run`: exits as the command did; 124 where its snapshot was lost, 125 where it never started."""
    from lvmsnap import arguments, render, run

    loaded, text = arguments.load_to_run(options)
    code = run.run(_session(options), loaded, text, options.argv, replace_old=options.replace)
    return code and render.fail(LvmsnapError(f"{options.argv[0]} ended with exit status {code}"), code)


def cmd_watch(options: argparse.Namespace) -> int:
    """`lvmsnap watch`: ends with the snapshot; 124 where that was lost."""
    from lvmsnap import arguments, loading, watch

    name, directory = arguments.place(options, options.name)
    _require_root(f"lvmsnap watch {name}")
    working = _session(options)
    watch.watch(working, name, lambda name: loading.load_if_valid(name, directory))
    return 128 + working.signals.received if working.signals.received else 0


def cmd_down(options: argparse.Namespace) -> int:
    """`lvmsnap down`: nothing there is success too."""
    if options.all:
        return _down_all(options)
    if options.dry_run:
        return _show_down(options)
    from lvmsnap import arguments

    name, directory = arguments.place(options, options.name)
    _require_root(f"lvmsnap down {name}")
    _down(options, _session(options), name, directory)
    return 0


def _down_all(options: argparse.Namespace) -> int:
    """Take everything down, the others too where one fails; raise the worst error."""
    from lvmsnap import render, session

    _require_root("lvmsnap down --all")
    working = _session(options)
    failures: list[LvmsnapError] = []
    for name in session.names_standing(working):
        try:
            if options.dry_run:
                _show_down(argparse.Namespace(**{**vars(options), "name": name}))
            else:
                _down(options, working, name, options.profile_dir)
        except Exception as error:
            failures.append(as_ours(error))
            render.fail(failures[-1])
    return worst(failure.exit_code for failure in failures)


def _down(options: argparse.Namespace, working: Session, name: str, directory: str) -> None:
    from lvmsnap import loading, lowering

    loaded = loading.load_if_valid(name, directory)
    if not lowering.down(working, name, loaded, force=options.force):
        working.progress.note(f"{name} is down already: nothing of it stands")


def cmd_status(options: argparse.Namespace) -> int:
    """`lvmsnap status`: a table, JSON or metrics, to stdout or into a file; exit 2 where a name is nobody's."""
    from lvmsnap import arguments
    from lvmsnap.statuses import statuses, unknown

    places = dict(arguments.place(options, name) for name in options.names)
    _require_root("lvmsnap status")
    found = statuses(_session(options), tuple(places), places)
    _show_statuses(options, found)
    if places and (lacking := unknown(found)):
        # The others were shown all the same.
        raise UsageError(f"there is no profile {', '.join(lacking)}", hint="lvmsnap status shows all that there are")
    return 0


def _show_statuses(options: argparse.Namespace, found: tuple[Status, ...]) -> None:
    from datetime import UTC, datetime

    from lvmsnap import files, metrics, render, status_table

    now = datetime.now(UTC)
    if not (options.json or options.prometheus or options.output):
        render.show(status_table.status_lines(found, now, status_table.terminal_columns()), sys.stdout)
        return
    if options.prometheus:
        text = metrics.to_prometheus(found, now)
    elif options.json:
        text = f"{render.to_json(found)}\n"
    else:
        text = render.plain(status_table.status_lines(found, now))
    if options.output:
        files.write_whole(options.output, text)
    else:
        print(text, end="")


def cmd_recover(options: argparse.Namespace) -> int:
    """`lvmsnap recover`: takes down what is partial or stale, leaves alone what is properly up."""
    from lvmsnap import arguments, loading, recovery, render, takeover

    places = dict(arguments.place(options, name) for name in options.names)
    _require_root("lvmsnap recover")
    names, working = tuple(places), _session(options)
    if options.from_host is not None or options.yes:
        return takeover.recover_from_host(options, working)

    def load(name: str) -> Profile | None:
        return loading.load_if_valid(name, places.get(name, options.profile_dir))

    if options.dry_run:
        for name, plan in recovery.plan_recover(working, names, load):
            render.show(render.plan_lines(name, plan), sys.stdout)
    else:
        render.tell(render.recovered_lines(recovery.recover(working, names, load), names), sys.stdout)
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
        except UsageError as error:
            problems.append(ProfileProblem(name, 0, 0, "", error.message, error.hint))
        else:
            if options.verbosity >= 0:
                print(f"{path}: valid")
    if problems:
        raise ProfileError(tuple(problems))
    return 0


def cmd_install_boot(options: argparse.Namespace) -> int:
    """`lvmsnap install-boot`: for initramfs-tools, dracut and systemd, whichever are there."""
    from lvmsnap import boot

    if options.status:
        found = boot.status()
        for entry in found:
            print(f"{entry.system.value:<16} {entry.problem or 'installed'}")
        return 1 if any(entry.problem for entry in found) else 0
    _require_root("lvmsnap install-boot")
    working = _session(options, is_told=True)
    with working.signals:
        (boot.remove if options.remove else boot.install)(working.runner, working.progress.note)
    return 0


def cmd_install_units(options: argparse.Namespace) -> int:
    """`lvmsnap install-units`: the systemd units that run a command by `lvmsnap run` when it is time."""
    from lvmsnap import loading, profile, units

    name = profile.name_of(options.name)
    if name != options.name:
        hint = f"lvmsnap install-units --profile-dir {shlex.quote(os.path.dirname(options.name) or '.')} {name}"
        raise UsageError("a unit is named after its profile, not after a file", hint=hint)
    working = _session(options, is_told=True)
    if options.status:
        found = units.seen(working.runner, options.name)
        print(found.problem or f"last run: {found.last}\nnext run: {found.next}")
        return 1 if found.problem else 0
    _require_root(f"lvmsnap install-units {options.name}")
    with working.signals:
        if options.remove:
            units.remove(working.runner, options.name, working.progress.note)
            return 0
        loaded, _ = loading.load_for_change(options.name, options.profile_dir)
        folder = "" if options.profile_dir == USUAL_FOLDER else os.path.abspath(options.profile_dir)
        wish = units.Wish(loaded.name, options.argv, folder, options.on_calendar or "")
        units.install(working.runner, wish, working.progress.note)
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


def _require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise RefusedError((Refusal(f"{command} needs root", f"sudo {command}"),))


def _session(options: argparse.Namespace, *, is_told: bool = False) -> Session:
    from lvmsnap.progress import Reporter
    from lvmsnap.runner import Runner, Signals
    from lvmsnap.session import Session
    from lvmsnap.work import Sheltered

    reporter, signals = Reporter(options.verbosity, is_told=is_told), Signals()
    runner = Runner(reporter.observe, reporter.stalled, signals, getattr(options, "stop_after", None))
    return Session(runner, signals, Sheltered(reporter), options.profile_dir, options.wait)
