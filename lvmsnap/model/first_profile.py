"""The frozen types of `lvmsnap init`: what could be snapshotted, and a profile proposed for this machine."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile


@dataclass(frozen=True, slots=True)
class Offer:
    """A logical volume that could be snapshotted; `holds` describes its content."""

    path: str
    size_bytes: int
    holds: str
    mountpoints: tuple[str, ...]
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Offers:
    """What could be snapshotted; and what could not, or makes no sense, each with the reason."""

    volumes: tuple[Offer, ...]
    others: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VolumeNotes:
    """What a reader should know about a volume of the profile; "" if there is nothing to say.

    `what` it is, why it has its `size` or none, why there is no `mount`, and what is `left_out` below it.
    """

    what: str
    size: str = ""
    mount: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class FileNotes:
    """Why a backing file is where it is, and how large it may grow there."""

    why: str
    largest_bytes: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A profile for this machine, with notes on each of its volumes and backing files, in order.

    `failed` are the checks that would refuse its plan now. `is_risky`: the boot may need what `lvmsnap install-boot`
    installs. `in_same_group`: the only place for a file is on a volume of the very group that lacks room, which a
    person must allow. `one_by_one` says why its snapshots are not of one instant.
    """

    profile: Profile
    volumes: tuple[VolumeNotes, ...]
    files: tuple[FileNotes, ...]
    failed: tuple[Check, ...] = ()
    is_risky: bool = False
    in_same_group: bool = False
    one_by_one: str = ""
