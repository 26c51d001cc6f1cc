"""What a walk works with: the runner, signals, where progress is reported, and how the system is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Action, Key
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Target
from lvmsnap.system import lvm_archive
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Runner, shell_line


class Progress(Protocol):
    """Reports what happens while it happens."""

    def begin(self, verb: str, actions: tuple[Action, ...]) -> None:
        """A walk begins: `verb` is "up", "undo" or "down"."""

    def step(self, action: Action, number: int, total: int) -> None:
        """A step begins."""

    def done(self, action: Action, seconds: float) -> None:
        """The step took effect."""

    def failed(self, action: Action, complaint: str) -> None:
        """The step failed, or was held back by one that did."""

    def note(self, text: str) -> None:
        """Something a person may want to know."""

    def warn(self, text: str) -> None:
        """Something that is wrong, or may go wrong: it is shown in every mode."""

    def live(self, text: str) -> None:
        """The current state, which replaces the previous one: shown on a terminal, and not kept."""


class Sheltered:
    """A Progress that forwards to another one, and keeps its exceptions from the walk."""

    def __init__(self, progress: Progress) -> None:
        """Forward to `progress`."""
        self._progress = progress

    def begin(self, verb: str, actions: tuple[Action, ...]) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.begin(verb, actions)

    def step(self, action: Action, number: int, total: int) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.step(action, number, total)

    def done(self, action: Action, seconds: float) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.done(action, seconds)

    def failed(self, action: Action, complaint: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.failed(action, complaint)

    def note(self, text: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.note(text)

    def warn(self, text: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.warn(text)

    def live(self, text: str) -> None:
        """Pass it on."""
        with suppress(Exception):
            self._progress.live(text)


class Hooking(Protocol):
    """Runs a profile's hooks."""

    def run(self, hook: str, argv: Argv, target: Target) -> str:
        """Run the hook of that name to its end; return what is wrong, "" if nothing is."""


class Locking(Protocol):
    """Holds the locks of the volume groups that LVM is changing, and waits for LVM's own."""

    def hold(self, groups: tuple[str, ...], *, with_pvs: bool, lending: bool = False) -> None:
        """Hold the locks of these groups, no others; `lending` keeps others from lending space. Raises RefusedError."""

    def release(self) -> None:
        """Release all locks."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a walk works with. `read` reads the system for a target, `holders` names who keeps its snapshot busy.

    `pins` names the users of the snapshot at a mountpoint that umount would not notice: while there are any, it stays
    mounted. `owns_record` is false if the record of the target's name belongs to another profile than the target, which
    another host made: that record stays. `secrets` is what the commands of some actions read from their stdin.
    """

    runner: Runner
    signals: Signals
    progress: Progress
    read: Callable[[Target], Facts]
    holders: Callable[[Target], tuple[str, ...]]
    hooks: Hooking
    locks: Locking
    pins: Callable[[Target, str], tuple[str, ...]] = lambda *_: ()
    owns_record: bool = True
    secrets: Mapping[Key, bytes] = field(default_factory=dict, repr=False)


def hold_for(action: Action, locks: Locking, *, is_up: bool = False) -> None:
    """Hold the locks that an action needs, and none while a hook runs or a file is filled. Raises RefusedError.

    Between the actions of one group the locks stay held: nobody else's lvcreate comes between vgextend and ours.
    """
    if action.locks is None:
        locks.release()
    else:
        locks.hold(action.locks.groups, with_pvs=action.locks.pvs, lending=is_up and action.locks.lends)


def run_all(commands: tuple[Argv, ...], run_with: Runner, warn: Callable[[str], None] = lambda _: None) -> str:
    """Run commands in order until one fails; return what is wrong, "" if nothing is.

    One of LVM's that fails while LVM has no room for copies of its metadata is run again without them; `warn` is told.
    """
    for argv in commands:
        finished = run_with.run(argv)
        if finished.ok:
            continue
        spare = lvm_archive.without_copies(argv)
        if not spare or not run_with.run(spare).ok:
            return f"{shell_line(argv)}: {finished.complaint}"
        warn(f"{argv[0]} kept no copy of LVM's metadata: {lvm_archive.why_none()}")
    return ""
