"""Records from when a profile had only one volume, so that a new lvmsnap takes down what an old one brought up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GROUP = ("vg", "vg_uuid")
COW = ("extents", "extent_size_bytes", "chunk_size_bytes")


def converted(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a format 1 record in the current format. Raises ValueError if one of them is missing."""
    record = dict(data)
    old = record.get("target")
    if not isinstance(old, Mapping):
        raise ValueError("target is missing, or no object")
    target = dict(old)
    try:
        group = {key: target.pop(key) for key in GROUP}
        snapshot = {key: target.pop(key) for key in ("origin", "origin_uuid", "permission", "mount")}
        snapshot |= {"name": target.pop("snapshot"), "cow": {key: target.pop(key) for key in COW}}
        lent = target.pop("lent_pv")
    except KeyError as error:
        raise ValueError(f"target.{error.args[0]} is missing") from error
    if lent is not None and not isinstance(lent, Mapping):
        raise ValueError("target.lent_pv is not an object")
    target["loans"] = [{**group, **lent}] if lent is not None else []
    target["snapshots"] = [{**group, **snapshot, "dm_uuid": record.pop("snapshot_uuid", "")}]
    return {**record, "target": target}
