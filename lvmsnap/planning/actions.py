"""The stack: every command that changes the system stands here, with its undo and how to see whether it stands.

Pure: a target, what of it was found, and the loop device to use go in; actions come out, in the order of `up`.
"""

from __future__ import annotations

from lvmsnap.model.facts import VolumeGroup
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import LentPV, MountTarget, Target
from lvmsnap.planning import file_actions, hook_actions
from lvmsnap.planning.identify import Found, other_snapshots
from lvmsnap.planning.sizing import PV_HEADER_BYTES


def stack(target: Target, found: Found, loop_device: str) -> tuple[Action, ...]:
    """Return the target's actions in the order of `up`; `loop_device` is the one bound to the file or to be bound."""
    down_last, down_first = hook_actions.around_down(target, found.hooks_due)
    before, after = hook_actions.around_snapshot(target, found.hooks_due)
    actions = list(down_last)
    if target.lent_pv is not None:
        actions += _lent(target.lent_pv, found, loop_device)
    # From vgextend to lvcreate the lent space is open to every allocation in the group, by dmeventd for instance:
    # nothing slow comes in between, and nothing of the user's.
    actions += before
    if target.lent_pv is not None:
        actions += [active_origin(target, found), vg_member(target, target.lent_pv, found, loop_device)]
    taken = (leftover_devices(target, found), snapshot(target, found, loop_device))
    actions += [*taken, *after, resumed_origin(target, found)]
    if target.mount is not None:
        actions += [mountpoint_directory(target.mount, found), mount(target, target.mount, found)]
    return (*actions, *down_first)


def _lent(lent: LentPV, found: Found, loop_device: str) -> tuple[Action, ...]:
    return (
        file_actions.backing_file(lent, found),
        file_actions.backing_file_space(lent, found),
        loop(lent, found, loop_device),
        physical_volume(lent, found, loop_device),
    )


def loop(lent: LentPV, found: Found, loop_device: str) -> Action:
    """Bind the loop device to the backing file."""
    # Where LVM keeps a devices file, pvcreate entered the loop device, and pvremove leaves it there.
    forget = (("lvm", "lvmdevices", "--yes", "--deldev", loop_device),) if found.uses_devices_file else ()
    return Action(
        thing=Thing.LOOP,
        object=loop_device,
        summary="attach it to a loop device",
        undo_summary="detach the loop device",
        do=(_attach(lent, loop_device),),
        undo=(*forget, ("losetup", "--detach", loop_device)),
        condition=f"a loop device is bound to the device and inode of {lent.path}",
        stands=found.loop is not None,
        needs_gone=(Thing.VG_MEMBER, Thing.PV),
    )


def _attach(lent: LentPV, loop_device: str) -> Argv:
    options = ["--nooverlap"]
    options += ["--direct-io=on"] if lent.direct_io else []
    options += ["--sector-size", str(lent.sector_size_bytes)] if lent.sector_size_bytes != 512 else []
    return ("losetup", *options, loop_device, lent.path)


def physical_volume(lent: LentPV, found: Found, loop_device: str) -> Action:
    """Make the loop device a PV that is recognisable as ours and holds no metadata of the group."""
    identity = ("--uuid", lent.pv_uuid, "--norestorefile", "--metadatacopies", "0", "--metadataignore", "n")
    return Action(
        thing=Thing.PV,
        object=loop_device,
        summary="make it a physical volume with a UUID of lvmsnap's own",
        undo_summary="wipe the PV label",
        do=(("pvcreate", "--yes", *identity, "--dataalignment", "1m", loop_device),),
        undo=(("pvremove", "--yes", loop_device),),
        condition=f"a PV with UUID {lent.pv_uuid} is there",
        stands=found.pv is not None and found.loop is not None,
        needs_gone=(Thing.VG_MEMBER,),
    )


