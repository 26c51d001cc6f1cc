"""Reconstructs a profile whose record is lost from marks on the system: tagged snapshots, PVs with our UUID. Pure.

Marks name the host that made them. `host` says whose marks are meant, "" those of an older lvmsnap, which name none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.facts import Facts, LogicalVolume, PhysicalVolume, VolumeGroup
from lvmsnap.model.looked import FileFacts
from lvmsnap.model.lvm_names import is_profile_name, snapshot_tag
from lvmsnap.model.profile import Allocation, Profile, Volume
from lvmsnap.model.target import Loan, MountTarget, Permission, Snapshot, Target
from lvmsnap.model.units import SECTOR_BYTES
from lvmsnap.planning import lost_tree, luks, tree
from lvmsnap.planning.identify import as_named_now, find_lv, find_vg
from lvmsnap.planning.lent_pvs import host_of_pv, host_prefix, is_lent

# The host and the name in a snapshot's tag; older versions wrote no host.
TAG = r"lvmsnap(?:2\.([0-9a-f]{8}))?\.(.*)"


def pv_uuid_prefix(name: str, host: str) -> str:
    """Return the prefix of the UUIDs of all PVs lent by profile `name`, which identifies them without a record.

    Older versions, whose marks name no host, used four digits of the name's hash: two names may share them.
    """
    digits = hashlib.sha256(name.encode()).hexdigest()
    return f"{host_prefix(host)}{digits[:4]}-{digits[4:8]}" if host else f"{host_prefix(host)}{digits[:4]}"


def pv_uuid(name: str, host: str, random_hex: str) -> str:
    """Return a PV UUID for profile `name`: 6-4-4-4-4-4-6 characters, as LVM writes them; 10 of them are random."""
    return "-".join((pv_uuid_prefix(name, host), random_hex[:4], random_hex[4:10]))


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that lvmsnap left: `object` is VG/LV, or the lent PV in its group; `host` is "" if it names none.

    A tag names its profile, a PV's UUID does not: `name` is "" then.
    """

    host: str
    name: str
    object: str
    pv_uuid: str = ""


def all_marks(facts: Facts, host: str | None = None) -> tuple[Mark, ...]:
    """Return the marks on everything that LVM reports; of all hosts, unless one is given."""
    lvs = ((f"{lv.vg}/{lv.name}", re.fullmatch(TAG, tag)) for vg in facts.vgs for lv in vg.lvs for tag in lv.tags)
    # A tag may contain slashes, and whoever can write to the disk can set one.
    tags = [Mark(found[1] or "", found[2], lv) for lv, found in lvs if found and is_profile_name(found[2])]
    pvs = [pv for vg in facts.vgs for pv in vg.pvs if is_lent(pv.uuid)]
    lent = [Mark(host_of_pv(pv.uuid), "", f"PV {pv.uuid} in {pv.vg}", pv.uuid) for pv in pvs]
    return tuple(mark for mark in (*tags, *lent) if host is None or mark.host == host)


def tagged_names(facts: Facts, host: str) -> tuple[str, ...]:
    """Return the names of the profiles whose tag an LV carries."""
    return tuple(sorted({mark.name for mark in all_marks(facts, host) if mark.name}))


def unclaimed_targets(facts: Facts, claimed: set[str], host: str) -> tuple[Target, ...]:
    """Return targets for the lent PVs whose UUID no known profile claims, so that they can be taken out again."""
    pvs = [(vg, pv) for vg in facts.vgs for pv in vg.pvs]
    ours = [(vg, pv) for vg, pv in pvs if pv.uuid.startswith(host_prefix(host)) and pv.uuid not in claimed]
    return tuple(Target(f"pv-{pv.uuid}", (_marked_loan(None, facts, vg, pv),), (), host=host) for vg, pv in ours)


def is_marked(name: str, facts: Facts, host: str, claimed: Collection[str]) -> bool:
    """Whether anything carries marks of profile `name` that `target_from_marks` would use."""
    tag, prefix = snapshot_tag(name, host), pv_uuid_prefix(name, host)
    pvs = [pv.uuid for vg in facts.vgs for pv in vg.pvs] + [pv.uuid for pv in facts.orphan_pvs]
    is_tagged = any(tag in lv.tags for vg in facts.vgs for lv in vg.lvs)
    return is_tagged or any(uuid.startswith(prefix) and uuid not in claimed for uuid in pvs)


