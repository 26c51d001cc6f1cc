"""The one reading of the system: LVM's report, the kernel's tables and the profile's own paths become Facts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import FileFacts, GroupFacts, Looked
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Process, Record, Target
from lvmsnap.model.units import SECTOR_BYTES
from lvmsnap.system import (
    ancestors,
    apart,
    block_devices,
    device_mapper,
    lvm_config,
    lvm_lock_holder,
    lvm_parts,
    lvm_report,
    mount_table,
    process_table,
)
from lvmsnap.system.ancestors import Way
from lvmsnap.system.host import host_id
from lvmsnap.system.mount_owners import boot_mountpoints
from lvmsnap.system.path_facts import directory_facts, file_facts, key_file_facts, mountpoint_facts
from lvmsnap.system.processes import Runner, environment
from lvmsnap.system.programs import which


@dataclass(frozen=True, slots=True)
class Interest:
    """What to look at besides LVM: the names and paths of one profile. `origins` are (VG, LV)."""

    groups: tuple[str, ...]
    origins: tuple[tuple[str, str], ...]
    files: tuple[str, ...] = ()
    mountpoints: tuple[str, ...] = ()
    process: Process | None = None
    key_files: tuple[str, ...] = ()
    udev_rules: tuple[str, ...] = ()
    is_cut: bool = False

    @classmethod
    def of_profile(cls, profile: Profile) -> Interest:
        """Return what a profile names."""
        return cls(
            groups=profile.groups,
            origins=tuple((volume.vg, volume.origin) for volume in profile.volumes),
            files=tuple(file.path for file in profile.backing_files),
            mountpoints=(*filter(None, [profile.tree]), *(one.mountpoint for one in profile.volumes if one.mountpoint)),
            key_files=tuple(volume.luks.key_file for volume in profile.volumes if volume.luks and volume.luks.key_file),
            is_cut=profile.is_cut,
        )

    @classmethod
    def of_target(cls, target: Target, record: Record | None = None) -> Interest:
        """Return what a target names, and the process that its record names."""
        return cls(
            groups=target.groups,
            origins=tuple((snapshot.vg, snapshot.origin) for snapshot in target.snapshots),
            files=tuple(loan.path for loan in target.loans),
            mountpoints=tuple(dict.fromkeys(path for one in target.mounts for path in (*one.parents, one.mountpoint))),
            process=record.process if record else None,
            udev_rules=tuple(snapshot.luks.udev_rule for snapshot in target.snapshots if snapshot.luks),
        )


def read_system(runner: Runner, *, locking: bool = True) -> Facts:
    """Read everything that is the same for all profiles, LVM in one process. Raises ToolError if LVM cannot be read.

    Without `locking` it never waits for another LVM command, but may see its work half done.
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
        autoextend_percent=lvm_config.autoextend_percent(settings),
        devices_file=devices_file,
        listed_devices=lvm_config.listed_devices(devices_file),
        boot_mountpoints=boot_mountpoints(),
        host=host_id(),
        crypt_target=block_devices.has_module("dm-crypt"),
    )


def focus(facts: Facts, interest: Interest) -> Facts:
    """Add what is at one profile's paths, and who holds its groups' locks; starts no process."""
    ways = {path: ancestors.walk(os.path.dirname(path), facts.mounts) for path in interest.files if path}
    looked = Looked(
        files={path: _file(path, ways) for path in interest.files},
        directories={path: directory_facts(os.path.dirname(path), way, facts.mounts) for path, way in ways.items()},
        mountpoints={path: mountpoint_facts(path, facts.mounts) for path in interest.mountpoints},
        groups={name: _group(name, facts, is_cut=interest.is_cut) for name in interest.groups},
        lvm_parts=lvm_parts.parts(facts.mounts) if interest.is_cut else (),
        bound_to_group=apart.bound_to_group() if interest.is_cut else "",
        is_process_gone=interest.process is not None and not process_table.is_running(interest.process),
        key_files={path: key_file_facts(path, facts.mounts) for path in interest.key_files},
        udev_rules={path: os.path.lexists(path) for path in interest.udev_rules},
    )
    return replace(facts, looked=looked)


def _file(path: str, ways: Mapping[str, Way]) -> FileFacts | None:
    """Return what is at a backing file's path, None without a look if a silent server would have to answer."""
    return file_facts(path) if path and not ways[path].stalling else None


def _group(name: str, facts: Facts, *, is_cut: bool) -> GroupFacts:
    vg = facts.vg(name)
    present = [pv.device for pv in vg.pvs if Path(pv.device).is_block_device()] if vg else []
    numbers = [block_devices.device_number(os.stat(device).st_rdev) for device in present]
    sizes = map(block_devices.logical_block_bytes, numbers)
    beneath = block_devices.beneath(numbers, facts.mounts) if is_cut else ()
    return GroupFacts(lvm_lock_holder.holder(f"V_{name}"), max(sizes, default=SECTOR_BYTES), beneath)


def missing_tools(tools: Iterable[str]) -> tuple[str, ...]:
    """Return the programs that are not on the PATH of child processes."""
    path = environment()["PATH"]
    return tuple(tool for tool in tools if which(tool, path) is None)


def is_root() -> bool:
    """Whether we run as root."""
    return os.geteuid() == 0
