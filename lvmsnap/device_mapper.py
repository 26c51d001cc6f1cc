"""Lists device-mapper devices by ioctl, since sysfs hides those without a table. Starts no process, changes nothing."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass

from lvmsnap.system import DmDevice

CONTROL = "/dev/mapper/control"

# linux/dm-ioctl.h: struct dm_ioctl, 312 bytes (version[3], data_size, data_start, target_count, open_count, flags,
# event_nr, padding, dev, name[128], uuid[129], data[7]), and _IOWR(0xfd, number, struct dm_ioctl).
HEADER = struct.Struct("=3I6iIQ128s129s7s")
LIST_DEVICES = 0xC138FD02
DEV_STATUS = 0xC138FD07
SUSPEND_FLAG = 1 << 1
BUFFER_FULL_FLAG = 1 << 8
LIST_ENTRY = struct.Struct("=QI")


@dataclass(frozen=True, slots=True)
class _Answer:
    data_start: int
    flags: int
    device: int
    uuid: str
    raw: bytes


def devices() -> tuple[DmDevice, ...]:
    """Return all device-mapper devices, those without a table too; none where we are not root or dm is not loaded."""
    try:
        descriptor = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        return tuple(device for name in _names(descriptor) if (device := _device(descriptor, name)))
    finally:
        os.close(descriptor)


def _names(descriptor: int, buffer_bytes: int = 1 << 16) -> list[str]:
    answer = _ask(descriptor, LIST_DEVICES, "", buffer_bytes)
    if answer.flags & BUFFER_FULL_FLAG:
        return _names(descriptor, buffer_bytes * 4)
    names, position = [], answer.data_start
    while True:
        device, step = LIST_ENTRY.unpack_from(answer.raw, position)
        start = position + LIST_ENTRY.size
        if device:
            names.append(_string(answer.raw[start : answer.raw.index(b"\0", start)]))
        if not step:
            return names
        position += step


def _device(descriptor: int, name: str) -> DmDevice | None:
    try:
        answer = _ask(descriptor, DEV_STATUS, name, HEADER.size)
    except OSError:
        return None  # It was removed since it was listed.
    number = f"{os.major(answer.device)}:{os.minor(answer.device)}"
    return DmDevice(number, name, answer.uuid, bool(answer.flags & SUSPEND_FLAG))


def _ask(descriptor: int, command: int, name: str, buffer_bytes: int) -> _Answer:
    version = (4, 0, 0)
    head = HEADER.pack(*version, buffer_bytes, HEADER.size, 0, 0, 0, 0, 0, 0, os.fsencode(name), b"", b"")
    buffer = bytearray(head.ljust(buffer_bytes, b"\0"))
    fcntl.ioctl(descriptor, command, buffer)
    fields = HEADER.unpack_from(buffer)
    return _Answer(fields[4], fields[7], fields[10], _string(fields[12].rstrip(b"\0")), bytes(buffer))


def _string(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
