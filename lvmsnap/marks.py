"""What the system's own marks tell of a profile whose record is lost: a tagged snapshot, a PV with our UUID. Pure."""

from __future__ import annotations

import hashlib

from lvmsnap.identify import PV_UUID_PREFIX
from lvmsnap.model import Allocation, LentPV, MountTarget, Permission, Profile, Target
from lvmsnap.system import SECTOR_BYTES, Facts, FileFacts, LogicalVolume, PhysicalVolume, VolumeGroup


def pv_uuid_prefix(name: str) -> str:
    """Return how the UUID of every PV lent by profile `name` begins, so that it can be told without a record."""
    return PV_UUID_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:4]


def pv_uuid(name: str, random_hex: str) -> str:
    """Return a PV UUID for profile `name`: 6-4-4-4-4-4-6 characters, as LVM writes them; 22 of them are random."""
    rest = [random_hex[start : start + 4] for start in (0, 4, 8, 12)]
    return "-".join((pv_uuid_prefix(name), *rest, random_hex[16:22]))


def tagged_names(facts: Facts) -> tuple[str, ...]:
    """Return the names of the profiles whose tag some LV bears."""
    tags = {tag for vg in facts.vgs for lv in vg.lvs for tag in lv.tags if tag.startswith("lvmsnap.")}
    return tuple(sorted(tag.removeprefix("lvmsnap.") for tag in tags))


def unclaimed_targets(facts: Facts, claimed: set[str]) -> tuple[Target, ...]:
    """Return targets for the lent PVs that no known profile claims by their UUID, so that they can be given back."""
    pvs = [(vg, pv) for vg in facts.vgs for pv in vg.pvs]
    ours = [(vg, pv) for vg, pv in pvs if pv.uuid.startswith(PV_UUID_PREFIX) and pv.uuid not in claimed]
    return tuple(_marked_target(f"pv-{pv.uuid}", None, facts, vg, None, pv) for vg, pv in ours)


def target_from_marks(name: str, profile: Profile | None, facts: Facts) -> Target | None:
    """Return what the system's own marks tell of profile `name` where its record is lost; None where there are none.

    The marks: a snapshot with our tag, a PV with our UUID. The profile, where there is one, adds its paths.
    """
    tagged = [(vg, lv) for vg in facts.vgs for lv in vg.lvs if _is_marked(name, profile, lv)]
    pvs = [pv for vg in facts.vgs for pv in vg.pvs] + list(facts.orphan_pvs)
    ours = next((pv for pv in pvs if pv.uuid.startswith(pv_uuid_prefix(name))), None)
    vg = tagged[0][0] if tagged else facts.vg(ours.vg) if ours else None
    if vg is None and profile is not None:
        vg = facts.vg(profile.volume.vg)
    if vg is None or not (tagged or ours):
        return None
    return _marked_target(name, profile, facts, vg, tagged[0][1] if tagged else None, ours)


def target_from_file(profile: Profile, facts: Facts, file: FileFacts | None) -> Target | None:
    """Return what the PV label in the profile's backing file tells, where all else of the profile is gone.

    So it is after a power cut whose repair at boot gave the group back, if the record was lost too.
    """
    volume, backing = profile.volume, profile.backing_file
    if backing is None or file is None or not file.pv_uuid.startswith(pv_uuid_prefix(profile.name)):
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
    )


def _is_marked(name: str, profile: Profile | None, lv: LogicalVolume) -> bool:
    """Whether the LV has the tag and, where a profile or LVM tells of what, is a snapshot of the right origin."""
    right_origin = profile is None or lv.origin in ("", profile.volume.origin)
    return f"lvmsnap.{name}" in lv.tags and right_origin


def _marked_target(
    name: str,
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
    )


def _marked_pv(profile: Profile | None, facts: Facts, pv: PhysicalVolume) -> LentPV:
    loop = next((loop for loop in facts.loops if loop.device == pv.device), None)
    backing = profile.backing_file if profile else None
    path = loop.file_path.removesuffix(" (deleted)") if loop else backing.path if backing else ""
    # Without a loop device the file is known by its PV label alone; no file has inode 0.
    inode, device = (loop.file_inode, loop.file_device) if loop else (0, 0)
    return LentPV(path, 0, Allocation.FALLOCATE, pv.uuid, 512, False, inode=inode, device=device)
