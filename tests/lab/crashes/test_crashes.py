"""What is more than a plain moment of a crash: signals, LVM's commands killed at work, a lost record, a lost file."""

from __future__ import annotations

import signal

import pytest

from tests.lab.faults import BIN, FILE, MOUNTPOINT, ORIGIN, Fault, break_commands, kill_at, standing
from tests.lab.helpers import MachineFactory
from tests.lab.machine import Machine, MiB
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, start_lvmsnap

pytestmark = pytest.mark.lab

# However slow the machine is, it is not the waiting that ends a test.
WAIT = 600
RECORD = "/var/lib/lvmsnap/lent.json"

# $PPID of a wrapper is lvmsnap itself. A body that does not exit goes on to the true command.
SIGNALLED = f'kill -{{name}} $PPID; real "$@"; status=$?; echo $status > {BIN}/ended; exit $status'
SIGNALLED_AGAIN = "kill -INT $PPID; kill -TERM $PPID; kill -HUP $PPID"
KILL_AFTER = 'real "$@"; kill -KILL $PPID; exit'
KILL_AND_GO_ON = f"kill -KILL $PPID; until [ -e {BIN}/go ]; do sleep 0.2; done"


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
@pytest.mark.parametrize("command", ["sh", "losetup", "pvcreate", "vgextend", "lvcreate", "mount"])
def test_a_signal_lets_the_command_end_and_undoes_everything(stage: Stage, command: str, name: str) -> None:
    result = stage.lvmsnap("up lent", 128 + signal.Signals[f"SIG{name}"], Fault(command, SIGNALLED.format(name=name)))

    assert f"SIG{name}" in result.stderr
    assert stage.read_file(f"{BIN}/ended") == "0\n"
    stage.assert_as_before()


def test_more_signals_do_not_break_the_undo(stage: Stage) -> None:
    faults = (Fault("lvcreate", SIGNALLED.format(name="INT")), Fault("lvremove", SIGNALLED_AGAIN))

    result = stage.lvmsnap("up lent", 128 + signal.SIGINT, *faults, Fault("rm", SIGNALLED_AGAIN))

    assert "SIGINT" in result.stderr
    stage.assert_as_before()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_ends_what_only_fills_the_file_and_undoes_everything(stage: Stage, name: str) -> None:
    stage.lvmsnap(
        "up lent", 128 + signal.Signals[f"SIG{name}"], Fault("fallocate", f"kill -{name} $PPID; exec sleep 60")
    )

    stage.assert_as_before()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_signals_at_each_command_of_down_end_with_everything_down(stage: Stage, name: str) -> None:
    commands = ("umount", "rmdir", "lvremove", "vgreduce", "pvremove", "losetup")
    stage.lvmsnap("up lent", 0)
    faults = [Fault(command, f"kill -{name} $PPID") for command in commands]

    stage.lvmsnap("down lent", 128 + signal.Signals[f"SIG{name}"], *faults, Fault("rm", SIGNALLED_AGAIN))

    stage.assert_as_before()


@pytest.mark.parametrize("command", ["pvcreate", "vgextend", "lvcreate"])
def test_a_killed_up_is_undone_by_the_marks_alone_where_the_record_is_lost(stage: Stage, command: str) -> None:
    stage.lvmsnap("up lent", 128 + signal.SIGKILL, Fault(command, KILL_AFTER))
    stage.run(["rm", RECORD])

    lvmsnap(stage, "down lent" if command == "vgextend" else "recover", timeout=WAIT)

    stage.assert_as_before()


def test_recover_waits_for_the_command_that_a_killed_lvmsnap_left_running(stage: Stage) -> None:
    stage.lvmsnap("up plain", 128 + signal.SIGKILL, Fault("lvcreate", KILL_AND_GO_ON))

    recovery = start_lvmsnap(stage, f"-v --wait {WAIT} recover")
    recovery.wait_for_output("waiting up to", WAIT)
    assert standing(stage) == []
    stage.run(f": > {BIN}/go")

    result = recovery.wait(WAIT)
    assert result.returncode == 0, result.stderr
    assert "remove the snapshot" in result.stderr
    stage.assert_as_before()


