"""Makes a Plan of a profile, or of a target to be taken down, and the facts. Pure: no clock, no files, no processes."""

from __future__ import annotations

import shlex

from lvmsnap.model.facts import Facts, LogicalVolume, VolumeGroup
from lvmsnap.model.plan import Action, Direction, Plan, Thing
from lvmsnap.model.profile import BackingFile, Profile
from lvmsnap.model.target import LentPV, MountTarget, Record, Target
from lvmsnap.planning import actions, checks, filesystems
from lvmsnap.planning.identify import Found, as_named_now, find, own_pvs
from lvmsnap.planning.sizing import PV_HEADER_BYTES, human, snapshot_extents

DIRECT_IO_FILESYSTEMS = ("ext2", "ext3", "ext4", "xfs")


def plan_up(profile: Profile, facts: Facts, pv_uuid: str) -> Plan:
    """Return what `up` will do: all checks, and no actions where the group or the origin is not even there."""
    vg = facts.vg(profile.volume.vg)
    origin = vg.lv(profile.volume.origin) if vg else None
    if vg is None or origin is None:
        return Plan(Direction.UP, None, (), checks.run(profile, None, facts), ())
    target = decide(profile, vg, origin, facts, pv_uuid)
    loop_device = choose_loop_device(profile.backing_file, facts)
    stack = actions.stack(target, Found(vg=vg, uses_devices_file=bool(facts.devices_file)), loop_device)
    return Plan(
        direction=Direction.UP,
        target=target,
        actions=tuple(action for action in stack if action.do or _is_removed(action, target)),
        checks=checks.run(profile, target, facts, loop_device),
        facts=describe(profile, target, vg, origin, facts),
    )


def plan_down(target: Target, facts: Facts, record: Record | None) -> Plan:
    """Return what takes down everything of the target that stands, last made first.

    While LVM merges its snapshot into the origin nothing is to be done: a check fails, the one action has no command.
    """
    target = as_named_now(target, facts)
    found = find(target, facts, record)
    if found.is_merging:
        merging = actions.merging_snapshot(target, found)
        return Plan(Direction.DOWN, target, (merging,), (checks.not_merging(target, found),), ())
    stack = actions.stack(target, found, found.loop.device if found.loop else free_loop_device(facts))
    standing = tuple(action for action in reversed(stack) if action.stands and action.undo)
    return Plan(Direction.DOWN, target, standing, (), ())


def _is_removed(action: Action, target: Target) -> bool:
    return action.thing is Thing.DIRECTORY and target.mount is not None and target.mount.remove_directory


def nothing_to_do() -> Plan:
    """Return the plan of a `down` that finds nothing."""
    return Plan(Direction.DOWN, None, (), (), ())


def decide(profile: Profile, vg: VolumeGroup, origin: LogicalVolume, facts: Facts, pv_uuid: str) -> Target:
    """Return everything about the profile's stack that follows from the facts."""
    volume, extent_size_bytes = profile.volume, vg.extent_size_bytes
    extents = snapshot_extents(profile, vg, origin)
    return Target(
        name=profile.name,
        vg=vg.name,
        vg_uuid=vg.uuid,
        origin=origin.name,
        origin_uuid=origin.uuid,
        snapshot=volume.snapshot,
        extents=extents,
        extent_size_bytes=extent_size_bytes,
        chunk_size_bytes=volume.chunk_size_bytes,
        permission=filesystems.permission(facts.origin_filesystem),
        lent_pv=_lent_pv(profile.backing_file, vg, extents, facts, pv_uuid) if profile.backing_file else None,
        mount=_mount(profile, origin, facts) if volume.mountpoint else None,
        hooks=profile.hooks,
        host=facts.host,
    )


def _lent_pv(backing: BackingFile, vg: VolumeGroup, extents: int, facts: Facts, pv_uuid: str) -> LentPV:
    size_bytes = backing.size_bytes or PV_HEADER_BYTES + extents * vg.extent_size_bytes
    too_small = (size_bytes - PV_HEADER_BYTES) // vg.extent_size_bytes < extents
    directory = facts.directory
    return LentPV(
        path=f"{directory.real_path.rstrip('/')}/{backing.path.rpartition('/')[2]}" if directory else backing.path,
        size_bytes=size_bytes,
        allocation=backing.allocation,
        pv_uuid=pv_uuid,
        sector_size_bytes=facts.pv_logical_block_bytes,
        direct_io=directory is not None
        and directory.filesystem in DIRECT_IO_FILESYSTEMS
        and directory.logical_block_bytes <= facts.pv_logical_block_bytes,
        mounted_at=directory.mountpoint if directory else "",
        allocate_on=tuple(pv.device for pv in own_pvs(vg) if not pv.missing) if too_small else (),
    )


def _mount(profile: Profile, origin: LogicalVolume, facts: Facts) -> MountTarget:
    absent = facts.mountpoint is not None and facts.mountpoint.kind == "absent"
    return MountTarget(
        mountpoint=profile.volume.mountpoint or "",
        filesystem=facts.origin_filesystem,
        options=filesystems.mount_options(origin, facts, profile.volume.mount_options),
        make_directory=absent,
        remove_directory=absent or profile.remove_mountpoint,
    )


def choose_loop_device(backing: BackingFile | None, facts: Facts) -> str:
    """Return the loop device to bind: the profile's own, else a free one that nobody else is about to take.

    The kernel hands out the lowest free number (loop(4), LOOP_CTL_GET_FREE), so the highest one is the safest.
    """
    if backing is None:
        return ""
    return backing.loop_device or free_loop_device(facts)


def free_loop_device(facts: Facts) -> str:
    """Return the free loop device with the highest number."""
    return f"/dev/loop{free_loop_numbers(facts)[0]}"


def free_loop_numbers(facts: Facts) -> tuple[int, ...]:
    """Return the numbers of the free loop devices, the highest first; that of a new one where there is none."""
    bound = {int(loop.device.removeprefix("/dev/loop")) for loop in facts.loops}
    free = sorted((number for number in facts.loop_numbers if number not in bound), reverse=True)
    return tuple(free) or (max((*facts.loop_numbers, *bound), default=-1) + 1,)


def describe(
    profile: Profile, target: Target, vg: VolumeGroup, origin: LogicalVolume, facts: Facts
) -> tuple[tuple[str, str], ...]:
    """Return the facts that the plan rests on, as (what, value) lines for a reader."""
    mountpoints = [m.mountpoint for m in facts.mounts if m.device_number == origin.device_number]
    mounted = f"mounted at {mountpoints[0]}" if mountpoints else "not mounted"
    filesystem = facts.origin_filesystem or "no filesystem"
    lines = [
        ("volume group", f"{vg.name}: {human(vg.free_extents * vg.extent_size_bytes)} free"),
        (
            "origin",
            f"{vg.name}/{origin.name}: {human(origin.size_bytes)}, {filesystem}, {mounted}",
        ),
        ("snapshot", f"{human(target.extents * vg.extent_size_bytes)} for changes ({target.extents} extents)"),
    ]
    if profile.backing_file and target.lent_pv and facts.directory:
        free = f"{human(facts.directory.available_bytes)} available on {facts.directory.filesystem}"
        lines.append(("backing file", f"{human(target.lent_pv.size_bytes)}; {free}"))
    # The steps of `up` do not show them.
    at_down = (("before_down", profile.hooks.before_down), ("after_down", profile.hooks.after_down))
    return (*lines, *((name, f"at down: {shlex.join(argv)}") for name, argv in at_down if argv))
