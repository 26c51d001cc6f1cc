"""Several at once: two lvmsnap, LVM's own lock held by somebody, a mount that somebody uses."""

from __future__ import annotations

import pytest

from tests.faults import BIN, MOUNTPOINT, Fault, Stage, break_commands, left, standing
from tests.lab.machine import Job, Machine
from tests.support import lvmsnap, profile_text, start_lvmsnap, write_profile

pytestmark = pytest.mark.lab

# Says that it has begun, and goes on when it is told to; a body that does not exit goes on to the true command.
WAITS = f": > {BIN}/begun; until [ -e {BIN}/go ]; do sleep 0.2; done"
WAIT_BEGUN = f"until [ -e {BIN}/begun ]; do sleep 0.2; done"
GO = f": > {BIN}/go"
# However slow the machine is, it is not the waiting that ends a test.
WAIT = 600


@pytest.fixture(scope="module")
def shared_stage(shared_machine: Machine) -> Stage:
    if not shared_machine.is_running():
        shared_machine.boot()
    return Stage(shared_machine)


@pytest.fixture
def stage(shared_stage: Stage) -> Stage:
    shared_stage.prepare()
    return shared_stage


def start_and_stop_at(stage: Stage, arguments: str, command: str) -> Job:
    """Start lvmsnap and have it wait in a command until `GO` is run."""
    job = start_lvmsnap(stage.machine, arguments, path=break_commands(stage.machine, Fault(command, WAITS)))
    stage.machine.run(WAIT_BEGUN, timeout=WAIT)
    return job


def hold_lock_of_group(machine: Machine) -> Job:
    """Hold LVM's lock of vg0 until the job is killed."""
    holder = machine.start("mkdir -p /run/lock/lvm; exec flock /run/lock/lvm/V_vg0 sh -c 'echo held; exec sleep 9999'")
    holder.wait_for_output("held", WAIT)
    return holder


def test_a_second_lvmsnap_waits_for_the_first_or_is_refused_at_once(stage: Stage) -> None:
    first = start_and_stop_at(stage, "up plain", "lvcreate")
    pid = stage.machine.read_file("/run/lvmsnap/plain.lock").strip()

    refused = lvmsnap(stage.machine, "--wait 0 down plain", code=3, timeout=WAIT)
    second = start_lvmsnap(stage.machine, f"-v --wait {WAIT} up plain")
    second.wait_for_output(
        f"waiting up to {WAIT} s for another lvmsnap (pid {pid}), which holds the lock of plain", WAIT
    )
    stage.machine.run(GO)

    assert f"another lvmsnap (pid {pid}) holds the lock of plain" in refused.stderr
    assert first.wait(WAIT).returncode == 0
    assert second.wait(WAIT).returncode == 3, second.stderr  # it is up already
    assert len(standing(stage.machine)) == 3
    stage.run("down plain", 0)
    stage.assert_as_before()


def test_up_during_a_down_waits_and_then_succeeds(stage: Stage) -> None:
    stage.run("up plain", 0)
    down = start_and_stop_at(stage, "down plain", "lvremove")

    up = start_lvmsnap(stage.machine, f"-v --wait {WAIT} up plain")
    up.wait_for_output("waiting up to", WAIT)
    stage.machine.run(GO)

    assert down.wait(WAIT).returncode == 0, down.stderr
    assert up.wait(WAIT).returncode == 0, up.stderr
    assert len(standing(stage.machine)) == 3
    stage.run("down plain", 0)
    stage.assert_as_before()


def test_two_profiles_on_one_group_at_once_both_succeed(stage: Stage) -> None:
    other = profile_text(snapshot="snap2", size="16MiB", mountpoint="/media/second")
    write_profile(stage.machine, "other", other)

    ups = [start_lvmsnap(stage.machine, f"--wait {WAIT} up {name}") for name in ("lent", "other")]

    assert [job.wait(WAIT).returncode for job in ups] == [0, 0], [job.stderr for job in ups]
    assert stage.machine.run("lvs --noheadings -o lv_name -S origin=system").stdout.split() == ["snap", "snap2"]
    downs = [start_lvmsnap(stage.machine, f"--wait {WAIT} down {name}") for name in ("lent", "other")]
    assert [job.wait(WAIT).returncode for job in downs] == [0, 0], [job.stderr for job in downs]
    stage.machine.run("rm /etc/lvmsnap/other.yaml")
    stage.assert_as_before()


def test_the_lock_of_the_group_is_waited_for_within_bounds(stage: Stage) -> None:
    holder = hold_lock_of_group(stage.machine)

    refused = lvmsnap(stage.machine, "--wait 1 up plain", code=3, timeout=WAIT)
    up = start_lvmsnap(stage.machine, f"-v --wait {WAIT} up plain")
    announced = up.wait_for_output("waiting up to", WAIT)
    holder.kill()

    assert "holds LVM's lock of vg0, and did so for 1 s" in refused.stderr
    assert "which holds LVM's lock of vg0" in announced
    assert up.wait(WAIT).returncode == 0, up.stderr
    stage.run("down plain", 0)
    stage.assert_as_before()


def test_a_busy_mount_stops_down_before_it_takes_anything_and_names_who(stage: Stage) -> None:
    stage.run("up lent", 0)
    before = standing(stage.machine)
    user = stage.machine.start("echo $$; exec sleep 9999", cwd=MOUNTPOINT)
    pid = user.wait_for_output("\n", WAIT).strip()

    result = stage.run("down lent", 4)

    assert f"held by pid {pid} (sleep): {MOUNTPOINT}" in result.stderr
    assert standing(stage.machine) == before
    assert [line for line in left(result) if not line.startswith("held by")] == before
    user.kill()
    user.wait(WAIT)
    stage.run("down lent", 0)
    stage.assert_as_before()
