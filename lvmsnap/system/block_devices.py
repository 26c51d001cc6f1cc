"""Reads block devices from /sys: loop devices, sizes, holders, and what lies beneath a path.

Starts no process and changes nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lvmsnap.model.facts import Loop, Mount, mount_of
from lvmsnap.model.looked import Copy
from lvmsnap.model.units import SECTOR_BYTES
from lvmsnap.system.process_table import start_of

SYS_BLOCK = Path("/sys/block")
SYS_DEV_BLOCK = Path("/sys/dev/block")

# linux/loop.h: LOOP_GET_STATUS64 and the head of struct loop_info64 (lo_device, lo_inode, lo_rdevice); 232 bytes in
# all. lo_rdevice is the st_rdev of what the loop device is bound to: 0 for a file.
LOOP_GET_STATUS64 = 0x4C05
LOOP_INFO64_BYTES = 232


def boot_id() -> str:
    """Return the kernel's ID of this boot (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def has_module(name: str) -> bool:
    """Whether the kernel has module `name` loaded or built in, or could load it (modules.dep(5))."""
    if Path("/sys/module", name.replace("-", "_")).is_dir():
        return True
    directory = Path("/lib/modules", os.uname().release)
    pattern = re.compile(f"/{name.replace('-', '[-_]')}\\.ko")
    return any(pattern.search(_text(directory / index)) for index in ("modules.dep", "modules.builtin"))


def loops() -> tuple[Loop, ...]:
    """Return the bound loop devices; only root can see them."""
    names = sorted(name for name in os.listdir(SYS_BLOCK) if name.startswith("loop"))
    return tuple(loop for name in names if (loop := _loop(f"{SYS_BLOCK}/{name}")))


def loop_numbers() -> tuple[int, ...]:
    """Return the numbers of all loop devices, bound or not."""
    return tuple(sorted(int(path.name[4:]) for path in SYS_BLOCK.glob("loop*") if path.name[4:].isdigit()))


def _loop(sysfs: str) -> Loop | None:
    device = f"/dev/{os.path.basename(sysfs)}"
    file_path = ""
    with suppress(OSError):  # its path may be too long for the kernel to show
        file_path = start_of(f"{sysfs}/loop/backing_file").decode(errors="surrogateescape").removesuffix("\n")
    try:
        number = start_of(f"{sysfs}/dev").decode().strip()
        status = _loop_status(device)
    except OSError:
        return None  # It is not bound, or we are not root; `checks` reports the latter.
    file_device, file_inode, block_device = struct.unpack_from("=QQQ", status)
    beneath = device_number(block_device) if block_device else ""
    return Loop(device, number, file_device, file_inode, file_path, beneath)


def _loop_status(device: str) -> bytes:
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(descriptor, LOOP_GET_STATUS64, bytes(LOOP_INFO64_BYTES))
    finally:
        os.close(descriptor)


def is_bound_loop(device_number: str) -> bool:
    """Whether a block device is a bound loop device, even if it cannot be asked to what."""
    return (SYS_DEV_BLOCK / device_number / "loop/backing_file").exists()


def dm_holders(device: str) -> tuple[str, ...]:
    """Return the names of the device-mapper devices that lie directly on a device such as /dev/loop7."""
    holders = (SYS_BLOCK / device.removeprefix("/dev/") / "holders").glob("*")
    return tuple(sorted(filter(None, (_text(holder / "dm/name").strip() for holder in holders))))


def holders_of(device_number: str) -> tuple[str, ...]:
    """Return the names of the block devices that lie directly on a device; for device-mapper's, the names it uses."""
    nodes = sorted((SYS_DEV_BLOCK / device_number / "holders").glob("*"))
    return tuple(_text(node / "dm/name").strip() or node.name for node in nodes)


def device_bytes(device_number: str) -> int:
    """Return a block device's size, 0 if there is no such device."""
    return int(_text(SYS_DEV_BLOCK / device_number / "size").strip() or 0) * SECTOR_BYTES


def logical_block_bytes(device_number: str) -> int:
    """Return a block device's logical block size; 512 if the kernel does not say."""
    node = SYS_DEV_BLOCK / device_number
    for queue in (node / "queue", node.resolve().parent / "queue"):
        if text := _text(queue / "logical_block_size").strip():
            return int(text)
    return SECTOR_BYTES


def device_number(device: int) -> str:
    """Return a device number as the kernel writes it, "MAJOR:MINOR"."""
    return f"{os.major(device)}:{os.minor(device)}"


