"""Says what of a target's stack is on the machine, and ours: target and facts in, `Found` out. Pure.

Ours is never told by a name alone. A snapshot needs the tag and the origin, the file its inode or our PV's label,
a loop device the file's device and inode, a mount the snapshot's device number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lvmsnap.model.facts import DmDevice, Facts, FileFacts, LogicalVolume, Loop, PhysicalVolume, VolumeGroup
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.target import MountTarget, Record, Target

# The UUID of a PV lent by lvmsnap begins so: it is recognised in the VG's metadata even while its device is missing.
PV_UUID_PREFIX = "lvmsn2-"
# As older versions wrote it, without the host: on the host that has the record it is ours.
OLD_PV_UUID_PREFIX = "lvmsnp-"
# What LVM reports for the device of a PV that is missing.
UNKNOWN_DEVICE = "[unknown]"


@dataclass(frozen=True, slots=True)
class Found:
    """What of one target stands and is ours; None or False where it does not.

    `pv` is our PV, in a group or in none. `suspended` are the origin's device-mapper devices that a killed command
    left suspended, `leftovers` those of the snapshot that LVM's metadata no longer knows. `is_left_inactive`: a boot
    found the lent PV missing and the origin inactive, and since then the PV was taken out and no more. `hooks_due` are
    those that the record says are still to be run. `others` are the LVs, as VG/LV, that have extents on our PV and
    are not our snapshot.
    """

    vg: VolumeGroup | None = None
    file: FileFacts | None = None
    loop: Loop | None = None
    pv: PhysicalVolume | None = None
    snapshot: LogicalVolume | None = None
    is_mounted: bool = False
    has_directory: bool = False
    is_file_out_of_reach: bool = False
    suspended: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    origin_has_snapshots: bool = False
    uses_devices_file: bool = False
    is_left_inactive: bool = False
    hooks_due: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def is_merging(self) -> bool:
        """Whether LVM merges our snapshot into its origin, or will at the next activation: not ours to touch then."""
        return self.snapshot is not None and self.snapshot.is_merging

    @property
    def is_member(self) -> bool:
        """Whether our PV is part of the volume group, present or missing."""
        return self.vg is not None and self.pv is not None and self.pv.vg == self.vg.name

    @property
    def is_missing(self) -> bool:
        """Whether our PV is part of the volume group and its device is gone."""
        return self.is_member and self.pv is not None and self.pv.missing


def find(target: Target, facts: Facts, record: Record | None = None) -> Found:
    """Return what of `target` stands on the machine that `facts` describes."""
    target = as_named_now(target, facts)
    vg = find_vg(target, facts)
    same_boot = record is None or record.boot_id == facts.boot_id
    file = _find_file(target, facts, same_boot)
    loop = _find_loop(target, facts, file, same_boot)
    snapshot = None if vg is None else _find_snapshot(target, vg)
    pv = _find_pv(target, facts)
    suspended = tuple(device.name for device in origin_devices(target, facts.dm_devices) if device.suspended)
    return Found(
        vg=vg,
        file=file,
        loop=loop,
        pv=pv,
        snapshot=snapshot,
        is_mounted=target.mount is not None and _is_mounted(target.mount, snapshot, facts),
        has_directory=target.mount is not None and _has_directory(target.mount, snapshot, facts),
        is_file_out_of_reach=_is_out_of_reach(target, facts),
        suspended=() if vg is not None and is_merged_into(target, vg) else suspended,
        leftovers=() if vg is None else leftover_devices(target, vg, facts.dm_devices),
        uses_devices_file=loop is not None and loop.device in facts.listed_devices,
        is_left_inactive=not same_boot and vg is not None and _is_left_inactive(target, vg),
        origin_has_snapshots=vg is not None and any(lv.origin == target.origin for lv in vg.lvs),
        hooks_due=record.hooks_due if record else (),
        others=_others_on(pv, vg, snapshot) if pv and vg else (),
    )


def left_alone(target: Target, found: Found, facts: Facts) -> tuple[str, ...]:
    """Return what stands in the target's places and is not its own, each with why: nothing of lvmsnap touches it."""
    lent, mount, lv = target.lent_pv, target.mount, found.vg.lv(target.snapshot) if found.vg else None
    lines = []
    if lv is not None and lv != found.snapshot:
        why = f"a snapshot of {target.vg}/{target.origin}" if target.tag in lv.tags else f"tagged {target.tag}"
        lines.append(f"{lv.vg}/{lv.name}: it is not {why}")
    if lent is not None and facts.file is not None and found.file is None:
        lines.append(f"{lent.path}: it is not the file that lvmsnap made")
    if lent is not None and found.file is None and found.loop is not None and facts.directory is not None:
        told, name = found.loop.file_path, lent.path.rpartition("/")[2]
        if not told.endswith(" (deleted)") and told != f"{facts.directory.real_path}/{name}":
            lines.append(f"{told}: it is the file that lvmsnap made, but somebody moved it there")
    if found.loop is not None:
        identity = (found.loop.file_device, found.loop.file_inode)
        others = [loop.device for loop in facts.loops if (loop.file_device, loop.file_inode) == identity]
        others = [device for device in others if device != found.loop.device]
        lines += [f"{device}: it is bound to the backing file too, and LVM takes both for one PV" for device in others]
    kind = facts.mountpoint.kind if mount and facts.mountpoint else ""
    if mount and not found.is_mounted and kind in ("mounted", "not empty"):
        what = "something else is mounted there" if kind == "mounted" else "there are files in it"
        lines.append(f"{mount.mountpoint}: {what}")
    return tuple(lines)


