"""Makes a Plan from a profile, or from a target to take down, and the facts. Pure: no clock, no files, no processes."""

from __future__ import annotations

from lvmsnap.model.facts import Facts, LogicalVolume, VolumeGroup, top_mount
from lvmsnap.model.plan import Direction, Plan, Thing
from lvmsnap.model.profile import BackingFile, Profile, Volume
from lvmsnap.model.target import CowSpace, Loan, MountTarget, PoolSpace, Record, Snapshot, Target
from lvmsnap.planning import actions, checks, cut_checks, filesystems, luks, plan_facts, snapshot_actions, tree
from lvmsnap.planning.found_mounts import removed_directories
from lvmsnap.planning.identify import as_named_now, find, nothing_found
from lvmsnap.planning.lent_pvs import own_pvs
from lvmsnap.planning.sizing import PV_HEADER_BYTES, is_thin_snapshot, lendable_extents, snapshot_extents

DIRECT_IO_FILESYSTEMS = ("ext2", "ext3", "ext4", "xfs")


def plan_up(profile: Profile, facts: Facts, pv_uuids: tuple[str, ...]) -> Plan:
    """Return what `up` will do: all checks, and no actions if a group or an origin does not even exist.

    `pv_uuids` are those of the PVs to be lent, one for each backing file.
    """
    profile = tree.placed(profile, facts)
    if any(_origin(volume, facts) is None for volume in profile.volumes):
        return Plan(Direction.UP, None, (), checks.run(profile, None, facts, {}), ())
    target, loop_devices = decide(profile, facts, pv_uuids), choose_loop_devices(profile, facts)
    devices = {loan.pv_uuid: loop_devices[loan.vg] for loan in target.loans}
    stack = actions.stack(target, nothing_found(target, facts), devices)
    removed = {one for mount in target.mounts for one in removed_directories(mount)}
    return Plan(
        direction=Direction.UP,
        target=target,
        actions=tuple(one for one in stack if one.do or (one.thing is Thing.DIRECTORY and one.object in removed)),
        checks=checks.run(profile, target, facts, loop_devices),
        facts=plan_facts.describe(profile, target, facts),
    )


def plan_down(target: Target, facts: Facts, record: Record | None) -> Plan:
    """Return what takes down everything of the target that exists, last made first.

    While LVM is merging one of its snapshots into the origin nothing is done: a check fails, no action has a command.
    """
    target = as_named_now(target, facts)
    found = find(target, facts, record)
    if found.is_merging:
        merging = [one for one in found.snapshots if one.is_merging]
        left = tuple(snapshot_actions.merging_snapshot(one) for one in merging)
        failed = tuple(checks.not_merging(target, one, found) for one in merging)
        return Plan(Direction.DOWN, target, left, failed, ())
    free = free_loop_numbers(facts, len(found.loans))
    devices = {one.loan.pv_uuid: f"/dev/loop{number}" for one, number in zip(found.loans, free, strict=False)}
    devices |= {one.loan.pv_uuid: one.loop.device for one in found.loans if one.loop}
    stack = actions.stack(target, found, devices)
    return Plan(Direction.DOWN, target, tuple(one for one in reversed(stack) if one.exists and one.undo), (), ())


def nothing_to_do() -> Plan:
    """Return the plan of a `down` that finds nothing."""
    return Plan(Direction.DOWN, None, (), (), ())


def _origin(volume: Volume, facts: Facts) -> LogicalVolume | None:
    vg = facts.vg(volume.vg)
    return vg.lv(volume.origin) if vg else None


def decide(profile: Profile, facts: Facts, pv_uuids: tuple[str, ...]) -> Target:
    """Return everything about the profile's stack that follows from the facts; all origins must exist."""
    snapshots = tuple(_snapshot(profile, volume, facts) for volume in profile.volumes)
    loans = [
        _loan(backing, snapshots, vg, facts, pv_uuid)
        for backing, pv_uuid in zip(profile.backing_files, pv_uuids, strict=True)
        if (vg := facts.vg(backing.vg))
    ]
    return Target(
        name=profile.name,
        loans=tuple(loans),
        snapshots=snapshots,
        hooks=profile.hooks,
        host=facts.host,
        tree=profile.tree,
        includes=tree.includes(profile, facts) if profile.tree else (),
        is_consistent=profile.is_cut,
    )