# About 90 ioctls make a snapshot and 60 remove one; these lie around the loads of tables, the suspend and the resume.
AT_EACH = ", at each ioctl"
NUMBERS: dict[str, tuple[int, ...]] = {
    "lvcreate, alone": (20, 40, 46, 52, 58, 64, 73, 88),
    "lvcreate, beside another snapshot": (60, 88),
    "lvremove, alone": (36, 48, 54, 62),
    "lvremove, beside another snapshot": (48,),
    f"lvcreate, alone{AT_EACH}": tuple(range(1, 130)),
    f"lvcreate, beside another snapshot{AT_EACH}": tuple(range(1, 130)),
    f"lvremove, alone{AT_EACH}": tuple(range(1, 100)),
    f"lvremove, beside another snapshot{AT_EACH}": tuple(range(1, 100)),
}
KEEP = "lvcreate -q -y -s -l 5 -n keep vg0/system"
READ_KEPT = "mkdir /run/kept; mount -o ro,noload /dev/vg0/keep /run/kept; grep before /run/kept/file"
REMOVE_KEPT = "umount /run/kept; rmdir /run/kept; lvremove -q -y vg0/keep"


@pytest.mark.parametrize("case", NUMBERS)
def test_an_lvm_command_that_is_killed_at_work_is_made_good(stage: Stage, case: str) -> None:
    command, _, where = case.partition(", ")
    kept = where.startswith("beside")
    if kept:
        stage.run(KEEP)
    before = stage.look()

    killed = 0
    for number in NUMBERS[case]:
        path = break_commands(stage, kill_at(command, number))
        if command == "lvremove":
            lvmsnap(stage, "up plain", timeout=WAIT)
        walk, code = ("up plain", 1) if command == "lvcreate" else ("down plain", 0)
        result = lvmsnap(stage, walk, code=None, path=path, timeout=WAIT)
        said = f"{command} killed at ioctl {number}: exit {result.returncode}\n{result.stderr}"
        if result.returncode == 0 and "SIGKILL" not in result.stderr:  # it had done before
            break
        killed += 1
        assert result.returncode == code, said
        assert stage.look() == before, said

    assert killed == len(NUMBERS[case]) or case.endswith(AT_EACH)
    lvmsnap(stage, "down plain", timeout=WAIT)
    if kept:
        stage.run(f"{READ_KEPT} && {{ {REMOVE_KEPT}; }}")
    stage.assert_as_before()


def start_again(machine: Machine) -> None:
    """Cut the power and boot as a server would: the group activated as far as it goes, file systems mounted."""
    profiles = machine.run("tar -C / -c etc/lvmsnap var/lib/lvmsnap | base64; sync").stdout
    machine.cut_power()
    machine.boot(timeout=WAIT)
    machine.run(["sh", "-c", "base64 -d | tar -C / -x"], stdin=profiles)
    machine.run(f"vgchange -q -aay || true; mkdir -p /media/space {ORIGIN}; mount /dev/ubdb /media/space")


@pytest.mark.parametrize("lost", ["record", "backing file"])
def test_after_a_power_cut_recover_gives_back_a_whole_group(fresh_machine: MachineFactory, lost: str) -> None:
    machine = fresh_machine({"ubda": 256 * MiB, "ubdb": 256 * MiB})
    machine.boot(timeout=WAIT)
    Scene().build(machine)
    lvmsnap(machine, "up lent", timeout=WAIT)
    machine.run(f"echo after > {ORIGIN}/file; sync")

    start_again(machine)
    assert machine.run("lvs --noheadings -o lv_active vg0/system").stdout.strip() == ""
    machine.run(["rm", {"record": RECORD, "backing file": FILE}[lost]])
    lvmsnap(machine, "recover", timeout=WAIT)

    assert standing(machine) == []
    group = machine.run("vgs --noheadings -o vg_name,pv_count,lv_count,vg_missing_pv_count").stdout.split()
    assert group == ["vg0", "1", "1", "0"]
    assert machine.run("lvs --noheadings -o lv_name,lv_active").stdout.split() == ["system", "active"]
    machine.run(f"mount /dev/vg0/system {ORIGIN}; e2fsck -fn /dev/vg0/system > /dev/null")
    assert machine.read_file(f"{ORIGIN}/file") == "after\n"
    assert machine.run("ls -I history /var/lib/lvmsnap /media").stdout.split() == [
        "/media:",
        "space",
        "/var/lib/lvmsnap:",
    ]
    lvmsnap(machine, "up lent", timeout=WAIT)
    lvmsnap(machine, "down lent", timeout=WAIT)
    assert MOUNTPOINT not in machine.read_file("/proc/self/mountinfo")
