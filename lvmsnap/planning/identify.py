"""Finds what exists of a target's stack and is ours: target and facts in, `Found` out. Pure.

Nothing is recognised as ours by its name alone. A snapshot needs our tag and the origin, the file its inode or our PV
label, a loop device the file's device and inode, a mount the snapshot's device number; for LUKS see `luks`.
"""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.facts import UNKNOWN, DmDevice, Facts, LogicalVolume, Loop, PhysicalVolume, VolumeGroup
from lvmsnap.model.looked import FileFacts
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.target import Loan, Record, Snapshot, Target
from lvmsnap.planning import found_mounts
from lvmsnap.planning.found_mounts import FoundInclude
from lvmsnap.planning.half_made import QueuedCreate, half_made, origin_devices, queued_create, suspended_devices
from lvmsnap.planning.luks import NOTHING_OPEN, FoundLuks, find_luks, shown_by
from lvmsnap.planning.pools import has_snapshots


@dataclass(frozen=True, slots=True)
class FoundLoan:
    """What exists of one loan and is ours; None or False for what does not. `loan` has its current names.

    `pv` is our PV, in a group or in none. `inactive_origin` is an origin of the target that a boot left inactive
    because the lent PV was missing, and whose group is whole again. `others` are the LVs, as VG/LV, that have extents
    on our PV and are not snapshots of the target.
    """

    loan: Loan
    vg: VolumeGroup | None = None
    file: FileFacts | None = None
    loop: Loop | None = None
    pv: PhysicalVolume | None = None
    is_file_out_of_reach: bool = False
    uses_devices_file: bool = False
    inactive_origin: str = ""
    others: tuple[str, ...] = ()

    @property
    def is_member(self) -> bool:
        """Whether our PV is part of the volume group, present or missing."""
        return self.vg is not None and self.pv is not None and self.pv.vg == self.vg.name

    @property
    def is_missing(self) -> bool:
        """Whether our PV is part of the volume group and its device is gone."""
        return self.is_member and self.pv is not None and self.pv.missing


@dataclass(frozen=True, slots=True)
class FoundSnapshot:
    """What exists of one snapshot and is ours; None or False for what does not. `snapshot` has its current names.

    `suspended` are the origin's device-mapper devices that a killed command left suspended, `leftovers` those of the
    snapshot that LVM's metadata no longer knows. `half_made`: as the function of that name returns. `is_on_layer`: the
    origin's table uses -real.
    """

    snapshot: Snapshot
    vg: VolumeGroup | None = None
    lv: LogicalVolume | None = None
    is_mounted: bool = False
    suspended: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    origin_has_snapshots: bool = False
    luks: FoundLuks = NOTHING_OPEN
    half_made: tuple[str, ...] | None = None
    is_on_layer: bool = False
    queued: QueuedCreate | None = None

    @property
    def is_merging(self) -> bool:
        """Whether LVM is merging it into its origin, or will at the next activation: then it is not ours to touch."""
        return self.lv is not None and self.lv.is_merging

    @property
    def name(self) -> str:
        """Its current LVM name, VG/LV."""
        return f"{self.snapshot.vg}/{self.lv.name if self.lv else self.snapshot.name}"


@dataclass(frozen=True, slots=True)
class Found:
    """What exists of one target and is ours, part by part; `hooks_due` are the hooks that the record says are due.

    `directories` are those that exist and are to be removed once nothing is mounted in them.
    """

    loans: tuple[FoundLoan, ...]
    snapshots: tuple[FoundSnapshot, ...]
    hooks_due: tuple[str, ...] = ()
    includes: tuple[FoundInclude, ...] = ()
    directories: tuple[str, ...] = ()

    @property
    def is_merging(self) -> bool:
        """Whether LVM is merging one of the snapshots into its origin."""
        return any(found.is_merging for found in self.snapshots)

    def loan_to(self, vg: str) -> FoundLoan | None:
        """Return the loan to the group that has this name now, None if there is none."""
        return next((found for found in self.loans if found.loan.vg == vg), None)


def nothing_found(target: Target, facts: Facts) -> Found:
    """Return what exists of a target before `up`: only its groups."""
    uses_devices_file = bool(facts.devices_file)
    loans = tuple(FoundLoan(loan, facts.vg(loan.vg), uses_devices_file=uses_devices_file) for loan in target.loans)
    snapshots = tuple(FoundSnapshot(snapshot, facts.vg(snapshot.vg)) for snapshot in target.snapshots)
    return Found(loans, snapshots, includes=tuple(map(FoundInclude, target.includes)))


def find(target: Target, facts: Facts, record: Record | None = None) -> Found:
    """Return what of `target` exists on the machine that `facts` describe; they must cover the target's paths."""
    target = as_named_now(target, facts)
    is_same_boot = record is None or record.boot_id == facts.boot_id
    snapshots = tuple(_find_snapshot(target, snapshot, facts) for snapshot in target.snapshots)
    lvs = tuple(found.lv for found in snapshots if found.lv)
    loans = tuple(_find_loan(target, loan, facts, lvs, is_same_boot=is_same_boot) for loan in target.loans)
    includes = found_mounts.find_includes(target, facts)
    ours = {one.snapshot.mount.mountpoint for one in snapshots if one.is_mounted and one.snapshot.mount}
    ours |= {one.include.mount.mountpoint for one in includes if one.is_mounted}
    directories = found_mounts.removable_directories(target, ours, facts)
    return Found(loans, snapshots, record.hooks_due if record else (), includes, directories)


