"""Whose a leftover is, whether its snapshot was lost, and whether the process that it was made for still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.execution import records
from lvmsnap.model.errors import RefusedError, ResidueError, SnapshotLostError, worst
from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Loss, Process, Record
from lvmsnap.operations import leftovers
from lvmsnap.operations.leftovers import Seen
from lvmsnap.planning import state
from lvmsnap.planning.identify import find
from lvmsnap.planning.state import State
from lvmsnap.system import process_table, reading
from tests import TOP, samples
from tests.samples import DISK, SNAPSHOT_UUID, TARGET, VG_UUID

TAKEN = dm_uuid(VG_UUID, SNAPSHOT_UUID)
UNTAGGED = samples.vg(samples.snapshot_lv(tags=(), name="renamed"), pvs=(DISK, samples.lent_pv()))
OTHER = samples.vg(samples.snapshot_lv(uuid=samples.OTHER_UUID), pvs=(DISK, samples.lent_pv()))
NONE = samples.vg(pvs=(DISK, samples.lent_pv()))
INVALID = samples.vg(samples.snapshot_lv(attr="sri-I-s---"), pvs=(DISK, samples.lent_pv()))
PARTIAL = samples.vg(samples.snapshot_lv(attr="sri-a-s-p-"), pvs=(DISK, samples.lent_pv(missing=True)))
LIVING = process_table.own()
GONE = replace(LIVING, start_ticks=LIVING.start_ticks - 1)


def up_record(**fields: object) -> Record:
    return replace(samples.record(dm_uuid=TAKEN), **fields)  # type: ignore[arg-type]


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0) as process:
        yield process
        process.kill()


def test_a_process_runs_until_it_has_ended_whether_or_not_it_was_waited_for(child: subprocess.Popen[bytes]) -> None:
    known = process_table.identify(child.pid)
    assert process_table.is_running(known)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not process_table.is_running(known)
    child.wait()
    assert not process_table.is_running(known)


def test_another_process_with_the_same_pid_is_not_the_same() -> None:
    assert process_table.is_running(LIVING)
    assert not process_table.is_running(GONE)


def test_a_group_is_named_whole_and_only_if_it_is_the_one_its_leader_began(child: subprocess.Popen[bytes]) -> None:
    known = process_table.identify(child.pid)

    assert [line.partition(" (")[0] for line in process_table.group_of(known)] == [f"pid {child.pid}"]
    assert process_table.group_of(replace(known, start_ticks=1)) == ()


def test_the_ancestors_of_a_process_begin_with_its_parent(child: subprocess.Popen[bytes]) -> None:
    assert process_table.ancestors(child.pid)[0] == os.getpid()
    assert process_table.ancestors(child.pid)[1] == os.getppid()


# --- the record -------------------------------------------------------------------------------------------------------


def test_a_record_of_format_1_is_read_and_is_nobodys_run(tmp_path: Path) -> None:
    old = (TOP / "tests/unit/data/record-format-1.json").read_text(encoding="utf-8")
    (tmp_path / "nightly.json").write_text(old, encoding="utf-8")

    written = records.read("nightly", str(tmp_path))

    assert written is not None
    assert (written.process, written.command, written.lost) == (None, None, "")
    assert samples.first(written.target).dm_uuid == ""
    assert written.hooks_due == ("before_down", "after_down")
    assert samples.first(written.target).lent_pv is not None


def test_the_process_and_what_it_started_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = up_record(
        process=Process(4711, 99), command=Process(4712, 100), lost="it overflowed", lost_origin="vg0/home"
    )

    records.write(written, str(tmp_path))

    assert records.read("nightly", str(tmp_path)) == written


# --- lost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "written", "lost"),
    [
        (samples.up_facts().vgs[0], up_record(), ""),
        (INVALID, up_record(), state.OVERFLOWED),
        (INVALID, None, state.OVERFLOWED),
        (NONE, up_record(), "it was removed or replaced"),
        (OTHER, up_record(), "it was removed or replaced"),
        (UNTAGGED, up_record(), ""),
        (PARTIAL, up_record(), "a disk that it lies on is gone"),
        (NONE, samples.record(), ""),
        (NONE, samples.record(dm_uuid=TAKEN, is_going=True), ""),
        (INVALID, samples.record(dm_uuid=TAKEN, is_going=True), state.OVERFLOWED),
        (NONE, replace(samples.record(), lost="it overflowed"), "it overflowed"),
        (NONE, replace(up_record(), boot_id=samples.EARLIER_BOOT), ""),
        (INVALID, replace(up_record(), boot_id=samples.EARLIER_BOOT), ""),
    ],
    ids=[
        *("up", "overflowed", "overflowed without a record", "removed", "replaced", "untagged", "disk gone"),
        *("not taken yet", "lvmsnap killed while it removed it", "overflowed, its removal begun", "written down"),
        *("removed by a boot", "overflowed before the boot"),
    ],
)
def test_what_was_lost_while_it_was_up_is_distinguished_from_what_was_never_there(
    group: object, written: Record | None, lost: str
) -> None:
    system = samples.up_facts(group)  # type: ignore[arg-type]

    found = state.why_lost(find(TARGET, system, written), system, written)

    assert found == (Loss(lost) if lost else None)


def test_a_lost_snapshot_that_cannot_be_taken_down_is_124_and_says_what_is_left() -> None:
    residue = ResidueError("nightly could not be taken down", residue=("mount: /m",), commands=("umount /m",))

    error = leftovers.lost_at_down("nightly", Loss("it overflowed"), residue)

    assert (error.exit_code, error.residue) == (124, residue)
    assert "it overflowed; nightly could not be taken down" in error.message


def test_of_several_profiles_the_worst_end_counts() -> None:
    assert worst((0, 1, 124, 4, 3)) == 4
    assert worst((1, 124, 3)) == SnapshotLostError.exit_code
    assert worst((1, 3)) == 3
    assert worst(()) == 0


# --- whose it is ------------------------------------------------------------------------------------------------------


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at nightly with a record on a system, without a look at this machine's paths."""

    def focus(system: Facts, interest: reading.Interest) -> Facts:
        gone = interest.process is not None and not process_table.is_running(interest.process)
        return samples.changed(system, is_process_gone=gone)

    monkeypatch.setattr(reading, "focus", focus)


