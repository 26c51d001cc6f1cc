"""What the system's own marks tell of a profile whose record is lost: a tagged snapshot, a PV with our UUID. Pure.

Marks name the host that made them. `host` is whose marks are asked for, "" those of an older lvmsnap, which name none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from lvmsnap.model.facts import SECTOR_BYTES, Facts, FileFacts, LogicalVolume, PhysicalVolume, VolumeGroup
from lvmsnap.model.lvm_names import is_profile_name
from lvmsnap.model.profile import Allocation, Profile
from lvmsnap.model.target import LentPV, MountTarget, Permission, Target
from lvmsnap.planning.identify import find, host_of_pv, host_prefix, is_lent

# The host and the name in a snapshot's tag; older versions wrote no host.
TAG = re.compile(r"lvmsnap(?:2\.([0-9a-f]{8}))?\.(.*)")


def pv_uuid_prefix(name: str, host: str) -> str:
    """Return how the UUID of every PV lent by profile `name` begins, so that it is recognised without a record.

    Older versions, whose marks name no host, had four digits of the name's hash: two names may share them.
    """
    digits = hashlib.sha256(name.encode()).hexdigest()
    return f"{host_prefix(host)}{digits[:4]}-{digits[4:8]}" if host else f"{host_prefix(host)}{digits[:4]}"


def pv_uuid(name: str, host: str, random_hex: str) -> str:
    """Return a PV UUID for profile `name`: 6-4-4-4-4-4-6 characters, as LVM writes them; 10 of them are random."""
    return "-".join((pv_uuid_prefix(name, host), random_hex[:4], random_hex[4:10]))


def snapshot_tag(name: str, host: str) -> str:
    """Return the LVM tag of a snapshot of profile `name`, "lvmsnap2.HOST.NAME"."""
    return f"{_tag_prefix(host)}{name}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of lvmsnap's on something: `object` is VG/LV, or the lent PV in its group. `host` "" where it names none.

    A tag names its profile, a PV's UUID does not: `name` is "" then.
    """

    host: str
    name: str
    object: str
    pv_uuid: str = ""


def all_marks(facts: Facts, host: str | None = None) -> tuple[Mark, ...]:
    """Return the marks on everything that LVM reports; of all hosts, unless one is given."""
    lvs = ((f"{lv.vg}/{lv.name}", TAG.fullmatch(tag)) for vg in facts.vgs for lv in vg.lvs for tag in lv.tags)
    # A tag may hold slashes, and whoever may write to the disk gives it.
    tags = [Mark(found[1] or "", found[2], lv) for lv, found in lvs if found and is_profile_name(found[2])]
    pvs = [pv for vg in facts.vgs for pv in vg.pvs if is_lent(pv.uuid)]
    lent = [Mark(host_of_pv(pv.uuid), "", f"PV {pv.uuid} in {pv.vg}", pv.uuid) for pv in pvs]
    return tuple(mark for mark in (*tags, *lent) if host is None or mark.host == host)


def tagged_names(facts: Facts, host: str) -> tuple[str, ...]:
    """Return the names of the profiles whose tag some LV bears."""
    return tuple(sorted({mark.name for mark in all_marks(facts, host) if mark.name}))


def unclaimed_targets(facts: Facts, claimed: set[str], host: str) -> tuple[Target, ...]:
    """Return targets for the lent PVs that no known profile claims by their UUID, so that they can be given back."""
    pvs = [(vg, pv) for vg in facts.vgs for pv in vg.pvs]
    ours = [(vg, pv) for vg, pv in pvs if pv.uuid.startswith(host_prefix(host)) and pv.uuid not in claimed]
    return tuple(_marked_target(f"pv-{pv.uuid}", host, None, facts, vg, None, pv) for vg, pv in ours)


def target_from_marks(
    name: str, profile: Profile | None, facts: Facts, host: str, claimed: Collection[str] = ()
) -> Target | None:
    """Return what the system's own marks tell of profile `name` where its record is lost; None where there are none.

    The marks: a snapshot with our tag, of whichever origin, since that may have been renamed, or the profile edited;
    where several have it, one that is as the profile says comes first. And a PV with our UUID that is none of the
    `claimed` ones, which records of other profiles name. The profile, where there is one, adds its paths.
    """
    tagged = [(vg, lv) for vg in facts.vgs for lv in vg.lvs if snapshot_tag(name, host) in lv.tags]
    # What cannot be a snapshot of ours, whoever tagged it, hides none that is.
    tagged.sort(key=lambda found: (not _may_be_ours(found[1]), not _is_as_written(profile, *found)))
    pvs = [pv for vg in facts.vgs for pv in vg.pvs if pv.uuid not in claimed]
    pvs += [pv for pv in facts.orphan_pvs if pv.uuid not in claimed]
    # One lent to another group than the snapshot's own is another stack's: it has its turn after this one.
    groups = {tagged[0][0].name, ""} if tagged else {pv.vg for pv in pvs}
    prefix = pv_uuid_prefix(name, host)
    ours = next((pv for pv in pvs if pv.uuid.startswith(prefix) and pv.vg in groups), None)
    vg = tagged[0][0] if tagged else facts.vg(ours.vg) if ours else None
    if vg is None and profile is not None:
        vg = facts.vg(profile.volume.vg)
    if vg is None or not (tagged or ours):
        return None
    return _marked_target(name, host, profile, facts, vg, tagged[0][1] if tagged else None, ours)


