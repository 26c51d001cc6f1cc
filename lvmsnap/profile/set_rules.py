"""Rules between a profile's volumes, backing files and includes: no two in the same place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvmsnap.model.paths import RUN_DIR, is_within
from lvmsnap.profile.places import (
    Place,
    file_of,
    files,
    group_of_file,
    groups,
    has_tree,
    in_file,
    in_volume,
    volume_group,
    volumes,
)
from lvmsnap.profile.values import default_mountpoint, default_snapshot, tidy_path

if TYPE_CHECKING:
    from lvmsnap.profile.yaml_positions import Source


def check(source: Source, name: str) -> None:
    """Add to the source every conflict between parts of profile `name`."""
    _check_origins(source)
    _check_snapshots(source, name)
    _check_mountpoints(source, name)
    _check_files(source)
    _check_include(source)


def _check_origins(source: Source) -> None:
    seen: dict[str, Place] = {}
    for volume in volumes(source):
        path = (*volume, "origin")
        origin = source.readable(path)
        if isinstance(origin, str) and (first := seen.setdefault(origin, volume)) != volume:
            message = f"{in_volume(volume)}.origin is {origin}, as {in_volume(first)}.origin is"
            source.add(source.values[path], path, message, "one snapshot of a volume is enough: leave one of them out")


def _check_snapshots(source: Source, name: str) -> None:
    seen: dict[str, Place] = {}
    for volume in volumes(source):
        path, origin = (*volume, "snapshot"), source.readable((*volume, "origin"))
        if not isinstance(origin, str) or path in source.unreadable:
            continue
        vg, _, lv = origin.partition("/")
        given = source.readable(path)
        full = f"{vg}/{given if isinstance(given, str) else default_snapshot(lv, name)}"
        # Two snapshots of one origin have been reported already.
        if (first := seen.setdefault(full, volume)) != volume and source.readable((*first, "origin")) != origin:
            message = f"{in_volume(volume)}.snapshot is {full}, as {in_volume(first)}.snapshot is"
            place = path if path in source.values else (*volume, "origin")
            source.add(source.values[place], path, message, "choose another name")


def _check_mountpoints(source: Source, name: str) -> None:
    """No mountpoint may be inside another one: nobody knows beforehand whether the snapshot has that directory."""
    tree = {default_mountpoint(name): "the tree of the snapshots"} if has_tree(source) else {}
    seen: dict[str, str] = tree
    for volume in volumes(source):
        path = (*volume, "mountpoint")
        given = source.readable(path)
        if not isinstance(given, str):
            continue
        mountpoint = tidy_path(given)
        other = next((one for one in seen if is_within(one, mountpoint) or is_within(mountpoint, one)), None)
        if other is not None:
            message = f"{in_volume(volume)}.mountpoint is {mountpoint}, and {seen[other]} is at {other}"
            source.add(source.values[path], path, message, "choose a directory that is in no other mountpoint")
        seen.setdefault(mountpoint, f"{in_volume(volume)}.mountpoint")


def _check_files(source: Source) -> None:
    known, paths, loops = groups(source), dict[str, Place](), dict[str, Place]()
    for file in files(source):
        _check_group(source, file, known)
        path, vg = (*file, "path"), group_of_file(source, file)
        first = file_of(source, vg)
        if vg and first is not None and first != file:
            message = f"{in_file(file)} is lent to {vg}, as {in_file(first)} is"
            source.add(source.values[file], file, message, "one file for each group: give the first one a larger size")
        given = source.readable(path)
        if isinstance(given, str) and (earlier := paths.setdefault(tidy_path(given), file)) != file:
            message = f"{in_file(file)}.path is {given}, as {in_file(earlier)}.path is"
            source.add(source.values[path], path, message, "choose another path")
        loop = (*file, "loop_device")
        device = source.readable(loop)
        if isinstance(device, str) and device != "auto" and (earlier := loops.setdefault(device, file)) != file:
            message = f"{in_file(file)}.loop_device is {device}, as {in_file(earlier)}.loop_device is"
            source.add(source.values[loop], loop, message, "choose another one, or auto")


def _check_group(source: Source, file: Place, known: tuple[str, ...]) -> None:
    path = (*file, "vg")
    given = source.readable(path)
    # A mistake in an origin has been reported already, and its group may be the one meant.
    is_whole = all(volume_group(source, volume) for volume in volumes(source))
    if path in source.unreadable or not is_whole:
        return
    if isinstance(given, str) and given not in known:
        message = f"{in_file(file)}.vg is {given}, and no volume is in that group"
        source.add(source.values[path], path, message, f"name one of: {', '.join(known)}")
    elif given is None and len(known) > 1 and isinstance(source.readable(file), dict):
        message = f"{in_file(file)}.vg is missing: the volumes are in {' and '.join(known)}"
        source.add(source.values[file], path, message, f"say which group it is for, for example vg: {known[0]}")


def _check_include(source: Source) -> None:
    given = source.readable(("include",))
    if not isinstance(given, list) or not given:
        return
    if not has_tree(source) and volumes(source):
        message = "include is given, but there is no tree: every volume has a mountpoint of its own"
        hint = "leave out the mountpoint of those that belong in the tree, or include"
        source.add(source.keys["include",], ("include",), message, hint)
    seen: set[str] = set()
    for number in range(len(given)):
        path = ("include", number)
        one = source.readable(path)
        if not isinstance(one, str):
            continue
        if is_within(tidy_path(one), RUN_DIR):
            source.add(source.values[path], path, f"include[{number}] is {one}, where snapshots are", "leave it out")
        elif tidy_path(one) in seen:
            source.add(source.values[path], path, f"include[{number}] is {one}, which is given twice", "leave it out")
        seen.add(tidy_path(one))
