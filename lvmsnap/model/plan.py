"""What is to be done: actions, each with its undo, and the plan that puts them in order. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Target


class Thing(Enum):
    """What an action makes, in the order of the stack."""

    AFTER_DOWN = "after_down hook"
    FILE = "backing file"
    SPACE = "backing file's blocks"
    LOOP = "loop device"
    PV = "physical volume"
    BEFORE_SNAPSHOT = "before_snapshot hook"
    INACTIVE_ORIGIN = "inactive origin"
    VG_MEMBER = "lent PV in the volume group"
    LEFTOVER_DEVICES = "devices of a killed command"
    SNAPSHOT = "snapshot"
    AFTER_SNAPSHOT = "after_snapshot hook"
    SUSPENDED_ORIGIN = "suspended origin"
    DIRECTORY = "mountpoint directory"
    MOUNT = "mount"
    BEFORE_DOWN = "before_down hook"


@dataclass(frozen=True, slots=True)
class Action:
    """One reversible change: its command, its undo, and whether it stands (`condition` says how that is seen).

    `do` is empty where another action's command makes the thing too; `undo` is empty where undoing another
    action takes it along. `needs_gone` must be gone before the undo may run. `blocked` names what keeps the undo from
    working before a person has run `by_hand`, "" where nothing does.
    """

    thing: Thing
    object: str
    summary: str
    undo_summary: str
    do: tuple[Argv, ...]
    undo: tuple[Argv, ...]
    condition: str
    stands: bool
    needs_gone: tuple[Thing, ...] = ()
    blocked: str = ""
    by_hand: tuple[Argv, ...] = ()


class Direction(Enum):
    """Which way a plan walks the stack."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, whether it is good, and what to do where it is not.

    A `warning` refuses nothing; it is told once, before the first change.
    """

    title: str
    passed: bool
    found: str
    hint: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What `up` or `down` will do, in order: the product that is shown, then walked.

    `target` is None where the group or the origin is not there, so that nothing could be decided.
    """

    direction: Direction
    target: Target | None
    actions: tuple[Action, ...]
    checks: tuple[Check, ...]
    facts: tuple[tuple[str, str], ...]
