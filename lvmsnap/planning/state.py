"""What state each profile is in, and what is wrong with it: facts and record in, a Status out. Pure."""

from __future__ import annotations

from enum import Enum
from itertools import zip_longest

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.facts import Enlargement, Facts, LogicalVolume
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.past_run import PastRun
from lvmsnap.model.target import Loss, Record, Snapshot, Target
from lvmsnap.planning import pools
from lvmsnap.planning.hook_actions import AFTER_SNAPSHOT
from lvmsnap.planning.identify import Found, FoundLoan, FoundSnapshot, find
from lvmsnap.planning.volume_state import Past, VolumeStatus, fullest, of_snapshot

# What `recover --from-host` calls the host of marks that name none.
UNKNOWN_HOST = "unknown"


OVERFLOWED = "it overflowed, or a write to it failed"
REMOVED = "it was removed or replaced"
POOL_FAILED = "its thin pool ran full, or failed"
# How to keep it from happening again. A lost snapshot is left for a person, who may be looking at it.
REMEDIES = {
    OVERFLOWED: "give the profile a larger `size`",
    POOL_FAILED: "extend the thin pool, or give the profile a `size`, so that its snapshot uses none of it",
}


class State(Enum):
    """A profile's state on this machine."""

    DOWN = "down"
    UP = "up"
    PARTIAL = "partial"
    LOST = "lost"
    MERGING = "merging"
    STALE = "stale"
    FOREIGN = "foreign"


MEANING = {
    State.DOWN: "nothing of it exists",
    State.UP: "all of it exists",
    State.PARTIAL: "something of it is missing, or its run was killed: lvmsnap recover cleans it up",
    State.LOST: "its snapshot was lost, do not trust what was read from it: lvmsnap down",
    State.MERGING: "LVM is merging its snapshot into the origin, and needs all of it until that is done",
    State.STALE: "left by an earlier boot: lvmsnap recover cleans it up",
    State.FOREIGN: "its snapshot belongs to somebody else, or to another host",
}


@dataclass(frozen=True, slots=True)
class Status:
    """One profile's state; `time` is when it was brought up (ISO 8601 UTC).

    `volumes` has every volume. The other fields about a snapshot are those of the only volume; of several, those of the
    one that was lost, else of the fullest, and `mountpoint` is the top of the tree, if there is one. `last_run` is how
    its last run ended, None if none is known.
    """

    name: str
    state: State
    snapshot: str = ""
    size_bytes: int = 0
    fill_percent: float | None = None
    mountpoint: str = ""
    device: str = ""
    time: str = ""
    problem: str = ""
    rate_bytes_per_second: float | None = None
    rate_over: str | None = None
    seconds_to_full: float | None = None
    last_growth: Enlargement | None = None
    pool: str = ""
    volumes: tuple[VolumeStatus, ...] = ()
    last_run: PastRun | None = None

    @property
    def is_well(self) -> bool:
        """Whether there is nothing a person should look at."""
        return self.state in (State.UP, State.DOWN) and not self.problem and not self.last_run_failed

    @property
    def last_run_failed(self) -> bool:
        """Whether its last run was not good: it failed, was lost, refused or interrupted."""
        return self.last_run is not None and self.last_run.has_failed


def of_target(target: Target, facts: Facts, record: Record | None, past: Past | None = None) -> Status:
    """Return the status of a target, by what of it exists; with the `past`, also how fast its snapshots fill."""
    found = find(target, facts, record)
    if target.host and target.host != facts.host:
        names = tuple(VolumeStatus(one.origin_path, one.path) for one in target.snapshots)
        return of_volumes(Status(target.name, State.FOREIGN, problem=from_host(target.host)), names)
    state, problem = _merging(found) or _state(found, facts, record)
    status = Status(name=target.name, state=state, time=record.time if record else "", problem=problem)
    lost = _losses(found, facts, record)
    volumes = tuple(map(of_snapshot, found.snapshots, lost, (past,) * len(lost)))
    is_tree_there = any(one.mountpoint.startswith(target.tree) for one in volumes if one.mountpoint)
    return of_volumes(status, volumes, target.tree if is_tree_there else "")