def _find_loan(
    target: Target, loan: Loan, facts: Facts, own_lvs: tuple[LogicalVolume, ...], *, is_same_boot: bool
) -> FoundLoan:
    vg, file = find_vg(loan, facts), _find_file(loan, facts, is_same_boot)
    loop, pv = _find_loop(loan, facts, file, is_same_boot), find_pv(loan, facts)
    return FoundLoan(
        loan=loan,
        vg=vg,
        file=file,
        loop=loop,
        pv=pv,
        is_file_out_of_reach=_is_out_of_reach(loan, facts),
        uses_devices_file=loop is not None and loop.device in facts.listed_devices,
        inactive_origin="" if is_same_boot or vg is None else _left_inactive(target, vg),
        others=_others_on(pv, vg, own_lvs) if pv and vg else (),
    )


def _find_snapshot(target: Target, snapshot: Snapshot, facts: Facts) -> FoundSnapshot:
    vg = find_vg(snapshot, facts)
    lv = find_lv(target, snapshot, vg) if vg else None
    suspended = suspended_devices(snapshot, facts.dm_devices)
    mount, luks = snapshot.mount, find_luks(snapshot, lv, facts)
    return FoundSnapshot(
        snapshot=snapshot,
        vg=vg,
        lv=lv,
        is_mounted=mount is not None and found_mounts.is_mounted(mount, shown_by(snapshot, lv, luks), facts),
        suspended=() if vg is not None and is_merged_into(snapshot, vg) else suspended,
        leftovers=() if vg is None else leftover_devices(target, snapshot, vg, facts.dm_devices),
        origin_has_snapshots=vg is not None and has_snapshots(snapshot.origin, vg),
        luks=luks,
        half_made=half_made(snapshot, lv, vg, facts.dm_devices) if vg and lv else None,
        is_on_layer=any(one.is_on_layer for one in origin_devices(snapshot, facts.dm_devices)),
        queued=queued_create(lv, vg, facts.dm_devices) if vg and lv else None,
    )


def find_vg(part: Snapshot | Loan, facts: Facts) -> VolumeGroup | None:
    """Return a part's VG: by UUID, so that a renamed one is found; by name if no UUID is known."""
    if not part.vg_uuid:
        return facts.vg(part.vg)
    return next((vg for vg in facts.vgs if vg.uuid == part.vg_uuid), None)


def unseen_groups(target: Target, facts: Facts) -> tuple[str, ...]:
    """Return the names of the target's groups that LVM does not report."""
    parts: tuple[Snapshot | Loan, ...] = (*target.snapshots, *target.loans)
    return tuple(dict.fromkeys(part.vg for part in parts if find_vg(part, facts) is None))


def as_named_now(target: Target, facts: Facts) -> Target:
    """Return the target with the current names of its groups, origins and snapshots, whatever was recorded."""
    loans = tuple(_loan_now(loan, facts) for loan in target.loans)
    target = replace(target, loans=loans, snapshots=tuple(_origin_now(one, facts) for one in target.snapshots))
    return replace(target, snapshots=tuple(_snapshot_now(target, one, facts) for one in target.snapshots))


def _loan_now(loan: Loan, facts: Facts) -> Loan:
    vg = find_vg(loan, facts)
    return replace(loan, vg=vg.name) if vg else loan


def _origin_now(snapshot: Snapshot, facts: Facts) -> Snapshot:
    vg = find_vg(snapshot, facts)
    if vg is None:
        return snapshot
    origin = next((lv for lv in vg.lvs if lv.uuid == snapshot.origin_uuid), None)
    return replace(snapshot, vg=vg.name, origin=origin.name if origin else snapshot.origin)


def _snapshot_now(target: Target, snapshot: Snapshot, facts: Facts) -> Snapshot:
    vg = find_vg(snapshot, facts)
    lv = find_lv(target, snapshot, vg) if vg else None
    return replace(snapshot, name=lv.name) if lv else snapshot


def is_ours(lv: LogicalVolume, target: Target, snapshot: Snapshot) -> bool:
    """Whether the LV is this snapshot: it has our tag, and the origin or signs of a killed lvcreate or lvremove."""
    # A thin snapshot too has no origin once that was removed.
    unfinished = not lv.origin and lv.segment_types in (("linear",), ("thin",))
    known = lv.name == snapshot.name or is_recorded(lv, snapshot)
    return target.tag in lv.tags and (lv.origin == snapshot.origin or (unfinished and known))


def is_recorded(lv: LogicalVolume, snapshot: Snapshot) -> bool:
    """Whether the LV has the UUID that was recorded when the snapshot was taken; its name may have changed."""
    return bool(snapshot.dm_uuid) and snapshot.dm_uuid == dm_uuid(snapshot.vg_uuid, lv.uuid)


