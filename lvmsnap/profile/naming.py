"""What was probably meant by a name that no profile has, or by a file with an invalid name. Changes nothing."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from lvmsnap.model.errors import UsageError
from lvmsnap.model.lvm_names import PROFILE_NAME_RULE, is_profile_name
from lvmsnap.model.near import nearest

SUFFIX = ".yaml"
# How many existing profiles to list in the error for a misspelt one.
SHOWN = 20
OTHER_SUFFIXES = (".yml", ".YAML", ".YML")


def not_a_name(argument: str) -> UsageError:
    """Return the error for an argument that is neither a profile's name nor the path of a file with such a name."""
    name = os.path.basename(argument).removesuffix(SUFFIX) if argument.endswith(SUFFIX) else argument
    what = f"{name!r} is not the name of a profile"
    if name != argument:
        return UsageError(f"{argument}: {what}", hint=_rename(Path(argument)))
    return UsageError(what, hint=_meant(argument) or f"{PROFILE_NAME_RULE}; a file is given with {SUFFIX} at its end")


def rename_hint(path: Path) -> str:
    """Return what to do about a file that is meant as a profile, but has an invalid name."""
    return _rename(path)


def _rename(path: Path) -> str:
    better = path.with_name(f"{_slug(path.stem)}{SUFFIX}")
    if is_profile_name(better.stem) and not better.exists():
        return f"rename the file: mv -- {shlex.quote(str(path))} {shlex.quote(str(better))}"
    return f"rename the file: {PROFILE_NAME_RULE}"


def _meant(argument: str) -> str:
    path = Path(argument)
    if path.suffix in OTHER_SUFFIXES:
        return f"a profile's file ends in {SUFFIX}, and NAME is without it"
    if is_profile_name(path.name) and Path(f"{argument}{SUFFIX}").exists():
        return f"did you mean {argument}{SUFFIX}?"
    if re.fullmatch(r"(?:/dev/|/dev/mapper/)?[\w+][\w+.-]*/?[\w+.-]+", argument) and "/" in argument:
        return f"that looks like a volume: lvmsnap init {argument} makes a profile of it"
    slug = _slug(argument)
    return f"did you mean {slug}?" if is_profile_name(slug) and "/" not in argument else ""


def _slug(word: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", word.lower()).strip("-")


def no_such_file(path: str, known: tuple[str, ...]) -> UsageError:
    """Return the error for a path ending in .yaml without a file; `known` are the profiles in the usual directory."""
    name, folder = Path(path).stem, os.path.dirname(path)
    if name in known:
        hint = f"give the profile by name, without .yaml: {name}"
    elif not os.path.isdir(folder or "."):
        hint = f"there is no directory {folder}"
    else:
        hint = f"see what is there: ls {shlex.quote(folder or '.')}"
    return UsageError(f"there is no file {path}", hint=hint)


def no_such_profile(name: str, directory: str, known: tuple[str, ...]) -> UsageError:
    """Return the error for a name without a profile; `known` are the existing ones."""
    what, folder = f"there is no profile {name} in {directory}", Path(directory)
    for suffix in OTHER_SUFFIXES:
        if (other := folder / f"{name}{suffix}").exists():
            return UsageError(f"{what}: the name of its file must end in {SUFFIX}", hint=_rename(other))
    close = nearest(name, known)
    shown = (*known[:SHOWN], f"and {len(known) - SHOWN} more") if len(known) > SHOWN else known
    there = f"there are: {', '.join(shown)}" if known else "there are none"
    if not known and not folder.exists():
        there = "the directory does not exist"
    hint = f"did you mean {close}?" if close else f"lvmsnap init VG/LV --write {name} makes one"
    return UsageError(f"{what} ({there})", hint=hint)
