"""Walks a plan: the only module that changes anything. Up, down, rollback and recovery are the same walk.

Undo goes by what is there: before each pass the system is read again, and what stands of the target is undone,
last made first. A failing undo holds back only what needs it gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lvmsnap import device_mapper, kernel, planner, record, runner, sighting, standing
from lvmsnap.errors import InterruptedBySignalError, ResidueError, StepError, ToolError, what_to_do
from lvmsnap.facts import file_facts
from lvmsnap.identify import as_named_now, dm_uuid, find_vg, is_ours, leftover_devices
from lvmsnap.model import Action, Argv, Plan, Record, Target, Thing
from lvmsnap.record import RecordError
from lvmsnap.runner import Runner, Signals
from lvmsnap.system import Facts

PASSES = 3
PAUSE_SECONDS = 1.0
DETACH_SECONDS = 10.0


class Progress(Protocol):
    """Is told what happens while it happens."""

    def begin(self, verb: str, actions: tuple[Action, ...]) -> None:
        """A walk begins: `verb` is "up", "undo" or "down"."""

    def step(self, action: Action, number: int, total: int) -> None:
        """A step begins."""

    def done(self, action: Action, seconds: float) -> None:
        """The step took effect."""

    def failed(self, action: Action, complaint: str) -> None:
        """The step failed, or was held back by one that did."""

    def note(self, text: str) -> None:
        """Something a person should know."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a walk works with. `read` reads the system for a target, `holders` names who keeps a mountpoint busy."""

    runner: Runner
    signals: Signals
    progress: Progress
    read: Callable[[Target], Facts]
    holders: Callable[[Target], tuple[str, ...]]


class _Stopped(Exception):
    """A step failed, or a signal came; what was begun is to be undone."""


def bring_up(plan: Plan, written: Record, work: Work) -> None:
    """Do every action of an up plan. The record is written first and stays; on failure everything is undone.

    Raises StepError (undone), InterruptedBySignalError (undone) or ResidueError (something is left).
    """
    record.write(written)
    work.progress.begin("up", plan.actions)
    try:
        for number, action in enumerate(plan.actions, 1):
            work.progress.step(action, number, len(plan.actions))
            written = _do(action, written, work)
            _stop_on_signal(work)
    except (_Stopped, RecordError) as stopped:
        _roll_back(written, str(stopped), work)


def _do(action: Action, written: Record, work: Work) -> Record:
    start = time.monotonic()
    for argv in action.do:
        finished = work.runner.run(argv)
        if not finished.ok:
            work.progress.failed(action, finished.complaint)
            _stop_on_signal(work)
            raise _Stopped(f"{action.summary} failed: {runner.shell_line(argv)}: {finished.complaint}")
    if action.thing is Thing.FILE:
        written = _learn_file(written)
    if missing := standing.not_standing(action.thing, written.target):
        work.progress.failed(action, missing)
        raise _Stopped(f"{action.summary} had no effect: {missing}")
    work.progress.done(action, time.monotonic() - start)
    return written


def _stop_on_signal(work: Work) -> None:
    if work.signals.received:
        raise _Stopped(f"interrupted by {work.signals.name}")


def _learn_file(written: Record) -> Record:
    """Write the new file's inode into the record: from now on it is known by that, not by its name."""
    lent = written.target.lent_pv
    file = file_facts(lent.path) if lent else None
    if lent is None or file is None or not file.is_empty_private:
        return written
    known = replace(lent, inode=file.inode, device=file.device)
    written = replace(written, target=replace(written.target, lent_pv=known))
    record.write(written)
    return written


def _roll_back(written: Record, why: str, work: Work) -> None:
    mount = written.target.mount
    # Whatever the profile says of directories that were there before, a failed `up` leaves them there.
    target = replace(written.target, mount=mount and replace(mount, remove_directory=mount.make_directory))
    left = _take_down_or_say(target, written, work, verb="undo", why=why)
    if left:
        raise _residue(why, left, target, work)
    if work.signals.received:
        raise InterruptedBySignalError(work.signals.received, f"{why}; everything begun was undone")
    raise StepError(f"{why}", hint=f"everything begun was undone; {what_to_do(why)}")


def bring_down(target: Target, written: Record | None, work: Work) -> None:
    """Take down everything that stands of the target, and its record. Raises ResidueError where something is left.

    A signal does not stop it half-way: it ends with everything taken down, then raises InterruptedBySignalError.
    """
    why = f"{target.name} could not be taken down"
    left = _take_down_or_say(target, written, work, verb="down", why=why)
    if left:
        raise _residue(why, left, target, work)
    if work.signals.received:
        raise InterruptedBySignalError(work.signals.received, f"interrupted by {work.signals.name}; it is all down")


