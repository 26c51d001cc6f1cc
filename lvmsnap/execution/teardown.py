"""Takes down what exists of a target, in reverse order of the stack: for `down`, rollback and recovery alike.

Undo depends on what is there: before each pass the system is read again, and what exists of the target is undone,
last made first. A failing undo holds back only what needs it gone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lvmsnap.execution import guard_reports, records, verification
from lvmsnap.execution.context import Work, hold_for, run_all
from lvmsnap.execution.records import RecordError
from lvmsnap.model.condition import FileMade, SnapshotMounted
from lvmsnap.model.errors import FAULTS, ToolError, explained
from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Action, Key, Plan, Thing
from lvmsnap.model.target import Loan, Record, Snapshot, Target
from lvmsnap.planning import hook_actions, planner
from lvmsnap.planning.identify import as_named_now, find_vg, is_ours, leftover_devices
from lvmsnap.system import atomic_files, device_mapper
from lvmsnap.system.processes import shell_line

PASSES = 3
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class TakenDown:
    """How a walk down ended: what still exists after the last pass, and what went wrong with the hooks around it."""

    left: tuple[Action, ...]
    failed_hooks: tuple[str, ...]


def take_down(target: Target, record: Record | None, work: Work, *, verb: str) -> TakenDown:
    """Undo what exists of the target, in passes while anything is left; nothing while LVM merges its snapshot.

    A pass in which something is raised is one that left something; what the last one raises is raised.
    """
    failed_hooks: dict[str, None] = {}
    for attempt in range(PASSES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            facts = _read(target, work)
            # What is gone by the next pass has no other name than it has now.
            target = as_named_now(target, facts)
            plan = planner.plan_down(target, facts, record)
            if plan.checks:
                break
            if plan.actions:
                work.progress.begin(verb, plan.actions)
            left, record = _walk_down(plan, target, facts, record, work, failed_hooks)
            if not left and not _leftovers(target, facts):
                _forget(target, work)
                return TakenDown((), tuple(failed_hooks))
            record = _settle_hooks(record, plan, left)
        except FAULTS:
            if attempt == PASSES - 1:
                raise
            record = record and recorded(record)
    still = planner.plan_down(target, _read(target, work), record).actions
    if not still:
        _forget(target, work)
    return TakenDown(still, tuple(failed_hooks))


def recorded(record: Record) -> Record:
    """Return the record as it was kept last, which says which hooks are due; as it is known where it is gone."""
    with suppress(*FAULTS):
        return records.read(record.target.name) or record
    return record


def _settle_hooks(record: Record | None, plan: Plan, left: set[Key]) -> Record | None:
    """Write down which hooks have been run; where that cannot be record they may be run once more."""
    if record is None:
        return None
    done = {hook_actions.hook_of(action) for action in plan.actions if action.key not in left}
    due = tuple(name for name in record.hooks_due if name not in done)
    try:
        return records.owe(record, due)
    except RecordError:
        return replace(record, hooks_due=due)


def _expect_gone(action: Action, record: Record | None) -> Record | None:
    """Write down that a snapshot goes, so that it is not taken for lost where lvmsnap is killed after that."""
    target = verification.as_going(action.condition, record.target) if record else None
    if record is None or target is None or target == record.target:
        return record
    record = replace(record, target=target)
    with suppress(*FAULTS):
        records.write(record)
    return record


def _forget(target: Target, work: Work) -> None:
    if work.owns_record:
        guard_reports.remove(target.name)
        records.remove(target.name)


def _read(target: Target, work: Work) -> Facts:
    """Read the system. Raises ToolError where LVM keeps silent about a group whose devices are there."""
    facts = work.read(target)
    parts: tuple[Snapshot | Loan, ...] = (*target.snapshots, *target.loans)
    for part in parts:
        if part.vg_uuid and find_vg(part, facts) is None:
            prefix = dm_uuid(part.vg_uuid, "")
            if any(device.uuid.startswith(prefix) for device in facts.dm_devices):
                raise ToolError(f"LVM does not report the volume group {part.vg}, though its devices are there")
    return facts


def _walk_down(
    plan: Plan, target: Target, facts: Facts, record: Record | None, work: Work, failed_hooks: dict[str, None]
) -> tuple[set[Key], Record | None]:
    """Undo each action of a plan; return what is left, and the record as it is then.

    Adds to `failed_hooks` those that had their one try.
    """
    left: set[Key] = set()
    for number, action in enumerate(plan.actions, 1):
        work.progress.step(action, number, len(plan.actions))
        start = time.monotonic()
        is_held_back, complaint = _held_back(action, left, target, facts)
        complaint = complaint or _lock(action, work)
        if not complaint:
            record = _expect_gone(action, record)
        complaint = complaint or _undo_or_say(action, target, work)
        if not complaint:
            work.progress.done(action, time.monotonic() - start)
            continue
        work.progress.failed(action, complaint)
        if hook_actions.hook_of(action) in hook_actions.ONE_TRY and not is_held_back:
            failed_hooks[f"the {action.thing.value} failed: {complaint}"] = None
        else:
            left.add(action.key)
    work.locks.release()
    return left, record


def _held_back(action: Action, left: set[Key], target: Target, facts: Facts) -> tuple[bool, str]:
    """Return whether something that is left keeps the action from being undone, and what to say of it."""
    things = list(dict.fromkeys(key.thing.value for key in action.needs_gone if key in left))
    if hook_actions.hook_of(action) == hook_actions.AFTER_DOWN and not things and _leftovers(target, facts):
        things = [Thing.SNAPSHOT.value]
    return bool(things), f"held back: the {' and the '.join(things)} is still there" if things else ""


def _lock(action: Action, work: Work) -> str:
    """Hold what the action needs; return what is wrong, "" where nothing is."""
    try:
        hold_for(action, work.locks)
    except FAULTS as error:
        return explained(error)
    return ""


def _undo_or_say(action: Action, target: Target, work: Work) -> str:
    """Run an action's undo; return what is wrong, whatever is raised: the others are to be undone all the same."""
    try:
        return _undo(action, target, work)
    except FAULTS as error:
        return explained(error)


