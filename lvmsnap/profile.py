"""Finds, reads and checks profiles: a name or a text -> Profile, or every mistake at once. Changes nothing."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvmsnap.errors import ProfileError, ProfileProblem, UsageError
from lvmsnap.model import GIB, KIB, MIB, TIB, Allocation, BackingFile, Profile, Size, SizeUnit, Volume
from lvmsnap.names import name_problem, origin_name_problem

if TYPE_CHECKING:
    from lvmsnap.yaml_source import Source

MAX_FILE_BYTES = 64 * KIB
SUFFIX = ".yaml"
SCHEMA_FILE = "profile.schema.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NAME_RULE = "a name has the characters a-z 0-9 _ - and begins with a letter or a digit"
_UNITS = {"K": KIB, "M": MIB, "G": GIB, "T": TIB}
_VOLUME = ("volumes", 0)


def names(directory: str) -> tuple[str, ...]:
    """The names of the profiles in `directory`, sorted; none if it does not exist."""
    try:
        files = sorted(Path(directory).iterdir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"cannot read the profile directory {directory}: {error.strerror}") from None
    return tuple(file.stem for file in files if file.suffix == SUFFIX and _NAME.fullmatch(file.stem))


def find(name: str, directory: str) -> Path:
    """The file of profile `name` in `directory`; a `name` with a slash or ending in .yaml is itself the path."""
    if "/" in name or name.endswith(SUFFIX):
        if not os.path.lexists(name):
            raise UsageError(f"there is no file {name}")
        return Path(name)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a profile", hint=f"{_NAME_RULE}; a path has a slash in it")
    known = names(directory)
    if name not in known:
        raise _no_such_profile(name, directory, known)
    return Path(directory, name + SUFFIX)


def load(path: Path, *, require_root_owned: bool) -> Profile:
    """Read and check the profile in the file `path`; it is named after the file."""
    if not _NAME.fullmatch(path.stem):
        raise _refused(path, [(f"{path.stem!r} is not the name of a profile", f"rename the file: {_NAME_RULE}")])
    text = read_text(path, require_root_owned=require_root_owned)
    return parse(text, name=path.stem, file=str(path))


def read_text(path: Path, *, require_root_owned: bool) -> str:
    """The text of a profile's file, opened once; refused if others than root could have written it."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _check_file(path, os.fstat(descriptor), require_root_owned=require_root_owned)
            content = os.read(descriptor, MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        hint = "profiles are root's own: run as root" if isinstance(error, PermissionError) else ""
        raise _refused(path, [(f"cannot be read: {error.strerror}", hint)]) from None
    if len(content) > MAX_FILE_BYTES:
        raise _refused(path, [_TOO_LARGE])
    return _decoded(path, content)


def parse(text: str, *, name: str, file: str) -> Profile:
    """Check the text of profile `name`; `file` is what the messages and the profile call its file."""
    from lvmsnap import profile_check

    source = profile_check.check(text, file, _schema())
    _check_names(source, name)
    _check_size(source)
    _check_mount(source, name)
    if source.problems:
        raise ProfileError(tuple(sorted(source.problems, key=lambda problem: (problem.line, problem.column))))
    assert isinstance(source.data, dict)
    return _built(source.data, name, file)


def schema_text() -> str:
    """The JSON Schema of a profile, as it is installed or as it is in the checkout."""
    package = Path(__file__).parent
    installed = package / "schema" / SCHEMA_FILE
    return (installed if installed.exists() else package.parent / "schema" / SCHEMA_FILE).read_text("utf-8")


@functools.cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text())
    return schema


# --- the file ---------------------------------------------------------------------------------------------------

_TOO_LARGE = (f"is larger than {MAX_FILE_BYTES // KIB} KiB", "this is hardly a profile")


def _no_such_profile(name: str, directory: str, known: tuple[str, ...]) -> UsageError:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    there = f"there are: {', '.join(known)}" if known else "there are none"
    if not known and not Path(directory).exists():
        there = "the directory does not exist"
    hint = f"did you mean {close[0]}?" if close else "lvmsnap init VG/LV prints one to begin with"
    return UsageError(f"there is no profile {name} in {directory} ({there})", hint=hint)


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
    # Both directories, where a link leads to another one: whoever may write there may put another file in place.
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
        return [(f"refused, since {what} is writable by others than root ({allowed})", hint)]
    return []


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        raise ProfileError((ProfileProblem(str(path), line, column, "", message, "save the file as UTF-8"),)) from None


# --- what a schema cannot say -----------------------------------------------------------------------------------


