"""`run` as a whole, with what touches the system replaced: which end wins, and that everything goes down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lvmsnap.execution import executor, locks, records
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    NotStartedError,
    Refusal,
    RefusedError,
    ResidueError,
    SnapshotLostError,
    StepError,
    ToolError,
)
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Include, Loss, LuksMapping, MountTarget, Process, Record, Target
from lvmsnap.model.units import MIB
from lvmsnap.operations import run, sessions, stands, up_down, watch
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import growth
from lvmsnap.planning.growth import Ask
from lvmsnap.planning.identify import find
from lvmsnap.planning.state import OVERFLOWED
from lvmsnap.system import device_mapper, mount_table, process_table
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Runner
from tests import samples
from tests.unit.planning import test_growth

RESIDUE = ResidueError("p could not be taken down; what is left is named below", residue=("mount: /m",), commands=())


@dataclass
class World:
    """What `run` meets: how each part ends, and what was done."""

    up: BaseException | None = None
    command: int | BaseException = 0
    lost: Loss | None = None
    down: BaseException | None = None
    before_down: Callable[[Session], None] = lambda _: None
    failed_hooks: tuple[str, ...] = ()
    done: list[str] = field(default_factory=list)


@dataclass
class Notes:
    """A Progress that keeps the notes."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.notes.append(f"warning: {text}")

    def begin(self, *_: Any) -> None: ...
    def step(self, *_: Any) -> None: ...
    def done(self, *_: Any) -> None: ...
    def failed(self, *_: Any) -> None: ...


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def up(*_: Any, **__: Any) -> Any:
        made.done.append("up")
        if made.up:
            raise made.up
        return samples.TARGET

    def supervise(*_: Any) -> int:
        made.done.append("command")
        if isinstance(made.command, BaseException):
            raise made.command
        return made.command

    def down(*arguments: Any) -> tuple[str, ...]:
        made.done.append("down")
        made.before_down(arguments[2])
        if made.down:
            raise made.down
        if arguments[2].signals.received:
            raise InterruptedBySignalError(2, "it is all down")
        return made.failed_hooks

    @contextmanager
    def walking(_: Session, _name: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(up_down, "up", up)
    monkeypatch.setattr(sessions, "walking", walking)
    monkeypatch.setattr(executor, "bring_down", down)
    monkeypatch.setattr(records, "read", lambda _: None)
    monkeypatch.setattr(run, "supervise", supervise)
    monkeypatch.setattr(run, "why_lost", lambda *_: made.lost)
    return made


def going(*argv: str, notes: Notes | None = None) -> int:
    signals = Signals()
    working = Session(Runner(signals=signals), signals, notes or Notes(), "/etc/lvmsnap", 1)
    return run.run(working, samples.with_file(""), "", argv or ("true",), replace_old=False)


@pytest.mark.parametrize("status", [0, 7, 130])
def test_the_status_is_the_commands_and_all_is_down(world: World, status: int) -> None:
    world.command = status

    assert going() == status
    assert world.done == ["up", "command", "down"]


def test_a_hook_that_failed_at_down_spoils_a_success_but_hides_no_failure(world: World) -> None:
    world.failed_hooks = ("the after_down hook failed: exit 9",)

    with pytest.raises(StepError, match="nightly is down, but the after_down hook failed: exit 9"):
        going()
    world.command = 7
    assert going() == 7


REFUSED = RefusedError((Refusal("x is taken", "give another"),))


@pytest.mark.parametrize("error", [REFUSED, StepError("no"), ToolError("no lvm"), LvmsnapError("?")])
def test_whatever_keeps_up_from_standing_keeps_the_command_from_starting(world: World, error: LvmsnapError) -> None:
    world.up = error

    with pytest.raises(NotStartedError) as caught:
        going()
    assert caught.value.exit_code == 125
    assert world.done == ["up"]


@pytest.mark.parametrize("error", [RESIDUE, InterruptedBySignalError(signal.SIGTERM, "undone")])
def test_residue_and_interruption_of_up_keep_their_own_status(world: World, error: LvmsnapError) -> None:
    world.up = error

    with pytest.raises(type(error)):
        going()
    assert world.done == ["up"]


def test_a_program_that_is_not_there_or_not_executable_changes_nothing(world: World, tmp_path: Any) -> None:
    (tmp_path / "text").write_text("")

    with pytest.raises(NotStartedError, match="no such program"):
        going("surely-not-there")
    with pytest.raises(NotStartedError, match="not executable"):
        going(str(tmp_path / "text"))
    assert world.done == []


def test_a_command_that_cannot_start_after_all_has_its_snapshot_taken_down(world: World) -> None:
    world.command = NotStartedError("true: Exec format error")

    with pytest.raises(NotStartedError):
        going()
    assert world.done == ["up", "command", "down"]


def test_a_lost_snapshot_is_124_though_the_command_exits_0(world: World) -> None:
    world.lost = Loss("it overflowed")

    with pytest.raises(SnapshotLostError, match="exited 0, but its snapshot was lost: it overflowed"):
        going()
    assert world.done == ["up", "command", "down"]


def test_of_several_the_one_that_was_lost_is_named_at_once_and_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.lost, notes = Loss("it overflowed", "vg0/home"), Notes()
    monkeypatch.setattr(watch.Guards, "is_lost", lambda _: True)
    monkeypatch.setattr(run, "supervise", lambda *given: given[3]() * 0)

    with pytest.raises(SnapshotLostError, match=r"exited 0\.0, but its snapshot of vg0/home was lost: it overflowed"):
        going(notes=notes)
    told = "the snapshot of vg0/home is lost while true runs: it overflowed; do not trust its result"
    assert notes.notes == [f"warning: {told}"]


def test_a_lost_snapshot_that_cannot_be_taken_down_is_124_and_says_what_is_left(world: World) -> None:
    world.lost, world.down = Loss("it overflowed"), RESIDUE

    with pytest.raises(SnapshotLostError) as caught:
        going()
    assert "it overflowed" in caught.value.message
    assert caught.value.residue is RESIDUE


def test_residue_after_a_good_command_is_4(world: World) -> None:
    world.down = RESIDUE

    with pytest.raises(ResidueError):
        going()


@pytest.mark.parametrize("lost", [None, Loss("it overflowed")])
def test_a_signal_while_it_goes_down_does_not_change_the_result(world: World, lost: Loss | None) -> None:
    def interrupt(work: Any) -> None:
        work.signals.received = signal.SIGINT

    world.lost, world.before_down, world.command = lost, interrupt, 5

    if lost:
        with pytest.raises(SnapshotLostError):
            going()
    else:
        assert going() == 5


def test_an_error_of_lvmsnaps_own_while_the_command_runs_still_takes_all_down(world: World) -> None:
    world.command = ValueError("a bug")

    with pytest.raises(
        LvmsnapError, match="true was stopped: an internal error of lvmsnap: ValueError: a bug"
    ) as caught:
        going()
    assert caught.value.exit_code == 1
    assert world.done == ["up", "command", "down"]


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), OSError(5, "Input/output error"), KeyError("x")])
def test_what_cannot_be_looked_at_keeps_nothing_from_being_taken_down(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(run, "at_work", fails)
    monkeypatch.setattr(run, "why_lost", fails)

    with pytest.raises(LvmsnapError) as caught:
        going()
    assert caught.value.exit_code == 1
    assert world.done == ["up", "command", "down"]


def test_an_unreadable_record_keeps_nothing_from_being_taken_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: str) -> Any:
        raise records.RecordError("the record cannot be read")

    monkeypatch.setattr(records, "read", fails)

    assert going() == 0
    assert world.done == ["up", "command", "down"]


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), OSError(5, "Input/output error")])
def test_whatever_is_raised_before_the_command_began_is_exit_125(world: World, error: BaseException) -> None:
    world.up = error

    with pytest.raises(NotStartedError, match="the command was not started"):
        going()
    assert world.done == ["up"]


