"""What state each profile is in, and how fast its snapshot fills: facts and record in, a Status out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from itertools import zip_longest

from lvmsnap.model.facts import Enlargement, Facts, LogicalVolume, Sighting
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Record, Snapshot, Target
from lvmsnap.planning import pools
from lvmsnap.planning.hook_actions import AFTER_SNAPSHOT
from lvmsnap.planning.identify import Found, FoundLoan, FoundSnapshot, find

# A guard looks once a second, but not while it gives the snapshot more room. What it saw longer ago is no rate of now.
FRESH_SECONDS = 10.0
# What `recover --from-host` calls the host of marks that name none.
UNKNOWN_HOST = "unknown"


OVERFLOWED = "it overflowed, or a write to it failed"
POOL_FAILED = "its thin pool ran full, or failed"
# What to do so that it does not happen again. Such a snapshot is left to a person, who may be looking at it.
REMEDIES = {
    OVERFLOWED: "give the profile a larger `size`",
    POOL_FAILED: "give the thin pool more room, or the profile a `size`, so that its snapshot takes none of it",
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
    """One profile's state; `time` is when it was brought up (ISO 8601 UTC), `fill_percent` of its CoW space.

    A thin snapshot has none: `size_bytes` and `fill_percent` are of its `pool`, VG/LV, its data or metadata.

    `rate_over` says of what the rate is: the "guard"'s last seconds, or the mean since "up". A snapshot that does not
    fill has a rate of 0, and None for `seconds_to_full`.
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

    @property
    def is_well(self) -> bool:
        """Whether there is nothing a person should look at."""
        return self.state in (State.UP, State.DOWN) and not self.problem


@dataclass(frozen=True, slots=True)
class Past:
    """What is known beside the facts: how long ago `up` was, the guard's last sighting and how long ago that was."""

    up_seconds: float | None = None
    sighting: Sighting | None = None
    sighting_seconds: float = 0.0


def of_target(target: Target, facts: Facts, record: Record | None, past: Past | None = None) -> Status:
    """Return the state of a target, by what of it exists; with the `past`, how fast its snapshot fills too."""
    found = find(target, facts, record)
    names = ", ".join(one.snapshot.path for one in found.snapshots)
    if target.host and target.host != facts.host:
        return Status(target.name, State.FOREIGN, names, problem=from_host(target.host))
    merging = next((one for one in found.snapshots if one.is_merging), None)
    hint = merging_hint(merging, found.loan_to(merging.snapshot.vg)) if merging else ""
    state, problem = (State.MERGING, hint) if merging else _state(found, facts, record)
    status = Status(name=target.name, state=state, snapshot=names, time=record.time if record else "", problem=problem)
    fullest = max(found.snapshots, key=_fill, default=None)
    if fullest is None or fullest.lv is None or fullest.vg is None:
        return status
    space = pools.space_of(fullest.lv, fullest.vg)
    status = replace(
        status,
        size_bytes=space.total_bytes if space else fullest.lv.size_bytes,
        fill_percent=space.percent if space else None,
        pool=f"{fullest.lv.vg}/{fullest.lv.pool}" if fullest.lv.is_thin else "",
        mountpoint=fullest.snapshot.mount.mountpoint if fullest.snapshot.mount and fullest.is_mounted else "",
        device=f"/dev/{fullest.lv.vg}/{fullest.lv.name}",
    )
    return _with_filling(status, fullest, past) if past else status


def _fill(found: FoundSnapshot) -> float:
    """Return how full it is; what is not there comes after all that is."""
    if found.lv is None or found.vg is None:
        return -1.0
    space = pools.space_of(found.lv, found.vg)
    return space.percent if space else 0.0


def _with_filling(status: Status, found: FoundSnapshot, past: Past) -> Status:
    lv, vg, seen = found.lv, found.vg, past.sighting
    if lv is None or vg is None:
        return status
    if seen is not None and seen.uuid != dm_uuid(vg.uuid, lv.uuid):
        seen = None
    status = replace(status, last_growth=seen.last_growth if seen else None)
    space = pools.space_of(lv, vg)
    if lv.is_invalid or space is None:
        return status
    used_bytes = space.total_bytes * space.percent / 100
    if seen is not None and 0 <= past.sighting_seconds < FRESH_SECONDS:
        rate, over = seen.rate_bytes_per_second, "guard"
    elif past.up_seconds is not None and past.up_seconds >= 1 and not space.part:
        rate, over = _changed_bytes(lv, used_bytes) / past.up_seconds, "up"
    else:
        return status
    rate = round(rate, 1)
    left = round(max(0.0, space.total_bytes - used_bytes) / rate, 1) if rate else None
    return replace(status, rate_bytes_per_second=rate, rate_over=over, seconds_to_full=left)


