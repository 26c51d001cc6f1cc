"""What a NAME on the command line means: the profile's name, and where its file is. Changes nothing."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lvmsnap.execution import records
from lvmsnap.model.errors import LvmsnapError, NotStartedError, ProfileError, Refusal, RefusedError, UsageError
from lvmsnap.model.near import nearest
from lvmsnap.operations import named_profile
from lvmsnap.profile import loading
from lvmsnap.system.processes import shell_line

if TYPE_CHECKING:
    from lvmsnap.model.profile import Profile


def place(options: Namespace, argument: str) -> tuple[str, str]:
    """Return the name that a NAME or a path means, and the directory of its profile.

    Raises UsageError if no profile can have such a name, RefusedError if another file of that name is up.
    """
    name = loading.name_of(argument)
    if name == argument:
        return name, options.profile_dir
    _refuse_other_file(name, argument)
    return name, os.path.dirname(argument) or "."


def unknown(lacking: Sequence[str], directory: str) -> UsageError:
    """Return the error that there are no profiles with these names, with the most similar name as a hint."""
    known = (*loading.names(directory), *records.names())
    near = nearest(lacking[0], known)
    hint = "lvmsnap status lists all profiles"
    return UsageError(
        f"there is no profile {', '.join(lacking)}", hint=f"did you mean {near}? {hint}" if near else hint
    )


def needs_root(options: Namespace, command: str) -> RefusedError:
    """Return the error that only root may run this command, with the typed command line."""
    return RefusedError((Refusal(f"{command} needs root", shell_line(("sudo", "lvmsnap", *options.words))),))


def refuse_unknown(name: str, directory: str) -> None:
    """Raise UsageError if there is neither a profile nor a record of that name."""
    if not os.path.lexists(f"{directory}/{name}{loading.SUFFIX}") and not records.exists(name):
        raise unknown((name,), directory)


def load_for_change(options: Namespace) -> tuple[Profile, str]:
    """Load the profile that `options.name` means, for root to act on, and its text.

    Raises UsageError, ProfileError, RefusedError.
    """
    place(options, options.name)
    return named_profile.load_for_change(options.name, options.profile_dir, accept_boot_risk=options.accept_boot_risk)


def load_to_run(options: Namespace) -> tuple[Profile, str]:
    """Load the profile as load_for_change does, for `run`: any error but UsageError becomes a NotStartedError."""
    try:
        profile, text = load_for_change(options)
        if os.geteuid() != 0:
            raise needs_root(options, f"lvmsnap run {profile.name}")
        return profile, text
    except (ProfileError, RefusedError) as error:
        raise NotStartedError.because(error) from error


def _refuse_other_file(name: str, path: str) -> None:
    """Raise RefusedError if the record of profile `name` was written for another file than `path`."""
    try:
        record = records.read(name)
    except LvmsnapError:
        return
    # An older lvmsnap wrote the path as it was given.
    if record is None or not os.path.isabs(record.profile_path):
        return
    if os.path.realpath(record.profile_path) != os.path.realpath(path):
        hint = f"lvmsnap status {name} and lvmsnap down {name} refer to that one; give this file another name"
        raise RefusedError((Refusal(f"{name} was brought up from {record.profile_path}, not from {path}", hint),))
