"""Walks the real up, down and recover over the fake machine, with commands that fail, kills and power cuts."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import (
    dead_mans_switch,
    executor,
    held_origins,
    hold_marks,
    locks,
    mappings,
    places,
    records,
    teardown,
)
from lvmsnap.execution import verification as seen
from lvmsnap.execution.context import Sheltered
from lvmsnap.install import boot_recovery
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    NotStartedError,
    RefusedError,
    ResidueError,
    SnapshotLostError,
    StepError,
)
from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import LuksHeader
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Target
from lvmsnap.operations import (
    given_snapshots,
    hold,
    killed_runs,
    loss_watch,
    own_end,
    preparation,
    recover,
    run,
    sessions,
    up_down,
)
from lvmsnap.operations.sessions import Session
from lvmsnap.profile import loading
from lvmsnap.system import (
    ancestors,
    atomic_files,
    block_devices,
    device_mapper,
    luks_header,
    mapping_users,
    mount_table,
    origin_facts,
    reading,
    tree_users,
)
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Finished
from lvmsnap.system.reading import Interest
from tests import samples
from tests.simulation import cut
from tests.simulation.parts import Killed, PowerCut
from tests.simulation.world import NAME, WHOLE, World


@dataclass
class FakeRunner:
    """Runs commands in a world."""

    world: World
    signals: Signals
    lock_fds: tuple[int, ...] = ()

    def unheard(self) -> contextlib.AbstractContextManager[None]:
        """As lvmsnap.runner.Runner.unheard."""
        return contextlib.nullcontext()

    def run(self, argv: tuple[str, ...]) -> Finished:
        """As lvmsnap.runner.Runner.run."""
        returncode, complaint = self.world.call(f"run {argv[0]}", self.world.run, argv, self.signals)
        return Finished(argv, returncode, "", complaint, 0)


@dataclass
class FakeHooks:
    """Runs hooks as commands of a world."""

    world: World
    signals: Signals

    def run(self, _hook: str, argv: tuple[str, ...], _target: Target) -> str:
        """As lvmsnap.hook_runner.HookRunner.run."""
        returncode, complaint = self.world.call(f"hook {argv[1]}", self.world.run, argv, self.signals)
        return complaint if returncode else ""


class NoSignals(Signals):
    """Signals that come only from a fault."""

    def __enter__(self) -> NoSignals:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Silence:
    """Hears of progress and says nothing; it may raise as every other part."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _call(self, *_: object) -> None:
        self._world.call("progress", lambda: None)

    begin = step = done = failed = note = warn = live = _call


class NoLocks:
    """Locks of groups that are always had, but where a call raises."""

    def __init__(self, world: World) -> None:
        self._world = world

    def hold(self, *_: object, **__: object) -> None:
        self._world.call("hold locks", lambda: None)

    def release(self) -> None: ...


