"""What tests of a first profile share: a machine with a disk for backing files, and what was looked at there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lvmsnap.model.facts import Facts, LogicalVolume, Mount, VolumeGroup
from lvmsnap.model.first_profile import Proposal
from lvmsnap.model.looked import DirectoryFacts
from lvmsnap.planning import first_profile
from lvmsnap.planning.first_profile import Wish
from tests import samples

DISK = Mount("98:48", "/", "/srv/disk", "ext4", "/dev/sdb1", mount_id=2)
ORIGIN = Mount("254:0", "/", "/srv/system", "ext4", "/dev/mapper/vg0-system", mount_id=1)
THERE = replace(samples.DIRECTORY, real_path="/srv/disk")
ON_ORIGIN = replace(samples.DIRECTORY, real_path="/srv/system", block_devices=("254:0",), own_devices=("254:0",))
FULL = replace(samples.DISK, extents=3000)


def full_vg(*lvs: LogicalVolume, **fields: Any) -> VolumeGroup:
    """Make group vg0 without room."""
    return samples.vg(*lvs, **{"free_extents": 0, "pvs": (FULL,), **fields})


def machine(
    *groups: VolumeGroup, places: dict[str, DirectoryFacts] | None = None, mounts: tuple[Mount, ...] = (), **fields: Any
) -> Facts:
    """Make a machine with the origin mounted and a disk beside it; `places` are what is known of its folders."""
    uuid = "LVM-" + (samples.VG_UUID + samples.ORIGIN_UUID).replace("-", "")
    device = replace(samples.dm("vg0-system", uuid), device_number="254:0")
    facts = samples.facts(**{"mounts": (ORIGIN, DISK, *mounts), "dm_devices": (device,), **fields})
    facts = replace(facts, vgs=groups or (samples.GROUP,))
    places = {"/srv/system": ON_ORIGIN, "/srv/disk": THERE} if places is None else places
    paths = {f"{folder}/{name}": there for folder, there in places.items() for name in names(facts)}
    return replace(facts, looked=replace(facts.looked, directories=paths))


def names(facts: Facts) -> list[str]:
    """Give the names that backing files of profile nightly may have."""
    return ["lvmsnap-nightly.tmp", *(f"lvmsnap-nightly-{vg.name}.tmp" for vg in facts.vgs)]


def propose(facts: Facts, *origins: str, keys: Mapping[str, str] | None = None) -> Proposal:
    """Propose profile nightly for volumes VG/LV."""
    lvs = {f"{vg.name}/{lv.name}": lv for vg in facts.vgs for lv in vg.lvs}
    wish = Wish(
        "nightly", "/etc/lvmsnap/nightly.yaml", tuple(lvs[one] for one in origins or ("vg0/system",)), keys or {}
    )
    return first_profile.propose(wish, facts)


def group(name: str, *lvs: str, **fields: Any) -> VolumeGroup:
    """Make another group, with volumes of 10 GiB that are mounted nowhere."""
    made = [
        samples.lv(one, vg=name, uuid=f"{name}-{one}".ljust(38, "u"), device_number=f"254:{20 + number}")
        for number, one in enumerate(lvs)
    ]
    own = {"name": name, "uuid": name.ljust(38, "v"), "lvs": tuple(made), **fields}
    return replace(samples.GROUP, **own)
