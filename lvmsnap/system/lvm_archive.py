"""Whether LVM has room for the copies that it keeps of a group's metadata; it changes nothing where it has none.

What is to be taken down, or given more room before it is full, must not depend on that: often it is the backup itself
that has filled the root filesystem.
"""

from __future__ import annotations

import os
import re

from lvmsnap.model.profile import Argv
from lvmsnap.system import lvm_config

SMALLEST_BYTES = 1 << 20
# lvmdevices keeps no copies.
KEEPING = r"(lv|vg|pv)(?!mdevices)[a-z]+"


def without_copies(argv: Argv) -> Argv:
    """Return the command so that it keeps no copies of the metadata, () if it can keep them, or never does."""
    return (*argv, "--autobackup", "n") if re.fullmatch(KEEPING, argv[0]) and why_none() else ()


def why_none() -> str:
    """Say why LVM cannot keep copies, "" if it can."""
    system_dir = lvm_config.system_dir()
    settings = lvm_config.read_settings(system_dir)
    return next(filter(None, map(_why_no_file, lvm_config.copies_dirs(settings, system_dir))), "")


def _why_no_file(directory: str) -> str:
    there = directory
    while there not in ("", "/") and not os.path.isdir(there):
        there = os.path.dirname(there)  # LVM would make it
    try:
        found = os.statvfs(there or "/")
    except OSError:
        return ""
    if found.f_flag & os.ST_RDONLY:
        return f"{directory} is read-only"
    is_full = found.f_bfree * found.f_frsize < SMALLEST_BYTES or (found.f_files and not found.f_ffree)
    return f"the filesystem of {directory} is full" if is_full else ""