def _take_down_or_say(target: Target, written: Record | None, work: Work, *, verb: str, why: str) -> tuple[Action, ...]:
    """Take down; a system that cannot be read half-way is no reason to say that nothing was changed."""
    try:
        return take_down(target, written, work, verb=verb)
    except ToolError as error:
        raise ResidueError(
            f"{why}; what is left is not known, since the system cannot be read: {error.message}",
            residue=(f"unknown: whatever of {target.name} stands",),
            commands=(f"lvmsnap down {target.name}",),
            hint=f"mend what it says, then lvmsnap down {target.name}: the record is kept",
        ) from error


def take_down(target: Target, written: Record | None, work: Work, *, verb: str) -> tuple[Action, ...]:
    """Undo what stands of the target, in passes while anything is left; return what still stands after the last."""
    for attempt in range(PASSES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        facts = _read(target, work)
        plan = planner.plan_down(target, facts, written)
        if plan.actions:
            work.progress.begin(verb, plan.actions)
        if _walk_down(plan, target, work) and not _leftovers(target, facts):
            _forget(target.name)
            return ()
    left = planner.plan_down(target, _read(target, work), written).actions
    if not left:
        _forget(target.name)
    return left


def _forget(name: str) -> None:
    sighting.remove(name)
    record.remove(name)


def _read(target: Target, work: Work) -> Facts:
    """Read the system. Raises ToolError where LVM keeps silent about a group whose devices are there."""
    facts = work.read(target)
    if target.vg_uuid and find_vg(target, facts) is None:
        prefix = dm_uuid(target.vg_uuid, "")
        if any(device.uuid.startswith(prefix) for device in facts.dm_devices):
            raise ToolError(f"LVM does not report the volume group {target.vg}, though its devices are there")
    return facts


def _walk_down(plan: Plan, target: Target, work: Work) -> bool:
    left: set[Thing] = set()
    for number, action in enumerate(plan.actions, 1):
        work.progress.step(action, number, len(plan.actions))
        start = time.monotonic()
        held_back = [thing.value for thing in action.needs_gone if thing in left]
        complaint = f"held back: the {' and the '.join(held_back)} is still there" if held_back else ""
        complaint = complaint or _undo(action, target, work)
        if complaint:
            left.add(action.thing)
            work.progress.failed(action, complaint)
        else:
            work.progress.done(action, time.monotonic() - start)
    return not left


def _undo(action: Action, target: Target, work: Work) -> str:
    """Run an action's undo; return what is wrong, "" where nothing is."""
    complaint = run_all(action.undo, work.runner)
    # A device that was told to detach while in use may be gone by itself before it is told again.
    if complaint and not (action.thing is Thing.LOOP and not _is_bound(action.object, target)):
        return complaint
    if action.thing is Thing.LOOP and not _detached(action.object, target):
        # losetup(8): a device in use is detached at its last close; its file must stay until then.
        return f"{action.object} is still in use {DETACH_SECONDS:g} s after losetup --detach"
    if action.thing in (Thing.FILE, Thing.DIRECTORY) and os.path.lexists(action.object):
        return f"{action.object} is still there after {runner.shell_line(action.undo[-1])}"
    if action.thing is Thing.FILE:
        # Without the record nobody would know a file that comes back after a power cut.
        with suppress(OSError):
            record.sync_directory(Path(action.object).parent)
    return ""


def run_all(commands: tuple[Argv, ...], run_with: Runner) -> str:
    """Run commands in their order up to the first that fails; return what is wrong, "" where nothing is."""
    for argv in commands:
        finished = run_with.run(argv)
        if not finished.ok:
            return f"{runner.shell_line(argv)}: {finished.complaint}"
    return ""


def _is_bound(loop_device: str, target: Target) -> bool:
    inode = target.lent_pv.inode if target.lent_pv else None
    return any(loop.device == loop_device and loop.file_inode == inode for loop in kernel.loops())


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


def _residue(why: str, left: tuple[Action, ...], target: Target, work: Work) -> ResidueError:
    busy = work.holders(target) if any(action.thing is Thing.MOUNT for action in left) else ()
    return ResidueError(
        f"{why}; what is left is named below",
        residue=tuple(f"{action.thing.value}: {action.object}" for action in left)
        + tuple(f"held by {holder}" for holder in busy),
        commands=tuple(runner.shell_line(argv) for action in left for argv in action.undo),
        hint=f"lvmsnap down {target.name} tries again; the commands do the same by hand",
    )
