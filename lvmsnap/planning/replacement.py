"""The machine as it will be once an old stack is taken down, so that it can be checked beforehand. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import Facts, LogicalVolume, PhysicalVolume, VolumeGroup
from lvmsnap.model.looked import FileFacts, Looked, MountpointFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import MountTarget
from lvmsnap.planning.identify import Found


def is_foreseeable(found: Found) -> bool:
    """Whether it is known how the machine will look: not with a missing lent PV, a merge, or a suspended origin.

    Taking the old stack down activates and resumes what is inactive or suspended now.
    """
    is_cut_off = any(one.is_missing or one.inactive_origin for one in found.loans)
    return not (is_cut_off or found.is_merging or any(one.suspended for one in found.snapshots))


def without_old(facts: Facts, found: Found) -> Facts:
    """Return the facts as if everything that was found of a target were taken down."""
    loops = {one.loop.device for one in found.loans if one.loop}
    numbers = {one.lv.device_number for one in found.snapshots if one.lv}
    mapped = {device for one in found.snapshots for device in (*one.luks.own, *one.luks.left)}
    numbers |= {device.device_number for device in mapped}
    uuids = tuple(dm_uuid(one.vg.uuid, one.lv.uuid) for one in found.snapshots if one.vg and one.lv)
    leftovers = {name for one in found.snapshots for name in one.leftovers}
    return replace(
        facts,
        vgs=tuple(_group(vg, found) for vg in facts.vgs),
        mounts=tuple(mount for mount in facts.mounts if mount.device_number not in numbers),
        loops=tuple(loop for loop in facts.loops if loop.device not in loops),
        dm_devices=tuple(
            device
            for device in facts.dm_devices
            if not (uuids and device.uuid.startswith(uuids)) and device.name not in leftovers and device not in mapped
        ),
        looked=_looked(facts.looked, found),
    )


def _group(vg: VolumeGroup, found: Found) -> VolumeGroup:
    gone = [one.lv for one in found.snapshots if one.lv and one.vg and one.vg.uuid == vg.uuid]
    lent = {one.pv.uuid for one in found.loans if one.pv and one.pv.vg == vg.name}
    pvs = tuple(_freed(pv, vg, gone) for pv in vg.pvs if pv.uuid not in lent)
    return replace(
        vg,
        lvs=tuple(lv for lv in vg.lvs if lv not in gone),
        pvs=pvs,
        free_extents=sum(pv.unused_extents for pv in pvs if not pv.missing) if gone else vg.free_extents,
    )


def _freed(pv: PhysicalVolume, vg: VolumeGroup, gone: list[LogicalVolume]) -> PhysicalVolume:
    """Return the PV with the extents of removed LVs free; those of an LV on several PVs all count as the first PV's."""
    freed = sum(lv.size_bytes // vg.extent_size_bytes for lv in gone if lv.devices[:1] == (pv.device,))
    return replace(pv, allocated_extents=max(0, pv.allocated_extents - freed))


def _looked(looked: Looked, found: Found) -> Looked:
    ours = [one.file for one in found.loans if one.file]
    files = {path: _file(file, ours) for path, file in looked.files.items()}
    mountpoints = {path: _mountpoint(path, here, found) for path, here in looked.mountpoints.items()}
    return replace(looked, files=files, mountpoints=mountpoints)


def _file(file: FileFacts | None, ours: list[FileFacts]) -> FileFacts | None:
    return None if file in ours else file


def _mountpoint(path: str, here: MountpointFacts, found: Found) -> MountpointFacts:
    mounted = any(one.is_mounted for one in found.snapshots if _is_at(one.snapshot.mount, path))
    mounted = mounted or any(one.is_mounted for one in found.includes if _is_at(one.include.mount, path))
    if path in found.directories:
        return replace(here, kind="absent")
    return replace(here, kind="empty") if mounted and here.kind == "mounted" else here


def _is_at(mount: MountTarget | None, path: str) -> bool:
    return mount is not None and mount.mountpoint == path
