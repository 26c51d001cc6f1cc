"""Which directories an overlayfs is made of: it uses them through a private mount that is in no table. Pure."""

from __future__ import annotations

import re

from lvmsnap.model.facts import Mount
from lvmsnap.system.mount_table import unescape_octal

# Those with a plus: kernels show layers that were given one by one like this (from 6.8 on).
LAYERS = ("lowerdir", "upperdir", "workdir", "lowerdir+", "datadir+")
# A layer ends at a colon, unless a backslash precedes it; the table has \134 for a backslash.
_LAYER = r"(?:\\134(?:\\[0-7]{3}|.)|[^:])+"


def layers(mount: Mount) -> tuple[str, ...]:
    """Return the directories that an overlay was made of, by their paths at that time; none for other filesystems."""
    if mount.filesystem != "overlay":
        return ()
    options = (option.partition("=") for option in mount.filesystem_options)
    return tuple(path for key, _, value in options if key in LAYERS for path in _paths(key, value))


def _paths(key: str, value: str) -> list[str]:
    shown = re.findall(_LAYER, value) if key == "lowerdir" else [value]
    return [re.sub(r"\\(.)", r"\1", unescape_octal(path), flags=re.DOTALL) for path in shown]


def layer_below(mount: Mount, places: set[str]) -> str:
    """Return a layer of an overlay that is one of the directories, or lies in one; "" if none does."""
    return next(
        (path for path in layers(mount) for place in places if path == place or path.startswith(f"{place}/")), ""
    )
