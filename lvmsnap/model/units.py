"""Binary multiples of a byte."""

from __future__ import annotations

KIB = 1024


MIB = 1024 * KIB


GIB = 1024 * MIB


TIB = 1024 * GIB


SECTOR_BYTES = 512
