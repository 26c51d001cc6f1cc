"""What is to be done: actions, each with its undo, and the plan that puts them in order. No behaviour."""

from __future__ import annotations

from enum import Enum

from lvmsnap.model.condition import Condition
from lvmsnap.model.dataclass import dataclass
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
    PREPARED = "prepared snapshots"
    CUT = "one instant"
    AFTER_SNAPSHOT = "after_snapshot hook"
    SUSPENDED_ORIGIN = "suspended origin"
    UDEV_RULE = "udev rule"
    LUKS = "LUKS mapping"
    DIRECTORY = "mountpoint directory"
    MOUNT = "mount"
    INCLUDE = "included mount"
    BEFORE_DOWN = "before_down hook"


@dataclass(frozen=True, slots=True)
class Key:
    """What identifies an action in its plan: the kind of thing it makes, and which one."""

    thing: Thing
    object: str


class Phase(Enum):
    """The part of a plan that an action is in: all snapshots of a profile are taken in the middle one."""

    PREPARE = "prepare"
    CUT = "cut"
    EXPOSE = "expose"


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks that an action needs: of groups, and perhaps the one of all PVs. `lends`: in `up` it lends space."""

    groups: tuple[str, ...] = ()
    pvs: bool = False
    lends: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One reversible change: its command, its undo, and whether what it makes exists; `condition` detects that.

    `do` is empty if another action's command makes the thing too; `undo` is empty if undoing another action removes it
    as well. `needs_gone` must be gone before the undo may run. `blocked` names what keeps the undo from working until a
    person has run `by_hand`, "" if nothing does. `locks` is None if LVM changes nothing.
    `holds` are the origins, by device-mapper UUID, whose writers wait while its commands run.
    """

    thing: Thing
    object: str
    summary: str
    undo_summary: str
    do: tuple[Argv, ...]
    undo: tuple[Argv, ...]
    condition: Condition
    exists: bool
    needs_gone: tuple[Key, ...] = ()
    blocked: str = ""
    by_hand: tuple[Argv, ...] = ()
    phase: Phase = Phase.PREPARE
    locks: Locks | None = None
    holds: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What identifies it in its plan."""
        return Key(self.thing, self.object)


class Direction(Enum):
    """Which way a plan walks the stack."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what must hold, whether it does, and what to do if it does not.

    `title` says that it holds, `problem` that it does not; the words are the same each time for the same problem.
    `id` is for programs and never changes; with `of`, the object it is about, it is unique in its plan.
    A `warning` refuses nothing; it is shown once, before the first change.
    """

    id: str
    of: str
    title: str
    problem: str
    passed: bool
    found: str = ""
    hint: str = ""
    warning: bool = False

    @property
    def sentence(self) -> str:
        """What holds, or what does not, and what was found."""
        what = self.title if self.passed and not self.warning else self.problem
        return f"{what}: {self.found}" if self.found else what


@dataclass(frozen=True, slots=True)
class Fact:
    """What a plan rests on, for a reader; `of` is the group, volume or file it is about, "" for the whole profile."""

    name: str
    value: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `up` or `down` will do, in order: it is shown, then walked.

    `target` is None if a group or an origin does not exist, so that nothing could be decided.
    """

    direction: Direction
    target: Target | None
    actions: tuple[Action, ...]
    checks: tuple[Check, ...]
    facts: tuple[Fact, ...]

    def in_phase(self, phase: Phase) -> tuple[Action, ...]:
        """Return the actions of one phase, in order."""
        return tuple(action for action in self.actions if action.phase is phase)
