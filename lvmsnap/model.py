"""The frozen types that everything else makes, shows or walks: profile, facts, actions, plan. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

SECTOR_BYTES = 512


# --- the profile, as read ---------------------------------------------------------------------------------------


class SizeUnit(Enum):
    """What a snapshot's size is measured in."""

    BYTES = "bytes"
    PERCENT_ORIGIN = "%ORIGIN"
    PERCENT_FREE = "%FREE"
    PERCENT_PVS = "%PVS"


@dataclass(frozen=True, slots=True)
class Size:
    """A snapshot's size: `amount` bytes, or `amount` percent of what `unit` names (LVM's words, lvcreate(8))."""

    amount: int
    unit: SizeUnit = SizeUnit.BYTES


class Allocation(Enum):
    """How the backing file gets its blocks."""

    FALLOCATE = "fallocate"
    ZERO_FILL = "zero-fill"


@dataclass(frozen=True, slots=True)
class Volume:
    """One origin and the snapshot to make of it. `mountpoint` None: only the device is made."""

    vg: str
    origin: str
    snapshot: str
    size: Size
    chunk_size_bytes: int | None
    mountpoint: str | None
    mount_options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BackingFile:
    """The temporary file that lends the group space. `size_bytes` None: what the snapshot needs."""

    path: str
    size_bytes: int | None
    loop_device: str | None
    allocation: Allocation
    allow_same_vg: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A named profile, with every default filled in. `path` is the file it was read from."""

    name: str
    path: str
    description: str
    volume: Volume
    backing_file: BackingFile | None
    remove_mountpoint: bool
