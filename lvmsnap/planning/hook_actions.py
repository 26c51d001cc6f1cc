"""A profile's hooks as actions: when each is due, and its environment variables. Pure."""

from __future__ import annotations

from lvmsnap.model.condition import HookDue, HookOver
from lvmsnap.model.dataclass import replace
from lvmsnap.model.plan import Action, Key, Phase, Thing
from lvmsnap.model.profile import Argv, Hooks
from lvmsnap.model.target import Record, Target

BEFORE_SNAPSHOT, AFTER_SNAPSHOT = "before_snapshot", "after_snapshot"
BEFORE_DOWN, AFTER_DOWN = "before_down", "after_down"

# These two are tried once: repeating them would not help. after_snapshot is tried until it succeeds.
ONE_TRY = (BEFORE_DOWN, AFTER_DOWN)


def variables(target: Target) -> dict[str, str]:
    """Return the environment variables of hooks and of the command of `run`.

    LVMSNAP_MOUNTPOINT is the top of the tree, or the only mountpoint. The suffixes _1, _2 number the volumes in the
    order of the profile. A variable without a value is left out.
    """
    only = target.snapshots[0] if len(target.snapshots) == 1 else None
    found = {
        "LVMSNAP_PROFILE": target.name,
        "LVMSNAP_MOUNTPOINT": target.tree or (only.mount.mountpoint if only and only.mount else ""),
        "LVMSNAP_DEVICE": only.device if only else "",
    }
    for number, snapshot in enumerate(target.snapshots, 1):
        found[f"LVMSNAP_DEVICE_{number}"] = snapshot.device
        found[f"LVMSNAP_MOUNTPOINT_{number}"] = snapshot.mount.mountpoint if snapshot.mount else ""
    return {name: value for name, value in found.items() if value}


def commands(hooks: Hooks) -> tuple[Argv, ...]:
    """Return the commands of the hooks that the profile has."""
    given = (hooks.before_snapshot, hooks.after_snapshot, hooks.before_down, hooks.after_down)
    return tuple(argv for argv in given if argv)


def due_when_up(hooks: Hooks) -> tuple[str, ...]:
    """Return the names of the hooks to run when everything is taken down."""
    given = (("before_down", hooks.before_down), ("after_down", hooks.after_down))
    return tuple(name for name, argv in given if argv)


def due_from(action: Action, record: Record) -> tuple[str, ...]:
    """Return the names of the hooks that are due as soon as `action` has begun."""
    begins = action.condition == HookOver(BEFORE_SNAPSHOT) and record.target.hooks.after_snapshot
    return (AFTER_SNAPSHOT,) if begins else record.hooks_due


def settled_by(action: Action, record: Record) -> tuple[str, ...]:
    """Return the names of the hooks that are still due once `up` has completed `action`."""
    return () if action.condition == HookDue(AFTER_SNAPSHOT) else record.hooks_due


def hook_of(action: Action) -> str:
    """Return the name of the hook that an action runs, "" if it runs none."""
    return action.condition.hook if isinstance(action.condition, HookDue | HookOver) else ""


def around_snapshot(target: Target, due: tuple[str, ...]) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Return the actions before and after the snapshot is taken; the latter also if `up` is undone in between."""
    hooks = target.hooks
    before = Action(
        thing=Thing.BEFORE_SNAPSHOT,
        object=BEFORE_SNAPSHOT,
        summary="run the profile's before_snapshot hook",
        undo_summary="",
        do=(hooks.before_snapshot,),
        undo=(),
        condition=HookOver(BEFORE_SNAPSHOT),
        exists=False,
    )
    after = Action(
        thing=Thing.AFTER_SNAPSHOT,
        object=AFTER_SNAPSHOT,
        summary="run the profile's after_snapshot hook (in any case once before_snapshot began)",
        undo_summary="run the profile's after_snapshot hook, since before_snapshot began",
        do=(hooks.after_snapshot,),
        undo=(hooks.after_snapshot,) if AFTER_SNAPSHOT in due else (),
        condition=HookDue(AFTER_SNAPSHOT),
        exists=AFTER_SNAPSHOT in due,
    )
    return (before,) if hooks.before_snapshot else (), (after,) if hooks.after_snapshot else ()


def around_down(
    target: Target, due: tuple[str, ...], others: tuple[Action, ...]
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Return the action to run once all `others` are taken down, and the one to run before; `up` runs neither."""
    hooks = target.hooks
    everything = tuple(action.key for action in others if action.undo and not hook_of(action))
    last = _at_down(Thing.AFTER_DOWN, AFTER_DOWN, hooks.after_down, due, everything)
    first = replace(_at_down(Thing.BEFORE_DOWN, BEFORE_DOWN, hooks.before_down, due, ()), phase=Phase.EXPOSE)
    return (last,) if hooks.after_down else (), (first,) if hooks.before_down else ()


def _at_down(thing: Thing, name: str, argv: Argv, due: tuple[str, ...], needs_gone: tuple[Key, ...]) -> Action:
    return Action(
        thing=thing,
        object=name,
        summary=f"run the profile's {name} hook",
        undo_summary=f"run the profile's {name} hook",
        do=(),
        undo=(argv,),
        condition=HookDue(name),
        exists=name in due,
        needs_gone=needs_gone,
    )