def _snapshot(profile: Profile, volume: Volume, facts: Facts) -> Snapshot:
    vg, origin = facts.vg(volume.vg), _origin(volume, facts)
    assert vg is not None
    assert origin is not None
    looked = facts.looked.origins[vg.name, origin.name]
    return Snapshot(
        vg=vg.name,
        vg_uuid=vg.uuid,
        origin=origin.name,
        origin_uuid=origin.uuid,
        name=volume.snapshot,
        cow=_space(profile, volume, vg, origin),
        permission=filesystems.permission(looked.filesystem, is_opened=volume.luks is not None),
        bears_lvm=profile.is_cut and cut_checks.lvm_part_on(origin, facts) is not None,
        mount=_mount(profile, volume, volume.mountpoint, origin, facts) if volume.mountpoint else None,
        luks=luks.mapping(profile, volume, looked),
        origin_mounted_at=_mounted_at(origin, facts) if profile.is_cut else "",
    )


def _mounted_at(origin: LogicalVolume, facts: Facts) -> str:
    mounts = (one for one in facts.mounts if one.device_number == origin.device_number)
    return next((one.mountpoint for one in mounts if top_mount(facts.mounts, one.mountpoint) == one), "")


def _space(profile: Profile, volume: Volume, vg: VolumeGroup, origin: LogicalVolume) -> CowSpace | PoolSpace:
    if is_thin_snapshot(volume, origin):
        return PoolSpace(origin.pool)
    extents = snapshot_extents(volume, profile.backing_file(vg.name), vg, origin)
    return CowSpace(extents, vg.extent_size_bytes, volume.chunk_size_bytes)


def _loan(backing: BackingFile, snapshots: tuple[Snapshot, ...], vg: VolumeGroup, facts: Facts, pv_uuid: str) -> Loan:
    extents = sum(one.own_space.extents for one in snapshots if one.vg == vg.name and one.own_space)
    size_bytes = backing.size_bytes or PV_HEADER_BYTES + extents * vg.extent_size_bytes
    is_too_small = lendable_extents(size_bytes, vg.extent_size_bytes) < extents
    directory, sector_bytes = (
        facts.looked.directories.get(backing.path),
        facts.looked.groups[vg.name].logical_block_bytes,
    )
    return Loan(
        vg=vg.name,
        vg_uuid=vg.uuid,
        path=f"{directory.real_path.rstrip('/')}/{backing.path.rpartition('/')[2]}" if directory else backing.path,
        size_bytes=size_bytes,
        allocation=backing.allocation,
        pv_uuid=pv_uuid,
        sector_size_bytes=sector_bytes,
        direct_io=directory is not None
        and directory.filesystem in DIRECT_IO_FILESYSTEMS
        and directory.logical_block_bytes <= sector_bytes,
        mounted_at=directory.mountpoint if directory else "",
        allocate_on=tuple(pv.device for pv in own_pvs(vg) if pv.allocatable and not pv.missing) if is_too_small else (),
    )


def _mount(profile: Profile, volume: Volume, mountpoint: str, origin: LogicalVolume, facts: Facts) -> MountTarget:
    looked = facts.looked.origins[volume.vg, volume.origin]
    number, content = luks.as_mounted(volume, origin, facts), luks.content(volume, looked)
    options = filesystems.mount_options(number, content, facts.mounts, volume.mount_options)
    if volume.is_in_tree:
        return tree.mount_target(profile, mountpoint, content.filesystem, options, facts)
    is_absent = facts.looked.mountpoints[mountpoint].kind == "absent"
    is_removed = is_absent or profile.remove_mountpoint
    return MountTarget(mountpoint, content.filesystem, options, make_directory=is_absent, remove_directory=is_removed)


def choose_loop_devices(profile: Profile, facts: Facts) -> dict[str, str]:
    """Return the loop devices to bind, by volume group: the profile's own, else free ones that nobody will take soon.

    The kernel hands out the lowest free number (loop(4), LOOP_CTL_GET_FREE), so the highest ones are the safest.
    """
    chosen: dict[str, str] = {file.vg: file.loop_device for file in profile.backing_files if file.loop_device}
    free = [f"/dev/loop{number}" for number in free_loop_numbers(facts, len(profile.backing_files))]
    for file in profile.backing_files:
        if file.vg not in chosen:
            chosen[file.vg] = next(device for device in free if device not in chosen.values())
    return chosen


def free_loop_numbers(facts: Facts, at_least: int = 1) -> tuple[int, ...]:
    """Return the numbers of the free loop devices, highest first; then of new ones, if there are fewer than needed."""
    bound = {int(loop.device.removeprefix("/dev/loop")) for loop in facts.loops}
    free = sorted((number for number in facts.loop_numbers if number not in bound), reverse=True)
    first_new = max((*facts.loop_numbers, *bound), default=-1) + 1
    return (*free, *range(first_new, first_new + max(0, at_least - len(free))))
