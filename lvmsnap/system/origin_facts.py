"""What is on the origin, or in the LUKS container there: its filesystem, and whether it is mounted here. Only reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.looked import Gate, OriginFacts
from lvmsnap.system import ancestors, block_devices, luks_header, mount_table, superblock
from lvmsnap.system.processes import Runner
from lvmsnap.system.reading import Interest

# A file `options`, one option per line, for each ext2, ext3 and ext4 mounted by the ext4 driver (fs/ext4/super.c).
PROC_EXT4 = Path("/proc/fs/ext4")


def add(runner: Runner, facts: Facts, interest: Interest, tags: Callable[[str], tuple[str, ...]]) -> Facts:
    """Return the facts with what is on each origin; wipefs is started only if nothing else knows a filesystem.

    `tags` returns "UUID=..." and "LABEL=..." of the device with a given number.
    """
    lvs = {place: lv for place in interest.origins if (lv := _active_lv(facts, *place))}
    mappings = (facts.luks_mapping_of(lv.device_number) for lv in lvs.values())
    numbers = [*(lv.device_number for lv in lvs.values()), *(one.device_number for one in mappings if one)]
    types = filesystems(runner, facts, numbers)
    origins = {
        place: _look(facts, lvs[place], types, tags) if place in lvs else OriginFacts() for place in interest.origins
    }
    return replace(facts, looked=replace(facts.looked, origins=origins))


def _active_lv(facts: Facts, vg: str, name: str) -> LogicalVolume | None:
    group = facts.vg(vg)
    lv = group.lv(name) if group else None
    return lv if lv and lv.is_active else None


def _look(
    facts: Facts, lv: LogicalVolume, types: Mapping[str, str], tags: Callable[[str], tuple[str, ...]]
) -> OriginFacts:
    device, number = f"/dev/{lv.vg}/{lv.name}", lv.device_number
    looked = replace(_content(facts, number, device, types), tags=tags(number))
    if looked.filesystem != "crypto_LUKS":
        return looked
    return replace(looked, luks=luks_header.read(device), inside=_inside(facts, number, types))


def _content(facts: Facts, number: str, device: str, types: Mapping[str, str]) -> OriginFacts:
    return OriginFacts(
        filesystem=types[number],
        superblock=superblock.read(device),
        ways=_ways(facts, number),
        is_mounted=_is_mounted(facts, number),
        mount_options=_mount_options(facts, number),
        device_number=number,
    )


def _inside(facts: Facts, number: str, types: Mapping[str, str]) -> OriginFacts | None:
    """Return what is in the LUKS container on the device with that number, None if it is not open on this host."""
    mapping = facts.luks_mapping_of(number)
    if mapping is None:
        return None
    device = f"/dev/{_kernel_name(mapping.device_number)}"
    return replace(_content(facts, mapping.device_number, device, types), is_in_luks=True)


def filesystems(runner: Runner, facts: Facts, numbers: Sequence[str]) -> dict[str, str]:
    """Return the types of the filesystems on devices, by the devices' numbers; "" if none is known.

    They come from the mount table, else from udev's database, which udev keeps current with blkid, else from the
    signatures on the devices themselves.
    """
    mounted = {mount.device_number: mount.filesystem for mount in reversed(facts.mounts)}
    known = {number: mounted.get(number) or _from_udev(number) for number in numbers}
    unknown = [number for number, found in known.items() if not found]
    return known | (_from_signatures(runner, unknown) if unknown else {})


def _is_mounted(facts: Facts, number: str) -> bool:
    """Whether the device is mounted on this host; except for vfat, the kernel also lists mounts in other namespaces."""
    name = _kernel_name(number)
    listed = any(Path("/sys/fs", kind, name).is_dir() for kind in ("ext4", "xfs", "f2fs"))
    return listed or any(mount.device_number == number for mount in facts.mounts)


def _mount_options(facts: Facts, number: str) -> tuple[str, ...]:
    """Return the options of the device's filesystem; if only other namespaces have it mounted, only ext4 shows them."""
    own = next((mount for mount in facts.mounts if mount.device_number == number), None)
    if own is not None:
        return own.filesystem_options
    table = PROC_EXT4 / _kernel_name(number) / "options"
    return tuple(mount_table.lines(table.read_bytes())) if table.is_file() else ()


def _kernel_name(number: str) -> str:
    return (block_devices.SYS_DEV_BLOCK / number).resolve().name


def _ways(facts: Facts, number: str) -> tuple[tuple[Gate, ...], ...]:
    whole = [mount for mount in facts.mounts if mount.device_number == number and mount.root == "/"]
    # Access to the mountpoint itself depends on the origin's top directory, which its snapshot has too.
    return tuple(ancestors.walk(os.path.dirname(mount.mountpoint), facts.mounts).gates for mount in whole)


def _from_udev(number: str) -> str:
    database = Path(f"/run/udev/data/b{number}")
    raw = database.read_bytes() if database.is_file() else b""
    key = "E:ID_FS_TYPE="
    return next((line.removeprefix(key) for line in mount_table.lines(raw) if line.startswith(key)), "")


def _from_signatures(runner: Runner, numbers: Sequence[str]) -> dict[str, str]:
    """Return the filesystem of each device with exactly one signature; with several, nobody knows which is right.

    One wipefs(8), which only lists, looks at all devices; blkid(8) would stop at the first without a signature.
    """
    names = {number: _kernel_name(number) for number in numbers}
    devices = [f"/dev/{name}" for name in names.values()]
    listed = runner.read(("wipefs", "--no-act", "--noheadings", "--output", "DEVICE,TYPE", *devices)).stdout
    found = [line.split() for line in listed.splitlines()]
    types = {name: {words[1] for words in found if len(words) == 2 and words[0] == name} for name in names.values()}
    return {number: next(iter(types[name])) if len(types[name]) == 1 else "" for number, name in names.items()}
