"""The one reading of the system: LVM's report, the kernel's tables and the profile's own paths become Facts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lvmsnap.model.facts import SECTOR_BYTES, Facts
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Process, Record, Target
from lvmsnap.system import (
    block_devices,
    device_mapper,
    lvm_config,
    lvm_lock,
    lvm_report,
    mount_table,
    process_table,
)
from lvmsnap.system.host import host_id
from lvmsnap.system.mount_owners import boot_mountpoints
from lvmsnap.system.path_facts import _backing_place, _mountpoint
from lvmsnap.system.processes import Runner, environment


@dataclass(frozen=True, slots=True)
class Interest:
    """What a reading is to look at besides LVM: one profile's names and paths."""

    vg: str
    origin: str
    backing_path: str = ""
    mountpoint: str = ""
    process: Process | None = None

    @classmethod
    def of_profile(cls, profile: Profile) -> Interest:
        """Return what a profile names."""
        path = profile.backing_file.path if profile.backing_file else ""
        return cls(profile.volume.vg, profile.volume.origin, path, profile.volume.mountpoint or "")

    @classmethod
    def of_target(cls, target: Target, record: Record | None = None) -> Interest:
        """Return what a target names, and the process that its record does."""
        path = target.lent_pv.path if target.lent_pv else ""
        mountpoint = target.mount.mountpoint if target.mount else ""
        return cls(target.vg, target.origin, path, mountpoint, record.process if record else None)


def read_system(runner: Runner, *, locking: bool = True) -> Facts:
    """Read everything that is the same for all profiles, LVM in one process. Raises ToolError where LVM says nothing.

    Without `locking` the reading never waits for another LVM command, and may see the middle of its work.
    """
    vgs, orphan_pvs = lvm_report.read_report(runner, locking=locking)
    system_dir = lvm_config.system_dir()
    settings = lvm_config.read_settings(system_dir)
    devices_file = lvm_config.devices_file(settings, system_dir)
    return Facts(
        is_root=is_root(),
        boot_id=block_devices.boot_id(),
        snapshot_target=block_devices.has_module("dm-snapshot"),
        loop_driver=Path("/dev/loop-control").exists() or block_devices.has_module("loop"),
        vgs=vgs,
        orphan_pvs=orphan_pvs,
        mounts=mount_table.mounts(),
        loops=block_devices.loops(),
        loop_numbers=block_devices.loop_numbers(),
        dm_devices=device_mapper.devices(),
        lvm_filters=lvm_config.filters(settings),
        devices_file=devices_file,
        listed_devices=lvm_config.listed_devices(devices_file),
        boot_mountpoints=boot_mountpoints(),
        host=host_id(),
    )


def focus(facts: Facts, interest: Interest) -> Facts:
    """Add what stands at one profile's paths; starts no process."""
    vg = facts.vg(interest.vg)
    devices = vg.pvs if vg else ()
    present = [pv.device for pv in devices if Path(pv.device).is_block_device()]
    sizes = [
        block_devices.logical_block_bytes(block_devices.device_number(os.stat(device).st_rdev)) for device in present
    ]
    return replace(
        facts,
        vg_lock_holder=lvm_lock.holder(f"V_{interest.vg}"),
        is_process_gone=interest.process is not None and not process_table.is_running(interest.process),
        **_backing_place(interest.backing_path, facts.mounts),
        mountpoint=_mountpoint(interest.mountpoint, facts.mounts) if interest.mountpoint else None,
        pv_logical_block_bytes=max(sizes, default=SECTOR_BYTES),
    )


def origin_device_number(facts: Facts, interest: Interest) -> str:
    """Return "MAJOR:MINOR" of the origin's device, "" where it is not there or not active."""
    vg = facts.vg(interest.vg)
    lv = vg.lv(interest.origin) if vg else None
    return lv.device_number if lv else ""


def missing_tools(tools: Iterable[str]) -> tuple[str, ...]:
    """Return those programs that are not on the PATH that children get."""
    path = environment()["PATH"]
    return tuple(tool for tool in tools if shutil.which(tool, path=path) is None)


def is_root() -> bool:
    """Whether we run as root."""
    return os.geteuid() == 0
