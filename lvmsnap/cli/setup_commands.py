"""The commands that check profiles and install units and boot files: options in, exit code out."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lvmsnap.cli.commands import USUAL_FOLDER, _require_root, _session
from lvmsnap.model.errors import ProfileError, ProfileProblem, UsageError

if TYPE_CHECKING:
    from lvmsnap.model.profile import Profile


def cmd_validate(options: argparse.Namespace) -> int:
    """`lvmsnap validate`: reports every mistake in every file; exit 2 if there is one."""
    from lvmsnap.profile import loading

    names = options.files or list(loading.names(options.profile_dir))
    problems: list[ProfileProblem] = [] if options.files else list(loading.misnamed(options.profile_dir))
    if not names and not problems:
        raise UsageError(
            f"there are no profiles in {options.profile_dir}", hint="lvmsnap init VG/LV --write NAME makes a first one"
        )
    for name in names:
        try:
            path = loading.find(name, options.profile_dir)
            # An owner that `up NAME` would refuse is a mistake; a file in a checkout may be anybody's.
            profile = loading.load(path, require_root_owned=os.geteuid() == 0 and str(path) != name)
        except ProfileError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(ProfileProblem("", 0, 0, "", error.message, error.hint))
        else:
            if options.verbosity >= 0:
                print(f"{path}: valid", *(f"{path}: note: {note}" for note in _notes(profile)), sep="\n")
    if problems:
        raise ProfileError(tuple(problems))
    return 0


def _notes(profile: Profile) -> Iterator[str]:
    """Yield what is not a mistake, but may be a surprise."""
    if profile.tree:
        yield (
            f"its volumes are below {profile.tree} as they are on the server; a profile's only volume is at the top: "
            "adding a volume moves the first, and borg and restic, which identify files by path, read it anew"
        )


def cmd_install_boot(options: argparse.Namespace) -> int:
    """`lvmsnap install-boot`: for initramfs-tools, dracut and systemd, whichever are present."""
    from lvmsnap.install import boot_recovery

    if options.status:
        found = boot_recovery.status()
        for entry in found:
            print(f"{entry.system.value:<16} {entry.problem or 'installed'}")
        return 1 if any(entry.problem for entry in found) else 0
    _require_root(options, "lvmsnap install-boot")
    session = _session(options, notes_are_output=True)
    with session.signals:
        (boot_recovery.remove if options.remove else boot_recovery.install)(session.runner, session.progress.note)
    return 0


def cmd_install_units(options: argparse.Namespace) -> int:
    """`lvmsnap install-units`: systemd units that run a command by `lvmsnap run` on a schedule, or hold a profile."""
    from lvmsnap.install import hold_unit, timer_units
    from lvmsnap.operations import named_profile
    from lvmsnap.profile import loading

    name = loading.name_of(options.name)
    if name != options.name:
        hint = f"lvmsnap install-units --profile-dir {shlex.quote(os.path.dirname(options.name) or '.')} {name}"
        raise UsageError("a unit is named after its profile, not after a file", hint=hint)
    if options.hold and options.on_calendar:
        hint = "set the time in the timer of the unit that needs it"
        raise UsageError("a hold is not scheduled: whatever needs it starts it", hint=hint)
    session = _session(options, notes_are_output=True)
    if options.status and options.hold:
        problem = hold_unit.problem(session.runner, options.name)
        print(problem or hold_unit.state(session.runner, options.name))
        return 1 if problem else 0
    if options.status:
        found = timer_units.seen(session.runner, options.name)
        print(found.problem or f"last run: {found.last}\nnext run: {found.next}")
        return 1 if found.problem else 0
    _require_root(options, f"lvmsnap install-units {options.name}")
    with session.signals:
        if options.remove:
            kind = hold_unit if options.hold else timer_units
            kind.remove(session.runner, options.name, session.progress.note)
            if not options.hold and (left := hold_unit.left_beside(options.name)):
                session.progress.note(left)
            return 0
        profile, _ = named_profile.load_for_change(options.name, options.profile_dir)
        if any(volume.luks and volume.luks.key_file is None for volume in profile.volumes):
            hint = f"give `luks` in {profile.path} a `key_file`"
            raise UsageError(f"{profile.name} asks for a passphrase, and a unit has no terminal", hint=hint)
        folder = "" if options.profile_dir == USUAL_FOLDER else os.path.abspath(options.profile_dir)
        if options.hold:
            hold_unit.install(session.runner, profile.name, folder, session.progress.note)
            return 0
        wish = timer_units.Wish(profile.name, options.argv, folder, options.on_calendar or "")
        timer_units.install(session.runner, wish, session.progress.note)
    return 0


def cmd_schema(options: argparse.Namespace) -> int:
    """`lvmsnap schema`: prints the schema, or its path."""
    from lvmsnap.profile import loading

    print(f"{loading.schema_path()}\n" if options.path else loading.schema_text(), end="")
    return 0