def without(facts: Facts, target: Target) -> Facts:
    """Return the facts as if the target's snapshot and its lent PV were gone, so that what else is marked is found."""
    snapshot = find(target, facts).snapshot
    lent = target.lent_pv.pv_uuid if target.lent_pv else ""
    vgs = tuple(
        replace(
            vg,
            lvs=tuple(lv for lv in vg.lvs if snapshot is None or (lv.vg, lv.uuid) != (snapshot.vg, snapshot.uuid)),
            pvs=tuple(pv for pv in vg.pvs if pv.uuid != lent),
        )
        for vg in facts.vgs
    )
    return replace(facts, vgs=vgs, orphan_pvs=tuple(pv for pv in facts.orphan_pvs if pv.uuid != lent))


def target_from_file(profile: Profile, facts: Facts, file: FileFacts | None, host: str) -> Target | None:
    """Return what the PV label in the profile's backing file tells, where all else of the profile is gone.

    So it is after a power cut whose repair at boot gave the group back, if the record was lost too.
    """
    volume, backing = profile.volume, profile.backing_file
    if backing is None or file is None or not file.pv_uuid.startswith(pv_uuid_prefix(profile.name, host)):
        return None
    vg = facts.vg(volume.vg)
    origin = vg.lv(volume.origin) if vg else None
    label = (file.pv_uuid, SECTOR_BYTES, False)
    return Target(
        name=profile.name,
        vg=volume.vg,
        vg_uuid=vg.uuid if vg else "",
        origin=volume.origin,
        origin_uuid=origin.uuid if origin else "",
        snapshot=volume.snapshot,
        extents=0,
        extent_size_bytes=vg.extent_size_bytes if vg else 0,
        chunk_size_bytes=None,
        permission=Permission.READ_ONLY,
        lent_pv=LentPV(backing.path, 0, backing.allocation, *label, inode=file.inode, device=file.device),
        mount=None,
        host=host,
    )


def _tag_prefix(host: str) -> str:
    return f"lvmsnap2.{host}." if host else "lvmsnap."


def _may_be_ours(lv: LogicalVolume) -> bool:
    return bool(lv.origin) or lv.segment_types == ("linear",)


def _is_as_written(profile: Profile | None, vg: VolumeGroup, lv: LogicalVolume) -> bool:
    """Whether the profile, where there is one, says that the LV is a snapshot in this group and of this origin."""
    return profile is None or (vg.name == profile.volume.vg and lv.origin in ("", profile.volume.origin))


def _marked_target(
    name: str,
    host: str,
    profile: Profile | None,
    facts: Facts,
    vg: VolumeGroup,
    lv: LogicalVolume | None,
    pv: PhysicalVolume | None,
) -> Target:
    origin_name = lv.origin if lv and lv.origin else profile.volume.origin if profile else ""
    origin = vg.lv(origin_name)
    snapshot = lv.name if lv else profile.volume.snapshot if profile else ""
    mounted = next((m.mountpoint for m in facts.mounts if lv and m.device_number == lv.device_number), "")
    mountpoint = mounted or (profile.volume.mountpoint if profile else None)
    removable = bool(mountpoint) and (
        mountpoint == f"/run/lvmsnap/{name}" or bool(profile and profile.remove_mountpoint)
    )
    return Target(
        name=name,
        vg=vg.name,
        vg_uuid=vg.uuid,
        origin=origin_name,
        origin_uuid=origin.uuid if origin else "",
        snapshot=snapshot,
        extents=0,
        extent_size_bytes=vg.extent_size_bytes,
        chunk_size_bytes=None,
        permission=Permission.READ_ONLY,
        lent_pv=_marked_pv(profile, facts, pv) if pv else None,
        mount=MountTarget(mountpoint, "", (), removable, removable) if mountpoint else None,
        host=host,
    )


def _marked_pv(profile: Profile | None, facts: Facts, pv: PhysicalVolume) -> LentPV:
    loop = next((loop for loop in facts.loops if loop.device == pv.device), None)
    backing = profile.backing_file if profile else None
    path = loop.file_path.removesuffix(" (deleted)") if loop else backing.path if backing else ""
    # Without a loop device the file is known by its PV label alone; no file has inode 0.
    inode, device = (loop.file_inode, loop.file_device) if loop else (0, 0)
    return LentPV(path, 0, Allocation.FALLOCATE, pv.uuid, 512, False, inode=inode, device=device)
