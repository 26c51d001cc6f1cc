"""Binary multiples of a byte, and sizes as profiles write them. Pure."""

from __future__ import annotations

KIB = 1024


MIB = 1024 * KIB


GIB = 1024 * MIB


TIB = 1024 * GIB


SECTOR_BYTES = 512


def as_written(size_bytes: int) -> str:
    """Return a size as profiles write it, in the largest unit that gives a whole number: 320MiB, 5GiB."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if size_bytes % unit == 0:
            return f"{size_bytes // unit}{name}"
    return f"{-(-size_bytes // KIB)}KiB"
