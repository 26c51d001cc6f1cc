"""The record: what `up` wrote down before it began. Knows nothing of LVM.

If it can no longer be updated after something was undone, because /var became read-only for example, the update is kept
in RUN_DIR for the rest of the boot: so no hook runs twice, and a snapshot that was removed does not count as lost.
"""

from __future__ import annotations

import itertools
import os
import shlex
import stat
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from lvmsnap.execution import record_format_1
from lvmsnap.model import codec
from lvmsnap.model.dataclass import asdict, replace
from lvmsnap.model.errors import FAULTS, LvmsnapError, why_not_written
from lvmsnap.model.lvm_names import is_profile_name
from lvmsnap.model.paths import RUN_DIR, STATE_DIR
from lvmsnap.model.target import Record
from lvmsnap.system import atomic_files

FORMAT = 2
LARGEST_BYTES = 1 << 20


class RecordError(LvmsnapError):
    """The record cannot be read, or cannot be written."""


class _OthersError(Exception):
    """Somebody other than root may have written what must be trusted. `way_out` is a command that prevents that."""

    def __init__(self, message: str, way_out: str) -> None:
        super().__init__(message)
        self.way_out = way_out


def record_path(name: str, directory: str = STATE_DIR) -> Path:
    """Return where the record of profile `name` is kept."""
    return Path(directory) / f"{name}.json"


def write(record: Record, directory: str = STATE_DIR) -> None:
    """Write the record whole and durably: a new file, synced, then renamed over the old one (rename(2)).

    Raises RecordError if that fails; the old one remains then.
    """
    _write(record, directory)
    _forget_note(record.target.name)


def _write(record: Record, directory: str) -> None:
    path = record_path(record.target.name, directory)
    text = codec.to_json({"format": FORMAT, **asdict(record)}, indent=1) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _shut(path.parent)
        atomic_files.replace(path, text.encode("utf-8", "surrogateescape"))
    except _OthersError as error:
        raise RecordError(f"the record cannot be written: {error}", hint=f"{error.way_out}; then try again") from error
    except OSError as error:
        raise RecordError(
            f"the record cannot be written: {path}: {error.strerror}",
            hint=f"lvmsnap changes nothing that it has not written down; {why_not_written(error, str(path))}",
        ) from error


def _shut(directory: Path) -> None:
    """Keep everybody but root out of the directory: root acts on what is recorded. Raises OSError, _OthersError."""
    if stat.S_IMODE(directory.stat().st_mode) != 0o700:
        directory.chmod(0o700)
    _trust(directory.stat(), str(directory))


def keep(record: Record) -> None:
    """Write the updated record; if that fails, keep it as a note. Raises nothing."""
    try:
        write(record)
    except FAULTS:
        with suppress(*FAULTS):
            note(record)


def note(record: Record) -> None:
    """Keep the updated record in RUN_DIR, where `read` prefers it to the original. Raises RecordError."""
    _write(record, RUN_DIR)


def _noted(record: Record) -> Record:
    """Return the note on this very record if there is one, else the record."""
    with suppress(RecordError):
        noted = _read(record.target.name, RUN_DIR)
        if noted and (noted.boot_id, noted.time, noted.process) == (record.boot_id, record.time, record.process):
            return noted
    return record


def _forget_note(name: str) -> None:
    with suppress(OSError):
        record_path(name, RUN_DIR).unlink(missing_ok=True)


def owe(record: Record, due: tuple[str, ...]) -> Record:
    """Return the record with these hooks due, and write it if that is a change. Raises RecordError."""
    if due == record.hooks_due:
        return record
    changed = replace(record, hooks_due=due)
    write(changed)
    return changed


def read(name: str, directory: str = STATE_DIR) -> Record | None:
    """Return the record of profile `name`, None if there is none. Raises RecordError if it is unreadable."""
    record = _read(name, directory)
    return record and _noted(record)


def _read(name: str, directory: str) -> Record | None:
    path = record_path(name, directory)
    try:
        return _parsed(_content(path), name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, _OthersError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        hint = f"lvmsnap down {name} --force relies on LVM's own marks, and puts the record aside"
        if isinstance(error, _OthersError):
            hint += f"; if you know that nobody has changed it, {error.way_out} is enough"
        raise RecordError(f"the record cannot be read: {path}: {why}", hint=hint) from error


def _content(path: Path) -> bytes:
    """Return the file's content; it must be a regular file, no symlink, ours, and not writable by others.

    Root runs the hooks that it names. Raises OSError, ValueError or _OthersError.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = atomic_files.open_own(path.name, directory)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise ValueError("it is not a regular file of root's")
            _trust(os.fstat(directory), str(path.parent))
            _trust(status, str(path))
            return file.read(LARGEST_BYTES)
    finally:
        os.close(directory)


def _trust(status: os.stat_result, path: str) -> None:
    """Raise _OthersError if somebody other than root may write to a file, or put files into a directory."""
    if status.st_uid != os.geteuid():
        raise _OthersError(f"{path} belongs to user {status.st_uid}, not to root", f"chown root: {shlex.quote(path)}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        what = f"{path} is writable by users other than root (mode {stat.S_IMODE(status.st_mode):04o})"
        raise _OthersError(what, f"chmod -R go-w {shlex.quote(path)}")


@lru_cache(maxsize=64)
def _parsed(content: bytes, name: str) -> Record:
    """Parse a file's content into a Record, cached. Raises ValueError if it is not one, or another profile's."""
    data = codec.parsed(content.decode(errors="surrogateescape"))
    if (found := data.pop("format", None)) == 1:
        data = record_format_1.converted(data)
    elif found != FORMAT:
        raise ValueError(f"written by another version of lvmsnap: format {found!r:.80}")
    record = codec.decoded(Record, data)
    if record.target.name != name:
        raise ValueError(f"it is the record of {record.target.name!r:.80}")
    if datetime.fromisoformat(record.time).tzinfo is None:
        raise ValueError(f"time {record.time!r:.80} has no time zone")
    return record


def remove(name: str, directory: str = STATE_DIR) -> None:
    """Remove the record of profile `name`, durably; none there is no error. Raises RecordError if it stays.

    An unreadable one is moved aside: what it describes may still exist.
    """
    path = record_path(name, directory)
    try:
        path.with_name(f"{path.name}.new").unlink(missing_ok=True)
        if is_unreadable(name, directory):
            path.rename(_aside(path))
        else:
            path.unlink()
        atomic_files.sync_directory(path.parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        hint = why_not_written(error, str(path))
        raise RecordError(f"the record cannot be removed: {path}: {error.strerror}", hint=hint) from error
    _forget_note(name)


def is_unreadable(name: str, directory: str = STATE_DIR) -> bool:
    """Whether profile `name` has a record that cannot be read."""
    try:
        read(name, directory)
    except RecordError:
        return True
    return False


def _aside(path: Path) -> Path:
    """Return where to move an unreadable record: PATH.unreadable, or with a number after it."""
    number = next(number for number in itertools.count() if not os.path.lexists(_kept(path, number)))
    return _kept(path, number)


def _kept(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.unreadable{number or ''}")


def exists(name: str, directory: str = STATE_DIR) -> bool:
    """Whether profile `name` has a record, readable or not."""
    return os.path.lexists(record_path(name, directory))


def names(directory: str = STATE_DIR) -> tuple[str, ...]:
    """Return the names of all profiles that have a record, sorted."""
    return tuple(sorted(path.stem for path in Path(directory).glob("*.json") if is_profile_name(path.stem)))
