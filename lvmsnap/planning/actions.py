"""The stack: the actions of all of a target's parts, in the order of `up`. Pure.

The commands, their undo and the conditions that show whether they took effect are in `file_actions`, `loan_actions`,
`snapshot_actions`, `cut_actions`, `luks_actions`, `mount_actions` and `hook_actions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lvmsnap.model.dataclass import replace
from lvmsnap.model.plan import Action, Phase
from lvmsnap.model.target import Target
from lvmsnap.planning import (
    cut_actions,
    file_actions,
    hook_actions,
    loan_actions,
    luks_actions,
    mount_actions,
    snapshot_actions,
)
from lvmsnap.planning.identify import Found, FoundLoan


def stack(target: Target, found: Found, loop_devices: Mapping[str, str]) -> tuple[Action, ...]:
    """Return the target's actions in the order of `up`.

    `target` has its current names; `loop_devices` maps each lent PV's UUID to the loop device of its backing file.
    """
    before, after = hook_actions.around_snapshot(target, found.hooks_due)
    files = [action for one in found.loans for action in _file(one, loop_devices[one.loan.pv_uuid])]
    # From vgextend to lvcreate any allocation in the group, dmeventd's for instance, can take the lent space: nothing
    # slow and nothing of the user's runs in between.
    lent = [action for one in found.loans for action in _lending(one, found, loop_devices[one.loan.pv_uuid])]
    prepared, taken = _taking(target, found, loop_devices)
    resumed = [snapshot_actions.resumed_origin(one) for one in found.snapshots]
    opened = [action for one in found.snapshots for action in luks_actions.opening(one)]
    middle = (
        *_in(Phase.PREPARE, (*files, *before, *lent, *prepared)),
        *_in(Phase.CUT, taken),
        *_in(Phase.EXPOSE, (*after, *resumed, *opened, *mount_actions.mounts(target, found))),
    )
    last, first = hook_actions.around_down(target, found.hooks_due, middle)
    return (*last, *(_with_all_groups(action, target) for action in middle), *first)


def _in(phase: Phase, actions: Iterable[Action]) -> tuple[Action, ...]:
    return tuple(replace(action, phase=phase) for action in actions)


def _with_all_groups(action: Action, target: Target) -> Action:
    """Return the action with the locks of all the target's groups: they stay held from one change to the next."""
    if action.locks is None or not action.locks.groups:
        return action
    return replace(action, locks=replace(action.locks, groups=tuple(sorted(target.groups))))


def _file(found: FoundLoan, loop_device: str) -> tuple[Action, ...]:
    return (
        file_actions.backing_file(found, loop_device),
        file_actions.backing_file_space(found),
        loan_actions.loop(found, loop_device),
        loan_actions.physical_volume(found, loop_device),
    )


def _lending(found: FoundLoan, all_found: Found, loop_device: str) -> tuple[Action, ...]:
    return loan_actions.active_origin(found), loan_actions.vg_member(found, all_found, loop_device)


def _taking(
    target: Target, found: Found, loop_devices: Mapping[str, str]
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Return the actions that prepare the snapshots, and those that take them: one by one, or all at one instant."""
    taken = [snapshot_actions.snapshot(target, one, found, loop_devices) for one in found.snapshots]
    if target.is_consistent:
        taken = [replace(action, do=()) for action in taken]
    left = [snapshot_actions.leftover_devices(one) for one in found.snapshots]
    pairs = tuple(action for pair in zip(left, taken, strict=True) for action in pair)
    if not target.is_consistent:
        return (), pairs
    return (cut_actions.prepared(target, found, loop_devices),), (*pairs, cut_actions.cut(target, found, loop_devices))
