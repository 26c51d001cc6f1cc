"""The files that LVM's commands may read while origins are held, and the block devices below them. Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lvmsnap.model.facts import Mount
from lvmsnap.model.looked import LvmPart
from lvmsnap.system import block_devices, lvm_config
from lvmsnap.system.processes import environment
from lvmsnap.system.programs import which

PROGRAMS = ("lvm", "dmsetup", "sh")
FOLDERS = ("/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/dev", "/run")


def parts(mounts: tuple[Mount, ...]) -> tuple[LvmPart, ...]:
    """Return LVM's programs, libraries, settings, locks and log with the devices below, one part per filesystem."""
    found: dict[int, LvmPart] = {}
    for path in _paths():
        device = os.stat(path).st_dev
        if device not in found:
            found[device] = LvmPart(path, block_devices.own_devices_under(path, mounts))
    return tuple(found.values())


def _paths() -> Iterator[str]:
    """Yield the paths that exist, with symlinks resolved."""
    search, system_dir = environment()["PATH"], lvm_config.system_dir()
    settings = lvm_config.read_settings(system_dir)
    programs = (which(program, search) for program in PROGRAMS)
    log = lvm_config.log_file(settings)
    folders = (*FOLDERS, system_dir, lvm_config.locking_dir(settings), os.path.dirname(log))
    for path in (*programs, *folders):
        if path and os.path.exists(path):
            yield os.path.realpath(path)
