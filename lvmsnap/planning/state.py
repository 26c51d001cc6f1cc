"""What state each profile is in, and how fast its snapshot fills: facts and record in, a Status out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from lvmsnap.model.facts import Enlargement, Facts, LogicalVolume, Sighting
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Record, Target
from lvmsnap.planning.hook_actions import AFTER_SNAPSHOT
from lvmsnap.planning.identify import Found, find

# A guard looks once a second, but not while it gives the snapshot more room. What it saw longer ago is no rate of now.
FRESH_SECONDS = 10.0
# What `recover --from-host` calls the host of marks that name none.
UNKNOWN_HOST = "unknown"


OVERFLOWED = "it overflowed, or a write to it failed"


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
    State.DOWN: "nothing of it stands",
    State.UP: "all of it stands",
    State.PARTIAL: "something of it is missing, or its run was killed: lvmsnap recover puts it right",
    State.LOST: "its snapshot was lost, nothing read from it counts: lvmsnap down",
    State.MERGING: "LVM is merging its snapshot into the origin, and needs all of it until that is done",
    State.STALE: "left by an earlier boot: lvmsnap recover puts it right",
    State.FOREIGN: "its snapshot is of somebody else, or of another host",
}


@dataclass(frozen=True, slots=True)
class Status:
    """One profile's state; `time` is when it was brought up (ISO 8601 UTC), `fill_percent` of its CoW space.

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
    """Return the state of a target, by what of it stands; with the `past`, how fast its snapshot fills too."""
    found = find(target, facts, record)
    if target.host and target.host != facts.host:
        return Status(target.name, State.FOREIGN, f"{target.vg}/{target.snapshot}", problem=from_host(target.host))
    merging = (State.MERGING, merging_hint(target, found)) if found.is_merging else None
    state, problem = merging or _state(target, found, facts, record)
    snapshot = found.snapshot
    told = Status(
        name=target.name,
        state=state,
        snapshot=f"{target.vg}/{target.snapshot}",
        size_bytes=snapshot.size_bytes if snapshot else 0,
        fill_percent=snapshot.data_percent if snapshot else None,
        mountpoint=target.mount.mountpoint if target.mount and found.is_mounted else "",
        device=f"/dev/{snapshot.vg}/{snapshot.name}" if snapshot else "",
        time=record.time if record else "",
        problem=problem,
    )
    return _with_filling(told, found, past) if past else told


def _with_filling(told: Status, found: Found, past: Past) -> Status:
    snapshot, vg, seen = found.snapshot, found.vg, past.sighting
    if snapshot is None or vg is None:
        return told
    if seen is not None and seen.uuid != dm_uuid(vg.uuid, snapshot.uuid):
        seen = None
    told = replace(told, last_growth=seen.last_growth if seen else None)
    if snapshot.is_invalid or snapshot.data_percent is None:
        return told
    used_bytes = snapshot.size_bytes * snapshot.data_percent / 100
    if seen is not None and 0 <= past.sighting_seconds < FRESH_SECONDS:
        rate, over = seen.rate_bytes_per_second, "guard"
    elif past.up_seconds is not None and past.up_seconds >= 1:
        rate, over = _changed_bytes(snapshot, used_bytes) / past.up_seconds, "up"
    else:
        return told
    rate = round(rate, 1)
    left = round(max(0.0, snapshot.size_bytes - used_bytes) / rate, 1) if rate else None
    return replace(told, rate_bytes_per_second=rate, rate_over=over, seconds_to_full=left)


def _changed_bytes(snapshot: LogicalVolume, used_bytes: float) -> float:
    """Return how much was used since it was made: it begins with a header and a metadata chunk (dm-snap-persistent.c).

    LVM tells the fill in hundredths of a percent; less than one of them is nothing.
    """
    changed = used_bytes - 2 * snapshot.chunk_size_bytes
    return changed if changed >= snapshot.size_bytes / 10_000 else 0.0


def _state(target: Target, found: Found, facts: Facts, record: Record | None) -> tuple[State, str]:
    if record is not None and record.boot_id != facts.boot_id:
        return State.STALE, ""
    if lost := why_lost(found, facts, record):
        return State.LOST, lost
    if record is not None and record.process is not None and facts.is_process_gone:
        return State.PARTIAL, f"left by lvmsnap run (pid {record.process.pid}), which was killed"
    return _state_now(target, found, record)


def _state_now(target: Target, found: Found, record: Record | None) -> tuple[State, str]:
    missing = missing_things(target, found)
    if not missing and record is None and not found.is_mounted:
        # Nothing says of which boot it is: a mount is of this one.
        missing = ("record",)
    if not missing:
        return State.UP, ""
    if record is not None or any_stands(found):
        return State.PARTIAL, "missing: " + ", ".join(missing)
    vg = found.vg
    if vg is not None and vg.lv(target.snapshot) is not None:
        return State.FOREIGN, f"{vg.name}/{target.snapshot} is of somebody else"
    return State.DOWN, ""


def from_host(host: str) -> str:
    """Return what a person should know of what was made on `host`, "" for one that is not known."""
    made = f"made on another host, {host}" if host else "made by an older lvmsnap, perhaps on another host"
    return f"{made}; if that is gone for good: lvmsnap recover --from-host {host or UNKNOWN_HOST}"


def merging_hint(target: Target, found: Found) -> str:
    """Return how a merge comes to its end, and what it needs until then."""
    lent, mountpoint = target.lent_pv, target.mount.mountpoint if target.mount else ""
    if lent is not None and found.is_missing:
        attach = f"losetup --find --nooverlap {lent.path}"
        return f"the merge needs the backing file: {attach}; vgchange --activate y {target.vg}"
    held = f" (umount {mountpoint} lets go of the snapshot)" if found.is_mounted else ""
    keep = f"; {lent.path} must stay attached until then" if lent is not None else ""
    return f"the merge begins when neither is open, at the latest at the next boot{held}{keep}"


def why_lost(found: Found, facts: Facts, record: Record | None) -> str:
    """Say how the snapshot was lost while it was up, "" where it was not; what a reboot ended is not lost but stale."""
    lv, vg = found.snapshot, found.vg
    if record is not None and record.boot_id != facts.boot_id:
        return ""
    if lv is not None and lv.is_invalid:
        return OVERFLOWED
    if record is None or vg is None:
        return ""
    if lv is not None and lv.is_partial:
        return "a disk that it lies on is gone"
    # One that is there under another name, or without its tag, shows what it showed before.
    taken = record.snapshot_uuid
    if taken and not any(dm_uuid(vg.uuid, one.uuid) == taken for one in vg.lvs):
        return "it was removed or replaced"
    return record.lost


def missing_things(target: Target, found: Found) -> tuple[str, ...]:
    """Return what the target should have and has not."""
    lent, mount = target.lent_pv is not None, target.mount is not None
    things = (
        ("backing file", not lent or found.file is not None),
        ("loop device", not lent or found.loop is not None),
        ("lent PV", not lent or (found.is_member and found.pv is not None and not found.pv.missing)),
        ("snapshot", found.snapshot is not None and bool(found.snapshot.origin)),
        ("mount", not mount or found.is_mounted),
        ("running origin", not found.suspended),
        ("run of the after_snapshot hook", AFTER_SNAPSHOT not in found.hooks_due),
    )
    return tuple(name for name, stands in things if not stands)


def any_stands(found: Found) -> bool:
    """Whether anything that lvmsnap made for the target is there."""
    return bool(found.snapshot or found.pv or found.file or found.loop or found.leftovers or found.suspended)
