"""Who holds the locks of LVM's own commands, without trying to take them."""

from __future__ import annotations

import os
from pathlib import Path

from lvmsnap.system import lvm_config, mount_table, process_table

# The lock that LVM takes for PVs, and for all groups at once.
GLOBAL = "P_global"


def holder(lock: str) -> str:
    """Return "pid PID (NAME)" of the process that holds one of LVM's locks, such as V_vg0, for writing, or "".

    LVM locks files in its locking_dir with flock(2); /proc/locks shows who holds one, without trying to take it.
    """
    try:
        status = os.stat(f"{directory()}/{lock}")
    except OSError:
        return ""
    where = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in mount_table.lines(Path("/proc/locks").read_bytes()):
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[3] == "WRITE" and fields[5] == where:
            return process_table.named(int(fields[4]))
    return ""


def directory() -> str:
    """Return where LVM keeps its lock files."""
    return lvm_config.locking_dir(lvm_config.read_settings(lvm_config.system_dir()))
