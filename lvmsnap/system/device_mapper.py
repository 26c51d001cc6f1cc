"""Reads device-mapper devices by ioctl, since sysfs hides those without a table. Starts no process, changes nothing."""

from __future__ import annotations

import fcntl
import os
import re
import struct

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.errors import ToolError, is_used_up
from lvmsnap.model.facts import DmDevice, SnapshotStatus
from lvmsnap.model.lvm_names import lvm_name
from lvmsnap.model.units import SECTOR_BYTES

CONTROL = "/dev/mapper/control"
IN_KERNEL = "/sys/class/misc/device-mapper"

# linux/dm-ioctl.h: struct dm_ioctl, 312 bytes (version[3], data_size, data_start, target_count, open_count, flags,
# event_nr, padding, dev, name[128], uuid[129], data[7]), and _IOWR(0xfd, number, struct dm_ioctl).
HEADER = struct.Struct("=3I6iIQ128s129s7s")
LIST_DEVICES = 0xC138FD02
DEV_STATUS = 0xC138FD07
TABLE_DEPS = 0xC138FD0B
TABLE_STATUS = 0xC138FD0C
SUSPEND_FLAG = 1 << 1
ACTIVE_FLAG, INACTIVE_FLAG = 1 << 5, 1 << 6
STATUS_TABLE_FLAG = 1 << 4
NOFLUSH_FLAG = 1 << 11
QUERY_INACTIVE_FLAG = 1 << 12
BUFFER_FULL_FLAG = 1 << 8
LIST_ENTRY = struct.Struct("=QI")
# struct dm_target_deps: count, padding; the numbers of `count` devices follow.
DEPS = struct.Struct("=II")
# The devices below a table are queried only where they matter: that is one more ioctl per device.
CRYPT_PREFIX = "CRYPT-"
LAYER = "-real"
POOL = "-tpool"
# struct dm_target_spec: sector_start, length, status, next, target_type[16]; its status text follows.
TARGET_SPEC = struct.Struct("=QQiI16s")
# A thin pool's status (Documentation: thin-provisioning); it may also be "Fail" or "Error".
POOL_STATUS = r"(?P<transaction>\d+) (\d+)/(\d+) (\d+)/(\d+) \S+ (\S+)(.*)"
# dm-thin-metadata.h: the metadata has blocks of 4 KiB.
METADATA_BLOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class DmTarget:
    """A device's first target: its type, and its status or table parameters as the kernel writes them."""

    kind: str
    text: str
    name: str
    uuid: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    data_start: int
    flags: int
    device: int
    name: str
    uuid: str
    raw: bytes


def devices() -> tuple[DmDevice, ...]:
    """Return all device-mapper devices, also those without a table; none if we are not root or dm is not loaded.

    Raises ToolError if the kernel does not answer root, OSError if something is used up.
    """
    if (descriptor := _open_control()) is None:
        return ()
    try:
        found = [device for name in _listed(descriptor) if (device := _device(descriptor, name))]
        layers = {one.uuid.removesuffix(LAYER): one.device_number for one in found if one.uuid.endswith(LAYER)}
        return tuple(_completed(descriptor, one, layers.get(one.uuid, "")) for one in found)
    finally:
        os.close(descriptor)


def _completed(descriptor: int, one: DmDevice, layer: str) -> DmDevice:
    """Return a device with what its table or its status says; `layer` is the number of its -real, "" if it has none."""
    if layer:
        return replace(one, is_on_layer=layer in _beneath(descriptor, one.name, (0,)))
    return replace(one, transaction_id=_transaction_id(one.name)) if one.uuid.endswith(POOL) else one


def _transaction_id(pool: str) -> int | None:
    target = first_target(pool)
    match = re.match(POOL_STATUS, target.text) if target and target.kind == "thin-pool" else None
    return int(match["transaction"]) if match else None


def snapshot_status(name: str, uuid: str = "") -> SnapshotStatus | None:
    """Return how full the CoW space of the snapshot device `name` is; None if there is no such snapshot.

    With a `uuid` the device is found by that, whatever its current name. The kernel writes "USED/TOTAL METADATA" in
    sectors, or "Invalid", "Overflow" (Documentation: dm snapshot). For a thin snapshot it is the pool that fills.
    """
    target = first_target(name, uuid=uuid)
    if target is None or target.kind not in ("snapshot", "thin"):
        return None
    status = parse_snapshot_status(target.text) if target.kind == "snapshot" else _thin_status(target)
    return replace(status, uuid=target.uuid, name=lvm_name(target.name), origin_bytes=target.size_bytes)


def _thin_status(thin: DmTarget) -> SnapshotStatus:
    table = first_target(thin.name, STATUS_TABLE_FLAG)
    number = table.text.partition(" ")[0] if table else ""
    pool = first_target("", number=number) if number else None
    pool_table = first_target("", STATUS_TABLE_FLAG, number=number) if number else None
    if pool is None or pool_table is None or pool.kind != "thin-pool":
        return SnapshotStatus(is_lost=True, used_bytes=0, total_bytes=0)
    status = parse_pool_status(pool_table.text, pool.text)
    is_lost = status.is_lost or thin.text == "Fail"
    return replace(status, is_lost=is_lost, pool=lvm_name(pool.name.removesuffix(POOL)))


