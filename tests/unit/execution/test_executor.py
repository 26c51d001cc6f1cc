"""The executor's pure parts: what a failing undo holds back, what is told of residue. The rest is proved in the lab."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.execution import executor, places, records, teardown, verification
from lvmsnap.execution.records import RecordError
from lvmsnap.model.condition import Condition, DevicesLeft, DirectoryMade, FileFilled, PVLent
from lvmsnap.model.errors import InterruptedBySignalError, LvmsnapError, ResidueError, StepError
from lvmsnap.model.facts import Mount
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Key, Thing
from lvmsnap.model.target import Include, LuksMapping, MountTarget
from lvmsnap.planning import actions, planner
from lvmsnap.planning.identify import find, nothing_found
from lvmsnap.planning.state import why_lost
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Finished
from tests import samples
from tests.unit.execution.walked import FakeRunner, Notes, work


def test_a_mount_that_stays_holds_back_everything_that_needs_it_gone(notes: Notes) -> None:
    runner = FakeRunner("umount")

    with pytest.raises(ResidueError) as caught:
        executor.bring_down(samples.TARGET, samples.record(), work(runner, notes, samples.up_facts()))

    assert set(runner.ran) == {"umount"}
    assert runner.ran.count("umount") == teardown.PASSES
    assert notes.failures[Thing.SNAPSHOT] == "held back: the mount is still there"
    assert notes.failures[Thing.FILE] == "held back: the loop device and the lent PV in the volume group is still there"
    assert set(notes.failures) == {
        *(Thing.MOUNT, Thing.DIRECTORY, Thing.SNAPSHOT, Thing.VG_MEMBER, Thing.PV, Thing.LOOP, Thing.FILE)
    }
    assert caught.value.residue[0] == f"mount: {samples.MOUNTPOINT}"
    assert caught.value.residue[-1] == f"backing file: {samples.FILE}"
    assert caught.value.message == "nightly could not be taken down: it is in use"
    assert caught.value.holders == ("pid 7 (tar): /x",)
    assert caught.value.commands[0] == f"umount -- {samples.MOUNTPOINT}"
    assert caught.value.commands[-1] == f"rm -- {samples.FILE}"


def test_who_uses_what_is_included_is_named_though_all_else_is_gone(notes: Notes) -> None:
    at = "/run/lvmsnap/nightly/boot"
    where = MountTarget(at, "none", (), make_directory=False, remove_directory=False)
    target = replace(samples.TARGET, loans=(), includes=(Include("/boot", "8:1", "/", where),))
    facts = samples.facts(mounts=(Mount("8:1", "/", at, "vfat", "/dev/sda1"),))

    with pytest.raises(ResidueError) as caught:
        executor.bring_down(target, samples.record(), work(FakeRunner("umount"), notes, facts))

    assert caught.value.residue == (f"included mount: {at}",)
    assert caught.value.message == "nightly could not be taken down: it is in use"
    assert caught.value.holders == ("pid 7 (tar): /x",)


def test_what_fails_for_another_reason_is_said_with_that_reason_and_who_uses_it(notes: Notes) -> None:
    class Broken(FakeRunner):
        def run(self, argv: tuple[str, ...], secret: bytes | None = None) -> Finished:
            return replace(super().run(argv, secret), stderr="exit 5: no such luck")

    with pytest.raises(ResidueError) as caught:
        executor.bring_down(samples.TARGET, samples.record(), work(Broken("umount"), notes, samples.up_facts()))

    assert caught.value.message.startswith("nightly could not be taken down: unmount the snapshot: umount -- ")
    assert "no such luck" in caught.value.message
    assert (caught.value.residue[-1], caught.value.holders) == ("held by pid 7 (tar): /x", ())


def test_a_secret_is_read_by_the_command_of_its_own_action_alone(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    luks = LuksMapping("lvmsnap-nightly", samples.MAPPING_UUID)
    target = samples.target(lent_pv=None, luks=luks)
    plan = planner.plan_up(samples.profile(), samples.facts(), ())
    stack = actions.stack(target, nothing_found(target, samples.facts()), {})
    given: list[tuple[str, bytes | None]] = []

    class Cryptsetup(FakeRunner):
        def run(self, argv: tuple[str, ...], secret: bytes | None = None) -> Finished:
            given.append((argv[0], secret))
            return Finished(argv, 0, "", "", 0.0)

    monkeypatch.setattr(verification, "unmet", lambda *_: "")
    monkeypatch.setattr(places, "exposed", lambda *_: "")
    doing = replace(work(Cryptsetup(), notes, samples.facts()), secrets={Key(Thing.LUKS, luks.name): b"horse"})
    executor.bring_up(replace(plan, target=target, actions=stack), samples.record(lent_pv=None, luks=luks), doing)

    assert [secret for program, secret in given if program == "cryptsetup"] == [b"horse"]
    assert {secret for program, secret in given if program != "cryptsetup"} == {None}


def test_a_lent_pv_that_stays_holds_back_its_file_but_not_the_mount(notes: Notes) -> None:
    runner = FakeRunner("vgreduce")

    with pytest.raises(ResidueError):
        executor.bring_down(samples.TARGET, samples.record(), work(runner, notes, samples.up_facts()))

    assert set(runner.ran) == {"umount", "rmdir", "lvremove", "vgreduce"}
    assert {Thing.PV, Thing.LOOP, Thing.FILE} <= set(notes.failures)


def test_a_directory_that_stays_holds_back_nothing(notes: Notes) -> None:
    runner = FakeRunner("rmdir")

    with pytest.raises(ResidueError):
        executor.bring_down(samples.TARGET, samples.record(), work(runner, notes, samples.up_facts()))

    assert set(notes.failures) == {Thing.DIRECTORY}
    assert runner.ran[:7] == ["umount", "rmdir", "lvremove", "vgreduce", "pvremove", "losetup", "rm"]


def test_the_record_stays_with_the_residue_and_goes_with_the_last_thing(notes: Notes, tmp_path: Path) -> None:
    records.write(samples.record())

    with pytest.raises(ResidueError):
        executor.bring_down(samples.TARGET, None, work(FakeRunner("rm"), notes, samples.up_facts()))
    assert (tmp_path / "nightly.json").exists()

    executor.bring_down(samples.TARGET, None, work(FakeRunner(), notes, samples.up_facts(), samples.facts()))
    assert not (tmp_path / "nightly.json").exists()


def test_a_later_process_finds_what_a_killed_lvremove_left_of_a_renamed_snapshot(notes: Notes, tmp_path: Path) -> None:
    uuid = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
    written = samples.record(dm_uuid=uuid)
    renamed = samples.up_facts(samples.renamed())

    with pytest.raises(ResidueError):
        executor.bring_down(written.target, written, work(FakeRunner("lvremove"), notes, renamed))

    later = records.read("nightly", str(tmp_path))
    assert later is not None
    left = (samples.dm("vg0-other", uuid), samples.dm("vg0-other-cow", f"{uuid}-cow"))
    gone = samples.facts(dm_devices=left)
    (found,) = find(later.target, gone).snapshots
    assert found.leftovers == ("vg0-other", "vg0-other-cow")
    assert why_lost(find(later.target, gone, later), gone, later) is None


def test_a_signal_does_not_stop_down_half_way(notes: Notes) -> None:
    signals, runner = Signals(), FakeRunner()
    signals.received = 15

    with pytest.raises(InterruptedBySignalError) as caught:
        executor.bring_down(samples.TARGET, None, work(runner, notes, samples.up_facts(), signals=signals))

    assert runner.ran[-1] == "rm"
    assert caught.value.exit_code == 143


def test_a_step_that_fails_is_undone_by_what_is_there(notes: Notes, tmp_path: Path) -> None:
    plan = planner.plan_up(samples.profile(), samples.facts(), ())
    assert plan.target is not None
    written = replace(samples.record(), target=plan.target)
    standing = samples.facts(samples.vg(samples.snapshot_lv()))
    runner = FakeRunner("lvcreate")

    with pytest.raises(StepError, match=r"take the snapshot of vg0/system failed: lvcreate .*: exit 1: it is busy"):
        executor.bring_up(plan, written, work(runner, notes, standing, samples.facts()))

    # lvcreate failed and took effect all the same.
    assert runner.ran == ["lvcreate", "lvremove"]
    assert not (tmp_path / "nightly.json").exists()


def test_nothing_is_begun_where_the_record_cannot_be_written(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planner.plan_up(samples.profile(), samples.facts(), ())
    assert plan.target is not None
    monkeypatch.setattr(records.write, "__defaults__", ("/dev/null/state",))
    runner = FakeRunner()

    with pytest.raises(RecordError, match="the record cannot be written"):
        executor.bring_up(plan, samples.record(), work(runner, notes, samples.facts()))

    assert runner.ran == []


def test_a_record_that_cannot_be_written_any_more_half_way_undoes_everything(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planner.plan_up(samples.with_file(), samples.facts(), (samples.PV_UUID,))
    assert plan.target is not None
    written = replace(samples.record(), target=plan.target)
    claimed = replace(samples.FILE_FACTS, is_empty_private=True, size_bytes=0, pv_uuid="")
    monkeypatch.setattr(verification, "file_facts", lambda _path: claimed)
    calls: list[str] = []

    def write_once(_record: object) -> None:
        calls.append("write")
        if len(calls) > 1:
            raise RecordError("the record cannot be written: disk full")

    monkeypatch.setattr(records, "write", write_once)
    runner = FakeRunner()

    with pytest.raises(LvmsnapError, match="the record cannot be written: disk full"):
        executor.bring_up(plan, written, work(runner, notes, samples.facts(file=claimed), samples.facts()))

    assert runner.ran == ["sh", "rm"]


@pytest.mark.parametrize("condition", [PVLent(samples.PV_UUID, samples.FILE, "vg0"), DirectoryMade("/x")])
def test_what_the_next_step_proves_is_not_looked_for(condition: Condition) -> None:
    assert verification.unmet(condition, samples.TARGET) == ""


def test_a_condition_that_nobody_looks_at_is_never_taken_for_met_nor_for_gone() -> None:
    unknown: Any = object()

    with pytest.raises(AssertionError):
        verification.unmet(unknown, samples.TARGET)
    with pytest.raises(AssertionError):
        verification.remains(unknown, samples.TARGET, "rm")


def test_what_no_command_of_up_makes_is_never_taken_for_made() -> None:
    assert verification.unmet(DevicesLeft(("vg0-x",)), samples.TARGET) == "nothing of `up` makes that"
    assert verification.unmet(FileFilled("/other", 1), samples.TARGET) == "/other is not a backing file of nightly"