def of_volumes(status: Status, volumes: tuple[VolumeStatus, ...], tree: str = "") -> Status:
    """Return the status with its volumes, and with the fields of the one that needs attention first."""
    first = fullest(volumes)
    if first is None:
        return status
    same = {name: getattr(first, name) for name in VolumeStatus.__slots__ if name in Status.__slots__}
    status = replace(status, **same, volumes=volumes)
    return replace(status, mountpoint=tree) if tree else status


def _merging(found: Found) -> tuple[State, str] | None:
    one = next((one for one in found.snapshots if one.is_merging), None)
    if one is None:
        return None
    of = f"{one.snapshot.origin_path}: " if len(found.snapshots) > 1 else ""
    return State.MERGING, of + merging_hint(one, found.loan_to(one.snapshot.vg))


def _state(found: Found, facts: Facts, record: Record | None) -> tuple[State, str]:
    if record is not None and record.boot_id != facts.boot_id:
        return State.STALE, ""
    if lost := why_lost(found, facts, record):
        return State.LOST, f"{lost.origin}: {lost.how}" if lost.origin else lost.how
    if record is not None and record.process is not None and facts.looked.is_process_gone:
        return State.PARTIAL, _with_suspended(found, f"left by lvmsnap (pid {record.process.pid}), which has ended")
    return _state_now(found, record)


def _state_now(found: Found, record: Record | None) -> tuple[State, str]:
    missing = missing_things(found)
    if record is not None and record.target.is_consistent and not all(one.dm_uuid for one in record.target.snapshots):
        # `up` was killed before it could tell whether they are of one instant.
        missing = (*missing, "end of the cut")
    if not missing and record is None and not any(one.is_mounted for one in found.snapshots):
        # Nothing says which boot it is from: only a mount would be from this one.
        missing = ("record",)
    problem = _with_suspended(found, "missing: " + ", ".join(missing) if missing else "")
    if not problem:
        return State.UP, ""
    if record is not None or anything_exists(found):
        return State.PARTIAL, problem
    taken = [one.snapshot for one in found.snapshots if one.vg and one.vg.lv(one.snapshot.name)]
    if taken:
        return State.FOREIGN, f"{taken[0].path} belongs to somebody else"
    return State.DOWN, ""


def _with_suspended(found: Found, problem: str) -> str:
    """Put the origins that a killed command left suspended before the problem: nothing is as urgent."""
    origins = dict.fromkeys(one.snapshot.origin_path for one in found.snapshots if one.suspended)
    waiting = (f"{origin} is suspended, so all its writers wait" for origin in origins)
    return "; ".join(filter(None, (*waiting, problem)))


def from_host(host: str) -> str:
    """Return what a person should know about things that were made on `host`, "" for an unknown one."""
    made = f"made on another host, {host}" if host else "made by an older lvmsnap, perhaps on another host"
    return f"{made}; if that is gone for good: lvmsnap recover --from-host {host or UNKNOWN_HOST}"


def merging_hint(one: FoundSnapshot, lent: FoundLoan | None) -> str:
    """Return how a merge can finish, and what it needs until then."""
    mountpoint = one.snapshot.mount.mountpoint if one.snapshot.mount else ""
    if lent is not None and lent.is_missing:
        attach = f"losetup --find --nooverlap {lent.loan.path}"
        return f"the merge needs the backing file: {attach}; vgchange --activate y {one.snapshot.vg}"
    held = f" (umount {mountpoint} releases the snapshot)" if one.is_mounted else ""
    keep = f"; {lent.loan.path} must stay attached until then" if lent is not None else ""
    return f"the merge starts at the next activation with both closed, at the latest on the next boot{held}{keep}"


