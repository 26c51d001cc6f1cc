"""Every command of `up` and of `down` fails, before and after its effect, once and for ever; or lies."""

from __future__ import annotations

import pytest

from tests.lab.faults import FAILS_AFTER, FAILS_BEFORE, LIES, MOUNTPOINT, Fault, left, standing, undo_fault
from tests.lab.stage import Stage

pytestmark = pytest.mark.lab

BODIES = {"before": FAILS_BEFORE, "after": FAILS_AFTER}
UP = ("sh", "fallocate", "losetup", "pvcreate", "vgextend", "lvcreate", "mount")
DOWN = ("umount", "rmdir", "lvremove", "vgreduce", "pvremove", "losetup", "rm")
EVERYTHING = ("mount", "mountpoint directory", "snapshot", "lent PV in the volume group", "physical volume")

# What is left where an undo fails for ever: the thing, and all that needs it gone.
BELOW = ("loop device", "backing file")
RESIDUE: dict[str, tuple[str, ...]] = {
    "umount": (*EVERYTHING, *BELOW),
    "rmdir": ("mountpoint directory",),
    "lvremove": ("snapshot", "lent PV in the volume group", "physical volume", *BELOW),
    "vgreduce": ("lent PV in the volume group", "physical volume", *BELOW),
    "pvremove": (),  # the label goes with the file
    "losetup": BELOW,
    "rm": ("backing file",),
}


def kinds(lines: list[str]) -> set[str]:
    return {line.partition(":")[0] for line in lines}


@pytest.mark.parametrize("when", BODIES)
@pytest.mark.parametrize("command", UP)
def test_a_step_of_up_that_fails_leaves_everything_as_before(stage: Stage, command: str, when: str) -> None:
    result = stage.lvmsnap("up lent", 1, Fault(command, BODIES[when], "--nooverlap" if command == "losetup" else ""))
    # What fills the file is started by the shell that opens it.
    assert f"failed: {'sh' if command == 'fallocate' else command} " in result.stderr
    assert "exit 7: made to fail" in result.stderr
    stage.assert_as_before()


def test_a_failing_zero_fill_leaves_everything_as_before(stage: Stage) -> None:
    stage.lvmsnap("up filled", 1, Fault("dd", FAILS_AFTER))
    stage.assert_as_before()


def test_a_directory_that_a_failing_mount_made_is_removed(stage: Stage) -> None:
    made = f'mkdir {MOUNTPOINT}; echo "wrong fs type" >&2; exit 32'
    result = stage.lvmsnap("up plain", 1, Fault("mount", made))
    assert "exit 32: wrong fs type" in result.stderr
    stage.assert_as_before()


@pytest.mark.parametrize("undo", DOWN)
def test_up_whose_undo_fails_for_ever_names_what_is_left_and_down_finishes(stage: Stage, undo: str) -> None:
    expected = RESIDUE[undo]
    failed = stage.lvmsnap("up lent", 4 if expected else 1, Fault("mount", FAILS_AFTER), undo_fault(undo))
    there = standing(stage)
    assert kinds(there) == set(expected)
    assert left(failed) == there
    record = stage.run(["ls", "-I", "history", "/var/lib/lvmsnap"]).stdout
    assert record == ("lent.json\n" if expected else "")
    stage.lvmsnap("down lent", 0)
    stage.assert_as_before()


@pytest.mark.parametrize("command", UP)
def test_a_step_that_took_effect_and_cannot_be_undone_is_what_is_left(stage: Stage, command: str) -> None:
    undo = dict(zip(UP, ("rm", "rm", "losetup", "pvremove", "vgreduce", "lvremove", "umount"), strict=True))[command]
    faults = [undo_fault(undo), Fault(command, FAILS_AFTER, "--nooverlap" if command == "losetup" else "")]
    failed = stage.lvmsnap("up lent", 4 if RESIDUE[undo] else 1, *faults)
    there = standing(stage)
    assert kinds(there) == set(RESIDUE[undo])
    assert left(failed) == there
    stage.lvmsnap("down lent", 0)
    stage.assert_as_before()


@pytest.mark.parametrize("undo", DOWN)
def test_up_whose_undo_fails_once_is_clean_all_the_same(stage: Stage, undo: str) -> None:
    result = stage.lvmsnap("up lent", 1, Fault("mount", FAILS_AFTER), undo_fault(undo, once=True))
    assert "made to fail" in result.stderr
    stage.assert_as_before()


def test_down_goes_as_far_as_it_can_each_time_and_names_the_rest(stage: Stage) -> None:
    stage.lvmsnap("up lent", 0)
    for undo in ("umount", "lvremove", "vgreduce", "losetup", "rm"):
        failed = stage.lvmsnap("down lent", 4, undo_fault(undo))
        there = standing(stage)
        assert kinds(there) == set(RESIDUE[undo]), f"{undo}: {failed.stderr}"
        assert left(failed) == there
    stage.lvmsnap("down lent", 0)
    stage.assert_as_before()


