"""Hooks while a profile is taken down: each is run once, in its place, whatever else fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.execution import executor, records, teardown
from lvmsnap.execution.records import RecordError
from lvmsnap.model.errors import ResidueError, ToolError
from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.profile import Hooks
from lvmsnap.model.target import Record, Target
from tests import samples
from tests.unit.execution.walked import FakeRunner, Notes, work


def echo(word: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", f"echo {word} $LVMSNAP_PROFILE")


HOOKED = Hooks(echo("lock"), echo("unlock"), echo("stop"), echo("tell"))


def hooked(*due: str, hooks: Hooks = HOOKED) -> Record:
    return replace(samples.record(hooks=hooks), hooks_due=due)


def test_down_runs_its_hooks_first_and_last(notes: Notes) -> None:
    runner, written = FakeRunner(), hooked("before_down", "after_down")

    assert executor.bring_down(written.target, written, work(runner, notes, samples.up_facts())) == ()

    assert [notes.said[0], notes.said[-1]] == ["before_down: stop nightly", "after_down: tell nightly"]
    assert runner.ran[-1] == "rm"


def test_down_gives_its_hooks_the_names_of_now(notes: Notes) -> None:
    told = ("/bin/sh", "-c", "echo $LVMSNAP_DEVICE $LVMSNAP_DEVICE_1")
    written = hooked("before_down", "after_down", hooks=Hooks(before_down=told, after_down=told))
    renamed = samples.up_facts(samples.renamed())

    executor.bring_down(written.target, written, work(FakeRunner(), notes, renamed))

    now = "/dev/vg1/other /dev/vg1/other"
    assert notes.said == [f"before_down: {now}", f"after_down: {now}"]


def test_hooks_that_fail_keep_nothing_from_being_taken_down_and_are_reported(notes: Notes, tmp_path: Path) -> None:
    failing = replace(HOOKED, before_down=("false",), after_down=("/bin/sh", "-c", "echo no; exit 9"))
    written = hooked("before_down", "after_down", hooks=failing)
    records.write(written)
    runner = FakeRunner()

    failed = executor.bring_down(written.target, written, work(runner, notes, samples.up_facts()))

    assert failed == ("the before_down hook failed: exit 1", "the after_down hook failed: exit 9: no")
    assert runner.ran == ["umount", "rmdir", "lvremove", "vgreduce", "pvremove", "losetup", "rm"]
    assert not (tmp_path / "nightly.json").exists()


def test_after_down_waits_until_all_is_down_and_before_down_is_run_once(notes: Notes, tmp_path: Path) -> None:
    written = hooked("before_down", "after_down")
    records.write(written)

    with pytest.raises(ResidueError) as caught:
        executor.bring_down(written.target, written, work(FakeRunner("umount"), notes, samples.up_facts()))

    assert notes.said == ["before_down: stop nightly"]
    assert "after_down hook: after_down" in caught.value.residue
    left = records.read("nightly", str(tmp_path))
    assert left is not None
    assert left.hooks_due == ("after_down",)


def test_a_record_that_cannot_be_removed_has_no_hook_run_twice(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> None:
        raise RecordError("Read-only file system")

    taken = samples.target(dm_uuid=dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID), hooks=HOOKED)
    written = replace(hooked("before_down", "after_down"), target=taken)
    records.write(written)
    with monkeypatch.context() as patch:
        patch.setattr(records, "write", read_only)
        patch.setattr(records, "remove", read_only)
        for _ in range(2):
            known = records.read("nightly")
            with pytest.raises(ResidueError, match="nothing but its record is left: Read-only file system"):
                executor.bring_down(written.target, known, work(FakeRunner(), notes, samples.up_facts()))

    assert notes.said == ["before_down: stop nightly", "after_down: tell nightly"]
    left = records.read("nightly")
    assert left is not None
    assert [snapshot.is_going for snapshot in left.target.snapshots] == [True]


def test_after_snapshot_is_tried_again_and_stays_due_until_it_succeeds(notes: Notes, tmp_path: Path) -> None:
    unlock = ("/bin/sh", "-c", f"echo locked; test -e {tmp_path}/mended")
    written = hooked("after_snapshot", hooks=replace(HOOKED, after_snapshot=unlock))
    records.write(written)

    with pytest.raises(ResidueError) as caught:
        executor.bring_down(written.target, written, work(FakeRunner(), notes, samples.facts()))

    assert notes.said == ["after_snapshot: locked"] * teardown.PASSES
    assert caught.value.residue == ("after_snapshot hook: after_snapshot",)
    assert caught.value.commands == (f"/bin/sh -c 'echo locked; test -e {tmp_path}/mended'",)
    (tmp_path / "mended").touch()
    executor.bring_down(written.target, written, work(FakeRunner(), notes, samples.facts()))
    assert not (tmp_path / "nightly.json").exists()


def test_after_snapshot_is_run_though_the_system_cannot_be_read_any_more(notes: Notes, tmp_path: Path) -> None:
    written = hooked("after_snapshot")
    records.write(written)

    def fail(_target: Target) -> Facts:
        raise ToolError("lvm has no say")

    unreadable = replace(work(FakeRunner(), notes, samples.facts()), read=fail)
    with pytest.raises(ResidueError, match="lvm has no say"):
        executor.bring_down(written.target, written, unreadable)

    assert notes.said == ["after_snapshot: unlock nightly"]
    left = records.read("nightly", str(tmp_path))
    assert left is not None
    assert left.hooks_due == ()
