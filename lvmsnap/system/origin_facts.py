"""What is on the origin: its filesystem, what its superblock says, whether this host has it mounted. Only reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.looked import Gate, OriginFacts
from lvmsnap.system import ancestors, block_devices, mount_table, superblock
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
    return OriginFacts(
        filesystem=filesystem(runner, facts, lv),
        superblock=superblock.read(f"/dev/{lv.vg}/{lv.name}"),
        ways=_ways(facts, lv),
        is_mounted=_is_mounted(facts, lv),
        mount_options=_mount_options(facts, lv),
        tags=tags(lv.device_number),
    )


def filesystem(runner: Runner, facts: Facts, lv: LogicalVolume) -> str:
    """Return the type of the filesystem on an active origin, "" where none is known.

    The mount table knows it, else udev's database, which udev filled with blkid and keeps true; else blkid itself.
    """
    if mounted := next((m for m in facts.mounts if m.device_number == lv.device_number), None):
        return mounted.filesystem
    return _from_udev(lv) or _from_blkid(runner, lv)


def _is_mounted(facts: Facts, lv: LogicalVolume) -> bool:
    """Whether the origin is mounted on this host; the kernel lists ext4's and XFS's mounts of other namespaces too."""
    name = _kernel_name(lv)
    listed = any(Path("/sys/fs", kind, name).is_dir() for kind in ("ext4", "xfs"))
    return listed or any(mount.device_number == lv.device_number for mount in facts.mounts)


def _mount_options(facts: Facts, lv: LogicalVolume) -> tuple[str, ...]:
    """Return the options of the origin's filesystem; of one that only other namespaces have, ext4 alone shows them."""
    own = next((mount for mount in facts.mounts if mount.device_number == lv.device_number), None)
    if own is not None:
        return own.filesystem_options
    table = PROC_EXT4 / _kernel_name(lv) / "options"
    return tuple(mount_table.lines(table.read_bytes())) if table.is_file() else ()


def _kernel_name(lv: LogicalVolume) -> str:
    return (block_devices.SYS_DEV_BLOCK / lv.device_number).resolve().name


def _ways(facts: Facts, lv: LogicalVolume) -> tuple[tuple[Gate, ...], ...]:
    whole = [mount for mount in facts.mounts if mount.device_number == lv.device_number and mount.root == "/"]
    # Who may pass the mountpoint itself is up to a directory of the origin, which its snapshot has too.
    return tuple(ancestors.walk(os.path.dirname(mount.mountpoint), facts.mounts).gates for mount in whole)


def _from_udev(lv: LogicalVolume) -> str:
    database = Path(f"/run/udev/data/b{lv.device_number}")
    raw = database.read_bytes() if database.is_file() else b""
    key = "E:ID_FS_TYPE="
    return next((line.removeprefix(key) for line in mount_table.lines(raw) if line.startswith(key)), "")


def _from_blkid(runner: Runner, lv: LogicalVolume) -> str:
    # blkid(8): 2 is "nothing found", 8 "several, I cannot tell which"; both are no filesystem we could mount.
    command = ("blkid", "--probe", "--match-tag", "TYPE", "--output", "value", f"/dev/{lv.vg}/{lv.name}")
    return runner.read(command, accept=(0, 2, 8)).stdout.strip()