def test_down_does_without_wiping_a_label_that_goes_with_its_file(stage: Stage) -> None:
    stage.lvmsnap("up lent", 0)
    done = stage.lvmsnap("down lent", 0, undo_fault("pvremove"))
    assert "pvremove --yes /dev/loop7: exit 7: made to fail; a later attempt succeeded" in done.stderr
    assert standing(stage) == []
    stage.assert_as_before()


# A pass ends at a failure, for all that needs the thing gone; there are three passes.
@pytest.mark.parametrize("undos", [("lvremove", "pvremove", "losetup", "rm"), ("umount", "rmdir", "vgreduce")])
def test_commands_of_down_that_took_effect_before_they_failed_leave_nothing(
    stage: Stage, undos: tuple[str, ...]
) -> None:
    stage.lvmsnap("up lent", 0)
    failed = stage.lvmsnap("down lent", 0, *(undo_fault(undo, FAILS_AFTER) for undo in undos))
    assert standing(stage) == []
    assert "made to fail after all" in failed.stderr
    stage.assert_as_before()


def test_down_whose_commands_fail_once_ends_with_everything_down(stage: Stage) -> None:
    stage.lvmsnap("up lent", 0)
    stage.lvmsnap("down lent", 0, *(undo_fault(undo, once=True) for undo in ("rmdir", "lvremove", "losetup")))
    stage.assert_as_before()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('echo "  VG lock: no luck" >&2; exit 5', "exit 5: VG lock: no luck"),
        ("echo '{\"report\": [{'", "lvm"),
        ("echo '{\"report\": []}'", "vg0"),
    ],
    ids=["fails", "garbage", "empty"],
)
def test_a_reading_that_fails_changes_nothing_and_says_so(stage: Stage, body: str, says: str) -> None:
    fault = Fault("lvm", body, "fullreport")
    result = stage.lvmsnap("up lent", 3, fault)
    assert says in result.stderr
    stage.assert_as_before()


def test_down_that_cannot_read_the_system_keeps_stack_and_record(stage: Stage) -> None:
    stage.lvmsnap("up plain", 0)
    silent = "echo '{\"report\": []}'; exit 5"
    for body in ("exit 5", "echo '{'", silent):
        stage.lvmsnap("down plain", 3, Fault("lvm", body, "fullreport"))
        assert kinds(standing(stage)) == {"mount", "mountpoint directory", "snapshot"}
        assert stage.run(["ls", "-I", "history", "/var/lib/lvmsnap"]).stdout == "plain.json\n"
    stage.lvmsnap("down plain", 0)
    stage.assert_as_before()


def test_a_reading_that_fails_in_the_middle_of_an_undo_keeps_the_record(stage: Stage) -> None:
    # The second reading is the undo's.
    second = '[ "$(grep -c fullreport /run/faults/fired)" = 1 ] && exec lvm "$@"; echo "no luck" >&2; exit 5'
    result = stage.lvmsnap("up plain", 4, Fault("lvm", second, "fullreport"), Fault("mount", FAILS_BEFORE))
    assert "no luck" in result.stderr
    assert kinds(standing(stage)) == {"snapshot"}
    assert stage.run(["ls", "-I", "history", "/var/lib/lvmsnap"]).stdout == "plain.json\n"
    stage.lvmsnap("down plain", 0)
    stage.assert_as_before()


@pytest.mark.parametrize("command", UP)
def test_a_step_that_lies_about_its_success_is_found_out(stage: Stage, command: str) -> None:
    result = stage.lvmsnap("up lent", 1, Fault(command, LIES, "--nooverlap" if command == "losetup" else ""))
    assert "Traceback" not in result.stderr
    stage.assert_as_before()


def test_an_undo_that_lies_about_its_success_is_found_out(stage: Stage) -> None:
    stage.lvmsnap("up lent", 0)
    for undo in ("umount", "vgreduce", "rm"):
        failed = stage.lvmsnap("down lent", 4, undo_fault(undo, LIES))
        there = standing(stage)
        assert kinds(there) == set(RESIDUE[undo]), f"{undo}: {failed.stderr}"
        assert left(failed) == there
    stage.lvmsnap("down lent", 0)
    stage.assert_as_before()


def test_a_removal_of_the_snapshot_that_lies_is_found_out_without_a_lent_pv_too(stage: Stage) -> None:
    stage.lvmsnap("up plain", 0)
    failed = stage.lvmsnap("down plain", 4, undo_fault("lvremove", LIES))
    assert left(failed) == ["snapshot: vg0/snap"] == standing(stage)
    stage.lvmsnap("down plain", 0)
    stage.assert_as_before()
