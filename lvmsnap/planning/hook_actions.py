"""A profile's own commands around the snapshot as actions: when each is due, and what it finds around it. Pure."""

from __future__ import annotations

from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.profile import Argv, Hooks
from lvmsnap.model.target import Record, Target

BEFORE_SNAPSHOT, AFTER_SNAPSHOT = "before_snapshot", "after_snapshot"
THINGS = {
    Thing.BEFORE_SNAPSHOT: BEFORE_SNAPSHOT,
    Thing.AFTER_SNAPSHOT: AFTER_SNAPSHOT,
    Thing.BEFORE_DOWN: "before_down",
    Thing.AFTER_DOWN: "after_down",
}

# What these two should have done is not undone by trying again and again; after_snapshot must succeed.
ONE_TRY = (Thing.BEFORE_DOWN, Thing.AFTER_DOWN)


def variables(target: Target) -> dict[str, str]:
    """Return what hooks and the command of `run` find in their environment; names with _1 are of the first volume."""
    mountpoint = target.mount.mountpoint if target.mount else ""
    device = f"/dev/{target.vg}/{target.snapshot}"
    found = {"LVMSNAP_PROFILE": target.name, "LVMSNAP_MOUNTPOINT": mountpoint, "LVMSNAP_DEVICE": device}
    return {**found, "LVMSNAP_MOUNTPOINT_1": mountpoint, "LVMSNAP_DEVICE_1": device}


def commands(hooks: Hooks) -> tuple[Argv, ...]:
    """Return the commands of those hooks that the profile has."""
    given = (hooks.before_snapshot, hooks.after_snapshot, hooks.before_down, hooks.after_down)
    return tuple(argv for argv in given if argv)


def due_when_up(hooks: Hooks) -> tuple[str, ...]:
    """Return the names of the hooks that are to be run once all is to be taken down."""
    given = (("before_down", hooks.before_down), ("after_down", hooks.after_down))
    return tuple(name for name, argv in given if argv)


def due_from(thing: Thing, record: Record) -> tuple[str, ...]:
    """Return the names of the hooks that are due from the moment on in which this is begun."""
    begins = thing is Thing.BEFORE_SNAPSHOT and record.target.hooks.after_snapshot
    return (AFTER_SNAPSHOT,) if begins else record.hooks_due


def around_snapshot(target: Target, due: tuple[str, ...]) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Return what comes before the snapshot is taken, and what after; the latter also when all is taken down early."""
    hooks = target.hooks
    before = Action(
        thing=Thing.BEFORE_SNAPSHOT,
        object=BEFORE_SNAPSHOT,
        summary="run the profile's before_snapshot hook",
        undo_summary="",
        do=(hooks.before_snapshot,),
        undo=(),
        condition="it is over at once: nothing of it stands",
        stands=False,
    )
    after = Action(
        thing=Thing.AFTER_SNAPSHOT,
        object=AFTER_SNAPSHOT,
        summary="run the profile's after_snapshot hook (in any case once before_snapshot began)",
        undo_summary="run the profile's after_snapshot hook, since before_snapshot began",
        do=(hooks.after_snapshot,),
        undo=(hooks.after_snapshot,) if AFTER_SNAPSHOT in due else (),
        condition="before_snapshot began, and this hook has not succeeded since",
        stands=AFTER_SNAPSHOT in due,
    )
    return (before,) if hooks.before_snapshot else (), (after,) if hooks.after_snapshot else ()


def around_down(target: Target, due: tuple[str, ...]) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """Return what comes when all else is taken down, and what before that; nothing of `up` does either."""
    hooks = target.hooks
    everything = tuple(thing for thing in Thing if thing not in THINGS and thing is not Thing.SPACE)
    last = _at_down(Thing.AFTER_DOWN, hooks.after_down, due, everything)
    first = _at_down(Thing.BEFORE_DOWN, hooks.before_down, due, ())
    return (last,) if hooks.after_down else (), (first,) if hooks.before_down else ()


def _at_down(thing: Thing, argv: Argv, due: tuple[str, ...], needs_gone: tuple[Thing, ...]) -> Action:
    name = THINGS[thing]
    return Action(
        thing=thing,
        object=name,
        summary=f"run the profile's {name} hook",
        undo_summary=f"run the profile's {name} hook",
        do=(),
        undo=(argv,),
        condition="all was up, and this hook has not been run since",
        stands=name in due,
        needs_gone=needs_gone,
    )
