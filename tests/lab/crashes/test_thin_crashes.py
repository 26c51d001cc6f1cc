"""LVM's commands on thin snapshots, killed at work: the origin goes on, the pool stays whole, nothing is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.faults import BIN, Fault, break_commands, kill_at
from tests.lab.helpers import fingerprint
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, write_profile

pytestmark = pytest.mark.lab

WAIT = 600
POOL = """set -e
vgcreate -q vg0 /dev/ubda; lvcreate -q -y -L 64M -T vg0/pool; lvcreate -q -y -V 96M -T vg0/pool -n system
mkfs.ext4 -q /dev/vg0/system; mkdir -p /mnt/d; mount /dev/vg0/system /mnt/d; echo before > /mnt/d/file; : > /mnt/d/alive
lvcreate -q -y -s -n theirs vg0/system; sync"""
SAME = "mkdir -p /run/kept; mount -o ro,noload {} /run/kept; grep before /run/kept/file; umount /run/kept"
# lvcreate suspends the origin at 76, tells the pool at 79 and 80, resumes at 98. It makes the device at about 150: how
# often it waited before differs from machine to machine.
NUMBERS: dict[str, tuple[int, ...]] = {
    "lvcreate": (79, 98),
    "lvremove": (60, 79),
}
AT_EACH = ", at each ioctl"
NUMBERS |= {f"{case}{AT_EACH}": tuple(range(1, 200)) for case in NUMBERS}
# Somebody takes a snapshot with a space of its own first: lvcreate then suspends the device beneath the origin alone.
MEANWHILE = "/sbin/lvcreate -q -y -s -l 5 -n keep vg0/system 2> /dev/null; "


@pytest.mark.parametrize("case", NUMBERS)
def test_an_lvm_command_on_a_thin_snapshot_that_is_killed_is_made_good(lab: Machine, case: str) -> None:
    command = case.removesuffix(AT_EACH)
    lab.run(POOL, timeout=120)
    write_profile(lab, "p", "volumes: [{origin: vg0/system}]")
    lvmsnap(lab, "status")
    before = fingerprint(lab, ("/media", "/mnt"))

    killed = 0
    for number in NUMBERS[case]:
        if command == "lvremove":
            lvmsnap(lab, "up p", timeout=WAIT)
        path = break_commands(lab, kill_at(command, number))
        walk, code = ("up p", 1) if command == "lvcreate" else ("down p", 0)
        result = lvmsnap(lab, walk, code=None, path=path, timeout=WAIT)
        said = f"{command} killed at ioctl {number}: exit {result.returncode}\n{result.stderr}"
        if "SIGKILL" not in result.stderr:  # it had done before
            break
        killed += 1
        assert result.returncode == code, said
        lab.run("timeout 60 touch /mnt/d/alive && timeout 60 sync -f /mnt/d")
        assert fingerprint(lab, ("/media", "/mnt")) == before, said

    assert killed == len(NUMBERS[case]) or case.endswith(AT_EACH)
    lvmsnap(lab, "down p", timeout=WAIT)
    lab.run(f"lvchange -ay -K vg0/theirs; {SAME.format('/dev/vg0/theirs')}; umount /mnt/d; vgchange -q -an vg0")
    lab.run("lvchange -q -ay vg0/system; e2fsck -fn /dev/vg0/system; grep -q before /dev/vg0/system")


@pytest.mark.parametrize("number", [79, 82, 90, 98])
def test_where_a_killed_lvcreate_held_the_device_beneath_the_origin_the_origin_goes_on(
    lab: Machine, number: int
) -> None:
    lab.run(POOL, timeout=120)
    write_profile(lab, "p", "volumes: [{origin: vg0/system}]")
    lvmsnap(lab, "status")
    before = fingerprint(lab, ("/media", "/mnt"))
    kill = kill_at("lvcreate", number)

    path = break_commands(lab, replace(kill, body=f"{MEANWHILE}{kill.body}"))
    result = lvmsnap(lab, "up p", code=1, path=path, timeout=WAIT)

    assert "SIGKILL" in result.stderr
    lab.run("timeout 60 touch /mnt/d/alive && timeout 60 sync -f /mnt/d; lvremove -q -y vg0/keep")
    assert fingerprint(lab, ("/media", "/mnt")) == before


def test_where_lvm_is_killed_between_its_two_messages_to_the_pool_the_pool_can_be_changed_again(lab: Machine) -> None:
    lab.run(POOL, timeout=120)
    write_profile(lab, "p", "volumes: [{origin: vg0/system}]")
    lvmsnap(lab, "status")
    before = fingerprint(lab, ("/media", "/mnt"))
    traced = Fault("lvcreate", f'exec strace -f -o {BIN}/trace -e trace=ioctl /sbin/lvcreate "$@"')
    lvmsnap(lab, "up p", path=break_commands(lab, traced), timeout=WAIT)
    messages = lab.run(f"grep ioctl {BIN}/trace | grep -n DM_TARGET_MSG | cut -d: -f1").stdout.split()
    lvmsnap(lab, "down p", timeout=WAIT)

    path = break_commands(lab, kill_at("lvcreate", int(messages[1])))
    result = lvmsnap(lab, "up p", code=1, path=path, timeout=WAIT)

    assert "SIGKILL" in result.stderr
    first, second = (line for line in lab.read_file(f"{BIN}/trace").splitlines() if "DM_TARGET_MSG" in line)
    assert first.endswith("= 0")
    assert second.endswith("= ?")
    lab.run("timeout 60 touch /mnt/d/alive && timeout 60 sync -f /mnt/d")
    assert fingerprint(lab, ("/media", "/mnt")) == before
    lab.run("lvcreate -q -y -s -n again vg0/system; lvremove -q -y vg0/again")
