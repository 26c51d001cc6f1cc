"""Loads the profile that a command is about: for root to act on, only if there is a valid one, or from its record."""

from __future__ import annotations

import os
from pathlib import Path

from lvmsnap.execution.context import Progress
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import ProfileError, UsageError
from lvmsnap.model.near import nearest
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Record
from lvmsnap.profile import loading
from lvmsnap.system import reading


def profile_of(record: Record) -> Profile | None:
    """Return the profile as it was when it was brought up; None if this lvmsnap can no longer read it."""
    try:
        return loading.parse(record.profile_text, name=record.target.name, file=record.profile_path)
    except ProfileError:
        return None


def load_for_change(name: str, directory: str, *, accept_boot_risk: bool = False) -> tuple[Profile, str]:
    """Load a profile for root to act on, and its text. Raises UsageError, ProfileError.

    `accept_boot_risk` has the effect of the profile's key of that name.
    """
    path = loading.find(name, directory)
    text = loading.read_text(path, require_root_owned=reading.is_root())
    profile = loading.parse(text, name=path.stem, file=str(path))
    if accept_boot_risk:
        files = tuple(replace(backing, accept_boot_risk=True) for backing in profile.backing_files)
        profile = replace(profile, backing_files=files)
    return profile, text


def names(directory: str, progress: Progress) -> tuple[str, ...]:
    """Return the names of the profiles in a directory; if it cannot be read, warn and return none."""
    try:
        return loading.names(directory)
    except UsageError as error:
        progress.warn(error.message)
        return ()


def meant_instead(name: str, directory: str) -> str:
    """Return the profile whose name is similar to this one, "" if there is none, or if this very name exists."""
    try:
        known = loading.names(directory)
    except UsageError:
        return ""
    return "" if name in known else nearest(name, known)


def load_if_valid(name: str, directory: str) -> Profile | None:
    """Load a profile, None without a valid one; `down` can do without it, whatever is wrong with it."""
    try:
        return load_if_there(name, directory)
    except Exception:
        return None


def load_if_there(name: str, directory: str) -> Profile | None:
    """Load a profile, None if there is none. Raises ProfileError if it is not valid."""
    path = Path(directory, f"{name}.yaml")
    return loading.load(path, require_root_owned=reading.is_root()) if os.path.lexists(path) else None
