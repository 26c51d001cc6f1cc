"""Which mounts of a device remain when one is unmounted: bind mounts, and copies in other namespaces. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lvmsnap.model.facts import Mount

Tables = Mapping[str, tuple[Mount, ...]]


def everywhere(number: str, tables: Tables) -> tuple[tuple[str, Mount], ...]:
    """Return (namespace, mount) for each mount of the device with that number."""
    return tuple(
        (namespace, mount) for namespace in tables for mount in tables[namespace] if mount.device_number == number
    )


def staying(top: Mount, tables: Tables, own: str) -> tuple[tuple[str, Mount], ...]:
    """Return (namespace, mount) for each other mount of `top`'s device that would remain after the umount of `top`.

    `tables` has the mount table of each mount namespace, `own` is ours. mount_namespaces(7): an unmount propagates to
    the mounts at the same place in each peer and slave of the parent mount, in every namespace.
    """
    parent = _parent(top, tables[own])
    groups = _receiving(parent.shared, tables) if parent else set[str]()
    place = _place(top, parent)
    found = []
    for namespace, table in tables.items():
        for mount in table:
            # Another mount below it at the same mountpoint becomes visible then, and is unmounted in turn.
            is_same_place = namespace == own and mount.mountpoint == top.mountpoint
            if mount.device_number != top.device_number or is_same_place:
                continue
            above = _parent(mount, table)
            reached = above is not None and bool({above.shared, above.master} & groups)
            if not (reached and mount.root == top.root and _place(mount, above) == place):
                found.append((namespace, mount))
    return tuple(found)


def _parent(mount: Mount, table: tuple[Mount, ...]) -> Mount | None:
    return next((other for other in table if other.mount_id == mount.parent_id), None)


def _place(mount: Mount, parent: Mount | None) -> str:
    """Return where a mount is within its parent's filesystem."""
    if parent is None:
        return mount.mountpoint
    below = mount.mountpoint.removeprefix(parent.mountpoint.rstrip("/"))
    return parent.root.rstrip("/") + below


def _receiving(group: str, tables: Tables) -> set[str]:
    """Return the peer groups that receive events from `group`: itself, its slaves, and their slaves."""
    groups = {group} - {""}
    while (
        more := {
            mount.shared for table in tables.values() for mount in table if mount.master in groups and mount.shared
        }
        - groups
    ):
        groups |= more
    return groups
