"""Names who is using any of a target's mounts, which may be nested. Changes nothing."""

from __future__ import annotations

from lvmsnap.model.target import Target
from lvmsnap.system import mount_users


def at_work(target: Target) -> tuple[str, ...]:
    """Return in words what keeps the target's snapshots and includes busy; its own nested mounts do not count.

    For an include only uses through the tree count: it is mounted, and used, on the server itself too.
    """
    own = {f"mount on {one.mountpoint}" for one in target.mounts}
    snapshots = (mount_users.holders(one.mount.mountpoint) for one in target.snapshots if one.mount)
    found = [line for lines in (*snapshots, in_includes(target)) for line in lines]
    return tuple(line for line in dict.fromkeys(found) if line not in own)


def in_includes(target: Target) -> tuple[str, ...]:
    """Return in words who is using the includes through the tree."""
    return tuple(line for one in target.includes for line in mount_users.users(one.mount.mountpoint))