def target_from_marks(
    name: str, profile: Profile | None, facts: Facts, host: str, claimed: Collection[str] = ()
) -> Target | None:
    """Return what the marks on the system tell about profile `name`, whose record is lost; None without any marks.

    The marks are snapshots with our tag, whatever their origin, since it may have been renamed, or the profile edited;
    and PVs with our UUID, except the `claimed` ones, which records of other profiles name. The profile, if there is
    one, adds its paths and the parts that carry no mark.
    """
    profile = profile and tree.placed(profile, facts)
    tagged = [(vg, lv) for vg in facts.vgs for lv in vg.lvs if snapshot_tag(name, host) in lv.tags]
    # An LV that cannot be a snapshot of ours, whoever tagged it, must not hide one that is.
    tagged = [found for found in tagged if _may_be_ours(found[1])] or tagged
    tagged.sort(key=lambda found: _place(profile, *found))
    loans = _marked_loans(name, profile, facts, host, claimed, tagged)
    if not (tagged or loans):
        return None
    snapshots = [_marked_snapshot(name, profile, facts, vg, lv) for vg, lv in tagged]
    volumes = profile.volumes if profile else ()
    if len(snapshots) < len(volumes):
        known = {(one.vg, one.origin) for one in snapshots}
        left = [volume for volume in volumes if (volume.vg, volume.origin) not in known]
        snapshots += [_unmarked_snapshot(name, profile, volume, facts) for volume in left]
    target = Target(name, loans, tuple(snapshots), host=host)
    # Another host's tree is not mounted here, but our own tree of the same name may be.
    return lost_tree.with_tree(target, facts) if host == facts.host else target


def without(facts: Facts, target: Target) -> Facts:
    """Return the facts as if the target's snapshots and lent PVs were gone, so that other marked things are found."""
    named = as_named_now(target, facts)
    gone = {
        (vg.uuid, lv.uuid)
        for snapshot in named.snapshots
        if (vg := find_vg(snapshot, facts)) and (lv := find_lv(named, snapshot, vg))
    }
    lent = {loan.pv_uuid for loan in target.loans}
    vgs = tuple(
        replace(
            vg,
            lvs=tuple(lv for lv in vg.lvs if (vg.uuid, lv.uuid) not in gone),
            pvs=tuple(pv for pv in vg.pvs if pv.uuid not in lent),
        )
        for vg in facts.vgs
    )
    return replace(facts, vgs=vgs, orphan_pvs=tuple(pv for pv in facts.orphan_pvs if pv.uuid not in lent))


def target_from_files(
    profile: Profile, facts: Facts, files: Mapping[str, FileFacts | None], host: str
) -> Target | None:
    """Return what the PV labels in the profile's backing files tell, if everything else of the profile is gone.

    That is the case after a power cut if the boot repaired the group and the record was lost too. `files` is what is at
    the backing files' paths.
    """
    prefix, loans = pv_uuid_prefix(profile.name, host), []
    for backing in profile.backing_files:
        file, vg = files.get(backing.path), facts.vg(backing.vg)
        if file is not None and file.pv_uuid.startswith(prefix):
            label = (file.pv_uuid, SECTOR_BYTES, False)
            where = (backing.vg, vg.uuid if vg else "", backing.path)
            loans.append(Loan(*where, 0, backing.allocation, *label, inode=file.inode, device=file.device))
    if not loans:
        return None
    snapshots = (_unmarked_snapshot(profile.name, profile, volume, facts) for volume in profile.volumes)
    return Target(profile.name, tuple(loans), tuple(replace(one, mount=None) for one in snapshots), host=host)


def _may_be_ours(lv: LogicalVolume) -> bool:
    return bool(lv.origin) or lv.segment_types in (("linear",), ("thin",))


