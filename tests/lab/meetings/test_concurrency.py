"""Several at once: two lvmsnap, LVM's own lock held by somebody, a mount that somebody uses."""

from __future__ import annotations

import signal

import pytest

from tests.lab.faults import BIN, MOUNTPOINT, Fault, break_commands, left, standing
from tests.lab.machine import Job, Machine
from tests.lab.stage import Stage
from tests.lab.support import lvmsnap, profile_text, shell_line, start_lvmsnap

pytestmark = pytest.mark.lab

# Says that it has begun, and goes on when it is told to; a body that does not exit goes on to the true command.
WAITS = f": > {BIN}/begun; until [ -e {BIN}/go ]; do sleep 0.2; done"
WAIT_BEGUN = f"until [ -e {BIN}/begun ]; do sleep 0.2; done"
GO = f": > {BIN}/go"
# However slow the machine is, it is not the waiting that ends a test.
WAIT = 600


def start_and_stop_at(stage: Stage, arguments: str, command: str) -> Job:
    """Start lvmsnap and have it wait in a command until `GO` is run."""
    job = start_lvmsnap(stage, arguments, path=break_commands(stage, Fault(command, WAITS)))
    stage.run(WAIT_BEGUN, timeout=WAIT)
    return job


def hold_lock_of_group(machine: Machine) -> Job:
    """Hold LVM's lock of vg0 until the job is killed."""
    holder = machine.start("mkdir -p /run/lock/lvm; exec flock /run/lock/lvm/V_vg0 sh -c 'echo held; exec sleep 9999'")
    holder.wait_for_output("held", WAIT)
    return holder


def test_a_second_lvmsnap_waits_for_the_first_or_is_refused_at_once(stage: Stage) -> None:
    first = start_and_stop_at(stage, "up plain", "lvcreate")
    pid = stage.read_file("/run/lvmsnap/plain.lock").strip()

    refused = lvmsnap(stage, "--wait 0 down plain", code=3, timeout=WAIT)
    second = start_lvmsnap(stage, f"-v --wait {WAIT} up plain")
    second.wait_for_output(
        f"waiting up to {WAIT} s for another lvmsnap (pid {pid}), which holds the lock of plain", WAIT
    )
    stage.run(GO)

    assert f"another lvmsnap (pid {pid}) holds the lock of plain" in refused.stderr
    assert first.wait(WAIT).returncode == 0
    assert second.wait(WAIT).returncode == 3, second.stderr  # it is up already
    assert len(standing(stage)) == 3
    stage.lvmsnap("down plain", 0)
    stage.assert_as_before()


def test_up_during_a_down_waits_and_then_succeeds(stage: Stage) -> None:
    stage.lvmsnap("up plain", 0)
    down = start_and_stop_at(stage, "down plain", "lvremove")

    up = start_lvmsnap(stage, f"-v --wait {WAIT} up plain")
    up.wait_for_output("waiting up to", WAIT)
    stage.run(GO)

    assert down.wait(WAIT).returncode == 0, down.stderr
    assert up.wait(WAIT).returncode == 0, up.stderr
    assert len(standing(stage)) == 3
    stage.lvmsnap("down plain", 0)
    stage.assert_as_before()


def test_two_profiles_on_one_group_at_once_both_succeed(stage: Stage) -> None:
    other = profile_text(snapshot="snap2", size="16MiB", mountpoint="/media/second")
    stage.write_profile("other", other)

    ups = [start_lvmsnap(stage, f"--wait {WAIT} up {name}") for name in ("lent", "other")]

    assert [job.wait(WAIT).returncode for job in ups] == [0, 0], [job.stderr for job in ups]
    assert stage.run("lvs --noheadings -o lv_name -S origin=system").stdout.split() == ["snap", "snap2"]
    downs = [start_lvmsnap(stage, f"--wait {WAIT} down {name}") for name in ("lent", "other")]
    assert [job.wait(WAIT).returncode for job in downs] == [0, 0], [job.stderr for job in downs]
    stage.assert_as_before()


def test_the_lock_of_the_group_is_waited_for_within_bounds(stage: Stage) -> None:
    holder = hold_lock_of_group(stage)

    refused = lvmsnap(stage, "--wait 1 up plain", code=3, timeout=WAIT)
    up = start_lvmsnap(stage, f"-v --wait {WAIT} up plain")
    announced = up.wait_for_output("waiting up to", WAIT)
    holder.kill()

    assert "has held LVM's lock of vg0 for 1 s" in refused.stderr
    assert "which holds LVM's lock of vg0" in announced
    assert up.wait(WAIT).returncode == 0, up.stderr
    stage.lvmsnap("down plain", 0)
    stage.assert_as_before()


def test_a_busy_mount_stops_down_before_it_takes_anything_and_names_who(stage: Stage) -> None:
    stage.lvmsnap("up lent", 0)
    before = standing(stage)
    user = stage.start("echo $$; exec sleep 9999", cwd=MOUNTPOINT)
    pid = user.wait_for_output("\n", WAIT).strip()

    result = stage.lvmsnap("down lent", 4)
    listed = stage.lvmsnap("-v down lent", 4)

    who = f"error: lent could not be taken down: it is in use, held by pid {pid} (sleep): {MOUNTPOINT}\n"
    todo = "end that, or wait until it ends, then lvmsnap down lent; with -v it lists what is left"
    assert result.stderr == f"{who}  what to do: {todo}, and the commands to finish\n"
    assert standing(stage) == before
    assert left(listed) == before
    assert "  to finish by hand:\n    $ umount" in listed.stderr
    user.kill()
    user.wait(WAIT)
    stage.lvmsnap("down lent", 0)
    stage.assert_as_before()