def _check_names(source: Source, name: str) -> None:
    origin_path, snapshot_path = (*_VOLUME, "origin"), (*_VOLUME, "snapshot")
    origin = source.readable(origin_path)
    if not isinstance(origin, str):
        return
    vg, lv = origin.split("/")
    if problem := origin_name_problem(vg, lv):
        source.add(source.values[origin_path], origin_path, f"volumes[0].origin {problem}")
        return
    snapshot = source.readable(snapshot_path)
    if isinstance(snapshot, str):
        problem = "is the origin's own name" if snapshot == lv else name_problem(vg, snapshot)
        if problem:
            message = f"volumes[0].snapshot {problem}"
            source.add(source.values[snapshot_path], snapshot_path, message, "choose another name")
    elif snapshot_path not in source.unreadable and (problem := name_problem(vg, default_snapshot(lv, name))):
        message = f"volumes[0].snapshot is not given, and its default {default_snapshot(lv, name)} {problem}"
        source.add(source.values[origin_path], snapshot_path, message, "give snapshot a name")


def _check_size(source: Source) -> None:
    """A percentage of space that is lent needs to know how much that is."""
    path, size = (*_VOLUME, "size"), source.readable((*_VOLUME, "size"))
    if not isinstance(size, str) or not size.endswith(("%PVS", "%FREE")) or ("backing_file",) in source.unreadable:
        return
    lends, unit = ("backing_file",) in source.values, size[size.index("%") :]
    if not lends and unit == "%PVS":
        message = f"volumes[0].size is {size}, a percentage of what backing_file lends, but there is no backing_file"
        source.add(source.values[path], path, message, "add a backing_file, or use %FREE or %ORIGIN")
    size_path = ("backing_file", "size")
    if lends and size_path not in source.values and size_path not in source.unreadable:
        message = f"volumes[0].size is {size}, but backing_file.size, on which that depends, is not given"
        source.add(source.values[path], path, message, "give backing_file a size, or the snapshot an amount")


def _check_mount(source: Source, name: str) -> None:
    path = (*_VOLUME, "mountpoint")
    if path in source.unreadable or not isinstance(source.readable(_VOLUME), dict):
        return
    mountpoint = source.readable(path) if path in source.values else default_mountpoint(name)
    if mountpoint is None:
        _check_unmounted(source)
        return
    file_path = ("backing_file", "path")
    file = source.readable(file_path)
    if isinstance(file, str) and f"{_tidy(file)}/".startswith(f"{_tidy(str(mountpoint))}/"):
        message = f"backing_file.path is in the mountpoint {mountpoint}, where the snapshot will be"
        source.add(source.values[file_path], file_path, message, "choose a path on another filesystem")


def _check_unmounted(source: Source) -> None:
    for path in (*_VOLUME, "mount_options"), ("remove_mountpoint",):
        if source.readable(path):
            key = path[-1]
            message = f"{key} is given, but mountpoint is null: there is no mount"
            source.add(source.keys[path], path, message, f"leave out {key}, or give a mountpoint")


# --- the profile ------------------------------------------------------------------------------------------------


def default_snapshot(lv: str, name: str) -> str:
    """The snapshot's name where profile `name` gives none."""
    return f"{lv}-lvmsnap-{name}"


def default_mountpoint(name: str) -> str:
    """Where the snapshot is mounted if profile `name` does not say."""
    return f"/run/lvmsnap/{name}"


def _built(data: Mapping[str, Any], name: str, file: str) -> Profile:
    properties = _schema()["properties"]
    top = _with_defaults(properties, data)
    given = top.get("backing_file")
    return Profile(
        name=name,
        path=file,
        description=" ".join(top["description"].split()),
        volume=_volume(_with_defaults(properties["volumes"]["items"]["properties"], top["volumes"][0]), name),
        backing_file=_backing_file(_with_defaults(properties["backing_file"]["properties"], given)) if given else None,
        remove_mountpoint=top["remove_mountpoint"],
    )


def _with_defaults(properties: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema["default"] for key, schema in properties.items() if "default" in schema} | dict(data)


def _volume(data: Mapping[str, Any], name: str) -> Volume:
    vg, origin = data["origin"].split("/")
    mountpoint = data.get("mountpoint", default_mountpoint(name))
    return Volume(
        vg=vg,
        origin=origin,
        snapshot=data.get("snapshot", default_snapshot(origin, name)),
        size=_size(data["size"]),
        chunk_size_bytes=_bytes(data["chunk_size"]) if "chunk_size" in data else None,
        mountpoint=_tidy(mountpoint) if mountpoint else None,
        mount_options=tuple(data["mount_options"]),
    )


def _backing_file(data: Mapping[str, Any]) -> BackingFile:
    return BackingFile(
        path=_tidy(data["path"]),
        size_bytes=_bytes(data["size"]) if "size" in data else None,
        loop_device=None if data["loop_device"] == "auto" else data["loop_device"],
        allocation=Allocation(data["allocation"]),
        allow_same_vg=data["allow_same_vg"],
        accept_boot_risk=data["accept_boot_risk"],
    )


def _size(text: str) -> Size:
    amount, percent, of = text.partition("%")
    return Size(int(amount), SizeUnit(percent + of)) if percent else Size(_bytes(text))


def _bytes(text: str) -> int:
    number = text.rstrip("KMGTiB")
    return int(number) * _UNITS[text[len(number)]]


def _tidy(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part)