def vg_member(target: Target, lent: LentPV, found: Found, loop_device: str) -> Action:
    """Lend the PV to the volume group."""
    vg = found.vg.name if found.vg else target.vg
    # Never --force: it deletes every LV that stands on the missing PV, the origin among them.
    give_back: tuple[Argv, ...] = (("vgreduce", vg, loop_device),)
    if found.is_missing:
        give_back = (("vgreduce", "--removemissing", vg), ("vgchange", "--activate", "ay", vg))
    whose = f"extents of {', '.join(found.others)}" if found.others else ""
    return Action(
        thing=Thing.VG_MEMBER,
        object=vg,
        summary=f"lend it to the volume group {vg}",
        undo_summary=f"take the lent PV out of {vg}{f' once pvmove has freed it of {whose}' if whose else ''}",
        do=(("vgextend", vg, loop_device),),
        undo=give_back,
        condition=f"the PV with UUID {lent.pv_uuid} is in {vg}",
        stands=found.is_member,
        needs_gone=(Thing.SNAPSHOT,),
        blocked=whose,
        by_hand=_free_by_hand(lent, found, loop_device) if whose else (),
    )


def _free_by_hand(lent: LentPV, found: Found, loop_device: str) -> tuple[Argv, ...]:
    """Return what moves other people's extents off the lent PV, where its device is gone after its file is back."""
    attach = (_attach(lent, loop_device),) if found.is_missing else ()
    return (*attach, ("pvmove", loop_device))


def active_origin(target: Target, found: Found) -> Action:
    """Activate what the boot could not while the lent PV was missing; nothing of `up` makes this."""
    vg = found.vg.name if found.vg else target.vg
    return Action(
        thing=Thing.INACTIVE_ORIGIN,
        object=f"{vg}/{target.origin}",
        summary="activate the volume group that is whole again",
        undo_summary="activate the volume group that is whole again",
        do=(),
        undo=(("vgchange", "--activate", "ay", vg),),
        condition=f"{vg}/{target.origin} is inactive since a boot that found the lent PV missing",
        stands=found.is_left_inactive,
        needs_gone=(Thing.VG_MEMBER,),
    )


def snapshot(target: Target, found: Found, loop_device: str) -> Action:
    """Take the snapshot, tagged as ours. dmeventd must not watch it, and goes on watching what else the origin has."""
    vg, lv = (found.vg.name if found.vg else target.vg), found.snapshot
    chunk = ("--chunksize", f"{target.chunk_size_bytes}b") if target.chunk_size_bytes else ()
    kind = ("--permission", target.permission.value, "--ignoremonitoring", "--addtag", target.tag, *chunk)
    pvs = () if target.lent_pv is None else (loop_device, *target.lent_pv.allocate_on)
    size = ("--extents", str(target.extents), "--name", lv.name if lv else target.snapshot)
    closed = (allocatable("n", found.vg, loop_device),) if is_closed(target) else ()
    unwatched = tuple(("lvchange", "--monitor", "n", other) for other in other_snapshots(target, found))
    # An active snapshot whose PV is gone can only be taken from its origin so; lvremove(8) has no option for it.
    partial = ("--config", 'activation/activation_mode="partial"') if found.is_missing else ()
    return Action(
        thing=Thing.SNAPSHOT,
        object=f"{vg}/{lv.name if lv else target.snapshot}",
        summary=f"take the snapshot of {vg}/{target.origin}",
        undo_summary="remove the snapshot",
        do=(("lvcreate", "--yes", "--snapshot", *size, *kind, f"{vg}/{target.origin}", *pvs), *closed),
        undo=(("lvremove", "--yes", *partial, "--select", _lv_selection(target, found), vg), *unwatched),
        condition=f"{vg} has an LV tagged {target.tag} whose origin is {target.origin}",
        stands=lv is not None,
        # lvremove resumes a suspended origin with the tables that a killed lvcreate had loaded, and calls it done.
        needs_gone=(Thing.MOUNT, Thing.SUSPENDED_ORIGIN),
    )


def is_closed(target: Target) -> bool:
    """Whether the lent PV may have free extents while the snapshot is up: what others put there could not go back."""
    lent = target.lent_pv
    if lent is None:
        return False
    extents = (lent.size_bytes - PV_HEADER_BYTES) // target.extent_size_bytes
    return bool(lent.allocate_on) or extents > target.extents


def allocatable(verb: str, vg: VolumeGroup | None, loop_device: str) -> Argv:
    """Return the command that opens ("y") or closes ("n") the lent PV to new allocations."""
    return ("pvchange", *devices_of(vg, loop_device), "--allocatable", verb, loop_device)


def devices_of(vg: VolumeGroup | None, loop_device: str) -> Argv:
    """Return what makes a command on a PV look at that group alone: else it waits for the locks of all groups."""
    pvs = vg.pvs if vg else ()
    return ("--devices", ",".join(dict.fromkeys((*(pv.device for pv in pvs if not pv.missing), loop_device))))