def leftover_devices(
    target: Target, snapshot: Snapshot, vg: VolumeGroup, devices: tuple[DmDevice, ...]
) -> tuple[str, ...]:
    """Return the devices a killed lvcreate or lvremove left: the snapshot's, its -cow, and the origin's -real.

    They are leftovers only if LVM's metadata no longer has our snapshot; -real only if the origin has no snapshots. As
    long as LVM knows an LV of that UUID, hidden or not, or merges a snapshot into the origin, they are LVM's.
    """
    if find_lv(target, snapshot, vg) is not None or is_merged_into(snapshot, vg):
        return ()
    name, uuid = dm_name(vg.name, snapshot.name), snapshot.dm_uuid
    known = tuple(dm_uuid(vg.uuid, lv.uuid) for lv in vg.lvs)
    ours = [d for d in devices if d.name in (name, f"{name}-cow") or (uuid and d.uuid in (uuid, f"{uuid}-cow"))]
    left = [d.name for d in ours if d.uuid.startswith(dm_uuid(vg.uuid, "")) and not d.uuid.startswith(known)]
    if not has_snapshots(snapshot.origin, vg):
        left += [device.name for device in origin_devices(snapshot, devices) if device.uuid.endswith("-real")]
    return tuple(left)


def is_merged_into(snapshot: Snapshot, vg: VolumeGroup) -> bool:
    """Whether LVM is merging any snapshot, ours or not, into the origin, or will at the next activation."""
    return any(lv.is_merging and snapshot.origin in (lv.name, lv.origin) for lv in vg.lvs)


def find_lv(target: Target, snapshot: Snapshot, vg: VolumeGroup) -> LogicalVolume | None:
    """Return the group's LV that is this snapshot, None if there is none: by its UUID, else by its name or tag."""
    ours = [lv for lv in vg.lvs if is_ours(lv, target, snapshot)]
    others = [one for one in target.snapshots if one.vg == snapshot.vg and one != snapshot]
    recorded = next((lv for lv in ours if is_recorded(lv, snapshot)), None)
    free = [lv for lv in ours if not any(is_recorded(lv, one) for one in others)]
    named = next((lv for lv in free if lv.name == snapshot.name), None)
    names = {one.name for one in others if not any(is_recorded(lv, one) for lv in vg.lvs)}
    return recorded or named or next((lv for lv in free if lv.name not in names), None)


def _left_inactive(target: Target, vg: VolumeGroup) -> str:
    """Return the target's first origin in the group that is inactive although no PV is missing, "" if none is."""
    origins = (vg.lv(snapshot.origin) for snapshot in target.snapshots if snapshot.vg == vg.name)
    inactive = [origin.name for origin in origins if origin is not None and not origin.is_active]
    return inactive[0] if inactive and not vg.missing_pv_count else ""


def _find_file(loan: Loan, facts: Facts, is_same_boot: bool) -> FileFacts | None:
    file = facts.looked.files[loan.path]
    if file is None or not file.is_regular:
        return None
    if file.pv_uuid:
        return file if file.pv_uuid == loan.pv_uuid else None
    if loan.inode is None:
        # The record is written before the file is made. If it has no inode yet, `up` was killed right after it claimed
        # the file: nothing is in it, nothing is lost.
        return file if file.is_empty_private else None
    same = file.inode == loan.inode and (not is_same_boot or file.device == loan.device)
    return file if same else None


def _is_out_of_reach(loan: Loan, facts: Facts) -> bool:
    """Whether the file was made but is not found, because its filesystem is not mounted where it was."""
    if not loan.inode or not loan.mounted_at or facts.looked.files[loan.path] is not None:
        return False
    directory = facts.looked.directories.get(loan.path)
    return directory is None or directory.mountpoint != loan.mounted_at


def _find_loop(loan: Loan, facts: Facts, file: FileFacts | None, is_same_boot: bool) -> Loop | None:
    identity = (file.device, file.inode) if file else (loan.device, loan.inode) if is_same_boot else None
    loops = [loop for loop in facts.loops if (loop.file_device, loop.file_inode) == identity]
    # Somebody may have bound a second loop device to the file: ours is the one that LVM uses.
    pv = find_pv(loan, facts)
    return next((loop for loop in loops if pv and loop.device == pv.device), loops[0] if loops else None)


def find_pv(loan: Loan, facts: Facts) -> PhysicalVolume | None:
    """Return the lent PV, in a group or in none; None if LVM reports no PV with that UUID."""
    pvs = [pv for vg in facts.vgs for pv in vg.pvs] + list(facts.orphan_pvs)
    return next((pv for pv in pvs if pv.uuid == loan.pv_uuid), None)


def _others_on(pv: PhysicalVolume, vg: VolumeGroup, own_lvs: tuple[LogicalVolume, ...]) -> tuple[str, ...]:
    """Return the LVs with extents on the PV, hidden ones too; if it is missing, the LVs that lack some device."""
    device = UNKNOWN if pv.missing else pv.device
    return tuple(f"{vg.name}/{lv.name.strip('[]')}" for lv in vg.lvs if lv not in own_lvs and device in lv.devices)
