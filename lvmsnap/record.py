"""The record: what `up` wrote down before it began. Knows no LVM."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from lvmsnap.errors import LvmsnapError
from lvmsnap.model import Allocation, Hooks, LentPV, MountTarget, Permission, Process, Record, Target
from lvmsnap.names import is_profile_name

STATE_DIR = "/var/lib/lvmsnap"
RUN_DIR = "/run/lvmsnap"
FORMAT = 1


class RecordError(LvmsnapError):
    """The record cannot be read, or not be kept."""


def record_path(name: str, directory: str = STATE_DIR) -> Path:
    """Return where the record of profile `name` is kept."""
    return Path(directory) / f"{name}.json"


def write(record: Record, directory: str = STATE_DIR) -> None:
    """Write the record whole and durably: a new file, synced, then renamed over the old one (rename(2)).

    Raises RecordError where that fails; the old one is there then.
    """
    path = record_path(record.target.name, directory)
    text = json.dumps({"format": FORMAT, **asdict(record)}, default=_enum_value, indent=1)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_durably(path, text + "\n")
    except OSError as error:
        raise RecordError(
            f"the record cannot be written: {path}: {error.strerror}",
            hint=f"lvmsnap changes nothing that it has not written down: make room in {directory}",
        ) from error


def owe(record: Record, due: tuple[str, ...]) -> Record:
    """Return the record with these hooks due, written down where that is new. Raises RecordError."""
    if due == record.hooks_due:
        return record
    changed = replace(record, hooks_due=due)
    write(changed)
    return changed


def _write_durably(path: Path, text: str) -> None:
    temporary = path.with_suffix(".json.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_directory(path.parent)


def read(name: str, directory: str = STATE_DIR) -> Record | None:
    """Return the record of profile `name`, None where there is none. Raises RecordError where it is unreadable."""
    path = record_path(name, directory)
    try:
        data = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        if data.pop("format") != FORMAT:
            raise ValueError("written by another version of lvmsnap")
        datetime.fromisoformat(data["time"])
        due = tuple(data.pop("hooks_due", ()))
        process, command = (_process(data.pop(key, None)) for key in ("process", "command"))
        return Record(target=_target(data.pop("target")), hooks_due=due, process=process, command=command, **data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"the record cannot be read: {path}: {error}",
            hint=f"move it away (mv {path} {path}.broken); `lvmsnap down {name}` then goes by LVM's own marks",
        ) from error


def remove(name: str, directory: str = STATE_DIR) -> None:
    """Remove the record of profile `name`, durably; none there is no error. Raises RecordError where it stays."""
    path = record_path(name, directory)
    try:
        path.with_suffix(".json.new").unlink(missing_ok=True)
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        hint = f"see what keeps {path} from being removed"
        raise RecordError(f"the record cannot be removed: {path}: {error.strerror}", hint=hint) from error


def exists(name: str, directory: str = STATE_DIR) -> bool:
    """Whether profile `name` has a record, readable or not."""
    return os.path.lexists(record_path(name, directory))


def names(directory: str = STATE_DIR) -> tuple[str, ...]:
    """Return the names of all profiles that have a record, sorted."""
    return tuple(sorted(path.stem for path in Path(directory).glob("*.json") if is_profile_name(path.stem)))


def _process(data: dict[str, int] | None) -> Process | None:
    return None if data is None else Process(int(data["pid"]), int(data["start_ticks"]))


def _target(data: dict[str, Any]) -> Target:
    lent, mount = data.pop("lent_pv"), data.pop("mount")
    if lent is not None:
        lent["allocation"] = Allocation(lent["allocation"])
        lent["allocate_on"] = tuple(lent["allocate_on"])
    if mount is not None:
        mount["options"] = tuple(mount["options"])
    hooks: dict[str, Any] = data.pop("hooks", {})
    hooks = {key: tuple(value) if isinstance(value, list) else value for key, value in hooks.items()}
    return Target(
        hooks=Hooks(**hooks),
        permission=Permission(data.pop("permission")),
        lent_pv=None if lent is None else LentPV(**lent),
        mount=None if mount is None else MountTarget(**mount),
        **data,
    )


def _enum_value(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} is no JSON")


def sync_directory(directory: str | Path) -> None:
    """Have a directory's entries on disk: what was made, renamed or removed in it (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