@pytest.mark.usefixtures("look")
@pytest.mark.parametrize(
    ("system", "written", "is_left", "runs"),
    [
        (samples.up_facts(), up_record(), False, False),
        (samples.up_facts(), up_record(process=LIVING), False, True),
        (samples.up_facts(mounts=()), up_record(process=LIVING), False, True),
        (samples.up_facts(), up_record(process=GONE), True, False),
        (samples.up_facts(), replace(up_record(process=LIVING), boot_id=samples.EARLIER_BOOT), True, False),
        (samples.up_facts(mounts=()), up_record(), True, False),
        (samples.up_facts(INVALID), up_record(), False, False),
        (samples.up_facts(INVALID), up_record(process=GONE), True, False),
        (samples.up_facts(NONE), up_record(), True, False),
    ],
    ids=[
        *("up", "a run is at work", "a run is at work, unmounted", "its run was killed", "its run ended with a boot"),
        *("partial", "overflowed", "overflowed, its run was killed", "removed by somebody"),
    ],
)
def test_what_a_killed_run_left_is_a_leftover_and_what_a_living_one_uses_is_not(
    system: Facts, written: Record, is_left: bool, runs: bool
) -> None:
    seen = leftovers.look(TARGET, written, system)

    assert (seen.is_left, bool(seen.run_pid)) == (is_left, runs)


@pytest.mark.usefixtures("look")
def test_the_state_of_what_a_killed_run_left_says_so() -> None:
    seen = leftovers.look(TARGET, up_record(process=GONE), samples.up_facts())

    assert seen.status.state is State.PARTIAL
    assert f"lvmsnap (pid {GONE.pid}), which has ended" in seen.status.problem


def test_what_a_living_run_is_at_work_with_is_refused_and_named() -> None:
    seen = Seen(state.Status("nightly", State.UP), None, 4711, is_left=False)

    with pytest.raises(RefusedError, match=r"lvmsnap \(pid 4711\) is using nightly"):
        leftovers.refuse_at_work("nightly", seen)
    leftovers.refuse_at_work("nightly", replace(seen, run_pid=0))
