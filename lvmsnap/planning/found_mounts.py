"""Which of a target's mounts exist and are ours, and which directories are removed with them. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import Facts, top_mount
from lvmsnap.model.target import Include, MountTarget, Target


@dataclass(frozen=True, slots=True)
class FoundInclude:
    """An included mount, and whether it is bound into the tree."""

    include: Include
    is_mounted: bool = False


def is_mounted(mount: MountTarget, numbers: set[str], facts: Facts) -> bool:
    """Whether the mountpoint shows the snapshot: its device, or its LUKS mapping's, has one of the numbers."""
    top = top_mount(facts.mounts, mount.mountpoint)
    return top is not None and top.device_number in numbers


def find_includes(target: Target, facts: Facts) -> tuple[FoundInclude, ...]:
    """Return the target's includes, each with whether its place in the tree shows it."""
    return tuple(FoundInclude(one, _is_included(one, facts)) for one in target.includes)


def _is_included(include: Include, facts: Facts) -> bool:
    top = top_mount(facts.mounts, include.mount.mountpoint)
    return top is not None and (top.device_number, top.root) == (include.device_number, include.root)


def removed_directories(mount: MountTarget) -> tuple[str, ...]:
    """Return the directories to remove with a mount, the outermost first."""
    return (*mount.parents, *((mount.mountpoint,) if mount.remove_directory else ()))


def removable_directories(target: Target, our_mounts: set[str], facts: Facts) -> tuple[str, ...]:
    """Return the existing directories to remove with the target, the outermost first.

    Each holds only what is ours and is removed before it: a directory with mounts or files of others stays.
    `our_mounts` are the mountpoints that show something of ours.
    """
    found: list[str] = []
    wanted = {path for mount in target.mounts for path in removed_directories(mount)}
    for path in sorted(wanted, reverse=True):
        kind = facts.looked.mountpoints[path].kind
        has_ours = any(one.startswith(f"{path}/") for one in (*our_mounts, *found))
        if kind == "empty" or (kind == "mounted" and path in our_mounts) or (kind == "not empty" and has_ours):
            found.append(path)
    return tuple(reversed(found))