def test_a_file_that_grew_without_its_pv_gives_its_extents_first() -> None:
    group = samples.vg(samples.snapshot_lv(chunk_size_bytes=4096), pvs=(samples.DISK, samples.lent_pv()))
    facts = samples.up_facts(group)
    found = find(samples.TARGET, facts)
    (lent,) = found.loans
    assert lent.file is not None
    found = replace(found, loans=(replace(lent, file=replace(lent.file, size_bytes=81 * MIB)),))

    (room,) = growth.plan(samples.TARGET, found, (Ask(1, 100 * MIB, largest_file_bytes=81 * MIB),), facts)

    (made,) = room.growths
    assert (made.extents, room.filling) == (4, ())
    assert [argv[0] for argv in (*room.resizing, *made.commands)] == ["losetup", "pvresize", "lvextend", "lvchange"]


def test_messages_that_nobody_reads_any_more_stop_nothing() -> None:
    code = """
import os
from lvmsnap.cli.error_view import fail
from lvmsnap.cli.progress import Reporter
from lvmsnap.model.errors import StepError
Reporter().note("one")
Reporter().note("two")
raise SystemExit(fail(StepError("three")) + 40)
"""
    reading, writing = os.pipe()
    os.close(reading)

    assert subprocess.run([sys.executable, "-c", code], stderr=writing, check=False).returncode == 41


