"""The commands that take a snapshot, with their undo, and those that repair what a killed command left. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lvmsnap.model.condition import (
    DevicesLeft,
    OriginSuspended,
    SnapshotMerging,
    SnapshotTaken,
)
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.plan import Action, Key, Locks, Phase, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import PoolSpace, Snapshot, Target
from lvmsnap.planning.identify import Found, FoundSnapshot
from lvmsnap.planning.left_alone import other_snapshots
from lvmsnap.planning.loan_actions import allocatable, is_closed

# Only LVM can tell whether the pool has the snapshot already: it then fails to create it again.
COMPLETE_SCRIPT = (
    'pool=$1 id=$2 message=$3; shift 3; complaint=$("$@" 2>&1) && exit; code=$?; case $complaint in '
    '*"File exists"*"create_snap $id "*) dmsetup message "$pool" 0 "$message" && exec "$@" ;; esac; '
    'echo "$complaint" >&2; exit $code'
)


def _key(found: FoundSnapshot) -> Key:
    return Key(Thing.SNAPSHOT, found.name)


def snapshot(target: Target, found: FoundSnapshot, all_found: Found, loop_devices: Mapping[str, str]) -> Action:
    """Take the snapshot, tagged as ours. dmeventd must not monitor it, but goes on monitoring the origin's others."""
    wanted, vg, lent = found.snapshot, found.snapshot.vg, all_found.loan_to(found.snapshot.vg)
    # lvremove resumes a suspended origin with the tables that a killed lvcreate had loaded, and reports success.
    needs_gone = [Key(Thing.SUSPENDED_ORIGIN, found.snapshot.origin_path)]
    if wanted.luks:
        needs_gone.insert(0, Key(Thing.LUKS, wanted.luks.name))
    if wanted.mount:
        needs_gone.insert(0, Key(Thing.MOUNT, wanted.mount.mountpoint))
    # Another profile may be removing its snapshot at this moment: with --select, no match is not a failure.
    others = (other.partition("/")[2] for other in other_snapshots(target, found))
    unwatched = tuple(("lvchange", "--monitor", "n", "--select", f"lv_name={other}", vg) for other in others)
    # An active snapshot whose PV is gone can only be removed this way; lvremove(8) has no option for it.
    partial = ("--config", 'activation/activation_mode="partial"') if lent and lent.is_missing else ()
    remove = ("lvremove", "--yes", *partial, "--select", _lv_selection(target, found), vg)
    return Action(
        thing=Thing.SNAPSHOT,
        object=found.name,
        summary=f"take the snapshot of {found.snapshot.origin_path}",
        undo_summary="remove the snapshot",
        do=(
            _create(target, found, allocate_on(found, all_found, loop_devices)),
            *closing(target, found, all_found, loop_devices),
        ),
        undo=(_removed(found, remove), *unwatched),
        condition=taken(target, found),
        exists=found.lv is not None,
        needs_gone=tuple(needs_gone),
        locks=Locks((vg,)),
    )


def _removed(found: FoundSnapshot, remove: Argv) -> Argv:
    """Return the command that removes the snapshot, even if LVM was killed before it could confirm its creation.

    The kernel changes the transaction ID only if it is the one that LVM left (thin-provisioning.rst,
    set_transaction_id), so a creation that somebody has completed or undone meanwhile is not touched.
    """
    if found.queued is None:
        return remove
    last = found.queued.transaction_id
    message = f"set_transaction_id {last - 1} {last}"
    return ("sh", "-c", COMPLETE_SCRIPT, "sh", found.queued.pool_device, f"{found.queued.thin_id}", message, *remove)


def _create(target: Target, found: FoundSnapshot, pvs: tuple[str, ...]) -> Argv:
    wanted, cow = found.snapshot, found.snapshot.cow
    if isinstance(cow, PoolSpace):
        return _create_thin(target, found)
    chunk = ("--chunksize", f"{cow.chunk_size_bytes}b") if cow and cow.chunk_size_bytes else ()
    kind = ("--permission", wanted.permission.value, "--ignoremonitoring", "--addtag", target.tag, *chunk)
    size = ("--extents", str(cow.extents if cow else 0), "--name", wanted.name)
    return ("lvcreate", "--yes", "--snapshot", *size, *kind, found.snapshot.origin_path, *pvs)


def _create_thin(target: Target, found: FoundSnapshot) -> Argv:
    """Return the command that takes a snapshot in the origin's pool; later activations of the group skip it.

    Whether dmeventd monitors the pool stays as it is.
    """
    wanted = found.snapshot
    kind = ("--permission", wanted.permission.value, "--setactivationskip", "y", "--ignoreactivationskip")
    own = ("--name", wanted.name, *kind, "--ignoremonitoring", "--addtag", target.tag)
    return ("lvcreate", "--yes", "--snapshot", *own, found.snapshot.origin_path)


def taken(target: Target, found: FoundSnapshot) -> SnapshotTaken:
    """Return the condition that shows that the snapshot was taken."""
    wanted, own = found.snapshot, found.snapshot.own_space
    pool = wanted.cow.pool if isinstance(wanted.cow, PoolSpace) else ""
    size_bytes = own.size_bytes if own else None
    return SnapshotTaken(wanted.vg, wanted.name, wanted.origin, target.tag, size_bytes, pool)