def find_vg(target: Target, facts: Facts) -> VolumeGroup | None:
    """Return the target's VG: by UUID, so that one renamed since is found; by name where no UUID is known."""
    if not target.vg_uuid:
        return facts.vg(target.vg)
    return next((vg for vg in facts.vgs if vg.uuid == target.vg_uuid), None)


def as_named_now(target: Target, facts: Facts) -> Target:
    """Return the target with the names that its group and its origin, known by their UUIDs, bear by now."""
    vg = find_vg(target, facts)
    origin = next((lv for lv in vg.lvs if lv.uuid == target.origin_uuid), None) if vg else None
    named = replace(target, vg=vg.name) if vg else target
    return replace(named, origin=origin.name) if origin else named


def is_ours(lv: LogicalVolume, target: Target) -> bool:
    """Whether the LV is the target's: our tag, and a snapshot of the origin or what a killed lvcreate left of one."""
    unfinished = not lv.origin and lv.segment_types == ("linear",)
    return target.tag in lv.tags and (lv.origin == target.origin or (unfinished and lv.name == target.snapshot))


def origin_devices(target: Target, devices: tuple[DmDevice, ...]) -> tuple[DmDevice, ...]:
    """Return the origin's device-mapper devices: its own, and -real while it has snapshots."""
    prefix = dm_uuid(target.vg_uuid, target.origin_uuid)
    return tuple(device for device in devices if device.uuid.startswith(prefix))


def leftover_devices(target: Target, vg: VolumeGroup, devices: tuple[DmDevice, ...]) -> tuple[str, ...]:
    """Return the devices a killed lvcreate or lvremove left: the snapshot's, its -cow, and the origin's -real.

    They are left only once LVM's metadata has no snapshot of ours, and -real only where it has none at all. While LVM
    knows an LV of that UUID, hidden or not, or merges a snapshot into the origin, they are LVM's.
    """
    if _find_snapshot(target, vg) is not None or is_merged_into(target, vg):
        return ()
    name = dm_name(vg.name, target.snapshot)
    known = tuple(dm_uuid(vg.uuid, lv.uuid) for lv in vg.lvs)
    ours = [device for device in devices if device.name in (name, f"{name}-cow")]
    left = [d.name for d in ours if d.uuid.startswith(dm_uuid(vg.uuid, "")) and not d.uuid.startswith(known)]
    if not any(lv.origin == target.origin for lv in vg.lvs):
        left += [device.name for device in origin_devices(target, devices) if device.uuid.endswith("-real")]
    return tuple(left)


def is_merged_into(target: Target, vg: VolumeGroup) -> bool:
    """Whether LVM merges a snapshot, whosever, into the target's origin, or will at the next activation."""
    return any(lv.is_merging and target.origin in (lv.name, lv.origin) for lv in vg.lvs)


def other_snapshots(target: Target, found: Found) -> tuple[str, ...]:
    """Return the origin's snapshots that other profiles of this host have, each as VG/LV.

    lvremove has dmeventd watch all that the origin has left, and dmeventd unmounts a snapshot once it is full.
    """
    beginning = target.tag.removesuffix(target.name)
    lvs = found.vg.lvs if found.vg else ()
    others = (lv for lv in lvs if lv.origin == target.origin and lv != found.snapshot)
    return tuple(f"{lv.vg}/{lv.name}" for lv in others if any(tag.startswith(beginning) for tag in lv.tags))