# --- the end of a run beside a later `up` -----------------------------------------------------------------------------

OWN = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
LATER = dm_uuid(samples.VG_UUID, samples.OTHER_UUID)


@pytest.mark.parametrize(
    ("record", "device", "is_taken_down"),
    [
        (replace(samples.record(), process=process_table.own()), OWN, True),
        (replace(samples.record(), process=Process(1, 1)), LATER, False),
        (samples.record(), LATER, False),
        (None, OWN, True),
        (None, LATER, False),
        (None, "", False),
    ],
    ids=["its own record", "another run's", "an up's", "lost", "lost, of a later up", "lost, and nothing there"],
)
def test_a_run_takes_down_what_is_its_own_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, record: Record | None, device: str, is_taken_down: bool
) -> None:
    monkeypatch.setattr(records, "read", lambda _: record)
    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("x", device),) if device else ())
    monkeypatch.setattr(up_down, "up", lambda *_, **__: samples.target(dm_uuid=OWN))

    going()

    assert ("down" in world.done) is is_taken_down


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (None, "the record of nightly is gone"),
        (records.RecordError("the record cannot be read: x"), "the record cannot be read: x"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
    ids=["gone", "garbled", "disk"],
)
def test_a_record_that_the_command_lost_is_known_all_the_same_and_that_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, now: BaseException | None, says: str
) -> None:
    kept = replace(samples.record(), process=process_table.own(), hooks_due=("before_down", "after_down"))
    given: list[Record | None] = []
    notes = Notes()

    def read(_name: str) -> Record | None:
        if "command" not in world.done:
            return kept
        if now:
            raise now
        return None

    def down(_target: Target, record: Record | None, _work: Any) -> tuple[str, ...]:
        given.append(record)
        if len(given) == 1:
            raise ValueError("a first try that may have run the hooks")
        return ()

    monkeypatch.setattr(records, "read", read)
    monkeypatch.setattr(executor, "bring_down", down)

    assert going(notes=notes) == 0
    assert given == [kept, None]
    assert notes.notes == [f"warning: {says}; nightly is taken down as it was recorded before"]