def allocate_on(found: FoundSnapshot, all_found: Found, loop_devices: Mapping[str, str]) -> tuple[str, ...]:
    """Return the PVs on which to allocate the snapshot's space, () for any PV of its group."""
    lent = all_found.loan_to(found.snapshot.vg)
    return (loop_devices[lent.loan.pv_uuid], *lent.loan.allocate_on) if lent else ()


def closing(
    target: Target, found: FoundSnapshot, all_found: Found, loop_devices: Mapping[str, str]
) -> tuple[Argv, ...]:
    """Return the command that closes the lent PV to allocation once its group's last snapshot has its space."""
    lent = all_found.loan_to(found.snapshot.vg)
    if lent is None or not _is_last_in(found, all_found) or not is_closed(target, lent.loan):
        return ()
    return (allocatable("n", found.vg, loop_devices[lent.loan.pv_uuid]),)


def _is_last_in(found: FoundSnapshot, all_found: Found) -> bool:
    """Whether it is the last one taken in its group: until then the lent PV must stay open to allocation."""
    return found == [one for one in all_found.snapshots if one.snapshot.vg == found.snapshot.vg][-1]


def merging_snapshot(found: FoundSnapshot) -> Action:
    """Leave the snapshot, and all it needs, to LVM, which is merging it; `up` has no such step."""
    left = f"leave it to LVM, which is merging it into {found.snapshot.origin_path}"
    return Action(
        thing=Thing.SNAPSHOT,
        object=found.name,
        summary=left,
        undo_summary=left,
        do=(),
        undo=(),
        condition=SnapshotMerging(found.snapshot.vg, found.name.partition("/")[2]),
        exists=True,
        phase=Phase.CUT,
    )


def _lv_selection(target: Target, found: FoundSnapshot) -> str:
    """Return what lvremove tests under its own lock, so that nothing is removed by name alone (lvmreport(7))."""
    lv = found.lv
    identity = f"lv_uuid={lv.uuid}" if lv else f"lv_name={found.snapshot.name}"
    origin = found.snapshot.origin if lv is None or lv.origin else '""'
    return f"{identity} && lv_tags={target.tag} && origin={origin}"


def refreshed(snapshot: Snapshot) -> Argv:
    """Return the LVM command that resumes a suspended origin and all its snapshots with the tables in its metadata."""
    return ("lvchange", "--refresh", snapshot.origin_path)


def resumed_origin(found: FoundSnapshot) -> Action:
    """Resume the origin that a killed command left suspended or half-made; `up` has no such step."""
    # With a snapshot in the metadata LVM can do it itself; without one it would load the wrong table. A thin lvcreate
    # beside such a snapshot suspends -real alone: LVM would freeze the filesystem first, and wait for ever.
    is_held_above = dm_name(found.snapshot.vg, found.snapshot.origin) in found.suspended
    by_lvm: tuple[Argv, ...] = (*_without_unused(found), refreshed(found.snapshot))
    by_hand = tuple(("dmsetup", verb, name) for name in found.suspended for verb in ("clear", "resume"))
    return Action(
        thing=Thing.SUSPENDED_ORIGIN,
        object=found.snapshot.origin_path,
        summary="resume the origin that a killed command left suspended",
        undo_summary="resume the origin that a killed command left suspended",
        do=(),
        undo=by_lvm if found.origin_has_snapshots and (is_held_above or not found.suspended) else by_hand,
        condition=OriginSuspended(found.snapshot.vg, found.snapshot.origin),
        exists=bool(found.suspended) or found.half_made is not None,
        locks=Locks((found.snapshot.vg,)),
    )


def _without_unused(found: FoundSnapshot) -> tuple[Argv, ...]:
    """Return the commands that remove devices without a live table: LVM cannot cope with them."""
    unused = found.half_made or ()
    origin = dm_name(found.snapshot.vg, found.snapshot.origin)
    clear = (("dmsetup", "clear", origin),) if f"{origin}-real" in unused else ()
    return (*clear, *(("dmsetup", "remove", name) for name in unused))


def leftover_devices(found: FoundSnapshot) -> Action:
    """Remove the devices that a killed command left and LVM's metadata does not know; `up` has no such step."""
    return Action(
        thing=Thing.LEFTOVER_DEVICES,
        object=" ".join(found.leftovers),
        summary="remove the devices that a killed command left",
        undo_summary="remove the devices that a killed command left",
        do=(),
        undo=_removing(found),
        condition=DevicesLeft(found.leftovers),
        exists=bool(found.leftovers),
        needs_gone=(_key(found),),
        locks=Locks((found.snapshot.vg,)),
    )


def _removing(found: FoundSnapshot) -> tuple[Argv, ...]:
    """Return the commands that remove the leftovers. The origin's -real layer is busy while the origin lies on it.

    LVM removes it if the origin's live table uses it; a table that was loaded but never became live is cleared.
    """
    origin = dm_name(found.snapshot.vg, found.snapshot.origin)
    layer = f"{origin}-real"
    others = tuple(("dmsetup", "remove", name) for name in found.leftovers if name != layer)
    if layer not in found.leftovers:
        return others
    if found.is_on_layer:
        return (*others, refreshed(found.snapshot))
    return (("dmsetup", "clear", origin), *others, ("dmsetup", "remove", layer))