def _changed_bytes(snapshot: LogicalVolume, used_bytes: float) -> float:
    """Return how much was used since it was made: it begins with a header and a metadata chunk (dm-snap-persistent.c).

    LVM reports the fill in hundredths of a percent; less than one of them is nothing.
    """
    changed = used_bytes - 2 * snapshot.chunk_size_bytes
    return changed if changed >= snapshot.size_bytes / 10_000 else 0.0


def _state(found: Found, facts: Facts, record: Record | None) -> tuple[State, str]:
    if record is not None and record.boot_id != facts.boot_id:
        return State.STALE, ""
    if lost := why_lost(found, facts, record):
        return State.LOST, lost
    if record is not None and record.process is not None and facts.looked.is_process_gone:
        return State.PARTIAL, f"left by lvmsnap run (pid {record.process.pid}), which was killed"
    return _state_now(found, record)


def _state_now(found: Found, record: Record | None) -> tuple[State, str]:
    missing = missing_things(found)
    if not missing and record is None and not any(one.is_mounted for one in found.snapshots):
        # Nothing says of which boot it is: a mount is of this one.
        missing = ("record",)
    if not missing:
        return State.UP, ""
    if record is not None or anything_exists(found):
        return State.PARTIAL, "missing: " + ", ".join(missing)
    taken = [one.snapshot for one in found.snapshots if one.vg and one.vg.lv(one.snapshot.name)]
    if taken:
        return State.FOREIGN, f"{taken[0].path} belongs to somebody else"
    return State.DOWN, ""


def from_host(host: str) -> str:
    """Return what a person should know of what was made on `host`, "" for one that is not known."""
    made = f"made on another host, {host}" if host else "made by an older lvmsnap, perhaps on another host"
    return f"{made}; if that is gone for good: lvmsnap recover --from-host {host or UNKNOWN_HOST}"


def merging_hint(one: FoundSnapshot, lent: FoundLoan | None) -> str:
    """Return how a merge comes to its end, and what it needs until then."""
    mountpoint = one.snapshot.mount.mountpoint if one.snapshot.mount else ""
    if lent is not None and lent.is_missing:
        attach = f"losetup --find --nooverlap {lent.loan.path}"
        return f"the merge needs the backing file: {attach}; vgchange --activate y {one.snapshot.vg}"
    held = f" (umount {mountpoint} lets go of the snapshot)" if one.is_mounted else ""
    keep = f"; {lent.loan.path} must stay attached until then" if lent is not None else ""
    return f"the merge begins when neither is open, at the latest at the next boot{held}{keep}"


def why_lost(found: Found, facts: Facts, record: Record | None) -> str:
    """Say how a snapshot was lost while it was up, "" where none was; what a reboot ended is not lost but stale.

    Where several are up, all are lost with the first: they are one moment in time together.
    """
    if record is not None and record.boot_id != facts.boot_id:
        return ""
    # What `find` gives is in the order of the target.
    known = record.target.snapshots if record else ()
    for one, recorded in zip_longest(found.snapshots, known):
        if one and (lost := _why_one_lost(one, recorded, is_recorded=record is not None)):
            return lost
    is_seen = all(one.vg for one in found.snapshots)
    return record.lost if record is not None and is_seen else ""


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
    # One that is there under another name, or without its tag, shows what it showed before.
    taken = known.dm_uuid if known and not known.is_going else ""
    if taken and not any(dm_uuid(vg.uuid, one.uuid) == taken for one in vg.lvs):
        return "it was removed or replaced"
    return ""


def missing_things(found: Found) -> tuple[str, ...]:
    """Return what the target should have and has not, each kind once."""
    loans, snapshots = found.loans, found.snapshots
    mounts = [one for one in snapshots if one.snapshot.mount]
    things = (
        ("backing file", all(one.file is not None for one in loans)),
        ("loop device", all(one.loop is not None for one in loans)),
        ("lent PV", all(one.is_member and not one.is_missing for one in loans)),
        ("snapshot", all(one.lv is not None and _is_whole(one.lv) for one in snapshots)),
        ("mount", all(one.is_mounted for one in mounts)),
        ("running origin", not any(one.suspended for one in snapshots)),
        ("run of the after_snapshot hook", AFTER_SNAPSHOT not in found.hooks_due),
    )
    return tuple(name for name, is_there in things if not is_there)


def _is_whole(lv: LogicalVolume) -> bool:
    """Whether it shows what it is to show: a thin one needs no origin, and can be inactive beside it."""
    return lv.is_active if lv.is_thin else bool(lv.origin)


def anything_exists(found: Found) -> bool:
    """Whether anything that lvmsnap made for the target is there."""
    lent = any(one.pv or one.file or one.loop for one in found.loans)
    return lent or any(one.lv or one.leftovers or one.suspended for one in found.snapshots)
