"""Who else, besides lvmsnap, claims a mountpoint: fstab, or a systemd unit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lvmsnap.system import (
    mount_table,
)

UNIT_DIRS = ("/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/lib/systemd/system")


def boot_mountpoints() -> tuple[str, ...]:
    """Return the mountpoints that a boot needs: the root, and those in fstab except noauto and nofail ones."""
    fields = [field for field in _fstab() if len(field) > 3 and not {"noauto", "nofail"} & set(field[3].split(","))]
    return (
        "/",
        *(mount_table.unescape_octal(field[1]) for field in fields if field[1].startswith("/") and field[1] != "/"),
    )


def _fstab() -> list[list[str]]:
    path = Path("/etc/fstab")
    return fstab_fields(path.read_bytes() if path.is_file() else b"")


def fstab_fields(raw: bytes) -> list[list[str]]:
    """Return the fields of each line of an fstab, which only tabs or blanks separate (fstab(5))."""
    rows = [line.strip(" \t") for line in mount_table.lines(raw)]
    return [re.split(r"[ \t]+", row) for row in rows if row and not row.startswith("#")]


def claimed_by(path: str) -> str:
    """Return the fstab or the systemd unit file that claims the mountpoint `path`, "" if none does."""
    if any(len(field) > 1 and mount_table.unescape_octal(field[1]).rstrip("/") == path for field in _fstab()):
        return "/etc/fstab"
    names = [f"{unit_name(path)}.{suffix}" for suffix in ("mount", "automount")]
    units = (f"{directory}/{name}" for directory in UNIT_DIRS for name in names)
    return next(filter(os.path.exists, units), "")


def unit_name(path: str) -> str:
    """Return the name that systemd gives to a mountpoint's unit (systemd-escape(1) --path)."""
    text = path.strip("/").replace("/", "\0")
    escaped = "".join(
        c if re.match(r"[A-Za-z0-9:_.\0]", c) else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in text
    )
    return re.sub(r"^\.", r"\\x2e", escaped).replace("\0", "-")
