"""What a profile's schema cannot express: rules for one volume or backing file, and LVM's rules for names. Pure.

Rules between several of them are in `set_rules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvmsnap.model.lvm_names import name_problem, origin_name_problem
from lvmsnap.model.paths import RUN_DIR, is_within
from lvmsnap.profile import set_rules
from lvmsnap.profile.places import Place, file_of, files, in_file, in_volume, volume_group, volumes
from lvmsnap.profile.values import default_mountpoint, default_snapshot, size_bytes, tidy_path

if TYPE_CHECKING:
    from lvmsnap.profile.yaml_positions import Source


def check(source: Source, name: str) -> None:
    """Add to the source every violation of the rules in profile `name`."""
    for volume in volumes(source):
        _check_names(source, volume, name)
        _check_size(source, volume)
        _check_unmounted(source, volume)
        _check_others_place(source, volume, name)
        _check_luks(source, volume)
    _check_mountpoints(source, name)
    for file in files(source):
        _check_growth(source, file)
    _check_overflow(source)
    _check_hooks(source)
    set_rules.check(source, name)


def _check_names(source: Source, volume: Place, name: str) -> None:
    origin_path, snapshot_path = (*volume, "origin"), (*volume, "snapshot")
    origin = source.readable(origin_path)
    if not isinstance(origin, str):
        return
    vg, lv = origin.split("/")
    if problem := origin_name_problem(vg, lv):
        source.add(source.values[origin_path], origin_path, f"{in_volume(volume)}.origin {problem}")
        return
    snapshot = source.readable(snapshot_path)
    if isinstance(snapshot, str):
        problem = "is the origin's own name" if snapshot == lv else name_problem(vg, snapshot)
        if problem:
            message = f"{in_volume(volume)}.snapshot {problem}"
            source.add(source.values[snapshot_path], snapshot_path, message, "choose another name")
    elif snapshot_path not in source.unreadable and (problem := name_problem(vg, default_snapshot(lv, name))):
        default = default_snapshot(lv, name)
        message = f"{in_volume(volume)}.snapshot is not given, and its default {default} {problem}"
        source.add(source.values[origin_path], snapshot_path, message, "give snapshot a name")


def _check_size(source: Source, volume: Place) -> None:
    """A percentage of lent space needs the backing file's size."""
    path, size = (*volume, "size"), source.readable((*volume, "size"))
    vg = volume_group(source, volume)
    if not isinstance(size, str) or not size.endswith(("%PVS", "%FREE")) or ("backing_file",) in source.unreadable:
        return
    file, unit = file_of(source, vg), size[size.index("%") :]
    if file is None and unit == "%PVS":
        message = f"{in_volume(volume)}.size is {size}, a percentage of what backing_file lends, but there is no "
        source.add(source.values[path], path, f"{message}backing_file", "add a backing_file, or use %FREE or %ORIGIN")
    size_path = (*file, "size") if file else None
    if size_path and size_path not in source.values and size_path not in source.unreadable:
        message = f"{in_volume(volume)}.size is {size}, but backing_file.size, on which that depends, is not given"
        source.add(source.values[path], path, message, "give backing_file a size, or the snapshot an amount")


def _check_luks(source: Source, volume: Place) -> None:
    """A LUKS container is opened in exactly one way."""
    path, prompt_path = (*volume, "luks"), (*volume, "luks", "prompt")
    luks = source.readable(path)
    ways = {(*path, "key_file"), prompt_path}
    if not isinstance(luks, dict) or ways & source.unreadable or source.unreadable & {(*path, key) for key in luks}:
        return
    if source.readable(prompt_path) is False:
        message = f"{in_volume(volume)}.luks.prompt is false, and nothing else opens it"
        source.add(source.values[prompt_path], prompt_path, message, "give a key_file instead, or write prompt: true")
    elif len(ways & source.values.keys()) != 1:
        message = f"{in_volume(volume)}.luks must have a key_file, or prompt: true, and not both"
        source.add(source.values[path], path, message, "for example luks: {key_file: /root/system.key}")