def number_at(path: str) -> str:
    """Return the number of the block device at a path, "" if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ""
    return device_number(status.st_rdev) if stat.S_ISBLK(status.st_mode) else ""


def devices_under(path: str, table: tuple[Mount, ...]) -> tuple[str, ...]:
    """Return the numbers of all block devices that a write to a directory's filesystem may reach.

    A write to a device reaches the devices below. A write to an origin also reaches the CoW device of each of its
    snapshots, and all devices below that; it waits for both. It never reaches neighbours on the same disk.
    """
    own = own_devices_under(path, table)
    return with_copies(own, copies_under(own, table))


def own_devices_under(path: str, table: tuple[Mount, ...]) -> tuple[str, ...]:
    """Return the numbers of all block devices that lie below a directory's filesystem, through every layer.

    Layers are partitions, dm (crypt, LVM), md, loop devices over files and over block devices, btrfs' member devices
    and overlays' upper directories.
    """
    seen: dict[str, None] = {}
    for number in _devices_of_filesystem(path, table):
        _collect(number, seen, table)
    return tuple(seen)


def beneath(numbers: Iterable[str], table: tuple[Mount, ...]) -> tuple[str, ...]:
    """Return these block devices and all devices below them, each once."""
    seen: dict[str, None] = {}
    for number in numbers:
        _collect(number, seen, table)
    return tuple(seen)


def copies_under(devices: tuple[str, ...], table: tuple[Mount, ...]) -> tuple[Copy, ...]:
    """Return the snapshots whose CoW devices a write to these devices also reaches, directly or by way of others."""
    found: dict[str, Copy] = {}
    left = list(devices)
    for number in left:
        for cow in _copied_to(number):
            if cow not in found:
                beneath: dict[str, None] = {}
                _collect(cow, beneath, table)
                found[cow] = Copy(number, cow, tuple(beneath))
                left += beneath
    return tuple(found.values())


def with_copies(devices: tuple[str, ...], copies: tuple[Copy, ...]) -> tuple[str, ...]:
    """Return the devices and all devices below the copies, each once."""
    return tuple(dict.fromkeys((*devices, *(number for copy in copies for number in copy.beneath))))


def _devices_of_filesystem(path: str, table: tuple[Mount, ...]) -> Iterator[str]:
    number = device_number(os.stat(path).st_dev)
    if (SYS_DEV_BLOCK / number).exists():
        yield number
    # A btrfs subvolume or an overlay has an anonymous device number: its mount says what is below.
    mount = mount_of(os.path.realpath(path), table)
    if mount is None:
        return
    if mount.filesystem == "btrfs":
        yield from _btrfs_members(mount.source)
    elif mount.source.startswith("/dev/") and Path(mount.source).is_block_device():
        yield device_number(os.stat(mount.source).st_rdev)


def _btrfs_members(source: str) -> Iterator[str]:
    number = device_number(os.stat(source).st_rdev)
    name = (SYS_DEV_BLOCK / number).resolve().name
    for members in Path("/sys/fs/btrfs").glob("*/devices"):
        if (members / name).exists():
            yield from (_text(member / "dev").strip() for member in members.iterdir())
            return
    yield number


def _collect(number: str, seen: dict[str, None], table: tuple[Mount, ...]) -> None:
    node = SYS_DEV_BLOCK / number
    if not number or number in seen or not node.exists():
        return
    seen[number] = None
    if (node / "partition").exists():
        _collect(_text(node.resolve().parent / "dev").strip(), seen, table)
    for slave in (node / "slaves").glob("*"):
        _collect(_text(slave / "dev").strip(), seen, table)
    for under in _devices_of_loop(node, table):
        _collect(under, seen, table)


def _copied_to(number: str) -> Iterator[str]:
    """Yield the CoW devices that a write to an origin's -real device also reaches (dm-snap.c); others have none.

    LVM puts that layer below an origin; each snapshot lies on it and on a -cow of its own.
    """
    node = SYS_DEV_BLOCK / number
    if _text(node / "dm/uuid").strip().endswith("-real"):
        for snapshot in sorted((node / "holders").glob("*")):
            beneath = (_text(device / "dev").strip() for device in (snapshot / "slaves").glob("*"))
            yield from (cow for cow in beneath if cow != number)


def _devices_of_loop(node: Path, table: tuple[Mount, ...]) -> Iterator[str]:
    file = _text(node / "loop/backing_file").removesuffix("\n")
    if not file:
        return
    loop = _loop(os.path.realpath(node))
    if loop and loop.block_device:
        yield loop.block_device
        return
    if loop is None:
        yield _number_of(file.removesuffix(" (deleted)"))
    if (directory := Path(file.removesuffix(" (deleted)")).parent).exists():
        yield from _devices_of_filesystem(str(directory), table)
    # The path is wrong once something is mounted over it, or if the device was bound in another namespace.
    if loop:
        number = device_number(loop.file_device)
        yield number
        yield from (_number_of(mount.source) for mount in table if mount.device_number == number)


def _number_of(source: str) -> str:
    return device_number(os.stat(source).st_rdev) if Path(source).is_block_device() else ""


def _text(path: Path) -> str:
    try:
        # As bytes: text mode would take each \r for the end of a line.
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError:
        return ""