def merging_snapshot(target: Target, found: Found) -> Action:
    """Leave the snapshot, and all it needs, to LVM, which is merging it; nothing of `up` makes this."""
    vg, name = (found.vg.name if found.vg else target.vg), found.snapshot.name if found.snapshot else target.snapshot
    return Action(
        thing=Thing.SNAPSHOT,
        object=f"{vg}/{name}",
        summary=f"leave it to LVM, which is merging it into {vg}/{target.origin}",
        undo_summary=f"leave it to LVM, which is merging it into {vg}/{target.origin}",
        do=(),
        undo=(),
        condition=f"LVM is merging {vg}/{name}",
        stands=True,
    )


def _lv_selection(target: Target, found: Found) -> str:
    """Return what lvremove tests under its own lock, so that nothing goes by its name alone (lvmreport(7))."""
    lv = found.snapshot
    identity = f"lv_uuid={lv.uuid}" if lv else f"lv_name={target.snapshot}"
    origin = target.origin if lv is None or lv.origin else '""'
    return f"{identity} && lv_tags={target.tag} && origin={origin}"


def resumed_origin(target: Target, found: Found) -> Action:
    """Set the origin going again where a killed lvcreate left it suspended; nothing of `up` makes this."""
    origin = f"{found.vg.name if found.vg else target.vg}/{target.origin}"
    # With a snapshot in the metadata LVM knows the way itself; without one it would load the wrong table.
    by_lvm: tuple[Argv, ...] = (("lvchange", "--refresh", origin),)
    by_hand = tuple(("dmsetup", verb, name) for name in found.suspended for verb in ("clear", "resume"))
    return Action(
        thing=Thing.SUSPENDED_ORIGIN,
        object=origin,
        summary="resume the origin that a killed command left suspended",
        undo_summary="resume the origin that a killed command left suspended",
        do=(),
        undo=by_lvm if found.origin_has_snapshots else by_hand,
        condition=f"a device of {origin} is suspended",
        stands=bool(found.suspended),
    )


def leftover_devices(target: Target, found: Found) -> Action:
    """Remove the devices that a killed lvcreate left beside LVM's metadata; nothing of `up` makes this."""
    # The origin may still hold a table that was loaded and never used, which keeps -real busy.
    origin = dm_name(found.vg.name if found.vg else target.vg, target.origin)
    clear = (("dmsetup", "clear", origin),) if f"{origin}-real" in found.leftovers else ()
    return Action(
        thing=Thing.LEFTOVER_DEVICES,
        object=" ".join(found.leftovers),
        summary="remove the devices that a killed command left",
        undo_summary="remove the devices that a killed command left",
        do=(),
        undo=(*clear, *(("dmsetup", "remove", name) for name in found.leftovers)),
        condition="device-mapper has devices of the snapshot, and LVM's metadata has no snapshot",
        stands=bool(found.leftovers),
        needs_gone=(Thing.SNAPSHOT,),
    )


def mountpoint_directory(target: MountTarget, found: Found) -> Action:
    """Remove the directory that the mount made; its making is part of the mount's command."""
    return Action(
        thing=Thing.DIRECTORY,
        object=target.mountpoint,
        summary="make the mountpoint directory" if target.make_directory else "use the mountpoint directory",
        undo_summary="remove the mountpoint directory",
        do=(),
        undo=(("rmdir", "--", target.mountpoint),),
        condition=f"{target.mountpoint} was made by this profile, and is empty",
        stands=found.has_directory,
        needs_gone=(Thing.MOUNT,),
    )


def mount(target: Target, where: MountTarget, found: Found) -> Action:
    """Mount the snapshot read-only, with what its filesystem needs beside its origin."""
    device = f"/dev/{target.vg}/{target.snapshot}"
    make = ("X-mount.mkdir=0755",) if where.make_directory else ()
    options = ",".join((*where.options, *make))
    return Action(
        thing=Thing.MOUNT,
        object=where.mountpoint,
        summary="mount it read-only",
        undo_summary="unmount the snapshot",
        do=(("mount", "--types", where.filesystem, "--options", options, device, where.mountpoint),),
        undo=(("umount", "--", where.mountpoint),),
        condition=f"the top mount at {where.mountpoint} is of the snapshot's device",
        stands=found.is_mounted,
    )
