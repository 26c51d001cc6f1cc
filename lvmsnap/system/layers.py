"""The layers below a filesystem that allocate blocks only when they are written: thin pools, VDO, sparse files.

Reads the kernel's tables. Starts no process and changes nothing.
"""

from __future__ import annotations

import os
import re

from lvmsnap.model.facts import Loop, Mount, mount_of
from lvmsnap.model.looked import Layer
from lvmsnap.model.units import SECTOR_BYTES
from lvmsnap.system import block_devices
from lvmsnap.system.device_mapper import STATUS_TABLE_FLAG, first_target

# dm-thin-metadata.h: the metadata has blocks of 4 KiB. A mapping takes 16 bytes in a B-tree whose nodes may be half
# full; as much again is reserved for inner nodes and for blocks that are copied before they are changed.
METADATA_BLOCK_BYTES = 4096
MAPPING_BYTES = 64
# Documentation/admin-guide/device-mapper/thin-provisioning.rst: the status of a pool that takes writes.
POOL_STATUS = r"\d+ (\d+)/(\d+) (\d+)/(\d+) \S+ rw\b(?!.*needs_check)"
NEVER_HOLDING = {
    # It stores no zeros, and duplicate data only once.
    "vdo": "VDO volume",
    # All of it is lost once its CoW space is full.
    "snapshot": "snapshot",
}
COPYING = r"(btrfs|zfs|bcachefs|overlay|tmpfs|ramfs|nfs.*|cifs|smb.*|fuse.*|ceph|9p|afs|glusterfs)$"
NETWORK = r"nfs|cifs|smb|fuse|ceph|9p|afs|glusterfs"


def beneath(devices: tuple[str, ...], table: tuple[Mount, ...]) -> tuple[Layer, ...]:
    """Return such layers among all the block devices (MAJOR:MINOR) that lie below a filesystem.

    A device that cannot be examined counts as one.
    """
    found = [_of_device(number) for number in devices]
    loops = [loop for loop in block_devices.loops() if loop.device_number in devices]
    found += [_of_loop(loop, table) for loop in loops]
    examined = {loop.device_number for loop in loops}
    found += [
        Layer(f"what the loop device {number} is attached to", None, is_unknown=True)
        for number in devices
        if number not in examined and block_devices.is_bound_loop(number)
    ]
    return tuple(layer for layer in found if layer)


def pool_free_bytes(table: str, status: str) -> int:
    """Return how many bytes of new blocks can be written to a thin pool; 0 if it takes no writes.

    `table` begins with "METADATA_DEVICE DATA_DEVICE BLOCK_SECTORS"; `table` and `status` are the kernel's texts.
    """
    match = re.match(POOL_STATUS, status)
    if not match:
        return 0
    used_metadata, metadata, used, blocks = map(int, match.groups())
    mappings = (metadata - used_metadata) * METADATA_BLOCK_BYTES // MAPPING_BYTES
    return max(0, min(blocks - used, mappings)) * int(table.split()[2]) * SECTOR_BYTES


def _of_device(number: str) -> Layer | None:
    node = (block_devices.SYS_DEV_BLOCK / number).resolve()
    if node.name.startswith("zram"):
        return Layer(f"compressed memory {node.name}", None)
    try:
        name = (node / "dm/name").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    target = first_target(name)
    if target is None:
        return None
    if target.kind == "thin-pool":
        table = first_target(name, STATUS_TABLE_FLAG)
        return Layer(f"thin pool {name}", pool_free_bytes(table.text, target.text) if table else 0)
    kind = NEVER_HOLDING.get(target.kind)
    return Layer(f"{kind} {name}", None) if kind else None


def _of_loop(loop: Loop, table: tuple[Mount, ...]) -> Layer | None:
    """Return the loop device's file as a layer if it is sparse, or on a copy-on-write, memory or network filesystem.

    If it is over a block device instead, that device is examined by itself.
    """
    if loop.block_device:
        return None
    # The file itself may be a mountpoint: its filesystem need not be its directory's.
    mount = mount_of(loop.file_path, table)
    copying = mount and re.match(COPYING, mount.filesystem)
    # A dead server would block any access to its file.
    if copying and re.match(NETWORK, copying[1]):
        return Layer(f"{loop.file_path}, a file on {copying[1]}", None)
    unknown = Layer(f"{loop.file_path}, the file of {loop.device},", None, is_unknown=True)
    try:
        status, space = os.stat(loop.file_path), os.statvfs(loop.file_path)
    except OSError:
        return unknown
    # The path is wrong once something is mounted over it, or if the device was bound in another namespace.
    if (status.st_dev, status.st_ino) != (loop.file_device, loop.file_inode):
        return unknown
    if copying:
        return Layer(f"{loop.file_path}, a file on {copying[1]}", None)
    has_holes = status.st_blocks * SECTOR_BYTES < status.st_size
    return Layer(f"sparse file {loop.file_path}", space.f_bavail * space.f_frsize) if has_holes else None
