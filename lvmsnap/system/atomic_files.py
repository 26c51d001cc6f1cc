"""Writes files atomically: a reader finds either the old content or the new one. Also reads small files safely."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from lvmsnap.model.errors import LvmsnapError, why_not_written


def write_whole(path: str, text: str, mode: int = 0o644) -> None:
    """Write a new file beside `path`, by default readable by all, synced, and rename it over (rename(2)).

    Raises LvmsnapError; the old file is unchanged then. It replaces regular files only: not /dev/null, nor a symlink.
    """
    import tempfile  # slow to import, and not needed for any change

    directory = os.path.dirname(path)
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            kind = "a directory" if os.path.isdir(path) else "not a regular file"
            raise LvmsnapError(f"cannot write {path}: it is {kind}", hint="name a file; it is replaced as a whole")
        # Hidden and with a suffix of its own, so that no metrics collector reads it.
        descriptor, temporary = tempfile.mkstemp(prefix=".lvmsnap.", suffix=".new", dir=directory or ".")
        _fill_and_rename(descriptor, temporary, path, text.encode("utf-8", "backslashreplace"), mode)
    except OSError as error:
        hint = f"{why_not_written(error, path)}; or name another file"
        raise LvmsnapError(f"cannot write {path}: {error.strerror}", hint=hint) from error


def replace(path: Path, content: bytes, *, is_durable: bool = True) -> None:
    """Replace a file of root's own, in a directory of root's alone, through NAME.new (rename(2)).

    With `is_durable` both the file and its name are on disk afterwards. Raises OSError; the old file is unchanged then.
    """
    temporary = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # A process that has an old one open must not write into the new one.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    _fill_and_rename(descriptor, temporary, str(path), content, 0o600, is_synced=is_durable)
    if is_durable:
        sync_directory(path.parent)


def create(path: str, text: str, mode: int = 0o600) -> None:
    """Write and sync a file that must not exist yet, not even as a symlink. Raises OSError.

    If writing fails, there is no file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(os.path.dirname(path) or ".")
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def open_own(path: str | Path, directory: int | None = None) -> int:
    """Open a file for reading, relative to an open `directory` if given; no symlink, and without blocking.

    Opening a FIFO would block until it has a writer. Raises OSError.
    """
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)


def read_small(path: str | Path, largest_bytes: int) -> bytes:
    """Return the first `largest_bytes` of a file. Raises OSError."""
    descriptor = open_own(path)
    try:
        return os.read(descriptor, largest_bytes)
    finally:
        os.close(descriptor)


def sync_directory(directory: str | Path) -> None:
    """Sync a directory's entries to disk: what was created, renamed or removed in it (fsync(2)). Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill_and_rename(
    descriptor: int, temporary: str, path: str, content: bytes, mode: int, *, is_synced: bool = True
) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if is_synced:
                os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