class Stage:
    """Puts the fake machine under the real code; `world` is the present one."""

    world: World

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(killed_runs, "keep", lambda *_: None)  # it raises nothing, and changes nothing of the stack
        for module, name, fake in self._fakes():
            counted = callable(fake) and name not in ("HookRunner", "lock")
            patch.setattr(module, name, self._counted(f"{module.__name__}.{name}", fake) if counted else fake)

    def _counted(self, name: str, fake: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return self.world.call(name, fake, *arguments, **named)

        return call

    def _fakes(self) -> list[tuple[Any, str, Any]]:
        return [
            (records, "read", self._called("read_record")),
            (records, "write", self._called("write_record")),
            (records, "note", lambda written: self.world.notes.update({written.target.name: written})),
            (records, "remove", self._called("remove_record")),
            (records, "names", lambda: tuple(sorted(self.world.records))),
            (locks, "profile", lambda *_: contextlib.nullcontext((3,))),
            (locks, "reading", lambda *_: contextlib.nullcontext()),
            (locks, "loop_device", lambda numbers: contextlib.nullcontext(numbers[0])),
            (locks, "GroupLocks", lambda *_: NoLocks(self.world)),
            (ancestors, "walk", self._asked("walk")),
            (block_devices, "loops", self._asked("kernel_loops")),
            (mount_table, "mounts", self._asked("kernel_mounts")),
            (block_devices, "device_bytes", self._asked("device_bytes")),
            (block_devices, "dm_holders", self._asked("users")),
            (device_mapper, "devices", self._asked("dm_devices")),
            (device_mapper, "snapshot_status", lambda *_: None),
            (device_mapper, "first_target", lambda name: cut.first_target(self.world.system, name)),
            (held_origins, "apart", SimpleNamespace(lock_memory=lambda: "", unlock_memory=lambda: None)),
            (dead_mans_switch, "armed", lambda origins: cut.armed(self.world.system, origins)),
            (seen, "file_facts", self._asked("file_facts")),
            (places, "file_facts", self._asked("file_facts")),
            (places, "ring", lambda *_: ""),
            (atomic_files, "sync_directory", lambda _: None),
            (executor, "time", SimpleNamespace(monotonic=lambda: self.world.clock)),
            (teardown, "time", SimpleNamespace(sleep=self._sleep, monotonic=lambda: self.world.clock)),
            (seen, "time", SimpleNamespace(sleep=self._sleep, monotonic=lambda: self.world.clock)),
            (seen, "os", SimpleNamespace(path=SimpleNamespace(lexists=self._exists))),
            (sessions, "HookRunner", lambda signals, _say: FakeHooks(self.world, signals)),
            (reading, "read_system", lambda *_, **__: self.world.system.facts()),
            (reading, "focus", self._focus),
            (origin_facts, "filesystems", self._filesystems),
            (origin_facts, "superblock", SimpleNamespace(read=lambda _: None)),
            (luks_header, "read", lambda _: LuksHeader(2, samples.LUKS_UUID)),
            (mappings, "rule_unmet", lambda rule: "" if rule.path in self.world.system.rules else "no rule"),
            (mappings, "superblock", SimpleNamespace(read=lambda _: WHOLE)),
            (mappings, "pv_uuid", lambda _: ""),
            (mappings, "_number_at", lambda path: self.world.system.dm[path.removeprefix("/dev/mapper/")].number),
            (reading, "missing_tools", lambda *_: ()),
            (preparation, "urandom", lambda _: bytes.fromhex("0123456789")),
            (boot_recovery, "is_installed", lambda: True),
            (mapping_users, "holders", lambda *_: ()),
            (tree_users, "in_includes", lambda *_: ()),
            (mapping_users, "pins", lambda *_: ()),
            (loading, "names", lambda *_: (NAME,)),
            (run, "supervise", lambda *_: 0),
            (hold_marks, "write", lambda *_: None),
            (loss_watch, "look", lambda _: (given_snapshots.Given(samples.TAKEN, "", "", 0),)),
            (loss_watch, "why_lost", lambda *_: None),
            (own_end, "at_work", lambda *_: ()),
            (loss_watch, "Unmounts", lambda _: SimpleNamespace(happened=lambda: False, close=lambda: None)),
        ]

    def _filesystems(self, _runner: object, _facts: Facts, numbers: list[str]) -> dict[str, str]:
        return dict.fromkeys(numbers, "crypto_LUKS" if self.world.system.has_luks else "ext4")

    def _called(self, method: str) -> Callable[..., Any]:
        """Return a function that calls a method of the world that is on the stage then."""

        def call(*arguments: Any) -> Any:
            return getattr(self.world, method)(*arguments)

        return call

    def _asked(self, method: str) -> Callable[..., Any]:
        """Return a function that asks the system of the world that is on the stage then."""

        def ask(*arguments: Any) -> Any:
            return getattr(self.world.system, method)(*arguments)

        return ask

    def _exists(self, path: str) -> bool:
        system, device = self.world.system, path.removeprefix("/dev/").replace("/", "-")
        return path in system.files or path in system.directories or path in system.rules or device in system.dm

    def _sleep(self, seconds: float) -> None:
        self.world.clock += max(seconds, 1)

    def _focus(self, read: Facts, interest: Interest) -> Facts:
        return self.world.system.focused(read, interest)

    # --- what lvmsnap is asked for ------------------------------------------------------------------------------

    def session(self) -> Session:
        """Return a session of lvmsnap on this world."""
        signals = NoSignals()
        runner: Any = FakeRunner(self.world, signals)
        return Session(runner, signals, Sheltered(Silence(self.world)), "/etc/lvmsnap", 0)

    def up(self, loaded: Profile) -> str:
        """Bring the profile up."""
        return outcome(lambda: up_down.up(self.session(), loaded, "", replace_old=False, if_down=False))

    def run(self, loaded: Profile) -> str:
        """Run a command over it."""
        return outcome(lambda: run.run(self.session(), loaded, "", ("true",), replace_old=False))

    def hold(self, loaded: Profile) -> str:
        """Hold it up until a signal comes, which does at once."""
        session = self.session()

        def stop(_: Target) -> None:
            session.signals.received = signal.SIGTERM

        return outcome(lambda: hold.hold(session, loaded, "", stop, replace_old=False))

    def down(self, loaded: Profile) -> str:
        """Take it down."""
        return outcome(lambda: up_down.down(self.session(), NAME, lambda: loaded, force=False))

    def mend(self, loaded: Profile) -> str:
        """Recover, then take down what is properly up."""

        def both() -> None:
            recover.recover(self.session(), (), lambda _: loaded)
            if self.world.records:
                up_down.down(self.session(), NAME, lambda: loaded, force=False)

        return outcome(both)

    def checks(self, loaded: Profile) -> tuple[Check, ...]:
        """Return the checks of a plan to bring it up that do not pass."""
        runner: Any = FakeRunner(self.world, NoSignals())
        working = Session(runner, NoSignals(), Silence(self.world), "/etc/lvmsnap", 0)
        return tuple(check for check in preparation.plan(working, loaded).checks if not check.passed)


OUTCOMES: dict[type[BaseException], str] = {
    InterruptedBySignalError: "interrupted",
    StepError: "undone",
    NotStartedError: "undone",
    SnapshotLostError: "lost",
    PowerCut: "cut",
    Killed: "killed",
}


def outcome(what: Callable[[], object]) -> str:
    """Do it, and say in a word how it ended; a residue is named after a colon."""
    try:
        what()
    except ResidueError as error:
        return "residue: " + ", ".join(sorted(line.partition(":")[0] for line in error.residue))
    except RefusedError as error:
        return f"refused: {error.message}"
    except tuple(OUTCOMES) as error:
        return OUTCOMES[type(error)]
    except LvmsnapError as error:
        if " was stopped: " in error.message:
            return "undone"  # a run whose command was ended
        raise
    return "done"
