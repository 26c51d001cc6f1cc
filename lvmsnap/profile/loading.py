"""Finds, reads and checks profiles: a name or a text -> Profile, or every mistake at once. Changes nothing."""

from __future__ import annotations

import functools
import json
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lvmsnap.model.errors import ProfileError, ProfileProblem, UsageError
from lvmsnap.model.lvm_names import is_profile_name
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import KIB
from lvmsnap.profile import naming

MAX_FILE_BYTES = 64 * KIB
SUFFIX = naming.SUFFIX
SCHEMA_FILE = "profile.schema.json"


def names(directory: str) -> tuple[str, ...]:
    """The names of the profiles in `directory`, sorted; none if it does not exist."""
    return tuple(file.stem for file in _files(directory) if file.suffix == SUFFIX and is_profile_name(file.stem))


def _files(directory: str) -> list[Path]:
    try:
        return sorted(path for path in Path(directory).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        hint = "only root may read it: run it as root" if isinstance(error, PermissionError) else ""
        raise UsageError(f"cannot read the profile directory {directory}: {error.strerror}", hint=hint) from None


def misnamed(directory: str) -> Iterator[ProfileProblem]:
    """Yield the problems of files in a directory that are meant as profiles, but have an invalid name."""
    for file in _files(directory):
        if file.suffix in naming.OTHER_SUFFIXES:
            hint = naming.rename_hint(file)
            yield ProfileProblem(str(file), 0, 0, "", f"its name must end in {SUFFIX}", hint)
        elif file.suffix == SUFFIX and not is_profile_name(file.stem):
            hint = naming.rename_hint(file)
            yield ProfileProblem(str(file), 0, 0, "", f"{file.stem!r} is not the name of a profile", hint)


def find(name: str, directory: str) -> Path:
    """The file of profile `name` in `directory`; a `name` that ends in .yaml is itself the path. Raises UsageError."""
    name_of(name)
    if name.endswith(SUFFIX):
        if not os.path.lexists(name):
            raise naming.no_such_file(name, names(directory))
        return Path(name)
    path = Path(directory, name + SUFFIX)
    if not os.path.lexists(path):
        # The directory is listed only for the message: otherwise a thousand names would list it a thousand times.
        raise naming.no_such_profile(name, directory, names(directory))
    return path


def name_of(argument: str) -> str:
    """The profile's name in a NAME or a path that ends in .yaml. Raises UsageError if no profile can have it."""
    name = os.path.basename(argument).removesuffix(SUFFIX) if argument.endswith(SUFFIX) else argument
    if not is_profile_name(name):
        raise naming.not_a_name(argument)
    return name


def load(path: Path, *, require_root_owned: bool) -> Profile:
    """Read and check the profile in the file `path`; it is named after the file."""
    if not is_profile_name(path.stem):
        raise _refused(path, [(f"{path.stem!r} is not the name of a profile", naming.rename_hint(path))])
    text = read_text(path, require_root_owned=require_root_owned)
    return parse(text, name=path.stem, file=str(path))


def read_text(path: Path, *, require_root_owned: bool) -> str:
    """The text of a profile's file, opened once; refused if somebody other than root could have written it."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _check_file(path, os.fstat(descriptor), require_root_owned=require_root_owned)
            content = os.read(descriptor, MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        hint = "only root may read profiles: run it as root" if isinstance(error, PermissionError) else ""
        raise _refused(path, [(f"cannot be read: {error.strerror}", hint)]) from None
    if len(content) > MAX_FILE_BYTES:
        raise _refused(path, [_TOO_LARGE])
    return _decoded(path, content)


def parse(text: str, *, name: str, file: str) -> Profile:
    """Check the text of profile `name`; `file` is its path in messages and in the Profile."""
    from lvmsnap.profile import rules, schema_errors, values

    source = schema_errors.check(text, file, _schema())
    rules.check(source, name)
    if source.problems:
        raise ProfileError(tuple(sorted(source.problems, key=lambda problem: (problem.line, problem.column))))
    assert isinstance(source.data, dict)
    return values.built(source.data, _schema(), name, file)


def schema_path() -> Path:
    """Where the JSON Schema of a profile is: the installed one, or that of the checkout.

    In Debian's package it is a symlink; its target's path does not depend on the Python version.
    """
    package = Path(__file__).resolve().parent.parent
    installed = package / "schema" / SCHEMA_FILE
    return installed.resolve() if installed.exists() else package.parent / "schema" / SCHEMA_FILE


def schema_text() -> str:
    """The JSON Schema of a profile."""
    return schema_path().read_text("utf-8")


@functools.cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text())
    return schema


# --- the file ---------------------------------------------------------------------------------------------------

_TOO_LARGE = (f"is larger than {MAX_FILE_BYTES // KIB} KiB", "this cannot be a profile")


def _refused(path: Path, reasons: list[tuple[str, str]]) -> ProfileError:
    return ProfileError(tuple(ProfileProblem(str(path), 0, 0, "", message, hint) for message, hint in reasons))


def _check_file(path: Path, status: os.stat_result, *, require_root_owned: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, [("is not a regular file", "")])
    if status.st_size > MAX_FILE_BYTES:
        raise _refused(path, [_TOO_LARGE])
    if not require_root_owned:
        return
    reasons = _trust_problems(status, "the file", str(path), "0644")
    # Both directories, if a symlink leads to another one: whoever can write there can put another file in place.
    for directory in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
        reasons += _trust_problems(directory.stat(), f"its directory {directory}", str(directory), "0755")
    if reasons:
        raise _refused(path, reasons)


def _trust_problems(status: os.stat_result, what: str, path: str, mode: str) -> list[tuple[str, str]]:
    hint = f"chown root:root {shlex.quote(path)} && chmod {mode} {shlex.quote(path)}"
    if status.st_uid != 0:
        return [(f"refused, since {what} belongs to user {status.st_uid}, not to root", hint)]
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        allowed = f"mode {stat.S_IMODE(status.st_mode):04o}"
        return [(f"refused, since {what} is writable by users other than root ({allowed})", hint)]
    return []


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        raise ProfileError((ProfileProblem(str(path), line, column, "", message, "save the file as UTF-8"),)) from None