def _check_mountpoints(source: Source, name: str) -> None:
    """A backing file must not lie where a snapshot's mount will hide it; without mounts there is nothing to remove."""
    paths = [path for volume in volumes(source) if (path := _mountpoint(source, volume, name)) is not None]
    for file in files(source):
        file_path = source.readable((*file, "path"))
        inside = [path for path in paths if isinstance(file_path, str) and is_within(tidy_path(file_path), path)]
        if inside:
            message = f"{in_file(file)}.path is in the mountpoint {inside[0]}, where the snapshot will be"
            mark = source.values[*file, "path"]
            source.add(mark, (*file, "path"), message, "choose a path on another filesystem")
    known = [volume for volume in volumes(source) if isinstance(source.readable(volume), dict)]
    unmounted = [volume for volume in known if _is_unmounted(source, volume)]
    if known and known == unmounted and source.readable(("remove_mountpoint",)):
        message = "remove_mountpoint is given, but mountpoint is null: there is no mount"
        key = ("remove_mountpoint",)
        source.add(source.keys[key], key, message, "leave out remove_mountpoint, or give a mountpoint")


def _mountpoint(source: Source, volume: Place, name: str) -> str | None:
    """Return where a volume's snapshot is mounted, or the top of the tree; None if it is not, or that is not known."""
    path = (*volume, "mountpoint")
    if path in source.unreadable or not isinstance(source.readable(volume), dict):
        return None
    given = source.readable(path)
    if path not in source.values:
        return default_mountpoint(name)
    return tidy_path(given) if isinstance(given, str) else None


def _is_unmounted(source: Source, volume: Place) -> bool:
    path = (*volume, "mountpoint")
    return path in source.values and path not in source.unreadable and source.readable(path) is None


def _check_unmounted(source: Source, volume: Place) -> None:
    if not isinstance(source.readable(volume), dict) or not _is_unmounted(source, volume):
        return
    for path in (*volume, "mount_options"), (*volume, "allow_wider_access"):
        if source.readable(path):
            key = path[-1]
            message = f"{key} is given, but mountpoint is null: there is no mount"
            source.add(source.keys[path], path, message, f"leave out {key}, or give a mountpoint")


def _check_others_place(source: Source, volume: Place, name: str) -> None:
    """Below RUN_DIR each profile has a directory of its own."""
    path, own = (*volume, "mountpoint"), default_mountpoint(name)
    given = source.readable(path)
    if isinstance(given, str) and is_within(tidy_path(given), RUN_DIR) and not is_within(tidy_path(given), own):
        message = f"{in_volume(volume)}.mountpoint is {given}, where other profiles have their snapshots"
        source.add(source.values[path], path, message, f"choose a directory elsewhere, or in {own}")


def _check_growth(source: Source, file: Place) -> None:
    """A backing file must not start larger than its max_size."""
    most_path, size_path = (*file, "max_size"), (*file, "size")
    most, size = source.readable(most_path), source.readable(size_path)
    if isinstance(most, str) and isinstance(size, str) and size_bytes(most) < size_bytes(size):
        message = f"{in_file(file)}.max_size is {most}, less than the {size} of {in_file(file)}.size"
        source.add(source.values[most_path], most_path, message, "give a larger max_size, or leave it out")


def _check_overflow(source: Source) -> None:
    """A warning must not come after the extension."""
    warn_path, extend_path = ("overflow", "warn_at"), ("overflow", "extend_at")
    warn, extend = source.readable(warn_path), source.readable(extend_path)
    if isinstance(warn, str) and isinstance(extend, str) and int(warn.rstrip("%")) > int(extend.rstrip("%")):
        message = f"overflow.warn_at is {warn}, above overflow.extend_at, which is {extend}"
        source.add(source.values[warn_path], warn_path, message, "warn no later than it is extended")


def _check_hooks(source: Source) -> None:
    """The first word of a list is the program to run."""
    for path, mark in source.values.items():
        program = source.readable(path) if path[:1] == ("hooks",) and path[2:] == (0,) else "none"
        if isinstance(program, str) and not program.strip():
            source.add(mark, path, f"hooks.{path[1]}[0] is the program to run, and is empty", "name a program")
        elif isinstance(program, str) and "/" in program and not program.startswith("/"):
            what = f"hooks.{path[1]}[0] is {program}, which depends on the directory that lvmsnap is started in"
            source.add(mark, path, what, "give its full path")
