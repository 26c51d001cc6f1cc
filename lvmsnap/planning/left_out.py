"""What is mounted below an origin on the server, and therefore not in its snapshot. Pure."""

from __future__ import annotations

from collections.abc import Collection

from lvmsnap.model.facts import Mount
from lvmsnap.model.paths import RUN_DIR

# These have no block device number of their own: their major number is 0, like that of /proc and tmpfs.
WITHOUT_DEVICE = ("btrfs", "zfs", "bcachefs")
# Images, such as those of snap packages: nothing in them can be lost.
IMAGES = ("squashfs", "erofs", "iso9660", "udf")


def left_out(device_number: str, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return the mounts of other local filesystems below the origin's: its snapshot has empty directories there.

    `device_number` is that of the origin, or of the LUKS mapping that has its filesystem; "" if that is not open.
    """
    places = {mount.mountpoint for mount in mounts if _is_all_of(mount, device_number)}
    return tuple(mount for mount in mounted_below(places, mounts) if mount.device_number != device_number)


def mounted_below(places: Collection[str], mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return the mounts of local filesystems below these mountpoints."""
    tops = {place.rstrip("/") for place in places}
    found = {mount.mountpoint: mount for mount in mounts if _is_below(mount, tops)}
    return tuple(mount for mount in found.values() if _has_data(mount))


def _is_all_of(mount: Mount, device_number: str) -> bool:
    return mount.device_number == device_number and mount.root == "/"


def _is_below(mount: Mount, places: Collection[str]) -> bool:
    return any(mount.mountpoint.startswith(f"{place}/") and mount.mountpoint != f"{place}/" for place in places)


def _has_data(mount: Mount) -> bool:
    is_local = not mount.device_number.startswith("0:") or mount.filesystem in WITHOUT_DEVICE
    return is_local and mount.filesystem not in IMAGES and not mount.mountpoint.startswith(f"{RUN_DIR}/")