def _undo(action: Action, target: Target, work: Work) -> str:
    """Run an action's undo; return what is wrong, "" where nothing is."""
    if hook := hook_actions.hook_of(action):
        return work.hooks.run(hook, action.undo[0], target)
    if action.blocked:
        # LVM refuses it too, but activates again what it can.
        for argv in action.undo:
            work.runner.run(argv)
        return f"it holds {action.blocked}"
    complaint = _in_use(action, target, work) or run_all(action.undo, work.runner)
    if complaint and not verification.is_gone_by_itself(action.condition, target):
        return complaint
    if there := verification.remains(action.condition, target, shell_line(action.undo[-1])):
        return there
    if isinstance(action.condition, FileMade):
        # Without the record nobody would know a file that comes back after a power cut.
        with suppress(OSError):
            atomic_files.sync_directory(Path(action.object).parent)
    return ""


def _in_use(action: Action, target: Target, work: Work) -> str:
    """Say who needs the mount, or keeps its device busy, though umount would succeed: the snapshot would stay then.

    Removing the mountpoint's directory would even unmount it where another mount namespace has it (rmdir(2)).
    """
    condition = action.condition
    pins = work.pins(target, condition.mountpoint) if isinstance(condition, SnapshotMounted) else ()
    return f"not unmounted, since the snapshot is in use: {'; '.join(pins)}" if pins else ""


def _leftovers(target: Target, facts: Facts) -> bool:
    """Whether device-mapper still has devices that LVM no longer knows, after LVM removed its part."""
    return any(_leftovers_of(target, snapshot, facts) for snapshot in target.snapshots)


def _leftovers_of(target: Target, snapshot: Snapshot, facts: Facts) -> bool:
    vg = find_vg(snapshot, facts)
    if vg is None:
        return False
    without_ours = replace(vg, lvs=tuple(lv for lv in vg.lvs if not is_ours(lv, target, snapshot)))
    return bool(leftover_devices(target, snapshot, without_ours, device_mapper.devices()))
