"""Takes down what exists of a target, in reverse order of the stack: for `down`, rollback and recovery alike.

Undo depends on what exists: before each pass the system is read again, and what exists of the target is undone, last
made first. A failed undo holds back only the actions that need its object gone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from lvmsnap.execution import guard_reports, hold_marks, records, verification
from lvmsnap.execution.context import Work, hold_for, run_all
from lvmsnap.model.condition import FileMade, SnapshotMounted
from lvmsnap.model.dataclass import dataclass, field, replace
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
    """How a walk down ended: what still exists after the last pass, and what went wrong with the hooks around it.

    `complaints` say why what is left could not be undone, except what was only held back.
    """

    left: tuple[Action, ...]
    failed_hooks: tuple[str, ...]
    complaints: tuple[str, ...] = ()


@dataclass(slots=True)
class _Past:
    """What one pass hands to the next: the current record, and what went wrong with hooks that are tried only once.

    `kept` is the record as it was last written; `complaints` are those of the last pass, `earlier` those before.
    """

    record: Record | None
    kept: Record | None
    failed_hooks: dict[str, None] = field(default_factory=dict)
    complaints: dict[str, None] = field(default_factory=dict)
    earlier: dict[str, None] = field(default_factory=dict)

    def settle(self, action: Action) -> None:
        """Note that a hook is no longer due."""
        if self.record and (hook := hook_actions.hook_of(action)):
            self.record = replace(self.record, hooks_due=tuple(due for due in self.record.hooks_due if due != hook))

    def keep(self) -> None:
        """Write the record if it has changed."""
        if self.record and self.record != self.kept:
            records.keep(self.record)
            self.kept = self.record


def take_down(target: Target, record: Record | None, work: Work, *, verb: str) -> TakenDown:
    """Undo what exists of the target, in passes while anything is left; nothing while LVM merges its snapshot.

    A pass that raises counts as one that left something; the last pass's exception is raised.
    """
    past, left_over = _Past(record, record), True
    for attempt in range(PASSES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            facts = _read(target, work)
            # Once an object is gone its name can no longer be looked up: keep the one it has now.
            target = as_named_now(target, facts)
            plan = planner.plan_down(target, facts, past.record)
            if plan.checks:
                break
            if plan.actions:
                work.progress.begin(verb, plan.actions)
            left_over = bool(_walk_down(plan, target, facts, past, work)) or _leftovers(target, facts)
            if not left_over:
                break
            past.keep()
        except FAULTS:
            past.keep()
            if attempt == PASSES - 1:
                raise
    still = planner.plan_down(target, _read(target, work), past.record).actions if left_over else ()
    if not still:
        for complaint in past.earlier | past.complaints:
            work.progress.warn(f"{complaint}; a later attempt succeeded")
        _forget(target, past, work)
    return TakenDown(still, tuple(past.failed_hooks), tuple(past.complaints))


def _expect_gone(action: Action, past: _Past) -> None:
    """Record that a snapshot is being removed, so that it is not taken for lost if lvmsnap is killed after that."""
    target = verification.as_going(action.condition, past.record.target) if past.record else None
    if past.record and target and target != past.record.target:
        past.record = replace(past.record, target=target)
        past.keep()


def _forget(target: Target, past: _Past, work: Work) -> None:
    """Remove the record; if it stays, it at least says what has been done. Raises the error that keeps it."""
    if not work.owns_record:
        return
    guard_reports.remove(target.name)
    hold_marks.remove(target.name)
    for attempt in range(PASSES):
        try:
            records.remove(target.name)
            return
        except FAULTS:
            if attempt == PASSES - 1:
                past.keep()
                raise
            time.sleep(PAUSE_SECONDS)


def _read(target: Target, work: Work) -> Facts:
    """Read the system. Raises ToolError if LVM does not report a group whose devices exist."""
    facts = work.read(target)
    parts: tuple[Snapshot | Loan, ...] = (*target.snapshots, *target.loans)
    for part in parts:
        if part.vg_uuid and find_vg(part, facts) is None:
            prefix = dm_uuid(part.vg_uuid, "")
            if any(device.uuid.startswith(prefix) for device in facts.dm_devices):
                raise ToolError(f"LVM does not report the volume group {part.vg}, although its devices exist")
    return facts


def _walk_down(plan: Plan, target: Target, facts: Facts, past: _Past, work: Work) -> set[Key]:
    """Undo each action of a plan; return what is left."""
    left: set[Key] = set()
    past.earlier |= past.complaints
    past.complaints.clear()
    for number, action in enumerate(plan.actions, 1):
        work.progress.step(action, number, len(plan.actions))
        start = time.monotonic()
        is_held_back, complaint = _held_back(action, left, target, facts)
        complaint = complaint or _lock(action, work)
        if not complaint:
            _expect_gone(action, past)
        complaint = complaint or _undo_or_say(action, target, work)
        if not complaint:
            past.settle(action)
            work.progress.done(action, time.monotonic() - start)
            continue
        work.progress.failed(action, complaint)
        if hook_actions.hook_of(action) in hook_actions.ONE_TRY and not is_held_back:
            past.failed_hooks[f"the {action.thing.value} failed: {complaint}"] = None
            past.settle(action)
        else:
            left.add(action.key)
            if not is_held_back:
                past.complaints[f"{action.undo_summary}: {complaint}"] = None
    work.locks.release()
    return left


def _held_back(action: Action, left: set[Key], target: Target, facts: Facts) -> tuple[bool, str]:
    """Return whether something that is left keeps the action from being undone, and the message for that."""
    things = list(dict.fromkeys(key.thing.value for key in action.needs_gone if key in left))
    if hook_actions.hook_of(action) == hook_actions.AFTER_DOWN and not things and _leftovers(target, facts):
        things = [Thing.SNAPSHOT.value]
    return bool(things), f"held back: the {' and the '.join(things)} is still there" if things else ""


def _lock(action: Action, work: Work) -> str:
    """Take the locks that the action needs; return what is wrong, "" if nothing is."""
    try:
        hold_for(action, work.locks)
    except FAULTS as error:
        return explained(error)
    return ""


def _undo_or_say(action: Action, target: Target, work: Work) -> str:
    """Run an action's undo; return what is wrong, also what it raises: the others must be undone all the same."""
    try:
        return _undo(action, target, work)
    except FAULTS as error:
        return explained(error)