def why_lost(found: Found, facts: Facts, record: Record | None) -> Loss | None:
    """Return how a snapshot was lost while it was up, None if none was; one that a reboot ended is stale, not lost.

    If several are up, all are lost with the first: only together do they show one moment in time.
    """
    for one, how in zip(found.snapshots, _losses(found, facts, record), strict=True):
        if how:
            return Loss(how, one.snapshot.origin_path if len(found.snapshots) > 1 else "")
    is_seen = all(one.vg for one in found.snapshots)
    is_known = record is not None and record.boot_id == facts.boot_id and bool(record.lost)
    return Loss(record.lost, record.lost_origin) if record and is_known and is_seen else None


def loss(target: Target, number: int, how: str) -> Loss:
    """Return the loss of snapshot `number`; the first is 1."""
    return Loss(how, target.snapshots[number - 1].origin_path if len(target.snapshots) > 1 else "")


def whose_snapshot(name: str, lost: Loss) -> str:
    """Return what messages call the lost snapshot of profile `name`."""
    return f"{name}'s snapshot of {lost.origin}" if lost.origin else f"the snapshot of {name}"


def _losses(found: Found, facts: Facts, record: Record | None) -> tuple[str, ...]:
    """Return how each snapshot was lost, "" for one that was not."""
    if record is not None and record.boot_id != facts.boot_id:
        return ("",) * len(found.snapshots)
    # `find` returns them in the target's order.
    recorded = zip_longest(found.snapshots, record.target.snapshots if record else ())
    return tuple(_why_one_lost(one, known, is_recorded=record is not None) for one, known in recorded if one)


def _why_one_lost(found: FoundSnapshot, known: Snapshot | None, *, is_recorded: bool) -> str:
    lv, vg = found.lv, found.vg
    if lv is not None and lv.is_invalid:
        return OVERFLOWED
    if lv is not None and vg is not None and pools.has_failed(lv, vg):
        return POOL_FAILED
    if not is_recorded or vg is None:
        return ""
    if lv is not None and lv.is_partial:
        return "a disk that it lies on is gone"
    # A snapshot that was renamed, or has lost its tag, still shows the same data.
    taken = known.dm_uuid if known and not known.is_going else ""
    if taken and not any(dm_uuid(vg.uuid, one.uuid) == taken for one in vg.lvs):
        return REMOVED
    return ""


def missing_things(found: Found) -> tuple[str, ...]:
    """Return what the target should have but has not; with several volumes, each that lacks something is named."""
    of = {id(one): f" of {one.snapshot.origin_path}" for one in found.snapshots if len(found.snapshots) > 1}
    of |= {id(one): f" of {one.loan.vg}" for one in found.loans if len(found.loans) > 1}
    things = [
        *(("backing file", one, one.file is not None) for one in found.loans),
        *(("loop device", one, one.loop is not None) for one in found.loans),
        *(("lent PV", one, one.is_member and not one.is_missing) for one in found.loans),
        *(("snapshot", one, one.lv is not None and _is_whole(one.lv)) for one in found.snapshots),
        *(("LUKS mapping", one, one.luks.is_open) for one in found.snapshots if one.snapshot.luks),
        *(("mount", one, one.is_mounted) for one in found.snapshots if one.snapshot.mount),
        *((f"included {one.include.source}", one, one.is_mounted) for one in found.includes),
        ("run of the after_snapshot hook", found, AFTER_SNAPSHOT not in found.hooks_due),
    ]
    return tuple(f"{name}{of.get(id(part), '')}" for name, part, is_there in things if not is_there)


def _is_whole(lv: LogicalVolume) -> bool:
    """Whether it shows its data: a thin snapshot needs no origin for that; an inactive one shows nothing."""
    return lv.is_active and (lv.is_thin or bool(lv.origin))


def anything_exists(found: Found) -> bool:
    """Whether anything that lvmsnap made for the target exists."""
    lent = any(one.pv or one.file or one.loop for one in found.loans)
    return lent or any(one.lv or one.leftovers or one.suspended for one in found.snapshots)