def first_target(name: str, flags: int = 0, uuid: str = "", number: str = "") -> DmTarget | None:
    """Return the first target, with its status, of device `name`, or of the one with that `uuid` or MAJOR:MINOR.

    With STATUS_TABLE_FLAG in `flags` it has its table instead. None if there is no such device, or it has no table.
    Raises OSError if something is used up.
    """
    if (descriptor := _open_control()) is None:
        return None
    try:
        # Without NOFLUSH the kernel first commits a thin pool's metadata, and waits for that.
        named = "" if uuid or number else name
        answer = _ask(descriptor, TABLE_STATUS, named, 1 << 12, flags | NOFLUSH_FLAG, uuid, number)
    except OSError as error:
        if is_used_up(error):
            raise
        return None
    finally:
        os.close(descriptor)
    if len(answer.raw) < answer.data_start + TARGET_SPEC.size:
        return None
    spec = TARGET_SPEC.unpack_from(answer.raw, answer.data_start)
    start = answer.data_start + TARGET_SPEC.size
    text = _string(answer.raw[start : answer.raw.index(b"\0", start)])
    return DmTarget(_string(spec[4].rstrip(b"\0")), text, answer.name, answer.uuid, spec[1] * SECTOR_BYTES)


def parse_snapshot_status(text: str) -> SnapshotStatus:
    """Parse the kernel's status text of a snapshot target."""
    match = re.match(r"(\d+)/(\d+) ", text + " ")
    if not match:
        return SnapshotStatus(is_lost=True, used_bytes=0, total_bytes=0)
    return SnapshotStatus(False, int(match[1]) * SECTOR_BYTES, int(match[2]) * SECTOR_BYTES)


def parse_pool_status(table: str, text: str) -> SnapshotStatus:
    """Return the status of a thin pool's snapshots: the fuller of its data and metadata, lost once it takes no writes.

    `table` begins with "METADATA_DEVICE DATA_DEVICE BLOCK_SECTORS"; both texts are the kernel's.
    """
    match = re.match(POOL_STATUS, text)
    if not match:
        return SnapshotStatus(is_lost=True, used_bytes=0, total_bytes=0)
    used_metadata, metadata, used, blocks = (int(number) for number in match.groups()[1:5])
    is_lost = match[6] != "rw" or "needs_check" in match[7].split()
    if used * metadata < used_metadata * blocks:
        return SnapshotStatus(
            is_lost, used_metadata * METADATA_BLOCK_BYTES, metadata * METADATA_BLOCK_BYTES, part="metadata"
        )
    block_bytes = int(table.split()[2]) * SECTOR_BYTES
    return SnapshotStatus(is_lost, used * block_bytes, blocks * block_bytes, part="data")


def _open_control() -> int | None:
    """Open device-mapper's control device, None if there is none, or we are not root.

    Raises ToolError if root is kept from it, OSError if a resource is used up.
    """
    try:
        return os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if is_used_up(error):
            raise
        is_hidden = isinstance(error, FileNotFoundError) and os.path.exists(IN_KERNEL)
        if os.geteuid() == 0 and (is_hidden or isinstance(error, PermissionError)):
            raise _kept_out(error) from error
        return None


def _listed(descriptor: int) -> list[str]:
    try:
        return _names(descriptor)
    except PermissionError as error:
        raise _kept_out(error) from error


def _kept_out(error: OSError) -> ToolError:
    hint = "run it outside of the container; in a unit see PrivateDevices=, DevicePolicy= and CapabilityBoundingSet="
    return ToolError(f"device-mapper cannot be asked, though we are root: {CONTROL}: {error.strerror}", hint=hint)


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
        return None  # It was removed after it was listed.
    beneath = _beneath(descriptor, name) if answer.uuid.startswith(CRYPT_PREFIX) else ()
    flags = (bool(answer.flags & flag) for flag in (SUSPEND_FLAG, ACTIVE_FLAG, INACTIVE_FLAG))
    suspended, has_table, is_loaded = flags
    return DmDevice(_number(answer.device), name, answer.uuid, suspended, beneath, has_table, is_loaded)


def _beneath(descriptor: int, name: str, tables: tuple[int, ...] = (0, QUERY_INACTIVE_FLAG)) -> tuple[str, ...]:
    """Return the devices below a device's live table, else below its inactive one."""
    for flags in tables:
        try:
            answer = _ask(descriptor, TABLE_DEPS, name, 1 << 12, flags)
        except OSError:
            return ()  # It was removed after it was listed.
        count, _ = DEPS.unpack_from(answer.raw, answer.data_start)
        if count:
            numbers = struct.unpack_from(f"={count}Q", answer.raw, answer.data_start + DEPS.size)
            return tuple(_number(number) for number in numbers)
    return ()


def _number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _ask(
    descriptor: int, command: int, name: str, buffer_bytes: int, flags: int = 0, uuid: str = "", number: str = ""
) -> _Answer:
    version = (4, 0, 0)
    device = os.makedev(*map(int, number.split(":"))) if number else 0
    head = HEADER.pack(
        *version, buffer_bytes, HEADER.size, 0, 0, flags, 0, 0, device, os.fsencode(name), os.fsencode(uuid), b""
    )
    buffer = bytearray(head.ljust(buffer_bytes, b"\0"))
    fcntl.ioctl(descriptor, command, buffer)
    fields = HEADER.unpack_from(buffer)
    known_name, known_uuid = (_string(field.partition(b"\0")[0]) for field in fields[11:13])
    return _Answer(fields[4], fields[7], fields[10], known_name, known_uuid, bytes(buffer))


def _string(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