def _place(profile: Profile | None, vg: VolumeGroup, lv: LogicalVolume) -> int:
    """Return the index of the profile's volume that the LV is a snapshot of; the number of volumes if of none."""
    volumes = profile.volumes if profile else ()
    fits = (at for at, one in enumerate(volumes) if vg.name == one.vg and lv.origin in ("", one.origin))
    return next(fits, len(volumes))


def _marked_snapshot(name: str, profile: Profile | None, facts: Facts, vg: VolumeGroup, lv: LogicalVolume) -> Snapshot:
    at = _place(profile, vg, lv)
    volumes = profile.volumes if profile else ()
    # If the origin was renamed, or the profile edited, the profile's only volume still says where to look.
    volume = volumes[at] if at < len(volumes) else volumes[0] if len(volumes) == 1 else None
    origin = vg.lv(lv.origin or (volume.origin if volume else ""))
    opened = luks.marked_mapping(name, profile, volume, lv, facts)
    numbers = luks.numbers(opened, lv, facts)
    mounted = next((m.mountpoint for m in facts.mounts if m.device_number in numbers), "")
    mountpoint = mounted or (volume.mountpoint if volume else None)
    return Snapshot(
        vg=vg.name,
        vg_uuid=vg.uuid,
        origin=lv.origin or (volume.origin if volume else ""),
        origin_uuid=origin.uuid if origin else "",
        name=lv.name,
        cow=None,
        permission=Permission.READ_ONLY,
        mount=_marked_mount(name, profile, mountpoint),
        luks=opened,
    )


def _unmarked_snapshot(name: str, profile: Profile | None, volume: Volume, facts: Facts) -> Snapshot:
    """Return a volume's snapshot as the profile has it, if LVM knows none: a killed command may have left devices."""
    vg = facts.vg(volume.vg)
    origin = vg.lv(volume.origin) if vg else None
    return Snapshot(
        vg=volume.vg,
        vg_uuid=vg.uuid if vg else "",
        origin=volume.origin,
        origin_uuid=origin.uuid if origin else "",
        name=volume.snapshot,
        cow=None,
        permission=Permission.READ_ONLY,
        mount=_marked_mount(name, profile, volume.mountpoint),
    )


def _marked_mount(name: str, profile: Profile | None, mountpoint: str | None) -> MountTarget | None:
    if not mountpoint:
        return None
    own = f"/run/lvmsnap/{name}"
    is_removed = mountpoint == own or mountpoint.startswith(f"{own}/") or bool(profile and profile.remove_mountpoint)
    return MountTarget(mountpoint, "", (), is_removed, is_removed)


def _marked_loans(
    name: str,
    profile: Profile | None,
    facts: Facts,
    host: str,
    claimed: Collection[str],
    tagged: Sequence[tuple[VolumeGroup, LogicalVolume]],
) -> tuple[Loan, ...]:
    """Return a loan for each group that has a PV with our UUID; for a PV in no group, the group it was meant for."""
    prefix, loans = pv_uuid_prefix(name, host), dict[str, Loan]()
    pvs = [pv for vg in facts.vgs for pv in vg.pvs] + list(facts.orphan_pvs)
    meant = [one.vg for one in profile.backing_files] if profile else []
    for pv in pvs:
        if pv.uuid in claimed or not pv.uuid.startswith(prefix):
            continue
        wanted = [pv.vg] if pv.vg else [one for one in (*(vg.name for vg, _ in tagged), *meant) if one not in loans]
        vg = facts.vg(wanted[0]) if wanted else None
        if vg is not None:
            loans.setdefault(vg.name, _marked_loan(profile, facts, vg, pv))
    return tuple(loans.values())


def _marked_loan(profile: Profile | None, facts: Facts, vg: VolumeGroup, pv: PhysicalVolume) -> Loan:
    loop = next((loop for loop in facts.loops if loop.device == pv.device), None)
    backing = profile.backing_file(vg.name) if profile else None
    path = loop.file_path.removesuffix(" (deleted)") if loop else backing.path if backing else ""
    # Without a loop device the file is known by its PV label alone; no file has inode 0.
    inode, device = (loop.file_inode, loop.file_device) if loop else (0, 0)
    where = (vg.name, vg.uuid, path)
    return Loan(*where, 0, Allocation.FALLOCATE, pv.uuid, 512, False, inode=inode, device=device)
