"""What a profile's schema cannot say: rules between keys, and LVM's rules for names. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvmsnap.model.lvm_names import name_problem, origin_name_problem
from lvmsnap.profile.values import default_mountpoint, default_snapshot, size_bytes, tidy_path

if TYPE_CHECKING:
    from lvmsnap.profile.yaml_positions import Source

_VOLUME = ("volumes", 0)


def check(source: Source, name: str) -> None:
    """Add to the source every mistake that profile `name` makes against the rules."""
    _check_names(source, name)
    _check_size(source)
    _check_mount(source, name)
    _check_growth(source)
    _check_hooks(source)


def _check_names(source: Source, name: str) -> None:
    origin_path, snapshot_path = (*_VOLUME, "origin"), (*_VOLUME, "snapshot")
    origin = source.readable(origin_path)
    if not isinstance(origin, str):
        return
    vg, lv = origin.split("/")
    if problem := origin_name_problem(vg, lv):
        source.add(source.values[origin_path], origin_path, f"volumes[0].origin {problem}")
        return
    snapshot = source.readable(snapshot_path)
    if isinstance(snapshot, str):
        problem = "is the origin's own name" if snapshot == lv else name_problem(vg, snapshot)
        if problem:
            message = f"volumes[0].snapshot {problem}"
            source.add(source.values[snapshot_path], snapshot_path, message, "choose another name")
    elif snapshot_path not in source.unreadable and (problem := name_problem(vg, default_snapshot(lv, name))):
        message = f"volumes[0].snapshot is not given, and its default {default_snapshot(lv, name)} {problem}"
        source.add(source.values[origin_path], snapshot_path, message, "give snapshot a name")


def _check_size(source: Source) -> None:
    """A percentage of space that is lent needs to know how much that is."""
    path, size = (*_VOLUME, "size"), source.readable((*_VOLUME, "size"))
    if not isinstance(size, str) or not size.endswith(("%PVS", "%FREE")) or ("backing_file",) in source.unreadable:
        return
    lends, unit = ("backing_file",) in source.values, size[size.index("%") :]
    if not lends and unit == "%PVS":
        message = f"volumes[0].size is {size}, a percentage of what backing_file lends, but there is no backing_file"
        source.add(source.values[path], path, message, "add a backing_file, or use %FREE or %ORIGIN")
    size_path = ("backing_file", "size")
    if lends and size_path not in source.values and size_path not in source.unreadable:
        message = f"volumes[0].size is {size}, but backing_file.size, on which that depends, is not given"
        source.add(source.values[path], path, message, "give backing_file a size, or the snapshot an amount")


def _check_mount(source: Source, name: str) -> None:
    path = (*_VOLUME, "mountpoint")
    if path in source.unreadable or not isinstance(source.readable(_VOLUME), dict):
        return
    mountpoint = source.readable(path) if path in source.values else default_mountpoint(name)
    if mountpoint is None:
        _check_unmounted(source)
        return
    file_path = ("backing_file", "path")
    file = source.readable(file_path)
    if isinstance(file, str) and f"{tidy_path(file)}/".startswith(f"{tidy_path(str(mountpoint))}/"):
        message = f"backing_file.path is in the mountpoint {mountpoint}, where the snapshot will be"
        source.add(source.values[file_path], file_path, message, "choose a path on another filesystem")


def _check_unmounted(source: Source) -> None:
    for path in (*_VOLUME, "mount_options"), (*_VOLUME, "allow_wider_access"), ("remove_mountpoint",):
        if source.readable(path):
            key = path[-1]
            message = f"{key} is given, but mountpoint is null: there is no mount"
            source.add(source.keys[path], path, message, f"leave out {key}, or give a mountpoint")


def _check_growth(source: Source) -> None:
    """What may grow must not begin larger than it may become, and a warning must come before the growing."""
    most_path, size_path = ("backing_file", "max_size"), ("backing_file", "size")
    most, size = source.readable(most_path), source.readable(size_path)
    if isinstance(most, str) and isinstance(size, str) and size_bytes(most) < size_bytes(size):
        message = f"backing_file.max_size is {most}, less than the {size} of backing_file.size"
        source.add(source.values[most_path], most_path, message, "give a larger max_size, or leave it out")
    warn_path, extend_path = ("overflow", "warn_at"), ("overflow", "extend_at")
    warn, extend = source.readable(warn_path), source.readable(extend_path)
    if isinstance(warn, str) and isinstance(extend, str) and int(warn.rstrip("%")) > int(extend.rstrip("%")):
        message = f"overflow.warn_at is {warn}, after overflow.extend_at, which is {extend}"
        source.add(source.values[warn_path], warn_path, message, "warn no later than it grows")


def _check_hooks(source: Source) -> None:
    """The first word of a list is the program to run."""
    for path, mark in source.values.items():
        program = source.readable(path) if path[:1] == ("hooks",) and path[2:] == (0,) else "none"
        if isinstance(program, str) and not program.strip():
            source.add(mark, path, f"hooks.{path[1]}[0] is the program to run, and is empty", "name a program")
