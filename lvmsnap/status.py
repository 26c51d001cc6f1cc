"""What state each profile is in: facts and record in, a Status out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lvmsnap.identify import Found, find
from lvmsnap.model import Record, Target
from lvmsnap.system import Facts


class State(Enum):
    """A profile's state on this machine."""

    DOWN = "down"
    UP = "up"
    PARTIAL = "partial"
    LOST = "lost"
    STALE = "stale"
    FOREIGN = "foreign"


MEANING = {
    State.DOWN: "nothing of it stands",
    State.UP: "all of it stands",
    State.PARTIAL: "something of it is missing: lvmsnap recover puts it right",
    State.LOST: "its snapshot overflowed or lost its disk, nothing read from it counts: lvmsnap down",
    State.STALE: "left by an earlier boot: lvmsnap recover puts it right",
    State.FOREIGN: "the name of its snapshot is taken",
}


@dataclass(frozen=True, slots=True)
class Status:
    """One profile's state; `time` is when it was brought up (ISO 8601 UTC), `fill_percent` of its CoW space."""

    name: str
    state: State
    snapshot: str = ""
    size_bytes: int = 0
    fill_percent: float | None = None
    mountpoint: str = ""
    device: str = ""
    time: str = ""
    problem: str = ""


def of_target(target: Target, facts: Facts, record: Record | None) -> Status:
    """Return the state of a target, by what of it stands."""
    found = find(target, facts, record)
    state, problem = _state(target, found, facts, record)
    snapshot = found.snapshot
    return Status(
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


def _state(target: Target, found: Found, facts: Facts, record: Record | None) -> tuple[State, str]:
    if record is not None and record.boot_id != facts.boot_id:
        return State.STALE, ""
    if found.snapshot is not None and found.snapshot.is_invalid:
        return State.LOST, ""
    missing = missing_things(target, found)
    if not missing:
        return State.UP, ""
    if record is not None or any_stands(found):
        return State.PARTIAL, "missing: " + ", ".join(missing)
    vg = found.vg
    if vg is not None and vg.lv(target.snapshot) is not None:
        return State.FOREIGN, f"{vg.name}/{target.snapshot} is of somebody else"
    return State.DOWN, ""


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
    )
    return tuple(name for name, stands in things if not stands)


def any_stands(found: Found) -> bool:
    """Whether anything that lvmsnap made for the target is there."""
    return bool(found.snapshot or found.pv or found.file or found.loop or found.leftovers or found.suspended)