def _undo(action: Action, target: Target, work: Work) -> str:
    """Run an action's undo; return what is wrong, "" if nothing is."""
    if hook := hook_actions.hook_of(action):
        return work.hooks.run(hook, action.undo[0], target)
    if action.blocked:
        # LVM refuses it too, but reactivates what it can.
        for argv in action.undo:
            work.runner.run(argv)
        return f"it holds {action.blocked}"
    complaint = _in_use(action, target, work) or run_all(action.undo, work.runner, work.progress.warn)
    if complaint and not verification.is_gone_by_itself(action.condition, target):
        return complaint
    if there := verification.remains(action.condition, target, shell_line(action.undo[-1])):
        return there
    if isinstance(action.condition, FileMade):
        # Once the record is gone, nobody would recognise a file that comes back after a power cut.
        with suppress(OSError):
            atomic_files.sync_directory(Path(action.object).parent)
    return ""


def _in_use(action: Action, target: Target, work: Work) -> str:
    """Say who needs the mount, or keeps its device busy, although umount would succeed: the snapshot would stay then.

    Removing the mountpoint's directory would even unmount it in other mount namespaces (rmdir(2)).
    """
    condition = action.condition
    pins = work.pins(target, condition.mountpoint) if isinstance(condition, SnapshotMounted) else ()
    return f"not unmounted, since the snapshot is in use: {'; '.join(pins)}" if pins else ""


def _leftovers(target: Target, facts: Facts) -> bool:
    """Whether device-mapper still has devices that LVM, after removing its part, no longer knows."""
    return any(_leftovers_of(target, snapshot, facts) for snapshot in target.snapshots)


def _leftovers_of(target: Target, snapshot: Snapshot, facts: Facts) -> bool:
    vg = find_vg(snapshot, facts)
    if vg is None:
        return False
    without_ours = replace(vg, lvs=tuple(lv for lv in vg.lvs if not is_ours(lv, target, snapshot)))
    return bool(leftover_devices(target, snapshot, without_ours, device_mapper.devices()))
