"""What tests of the executor work with: commands that do nothing, progress that remembers, locks that are had."""

from __future__ import annotations

from lvmsnap.execution.context import Work
from lvmsnap.execution.hook_processes import HookRunner
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.target import Target
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Finished, Runner


class FakeRunner(Runner):
    """Runs nothing; commands with one of `failing` in them fail."""

    def __init__(self, *failing: str) -> None:
        super().__init__()
        self.failing, self.ran = failing, list[str]()

    def run(self, argv: tuple[str, ...], secret: bytes | None = None) -> Finished:
        assert secret is None
        self.ran.append(argv[0])
        return Finished(argv, 1 if argv[0] in self.failing else 0, "", "it is busy" * (argv[0] in self.failing), 0.0)


class Notes:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.failures: dict[Thing, str] = {}
        self.said: list[str] = []

    def begin(self, verb: str, actions: tuple[Action, ...]) -> None: ...
    def step(self, action: Action, number: int, total: int) -> None: ...
    def done(self, action: Action, seconds: float) -> None: ...
    def live(self, text: str) -> None: ...

    def note(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(f"warning: {text}")

    def failed(self, action: Action, complaint: str) -> None:
        self.failures[action.thing] = complaint


class NoLocks:
    """Locks that are always had."""

    def hold(self, groups: tuple[str, ...], *, with_pvs: bool, lending: bool = False) -> None: ...
    def release(self) -> None: ...


def work(runner: Runner, notes: Notes, *readings: Facts, signals: Signals | None = None) -> Work:
    """Make a Work that reads one of `readings` after the other, and the last one again and again."""
    at_hand = list(readings)

    def read(_target: Target) -> Facts:
        return at_hand.pop(0) if len(at_hand) > 1 else at_hand[0]

    hooks = HookRunner(signals or Signals(), notes.note)
    return Work(runner, signals or Signals(), notes, read, lambda _target: ("pid 7 (tar): /x",), hooks, NoLocks())
