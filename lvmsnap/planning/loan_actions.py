"""The commands that lend space to a volume group, with their undo and their conditions. Pure.

Those that make the file itself are in `file_actions`.
"""

from __future__ import annotations

from lvmsnap.model.condition import LabelWritten, LoopBound, OriginInactive, PVLent
from lvmsnap.model.facts import UNKNOWN, VolumeGroup
from lvmsnap.model.plan import Action, Key, Locks, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Loan, Target
from lvmsnap.planning.identify import Found, FoundLoan
from lvmsnap.planning.sizing import lendable_extents


def _lent_key(loan: Loan) -> Key:
    return Key(Thing.VG_MEMBER, loan.vg)


def loop(found: FoundLoan, loop_device: str) -> Action:
    """Bind the loop device to the backing file."""
    # If LVM uses a devices file, pvcreate has added the loop device to it, and pvremove leaves it there.
    forget = (("lvm", "lvmdevices", "--yes", "--deldev", loop_device),) if found.uses_devices_file else ()
    return Action(
        thing=Thing.LOOP,
        object=loop_device,
        summary="attach it to a loop device",
        undo_summary="detach the loop device",
        do=(_attach(found.loan, loop_device),),
        undo=(*forget, ("losetup", "--detach", loop_device)),
        condition=LoopBound(loop_device, found.loan.path),
        exists=found.loop is not None,
        needs_gone=(_lent_key(found.loan), *(() if _is_in_no_group(found) else (Key(Thing.PV, loop_device),))),
    )


def _is_in_no_group(found: FoundLoan) -> bool:
    """Whether the group exists and our PV is in none: then the PV's label may go with the file.

    The label cannot be wiped if the file's filesystem has turned read-only. After a vgreduce that could not write there
    it says that the PV is in use, and LVM would wipe it only by force.
    """
    return found.vg is not None and found.pv is not None and found.pv.vg in ("", UNKNOWN)


def _attach(loan: Loan, loop_device: str) -> Argv:
    options = ["--nooverlap"]
    options += ["--direct-io=on"] if loan.direct_io else []
    options += ["--sector-size", str(loan.sector_size_bytes)] if loan.sector_size_bytes != 512 else []
    return ("losetup", *options, loop_device, loan.path)


def physical_volume(found: FoundLoan, loop_device: str) -> Action:
    """Make the loop device a PV that is recognisable as ours and holds none of the group's metadata."""
    loan = found.loan
    identity = ("--uuid", loan.pv_uuid, "--norestorefile", "--metadatacopies", "0", "--metadataignore", "n")
    return Action(
        thing=Thing.PV,
        object=loop_device,
        summary="make it a physical volume with a UUID of lvmsnap's own",
        undo_summary="wipe the PV label",
        do=(("pvcreate", "--yes", *identity, "--dataalignment", "1m", loop_device),),
        undo=(("pvremove", "--yes", loop_device),),
        condition=LabelWritten(loan.path, loan.pv_uuid),
        exists=found.pv is not None and found.loop is not None,
        needs_gone=(_lent_key(loan),),
        locks=Locks(pvs=True),
    )


def vg_member(found: FoundLoan, all_found: Found, loop_device: str) -> Action:
    """Lend the PV to the volume group."""
    loan, vg = found.loan, found.loan.vg
    # Never --force: it deletes every LV that lies on the missing PV, the origin among them.
    give_back: tuple[Argv, ...] = (("vgreduce", vg, loop_device),)
    if found.is_missing:
        give_back = (("vgreduce", "--removemissing", vg), ("vgchange", "--activate", "ay", vg))
    whose = f"extents of {', '.join(found.others)}" if found.others else ""
    return Action(
        thing=Thing.VG_MEMBER,
        object=vg,
        summary=f"lend it to the volume group {vg}",
        undo_summary=f"take the lent PV out of {vg}{f' once pvmove has moved {whose} off it' if whose else ''}",
        do=(("vgextend", vg, loop_device),),
        undo=give_back,
        condition=PVLent(loan.pv_uuid, loan.path, vg),
        exists=found.is_member,
        needs_gone=tuple(Key(Thing.SNAPSHOT, one.name) for one in all_found.snapshots if one.snapshot.vg == vg),
        blocked=whose,
        by_hand=_free_by_hand(found, loop_device) if whose else (),
        locks=Locks((vg,), pvs=True, lends=True),
    )


def _free_by_hand(found: FoundLoan, loop_device: str) -> tuple[Argv, ...]:
    """Return the commands that move others' extents off the lent PV; a missing PV's file is attached again first."""
    attach = (_attach(found.loan, loop_device),) if found.is_missing else ()
    return (*attach, ("pvmove", loop_device))


def active_origin(found: FoundLoan) -> Action:
    """Activate what the boot could not activate while the lent PV was missing; `up` has no such step."""
    vg = found.loan.vg
    return Action(
        thing=Thing.INACTIVE_ORIGIN,
        object=f"{vg}/{found.inactive_origin}",
        summary="activate the volume group that is complete again",
        undo_summary="activate the volume group that is complete again",
        do=(),
        undo=(("vgchange", "--activate", "ay", vg),),
        condition=OriginInactive(vg, found.inactive_origin),
        exists=bool(found.inactive_origin),
        needs_gone=(_lent_key(found.loan),),
        locks=Locks((vg,)),
    )


def is_closed(target: Target, loan: Loan) -> bool:
    """Whether to close the lent PV to allocation: it may have free extents, and once others use them it is stuck."""
    cows = [one.own_space for one in target.snapshots if one.vg == loan.vg and one.own_space]
    if not cows:
        return bool(loan.allocate_on)
    lendable = lendable_extents(loan.size_bytes, cows[0].extent_size_bytes)
    return bool(loan.allocate_on) or lendable > sum(cow.extents for cow in cows)


def allocatable(verb: str, vg: VolumeGroup | None, loop_device: str) -> Argv:
    """Return the command that opens ("y") or closes ("n") the lent PV to new allocations."""
    return ("pvchange", *devices_of(vg, loop_device), "--allocatable", verb, loop_device)


def devices_of(vg: VolumeGroup | None, loop_device: str) -> Argv:
    """Return the option that limits a PV command to that group's devices: else it waits for the locks of all groups."""
    pvs = vg.pvs if vg else ()
    return ("--devices", ",".join(dict.fromkeys((*(pv.device for pv in pvs if not pv.missing), loop_device))))