def own_pvs(vg: VolumeGroup) -> tuple[PhysicalVolume, ...]:
    """Return the group's PVs that are not lent to it by a profile."""
    return tuple(pv for pv in vg.pvs if not is_lent(pv.uuid))


def is_lent(pv_uuid: str) -> bool:
    """Whether a PV's UUID says that lvmsnap lent it, on whichever host."""
    return pv_uuid.startswith((PV_UUID_PREFIX, OLD_PV_UUID_PREFIX))


def host_of_pv(pv_uuid: str) -> str:
    """Return the host that lent a PV, "" where its UUID names none."""
    return pv_uuid.split("-")[1] + pv_uuid.split("-")[2] if pv_uuid.startswith(PV_UUID_PREFIX) else ""


def host_prefix(host: str) -> str:
    """Return how the UUID of every PV lent by lvmsnap on `host` begins; "" is a host that is not known."""
    return f"{PV_UUID_PREFIX}{host[:4]}-{host[4:]}-" if host else OLD_PV_UUID_PREFIX


def _find_snapshot(target: Target, vg: VolumeGroup) -> LogicalVolume | None:
    return next((lv for lv in vg.lvs if is_ours(lv, target)), None)


def _is_left_inactive(target: Target, vg: VolumeGroup) -> bool:
    origin = vg.lv(target.origin)
    inactive = origin is not None and not origin.is_active
    return target.lent_pv is not None and inactive and not vg.missing_pv_count


def _find_file(target: Target, facts: Facts, same_boot: bool) -> FileFacts | None:
    lent, file = target.lent_pv, facts.file
    if lent is None or file is None or not file.is_regular:
        return None
    if file.pv_uuid:
        return file if file.pv_uuid == lent.pv_uuid else None
    if lent.inode is None:
        # The record was written before the file was made, so a file without an inode in it is one that a killed
        # `up` had just claimed: nothing in it yet, nothing lost.
        return file if file.is_empty_private else None
    same = file.inode == lent.inode and (not same_boot or file.device == lent.device)
    return file if same else None


def _is_out_of_reach(target: Target, facts: Facts) -> bool:
    """Whether the file was made, is not found, and its filesystem is not mounted where it was."""
    lent, directory = target.lent_pv, facts.directory
    if lent is None or not lent.inode or not lent.mounted_at or facts.file is not None:
        return False
    return directory is None or directory.mountpoint != lent.mounted_at


def _find_loop(target: Target, facts: Facts, file: FileFacts | None, same_boot: bool) -> Loop | None:
    lent = target.lent_pv
    if lent is None:
        return None
    identity = (file.device, file.inode) if file else (lent.device, lent.inode) if same_boot else None
    loops = [loop for loop in facts.loops if (loop.file_device, loop.file_inode) == identity]
    # Somebody may have bound a second one to the same file: ours is the one that LVM uses.
    pv = _find_pv(target, facts)
    return next((loop for loop in loops if pv and loop.device == pv.device), loops[0] if loops else None)


def _find_pv(target: Target, facts: Facts) -> PhysicalVolume | None:
    if target.lent_pv is None:
        return None
    pvs = [pv for vg in facts.vgs for pv in vg.pvs] + list(facts.orphan_pvs)
    return next((pv for pv in pvs if pv.uuid == target.lent_pv.pv_uuid), None)


def _others_on(pv: PhysicalVolume, vg: VolumeGroup, snapshot: LogicalVolume | None) -> tuple[str, ...]:
    """Return the LVs with extents on the PV, hidden ones too; on one that is missing, those that lack some device."""
    device = UNKNOWN_DEVICE if pv.missing else pv.device
    return tuple(f"{vg.name}/{lv.name.strip('[]')}" for lv in vg.lvs if lv != snapshot and device in lv.devices)


def _is_mounted(mount: MountTarget, snapshot: LogicalVolume | None, facts: Facts) -> bool:
    top = next((m for m in reversed(facts.mounts) if m.mountpoint == mount.mountpoint), None)
    return snapshot is not None and top is not None and top.device_number == snapshot.device_number


def _has_directory(mount: MountTarget, snapshot: LogicalVolume | None, facts: Facts) -> bool:
    # What somebody else mounted there needs the directory too.
    kind = facts.mountpoint.kind if facts.mountpoint else ""
    return mount.remove_directory and (kind == "empty" or (kind == "mounted" and _is_mounted(mount, snapshot, facts)))