def test_a_later_record_is_not_told_of_this_runs_command(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Record] = []
    monkeypatch.setattr(locks, "profile", lambda *_: nullcontext((3,)))
    monkeypatch.setattr(records, "write", written.append)
    for process in (Process(1, 1), None, process_table.own()):
        monkeypatch.setattr(records, "read", lambda _, process=process: replace(samples.record(), process=process))
        run._keep("nightly", os.getpid())

    assert [record.process for record in written] == [process_table.own()]


def test_a_snapshot_whose_group_was_renamed_shows_what_it_showed(monkeypatch: pytest.MonkeyPatch) -> None:
    target = samples.target(dm_uuid=OWN)
    fine = SnapshotStatus(False, 1, 100, OWN)
    monkeypatch.setattr(mount_table, "mounts", lambda: (samples.mounted(),))
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda _name, uuid: fine if uuid == OWN else None)
    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("vg0-system--lvmsnap--nightly", OWN),))
    before = stands.look(target)

    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("new-system--lvmsnap--nightly", OWN),))
    assert stands.why_lost(before, target) is None
    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("vg0-system--lvmsnap--nightly", LATER),))
    assert stands.why_lost(before, target) == Loss("it was removed or replaced")


def test_what_is_included_and_was_hidden_does_not_count_either(monkeypatch: pytest.MonkeyPatch) -> None:
    target, facts = test_growth.a_pair()
    where = MountTarget("/t/boot", "none", ("bind",), make_directory=False, remove_directory=False)
    target = replace(target, includes=(Include("/boot", "8:1", "/", where),))
    fine = SnapshotStatus(False, 1, 100, OWN)
    shown = replace(samples.mounted("/t/boot", "8:1"), mount_id=77)
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda *_: fine)
    monkeypatch.setattr(device_mapper, "devices", tuple)
    monkeypatch.setattr(mount_table, "mounts", lambda: (*facts.mounts, shown))
    before = stands.look(target)

    assert (stands.why_hidden(before), stands.why_lost(before, target)) == (None, None)
    monkeypatch.setattr(mount_table, "mounts", lambda: facts.mounts)
    lost = Loss("/t/boot was unmounted or mounted over")
    assert (stands.why_hidden(before), stands.why_lost(before, target)) == (lost, lost)


def test_of_several_snapshots_the_one_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    target, facts = test_growth.a_pair()
    states = {one.dm_uuid: SnapshotStatus(False, 1, 100, one.dm_uuid) for one in target.snapshots}
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda _name, uuid: states.get(uuid))
    monkeypatch.setattr(device_mapper, "devices", tuple)
    monkeypatch.setattr(mount_table, "mounts", lambda: facts.mounts)
    before = stands.look(target)

    assert stands.why_lost(before, target) is None
    states[target.snapshots[1].dm_uuid] = SnapshotStatus(True, 0, 0)
    assert stands.why_lost(before, target) == Loss(OVERFLOWED, "vg0/home")


def test_a_snapshot_is_lost_with_the_luks_mapping_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    target = samples.target(dm_uuid=OWN, luks=LuksMapping("lvmsnap-nightly", samples.MAPPING_UUID))
    fine, own = SnapshotStatus(False, 1, 100, OWN), samples.dm("vg0-system--lvmsnap--nightly", OWN)
    opened = samples.mapping(beneath=(own.device_number,))
    monkeypatch.setattr(mount_table, "mounts", lambda: (samples.mounted(),))
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda *_: fine)
    monkeypatch.setattr(device_mapper, "devices", lambda: (own, opened))
    before = stands.look(target)

    monkeypatch.setattr(device_mapper, "devices", lambda: (own, replace(opened, name="renamed")))
    assert stands.why_lost(before, target) is None
    others = (replace(opened, device_number="254:99"), replace(opened, beneath=("254:0",)))
    for devices in ((own,), *((own, other) for other in others)):
        monkeypatch.setattr(device_mapper, "devices", lambda devices=devices: devices)
        assert stands.why_lost(before, target) == Loss("its LUKS mapping was closed or replaced")