# --- LVM's own locks --------------------------------------------------------------------------------------------------


def hold_prompt(machine: Machine, command: str) -> Job:
    """Start an LVM command that asks something, and leave it waiting for the answer with the locks that it has."""
    prompt = machine.start(f"exec {command}", stdin=True)
    prompt.wait_for_output("[y/n]", WAIT)
    return prompt


def test_an_unanswered_prompt_in_another_group_keeps_nobody_waiting(stage: Stage) -> None:
    stage.run("vgcreate -qy vg1 /dev/ubdc; lvcreate -qy -n x -L 16M vg1")
    prompt = hold_prompt(stage, "lvremove vg1/x")

    # Nothing that concerns vg0 waits, not even with --wait 0; without a file and with one.
    lvmsnap(stage, "--wait 0 up lent", timeout=WAIT)
    lvmsnap(stage, "--wait 0 down lent", timeout=WAIT)
    lvmsnap(stage, "--wait 0 up plain", timeout=WAIT)
    lvmsnap(stage, "--wait 0 recover", timeout=WAIT)
    lvmsnap(stage, "--wait 0 down --all", timeout=WAIT)

    assert prompt.poll() is None
    prompt.kill(signal.SIGKILL)
    prompt.wait(WAIT)
    stage.run("vgremove -qy vg1; pvremove -qy /dev/ubdc")
    stage.assert_as_before()


def test_locks_of_lvm_that_are_held_on_and_on_are_waited_for_within_bounds_by_every_command(stage: Stage) -> None:
    stage.lvmsnap("up plain", 0)
    stage.run("lvcreate -qy -n x -L 4M vg0")
    prompt = hold_prompt(stage, "lvremove vg0/x")
    for command in ("down plain", "down --all", "recover plain", "up lent", "up --replace plain"):
        refused = lvmsnap(stage, f"--wait 1 {command}", code=3, timeout=60)
        assert "(lvremove) has held LVM's lock of vg0 for 1 s" in refused.stderr, command
    prompt.kill(signal.SIGKILL)
    prompt.wait(WAIT)
    stage.run("lvremove -qy vg0/x")
    stage.lvmsnap("down plain", 0)

    # The lock of all PVs keeps only those waiting who change one: what was begun is undone then.
    stage.run("mkfs.ext4 -q /dev/ubdc")
    prompt = hold_prompt(stage, "pvcreate /dev/ubdc")
    lvmsnap(stage, "--wait 0 run plain -- true", timeout=WAIT)
    undone = lvmsnap(stage, "--wait 1 up lent", code=1, timeout=60)
    assert "(pvcreate) has held LVM's lock of all PVs for 1 s" in undone.stderr
    prompt.kill(signal.SIGKILL)
    prompt.wait(WAIT)
    stage.run("wipefs -qa /dev/ubdc")
    stage.assert_as_before()


# --- the guard of another profile -------------------------------------------------------------------------------------


def test_a_guard_gives_more_room_in_time_while_another_profile_fills_a_file_or_is_in_a_hook(stage: Stage) -> None:
    hook = f"until [ -e {BIN}/go ]; do sleep 0.2; done"
    hooked = profile_text(snapshot="snap3", size="4MiB", mountpoint="null")
    stage.write_profile("hooked", f'{hooked}hooks: {{before_snapshot: ": > {BIN}/hooked; {hook}", timeout: 600s}}\n')
    guarded = profile_text(snapshot="snap2", size="8MiB", mountpoint="null") + "overflow: {extend_at: 50%}\n"
    stage.write_profile("guarded", guarded)
    filling = start_lvmsnap(stage, "up filled", path=break_commands(stage, Fault("dd", WAITS)))
    hooking = start_lvmsnap(stage, "up hooked")
    stage.run(f"{WAIT_BEGUN}; until [ -e {BIN}/hooked ]; do sleep 0.2; done", timeout=WAIT)

    write = "for i in 1 2 3 4 5; do head -c 1M /dev/urandom > /mnt/fill$i; sync /mnt/fill$i; sleep 1; done"
    done = lvmsnap(stage, f"-v --wait 5 run guarded -- sh -c '{write}; rm /mnt/fill*; sync'", timeout=WAIT)

    assert "was extended by" in done.stderr
    assert filling.poll() is None
    assert hooking.poll() is None
    stage.run(GO)
    assert [filling.wait(WAIT).returncode, hooking.wait(WAIT).returncode] == [0, 0], hooking.stderr
    for name in ("filled", "hooked"):
        stage.lvmsnap(f"down {name}", 0)
    stage.assert_as_before()


def test_a_hook_may_call_for_another_profile_and_is_refused_at_once_for_its_own(stage: Stage) -> None:
    other = profile_text(snapshot="snap2", size="4MiB", mountpoint="null")
    stage.write_profile("other", other)
    stage.write_file(
        "/run/hook", f"#!/bin/sh\n{shell_line('up other')} && {shell_line(f'--wait {WAIT} down hooked')}\n", 0o755
    )
    hooked = profile_text(snapshot="snap3", size="4MiB", mountpoint="null")
    stage.write_profile("hooked", f"{hooked}hooks: {{before_snapshot: [/run/hook], timeout: 600s}}\n")

    refused = stage.lvmsnap("-v up hooked", 1)

    assert "the lvmsnap that called this one" in refused.stderr
    assert "a hook cannot call lvmsnap for its own profile" in refused.stderr
    assert stage.run("lvs --noheadings -o lv_name -S 'origin=system'").stdout.split() == ["snap2"]
    stage.lvmsnap("down other", 0)
    stage.run("rm /run/hook")
    stage.assert_as_before()
