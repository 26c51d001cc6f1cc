"""Loads the profile that a command is about: for root to act on, where there is a valid one, or out of its record."""

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
    """Return the profile as it was when it was brought up; None where this lvmsnap can read it no more."""
    try:
        return loading.parse(record.profile_text, name=record.target.name, file=record.profile_path)
    except ProfileError:
        return None


def load_for_change(name: str, directory: str, *, accept_boot_risk: bool = False) -> tuple[Profile, str]:
    """Load a profile that root is to act on, and its text. Raises UsageError, ProfileError.

    `accept_boot_risk` does what the profile's key of that name does.
    """
    path = loading.find(name, directory)
    text = loading.read_text(path, require_root_owned=reading.is_root())
    profile = loading.parse(text, name=path.stem, file=str(path))
    if accept_boot_risk:
        files = tuple(replace(backing, accept_boot_risk=True) for backing in profile.backing_files)
        profile = replace(profile, backing_files=files)
    return profile, text


def names(directory: str, progress: Progress) -> tuple[str, ...]:
    """Return the names of the profiles in a directory; one that cannot be read is warned of."""
    try:
        return loading.names(directory)
    except UsageError as error:
        progress.warn(error.message)
        return ()


def meant_instead(name: str, directory: str) -> str:
    """Return the profile whose name is like this one, "" where there is none, or one of this very name."""
    try:
        known = loading.names(directory)
    except UsageError:
        return ""
    return "" if name in known else nearest(name, known)


def load_if_valid(name: str, directory: str) -> Profile | None:
    """Load a profile where there is a valid one; `down` does without it, whatever is wrong with it."""
    try:
        return load_if_there(name, directory)
    except Exception:
        return None


def load_if_there(name: str, directory: str) -> Profile | None:
    """Load a profile where there is one. Raises ProfileError where it is not valid."""
    path = Path(directory, f"{name}.yaml")
    return loading.load(path, require_root_owned=reading.is_root()) if os.path.lexists(path) else None
