"""Whether what exists of a profile is up, in use by a run, lost or left over: by its record and the system."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import LvmsnapError, Refusal, RefusedError, ResidueError, SnapshotLostError
from lvmsnap.model.facts import Facts
from lvmsnap.model.target import Loss, Record, Target
from lvmsnap.planning import state
from lvmsnap.planning.identify import find
from lvmsnap.planning.state import REMEDIES, State, Status
from lvmsnap.system import process_table, reading
from lvmsnap.system.reading import Interest


@dataclass(frozen=True, slots=True)
class Seen:
    """What exists of a target. `lost` says how one of its snapshots was lost, None if none was.

    `run_pid` is the pid of the `lvmsnap run` or `hold` that it is up for, 0 if none is running.
    `is_left`: a crash, a power cut, or the kill of a run or hold left it.
    """

    status: Status
    lost: Loss | None
    run_pid: int
    is_left: bool


def look(target: Target, record: Record | None, system: Facts) -> Seen:
    """Look at a target's paths and its process."""
    focused = reading.focus(system, Interest.of_target(target, record))
    seen = state.of_target(target, focused, record)
    lost = state.why_lost(find(target, focused, record), focused, record)
    process = record.process if record else None
    if process is not None and not focused.looked.is_process_gone and seen.state is not State.STALE:
        return Seen(seen, lost, process.pid, is_left=False)
    if seen.state in (State.MERGING, State.FOREIGN):
        return Seen(seen, lost, 0, is_left=False)
    # A snapshot that overflowed is left to a person, who may be looking at it.
    is_shown = lost is not None and lost.how in REMEDIES
    is_left = seen.state in (State.PARTIAL, State.STALE) or (seen.state is State.LOST and not is_shown)
    return Seen(seen, lost, 0, is_left or process is not None)


def survivors(record: Record | None, system: Facts) -> tuple[str, ...]:
    """Name the processes that the command of a killed `lvmsnap run` left running, each as "pid PID (NAME)"."""
    if record is None or record.command in (None, record.process) or record.boot_id != system.boot_id:
        return ()
    return process_table.group_of(record.command)


def refuse_at_work(name: str, seen: Seen) -> None:
    """Raise RefusedError if a running `lvmsnap run` or `hold` is using the profile."""
    if seen.run_pid:
        found = f"lvmsnap (pid {seen.run_pid}) is using {name}"
        hint = f"wait until that run, or hold, has ended; lvmsnap status {name} shows it"
        raise RefusedError((Refusal(found, hint),))


def warn_of_lost(name: str, lost: Loss) -> str:
    """Return the warning that a profile's snapshot was lost."""
    what = state.whose_snapshot(name, lost)
    return f"{what} was lost while it was up: {lost.how}; do not trust what was read from it"


def lost_at_down(name: str, lost: Loss, failed: LvmsnapError | None) -> SnapshotLostError:
    """Return the error of a profile whose snapshot was lost while it was up; `failed` is what else went wrong."""
    done = f"{name} is taken down" if failed is None else failed.message
    larger = f"; {REMEDIES[lost.how]}, or back up when less is written" if lost.how in REMEDIES else ""
    hint = f"do not trust what was read from it{larger}"
    residue = failed if isinstance(failed, ResidueError) else None
    what = f"{state.whose_snapshot(name, lost)} was lost while it was up: {lost.how}; {done}"
    return SnapshotLostError(what, hint=hint, residue=residue)
