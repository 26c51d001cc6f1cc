"""Makes a Profile from checked data: units, defaults, paths. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lvmsnap.model.paths import RUN_DIR
from lvmsnap.model.profile import Allocation, Argv, BackingFile, Hooks, Luks, Overflow, Profile, Size, SizeUnit, Volume
from lvmsnap.model.units import GIB, KIB, MIB, TIB

_UNITS = {"K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SECONDS = {"s": 1, "min": 60, "h": 3600}


def default_snapshot(lv: str, name: str) -> str:
    """The snapshot's name if profile `name` gives none."""
    return f"{lv}-lvmsnap-{name}"


def default_mountpoint(name: str) -> str:
    """Where the snapshot is mounted if profile `name` does not say; for several volumes, the top of their tree."""
    return f"{RUN_DIR}/{name}"


def built(data: Mapping[str, Any], schema: Mapping[str, Any], name: str, file: str) -> Profile:
    """Return profile `name` from checked data, with the schema's defaults filled in; `file` is its file's path."""
    properties = schema["properties"]
    top = _with_defaults(properties, data)
    of_volume, of_file = properties["volumes"]["items"]["properties"], properties["backing_file"]["properties"]
    has_tree = len(top["volumes"]) > 1 or bool(top["include"])
    volumes = tuple(_volume(_with_defaults(of_volume, one), name, has_tree=has_tree) for one in top["volumes"])
    given = top.get("backing_file", [])
    files = given if isinstance(given, list) else [given]
    return Profile(
        name=name,
        path=file,
        description=" ".join(top["description"].split()),
        volumes=volumes,
        backing_files=tuple(_backing_file(_with_defaults(of_file, file), volumes[0].vg) for file in files),
        remove_mountpoint=top["remove_mountpoint"],
        overflow=_overflow(_with_defaults(properties["overflow"]["properties"], top.get("overflow", {}))),
        hooks=_hooks(_with_defaults(properties["hooks"]["properties"], top.get("hooks", {}))),
        includes=tuple(map(tidy_path, top["include"])),
        is_consistent=top["consistent"],
    )


def _with_defaults(properties: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema["default"] for key, schema in properties.items() if "default" in schema} | dict(data)


def _volume(data: Mapping[str, Any], name: str, *, has_tree: bool) -> Volume:
    vg, origin = data["origin"].split("/")
    is_in_tree = has_tree and "mountpoint" not in data
    mountpoint = None if is_in_tree else data.get("mountpoint", default_mountpoint(name))
    return Volume(
        vg=vg,
        origin=origin,
        snapshot=data.get("snapshot", default_snapshot(origin, name)),
        size=_size(data["size"]) if "size" in data else None,
        chunk_size_bytes=size_bytes(data["chunk_size"]) if "chunk_size" in data else None,
        mountpoint=tidy_path(mountpoint) if mountpoint else None,
        mount_options=tuple(data["mount_options"]),
        allow_wider_access=data["allow_wider_access"],
        luks=_luks(data["luks"]) if "luks" in data else None,
        is_in_tree=is_in_tree,
    )


def _luks(data: Mapping[str, Any]) -> Luks:
    return Luks(tidy_path(data["key_file"]) if "key_file" in data else None)


def _backing_file(data: Mapping[str, Any], only_vg: str) -> BackingFile:
    return BackingFile(
        vg=data.get("vg", only_vg),
        path=tidy_path(data["path"]),
        size_bytes=size_bytes(data["size"]) if "size" in data else None,
        loop_device=None if data["loop_device"] == "auto" else data["loop_device"],
        allocation=Allocation(data["allocation"]),
        allow_same_vg=data["allow_same_vg"],
        accept_boot_risk=data["accept_boot_risk"],
        max_size_bytes=size_bytes(data["max_size"]) if "max_size" in data else None,
    )


def _overflow(data: Mapping[str, str]) -> Overflow:
    return Overflow(*(int(data[key].rstrip("%")) for key in ("warn_at", "extend_at", "extend_by")))


def _hooks(data: Mapping[str, Any]) -> Hooks:
    commands = {key: _hook(value) for key, value in data.items() if key != "timeout"}
    number = data["timeout"].rstrip("minhs")
    return Hooks(**commands, timeout_seconds=int(number) * _SECONDS[data["timeout"].removeprefix(number)])


def _hook(value: str | list[str]) -> Argv:
    return ("/bin/sh", "-c", value) if isinstance(value, str) else tuple(value)


def _size(text: str) -> Size:
    amount, percent, of = text.partition("%")
    return Size(int(amount), SizeUnit(percent + of)) if percent else Size(size_bytes(text))


def size_bytes(text: str) -> int:
    """Return a checked size such as 4GiB in bytes."""
    number = text.rstrip("KMGTiB")
    return int(number) * _UNITS[text[len(number)]]


def tidy_path(path: str) -> str:
    """Return an absolute path without double or trailing slashes."""
    return "/" + "/".join(part for part in path.split("/") if part)
