"""Which snapshots a command was given, and whether they are still the same: if not, what it read is worthless."""

from __future__ import annotations

import ctypes
import os

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import DmDevice, Mount, top_mount
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.target import Loss, Snapshot, Target
from lvmsnap.operations.watched import snapshot_status
from lvmsnap.planning.state import OVERFLOWED, POOL_FAILED, REMOVED
from lvmsnap.system import device_mapper, mount_table

HIDDEN = "{} was unmounted or mounted over"


@dataclass(frozen=True, slots=True)
class Given:
    """One snapshot as it is when the command begins: it must be the same when the command ends.

    `snapshot` is None for an include of the tree. `mapping` is the device number of the LUKS mapping on the snapshot,
    "" for none. `origin` is the snapshot's, if there are several.
    """

    snapshot: Snapshot | None
    dm_uuid: str
    mountpoint: str
    mount_id: int
    mapping: str = ""
    origin: str = ""


class Unmounts:
    """Notices that a mountpoint was unmounted, even if it is mounted again at once, perhaps with the same mount ID.

    It uses inotify(7), which, unlike an open directory, does not keep the filesystem busy.
    """

    def __init__(self, mountpoint: str) -> None:
        self.mountpoint = mountpoint
        libc = ctypes.CDLL(None)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC) if mountpoint else -1
        if self._descriptor >= 0:
            # IN_UNMOUNT is reported whatever the mask is; IN_DELETE_SELF never is on a read-only mount.
            libc.inotify_add_watch(self._descriptor, os.fsencode(mountpoint), 0x400)

    def happened(self) -> bool:
        """Whether it was unmounted since the last call."""
        if self._descriptor < 0:
            return False
        try:
            return bool(os.read(self._descriptor, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def look(target: Target) -> tuple[Given, ...]:
    """Return the present state of each of the target's snapshots and includes; asks the kernel alone."""
    devices, mounts = device_mapper.devices(), mount_table.mounts()
    is_set = len(target.snapshots) > 1
    snapshots = (_look(one, one.origin_path if is_set else "", devices, mounts) for one in target.snapshots)
    included = (one.mount.mountpoint for one in target.includes)
    return (*snapshots, *(Given(None, "", path, _mount_id(path, mounts)) for path in included))


def _look(snapshot: Snapshot, origin: str, devices: tuple[DmDevice, ...], mounts: tuple[Mount, ...]) -> Given:
    # A device that was renamed meanwhile, with its group for example, still shows the same data.
    name = dm_name(snapshot.vg, snapshot.name)
    known = ((device.uuid, device.uuid if snapshot.dm_uuid else device.name) for device in devices)
    uuid = next((uuid for uuid, key in known if key == (snapshot.dm_uuid or name)), "")
    mountpoint = snapshot.mount.mountpoint if snapshot.mount else ""
    mapping = _mapping(snapshot, uuid, devices)
    return Given(snapshot, uuid, mountpoint, _mount_id(mountpoint, mounts), mapping, origin)


def _mapping(snapshot: Snapshot, uuid: str, devices: tuple[DmDevice, ...]) -> str:
    opened = snapshot.luks.dm_uuid if snapshot.luks else ""
    on_it = tuple(device.device_number for device in devices if uuid and device.uuid == uuid)
    own = (one.device_number for one in devices if opened and one.uuid == opened and one.beneath == on_it)
    return next(own, "")


def why_hidden(before: tuple[Given, ...]) -> Loss | None:
    """Return the loss of a snapshot that its mountpoint does not show, None if all do; reads only the mount table."""
    mounts = mount_table.mounts()
    hidden = (given for given in before if given.mountpoint and given.mount_id != _mount_id(given.mountpoint, mounts))
    return next((Loss(HIDDEN.format(given.mountpoint), given.origin) for given in hidden), None)


def _mount_id(mountpoint: str, mounts: tuple[Mount, ...]) -> int:
    top = top_mount(mounts, mountpoint) if mountpoint else None
    return top.mount_id if top else 0


def why_lost(before: tuple[Given, ...], target: Target) -> Loss | None:
    """Return the loss that makes what was read since `before` worthless, None if there is none: one loss is enough."""
    lost = ((then.origin, _why_lost(then, now)) for then, now in zip(before, look(target), strict=True))
    return next((Loss(how, origin) for origin, how in lost if how), None)


def _why_lost(before: Given, now: Given) -> str:
    status = snapshot_status(before.snapshot) if before.snapshot else None
    if before.snapshot and (status is None or now.dm_uuid != before.dm_uuid):
        return REMOVED
    if status and status.is_lost:
        return POOL_FAILED if status.pool else OVERFLOWED
    if now.mapping != before.mapping:
        return "its LUKS mapping was closed or replaced"
    if now.mount_id != before.mount_id:
        return HIDDEN.format(before.mountpoint) if before.mountpoint else ""
    return ""
