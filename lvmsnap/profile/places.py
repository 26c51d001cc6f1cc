"""Where in a profile's text its volumes and backing files are, and which of them belong together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from lvmsnap.profile.yaml_positions import Source

Place: TypeAlias = tuple[str | int, ...]


def volumes(source: Source) -> tuple[Place, ...]:
    """Return the places of the volumes, including those with mistakes."""
    found = source.readable(("volumes",))
    return tuple(("volumes", number) for number in range(len(found))) if isinstance(found, list) else ()


def files(source: Source) -> tuple[Place, ...]:
    """Return the places of the backing files: of the only one, or of those in a list."""
    found = source.readable(("backing_file",))
    if isinstance(found, list):
        return tuple(("backing_file", number) for number in range(len(found)))
    return (("backing_file",),) if isinstance(found, dict) else ()


def in_volume(volume: Place) -> str:
    """Return a volume's place for messages."""
    return f"volumes[{volume[1]}]"


def in_file(file: Place) -> str:
    """Return a backing file's place for messages."""
    return "backing_file" if len(file) == 1 else f"backing_file[{file[1]}]"


def volume_group(source: Source, volume: Place) -> str:
    """Return the name of a volume's group, "" if it cannot be read."""
    origin = source.readable((*volume, "origin"))
    return origin.partition("/")[0] if isinstance(origin, str) else ""


def groups(source: Source) -> tuple[str, ...]:
    """Return the names of all volumes' groups, each once."""
    return tuple(dict.fromkeys(name for one in volumes(source) if (name := volume_group(source, one))))


def group_of_file(source: Source, file: Place) -> str:
    """Return the name of the group that a backing file is lent to, "" if that is not given."""
    given, known = source.readable((*file, "vg")), groups(source)
    return given if isinstance(given, str) else known[0] if len(known) == 1 else ""


def file_of(source: Source, vg: str) -> Place | None:
    """Return the place of the backing file that is lent to a group, None if there is none."""
    return next((file for file in files(source) if vg and group_of_file(source, file) == vg), None)


def has_tree(source: Source) -> bool:
    """Whether the profile's snapshots are mounted in a tree: with several volumes, or with one and includes.

    A volume with a mountpoint of its own is not in it.
    """
    found = volumes(source)
    inside = [volume for volume in found if (*volume, "mountpoint") not in source.values]
    return bool(inside) and (len(found) > 1 or bool(source.readable(("include",))))
