"""What the mount table tells about the tree of a profile whose record is lost: snapshots and includes. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import Facts, Mount, top_mount
from lvmsnap.model.paths import RUN_DIR, is_within, steps
from lvmsnap.model.target import Include, MountTarget, Target


def with_tree(target: Target, facts: Facts) -> Target:
    """Return the target with the other mounts in its tree, and the directories that were made for them.

    An include is a read-only bind mount in the profile's own directory of something that is mounted elsewhere as well.
    Anything else there was mounted by somebody else.
    """
    top = f"{RUN_DIR}/{target.name}"
    known = {one.mount.mountpoint for one in target.snapshots if one.mount}
    seen = {one.mountpoint: one for one in facts.mounts if top_mount(facts.mounts, one.mountpoint) == one}
    below = [one for path, one in seen.items() if path.startswith(f"{top}/") and path not in known]
    included = [_include(one, source) for one in below if "ro" in one.options and (source := _source(one, facts))]
    paths = {path for path in (*known, *(one.mount.mountpoint for one in included)) if is_within(path, top)}
    if not paths - {top}:
        return target
    snapshots = (replace(one, mount=one.mount and _in_tree(one.mount, top, paths)) for one in target.snapshots)
    includes = (replace(one, mount=_in_tree(one.mount, top, paths)) for one in included)
    return replace(target, tree=top, snapshots=tuple(snapshots), includes=tuple(includes))


def _include(mount: Mount, source: str) -> Include:
    where = MountTarget(mount.mountpoint, "none", (), make_directory=False, remove_directory=False)
    return Include(source, mount.device_number, mount.root, where)


def _source(mount: Mount, facts: Facts) -> str:
    """Return where else the same is mounted, outside all trees; "" if nowhere."""
    identity = (mount.device_number, mount.root)
    same = (one.mountpoint for one in facts.mounts if (one.device_number, one.root) == identity)
    return next((path for path in same if not path.startswith(f"{RUN_DIR}/")), "")


def _in_tree(mount: MountTarget, top: str, paths: set[str]) -> MountTarget:
    """Return the mount with the directories made for it: none if it is in another mount, which has them."""
    path = mount.mountpoint
    if path not in paths:
        return mount
    if any(path.startswith(f"{other}/") for other in paths):
        return replace(mount, make_directory=False, remove_directory=False)
    return replace(mount, make_directory=True, remove_directory=True, parents=steps(top, path)[:-1])
