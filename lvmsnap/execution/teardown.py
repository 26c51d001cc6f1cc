"""Takes down what stands of a target, in reverse order of the stack: for `down`, rollback and recovery alike.

Undo goes by what is there: before each pass the system is read again, and what stands of the target is undone,
last made first. A failing undo holds back only what needs it gone.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lvmsnap.execution import guard_reports, records
from lvmsnap.execution.context import Work, hold_for, run_all
from lvmsnap.execution.records import RecordError
from lvmsnap.model.errors import FAULTS, ToolError, explained
from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Action, Plan, Thing
from lvmsnap.model.target import Record, Target
from lvmsnap.planning import hook_actions, planner
from lvmsnap.planning.identify import as_named_now, find_vg, is_ours, leftover_devices
from lvmsnap.system import block_devices, device_mapper
from lvmsnap.system.processes import shell_line

PASSES = 3
PAUSE_SECONDS = 1.0
DETACH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TakenDown:
    """How a walk down ended: what still stands after the last pass, and what went wrong with the hooks around it."""

    left: tuple[Action, ...]
    failed_hooks: tuple[str, ...]


def take_down(target: Target, written: Record | None, work: Work, *, verb: str) -> TakenDown:
    """Undo what stands of the target, in passes while anything is left; nothing while LVM merges its snapshot.

    A pass in which something is raised is one that left something; what the last one raises is raised.
    """
    failed_hooks: dict[str, None] = {}
    for attempt in range(PASSES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            facts = _read(target, work)
            plan = planner.plan_down(target, facts, written)
            if plan.checks:
                break
            if plan.actions:
                work.progress.begin(verb, plan.actions)
            left, written = _walk_down(plan, target, facts, written, work, failed_hooks)
            if not left and not _leftovers(target, facts):
                _forget(target, work)
                return TakenDown((), tuple(failed_hooks))
            written = _settle_hooks(written, plan, left)
        except FAULTS:
            if attempt == PASSES - 1:
                raise
            written = written and recorded(written)
    still = planner.plan_down(target, _read(target, work), written).actions
    if not still:
        _forget(target, work)
    return TakenDown(still, tuple(failed_hooks))


def recorded(written: Record) -> Record:
    """Return the record as it was written last, which tells which hooks are due; as it is known where it is gone."""
    with suppress(*FAULTS):
        return records.read(written.target.name) or written
    return written


def _settle_hooks(written: Record | None, plan: Plan, left: set[Thing]) -> Record | None:
    """Write down which hooks have been run; where that cannot be written they may be run once more."""
    if written is None:
        return None
    done = {
        hook_actions.THINGS[action.thing]
        for action in plan.actions
        if action.thing in hook_actions.THINGS.keys() - left
    }
    due = tuple(name for name in written.hooks_due if name not in done)
    try:
        return records.owe(written, due)
    except RecordError:
        return replace(written, hooks_due=due)


def _expect_no_snapshot(written: Record | None) -> Record | None:
    """Write down that the snapshot goes, so that it is not taken for lost where lvmsnap is killed after that."""
    if written is None or not written.snapshot_uuid:
        return written
    written = replace(written, snapshot_uuid="")
    with suppress(*FAULTS):
        records.write(written)
    return written


def _forget(target: Target, work: Work) -> None:
    if work.owns_record:
        guard_reports.remove(target.name)
        records.remove(target.name)


def _read(target: Target, work: Work) -> Facts:
    """Read the system. Raises ToolError where LVM keeps silent about a group whose devices are there."""
    facts = work.read(target)
    if target.vg_uuid and find_vg(target, facts) is None:
        prefix = dm_uuid(target.vg_uuid, "")
        if any(device.uuid.startswith(prefix) for device in facts.dm_devices):
            raise ToolError(f"LVM does not report the volume group {target.vg}, though its devices are there")
    return facts


def _walk_down(
    plan: Plan, target: Target, facts: Facts, written: Record | None, work: Work, failed_hooks: dict[str, None]
) -> tuple[set[Thing], Record | None]:
    """Undo each action of a plan; return what is left, and the record as it is then.

    Adds to `failed_hooks` those that had their one try.
    """
    left: set[Thing] = set()
    vg = as_named_now(target, facts).vg
    for number, action in enumerate(plan.actions, 1):
        work.progress.step(action, number, len(plan.actions))
        start = time.monotonic()
        held_back = [thing.value for thing in action.needs_gone if thing in left]
        if action.thing is Thing.AFTER_DOWN and not held_back and _leftovers(target, facts):
            held_back = [Thing.SNAPSHOT.value]
        complaint = f"held back: the {' and the '.join(held_back)} is still there" if held_back else ""
        complaint = complaint or _lock(action, vg, work)
        if action.thing is Thing.SNAPSHOT and not complaint:
            written = _expect_no_snapshot(written)
        complaint = complaint or _undo_or_say(action, target, work)
        if not complaint:
            work.progress.done(action, time.monotonic() - start)
            continue
        work.progress.failed(action, complaint)
        if action.thing in hook_actions.ONE_TRY and not held_back:
            failed_hooks[f"the {action.thing.value} failed: {complaint}"] = None
        else:
            left.add(action.thing)
    work.locks.release()
    return left, written


def _lock(action: Action, vg: str, work: Work) -> str:
    """Hold what the action needs; return what is wrong, "" where nothing is."""
    try:
        hold_for(action.thing, vg, work.locks)
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
    if action.thing in hook_actions.THINGS:
        return work.hooks.run(action.thing, action.undo[0], target)
    if action.blocked:
        # LVM refuses it too, but activates again what it can.
        for argv in action.undo:
            work.runner.run(argv)
        return f"it holds {action.blocked}"
    complaint = _in_use(action, target, work) or run_all(action.undo, work.runner)
    # A device that was told to detach while in use may be gone by itself before it is told again.
    if complaint and not (action.thing is Thing.LOOP and not _is_bound(action.object, target)):
        return complaint
    if action.thing is Thing.LOOP and not _detached(action.object, target):
        # losetup(8): a device in use is detached at its last close; its file must stay until then.
        return f"{action.object} is still in use {DETACH_SECONDS:g} s after losetup --detach"
    if action.thing in (Thing.FILE, Thing.DIRECTORY) and os.path.lexists(action.object):
        return f"{action.object} is still there after {shell_line(action.undo[-1])}"
    if action.thing is Thing.FILE:
        # Without the record nobody would know a file that comes back after a power cut.
        with suppress(OSError):
            records.sync_directory(Path(action.object).parent)
    return ""


def _in_use(action: Action, target: Target, work: Work) -> str:
    """Say who needs the mount, or keeps its device busy, though umount would succeed: the snapshot would stay then.

    Removing the mountpoint's directory would even unmount it where another mount namespace has it (rmdir(2)).
    """
    pins = work.pins(target) if action.thing is Thing.MOUNT else ()
    return f"not unmounted, since the snapshot is in use: {'; '.join(pins)}" if pins else ""


def _is_bound(loop_device: str, target: Target) -> bool:
    inode = target.lent_pv.inode if target.lent_pv else None
    return any(loop.device == loop_device and loop.file_inode == inode for loop in block_devices.loops())


def _detached(loop_device: str, target: Target) -> bool:
    deadline = time.monotonic() + DETACH_SECONDS
    while _is_bound(loop_device, target):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _leftovers(target: Target, facts: Facts) -> bool:
    """Whether device-mapper still has devices that LVM no longer knows, after LVM removed its part."""
    target, vg = as_named_now(target, facts), find_vg(target, facts)
    if vg is None:
        return False
    without_ours = replace(vg, lvs=tuple(lv for lv in vg.lvs if not is_ours(lv, target)))
    return bool(leftover_devices(target, without_ours, device_mapper.devices()))
