"""The commands that mount a snapshot, or include another mount beside it, with their undo. Pure.

What lies inside another mount is mounted after it, and unmounted before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.condition import DirectoryMade, MountIncluded, SnapshotMounted
from lvmsnap.model.plan import Action, Key, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import MountTarget, Target
from lvmsnap.planning import luks_actions
from lvmsnap.planning.found_mounts import FoundInclude, removed_directories
from lvmsnap.planning.identify import Found, FoundSnapshot


def mounts(target: Target, found: Found) -> tuple[Action, ...]:
    """Return the actions that mount everything of the target, and remove the directories that were made for it."""
    parts: list[tuple[MountTarget, FoundSnapshot | FoundInclude]] = []
    parts += [(one.snapshot.mount, one) for one in found.snapshots if one.snapshot.mount]
    parts += [(one.include.mount, one) for one in found.includes]
    actions: list[Action] = []
    seen: set[str] = set()
    for where, one in sorted(parts, key=lambda part: part[0].mountpoint):
        for path in (*where.parents, where.mountpoint):
            if path not in seen:
                actions.append(_directory(path, target, found))
            seen.add(path)
        actions.append(_mount(where, one, target) if isinstance(one, FoundSnapshot) else _include(where, one, target))
    return tuple(actions)


def _directory(path: str, target: Target, found: Found) -> Action:
    """Remove a directory that a mount made; the mount command itself makes it."""
    is_made = any(
        path in mount.parents or (mount.mountpoint == path and mount.make_directory) for mount in target.mounts
    )
    inside = [Key(Thing.DIRECTORY, one) for mount in target.mounts for one in removed_directories(mount) if one != path]
    return Action(
        thing=Thing.DIRECTORY,
        object=path,
        summary="make the mountpoint directory" if is_made else "use the mountpoint directory",
        undo_summary="remove the mountpoint directory",
        do=(),
        undo=(("rmdir", "--", path),),
        condition=DirectoryMade(path),
        exists=path in found.directories,
        needs_gone=(*_mounts_in(path, target), *_within(path, inside)),
    )


def _mounts_in(path: str, target: Target) -> Iterator[Key]:
    """Yield the keys of the mounts at a path and below it."""
    at = [Key(Thing.MOUNT, one.mount.mountpoint) for one in target.snapshots if one.mount]
    yield from (key for key in at if key.object == path)
    yield from _within(path, [*at, *(Key(Thing.INCLUDE, one.mount.mountpoint) for one in target.includes)])


def _within(path: str, keys: list[Key]) -> Iterator[Key]:
    return (key for key in dict.fromkeys(keys) if key.object.startswith(f"{path}/"))


def _mount(where: MountTarget, found: FoundSnapshot, target: Target) -> Action:
    """Mount the snapshot read-only, with the options that its filesystem needs beside its origin."""
    luks = found.snapshot.luks
    return Action(
        thing=Thing.MOUNT,
        object=where.mountpoint,
        summary="mount it read-only",
        undo_summary="unmount the snapshot",
        do=(_command(where, found.snapshot.device),),
        undo=(("umount", "--", where.mountpoint),),
        condition=SnapshotMounted(
            where.mountpoint, found.snapshot.vg, found.snapshot.name, luks.dm_uuid if luks else ""
        ),
        exists=found.is_mounted,
        needs_gone=tuple(_mounts_inside(where, target)),
    )


def _include(where: MountTarget, found: FoundInclude, target: Target) -> Action:
    """Bind a mount of the server into the tree as it is."""
    include = found.include
    return Action(
        thing=Thing.INCLUDE,
        object=where.mountpoint,
        summary=f"include {include.source} as it is, read-only",
        undo_summary=f"take {include.source} out of the tree",
        do=(_command(where, include.source),),
        # Canonicalizing the path would query a filesystem whose server may no longer answer.
        undo=(("umount", "--no-canonicalize", "--", where.mountpoint),),
        condition=MountIncluded(where.mountpoint, include.source, include.device_number, include.root),
        exists=found.is_mounted,
        needs_gone=tuple(_mounts_inside(where, target)),
    )


def _mounts_inside(where: MountTarget, target: Target) -> Iterator[Key]:
    own = {Key(Thing.MOUNT, where.mountpoint), Key(Thing.INCLUDE, where.mountpoint)}
    return (key for key in _mounts_in(where.mountpoint, target) if key not in own)


def _command(where: MountTarget, source: str) -> Argv:
    make = ("X-mount.mkdir=0755",) if where.make_directory else ()
    options = ",".join((*where.options, *make))
    if not where.filesystem:
        return luks_actions.mount_what_is_there(where, source, options)
    kind = ("--types", where.filesystem) if where.filesystem != "none" else ()
    return ("mount", *kind, "--options", options, source, where.mountpoint)
