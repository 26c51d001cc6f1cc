"""Names who keeps a snapshot busy, also by way of the LUKS mapping that opens it. Changes nothing."""

from __future__ import annotations

from lvmsnap.model.target import Snapshot
from lvmsnap.system import device_mapper, mount_users
from lvmsnap.system.mount_users import snapshot_number


def holders(snapshot: Snapshot) -> tuple[str, ...]:
    """Return in words whatever keeps a snapshot busy, as `mount_users.holders` does."""
    mountpoint = snapshot.mount.mountpoint if snapshot.mount else ""
    number, name = _mapping(snapshot)
    if not number:
        return mount_users.holders(mountpoint, snapshot_number(snapshot), with_silent=True)
    return (*mount_users.holders(mountpoint, number, with_silent=True), *_beside(snapshot, name))


def pins(snapshot: Snapshot, mountpoint: str) -> tuple[str, ...]:
    """Return in words what keeps it busy although umount would not notice, as `mount_users.pins` does."""
    number, name = _mapping(snapshot)
    if not number:
        return mount_users.pins(mountpoint, snapshot_number(snapshot))
    return (*mount_users.pins(mountpoint, number), *_beside(snapshot, name))


def _mapping(snapshot: Snapshot) -> tuple[str, str]:
    """Return the mapping's device number and its current name, "" for both if there is none."""
    uuid = snapshot.luks.dm_uuid if snapshot.luks else ""
    own = ((one.device_number, one.name) for one in device_mapper.devices() if uuid and one.uuid == uuid)
    return next(own, ("", ""))


def _beside(snapshot: Snapshot, mapping: str) -> tuple[str, ...]:
    """Return what else, besides its mapping, keeps the snapshot itself busy."""
    return tuple(line for line in mount_users.pins("", snapshot_number(snapshot)) if line != mount_users.above(mapping))
