"""What is on the origin, or in the LUKS container there: its filesystem, and whether it is mounted here. Only reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lvmsnap.model.facts import DmDevice, Facts
from lvmsnap.model.looked import Gate, OriginFacts
from lvmsnap.model.luks_names import is_luks
from lvmsnap.system import ancestors, block_devices, luks_header, mount_table, superblock
from lvmsnap.system.processes import Runner
from lvmsnap.system.reading import Interest

# A file `options` for each mounted ext2, ext3 and ext4 that the ext4 driver has, one option a line (fs/ext4/super.c).
PROC_EXT4 = Path("/proc/fs/ext4")


def add(runner: Runner, facts: Facts, interest: Interest, tags: Callable[[str], tuple[str, ...]]) -> Facts:
    """Return the facts with what is on each origin; blkid is started only where nothing else knows a filesystem.

    `tags` gives those of a device by its number, "UUID=..." and "LABEL=...".
    """
    origins = {place: _look(runner, facts, *place, tags) for place in interest.origins}
    return replace(facts, looked=replace(facts.looked, origins=origins))


def _look(runner: Runner, facts: Facts, vg: str, name: str, tags: Callable[[str], tuple[str, ...]]) -> OriginFacts:
    group = facts.vg(vg)
    lv = group.lv(name) if group else None
    if lv is None or not lv.is_active:
        return OriginFacts()
    device, number = f"/dev/{lv.vg}/{lv.name}", lv.device_number
    looked = replace(_content(runner, facts, number, device), tags=tags(number))
    if looked.filesystem != "crypto_LUKS":
        return looked
    return replace(looked, luks=luks_header.read(device), inside=_inside(runner, facts, number))


def _content(runner: Runner, facts: Facts, number: str, device: str) -> OriginFacts:
    return OriginFacts(
        filesystem=filesystem(runner, facts, number, device),
        superblock=superblock.read(device),
        ways=_ways(facts, number),
        is_mounted=_is_mounted(facts, number),
        mount_options=_mount_options(facts, number),
        device_number=number,
    )


def _inside(runner: Runner, facts: Facts, number: str) -> OriginFacts | None:
    """Return what is in the LUKS container on the device of that number, None where it is not open on this host."""
    mapping = _mapping(facts, number)
    if mapping is None:
        return None
    device = f"/dev/{_kernel_name(mapping.device_number)}"
    return replace(_content(runner, facts, mapping.device_number, device), is_in_luks=True)


def _mapping(facts: Facts, number: str) -> DmDevice | None:
    """Return the mapping of a LUKS container; where somebody has opened it twice, the one that is mounted."""
    found = [device for device in facts.dm_devices if is_luks(device.uuid) and device.beneath == (number,)]
    mounted = {mount.device_number for mount in facts.mounts}
    return max(found, key=lambda device: device.device_number in mounted, default=None)


def filesystem(runner: Runner, facts: Facts, number: str, device: str) -> str:
    """Return the type of the filesystem on a device, "" where none is known.

    The mount table knows it, else udev's database, which udev filled with blkid and keeps true; else blkid itself.
    """
    if mounted := next((mount for mount in facts.mounts if mount.device_number == number), None):
        return mounted.filesystem
    return _from_udev(number) or _from_blkid(runner, device)


def _is_mounted(facts: Facts, number: str) -> bool:
    """Whether the device is mounted on this host; the kernel lists ext4's and XFS's mounts of other namespaces too."""
    name = _kernel_name(number)
    listed = any(Path("/sys/fs", kind, name).is_dir() for kind in ("ext4", "xfs"))
    return listed or any(mount.device_number == number for mount in facts.mounts)


def _mount_options(facts: Facts, number: str) -> tuple[str, ...]:
    """Return the options of the device's filesystem; of one that only other namespaces have, ext4 alone shows them."""
    own = next((mount for mount in facts.mounts if mount.device_number == number), None)
    if own is not None:
        return own.filesystem_options
    table = PROC_EXT4 / _kernel_name(number) / "options"
    return tuple(mount_table.lines(table.read_bytes())) if table.is_file() else ()


def _kernel_name(number: str) -> str:
    return (block_devices.SYS_DEV_BLOCK / number).resolve().name


def _ways(facts: Facts, number: str) -> tuple[tuple[Gate, ...], ...]:
    whole = [mount for mount in facts.mounts if mount.device_number == number and mount.root == "/"]
    # Who may pass the mountpoint itself is up to a directory of the origin, which its snapshot has too.
    return tuple(ancestors.walk(os.path.dirname(mount.mountpoint), facts.mounts).gates for mount in whole)


def _from_udev(number: str) -> str:
    database = Path(f"/run/udev/data/b{number}")
    raw = database.read_bytes() if database.is_file() else b""
    key = "E:ID_FS_TYPE="
    return next((line.removeprefix(key) for line in mount_table.lines(raw) if line.startswith(key)), "")


def _from_blkid(runner: Runner, device: str) -> str:
    # blkid(8): 2 is "nothing found", 8 "several, I cannot tell which"; both are no filesystem we could mount.
    command = ("blkid", "--probe", "--match-tag", "TYPE", "--output", "value", device)
    return runner.read(command, accept=(0, 2, 8)).stdout.strip()
