"""Writes a result to a file so that whoever reads it finds the old one or the new one, whole."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress

from lvmsnap.model.errors import LvmsnapError


def write_whole(path: str, text: str, mode: int = 0o644) -> None:
    """Write a new file beside `path`, by default readable by all, synced, and rename it over (rename(2)).

    Raises LvmsnapError; the old file is as it was then. What is no regular file is left alone: /dev/null, a link.
    """
    directory = os.path.dirname(path)
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            kind = "a directory" if os.path.isdir(path) else "no regular file"
            raise LvmsnapError(f"cannot write {path}: it is {kind}", hint="name a file; it is replaced as a whole")
        # Hidden and with a suffix of its own, so that no collector reads it.
        descriptor, temporary = tempfile.mkstemp(prefix=".lvmsnap.", suffix=".new", dir=directory or ".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "backslashreplace"))
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        hint = "make its directory first" if isinstance(error, FileNotFoundError) else "name another file, or make room"
        raise LvmsnapError(f"cannot write {path}: {error.strerror}", hint=hint) from error
