"""The repair of groups that runs in an early boot: what it removes, what it leaves alone, killed at every write."""

from __future__ import annotations

import time

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, Result
from tests.support import TOP, lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

PROFILE = profile_text(size="8MiB", mountpoint=None, backing_file={"path": "/media/space/lent"})
SAVE = "dd if=/dev/{0} of=/run/head-{0} bs=1M count=1 status=none"
# LVM's hints would not know of the change: in a boot a disk that appears is a new one, which makes them void.
RESTORE = """vgchange -q -an vg0; rm -f /run/lvm/hints
    dd if=/run/head-{0} of=/dev/{0} bs=1M oflag=direct status=none; udevadm settle"""
LOSE_LENT_PV = "vgchange -q -an vg0; losetup -d $(losetup -nO NAME -j /media/space/lent); udevadm settle"
# Kills LVM's command $KILL at its I/O number $AT: what a power cut at that moment leaves on the disk.
SHIM = """#!/bin/sh
[ "$1" = "$KILL" ] || exec /sbin/lvm "$@"
exec strace -qq -o /dev/null -e trace=io_submit -e inject=io_submit:signal=KILL:when="$AT" /sbin/lvm "$@"
"""
# The writes of their transactions (the reads before them left out), the first and the last of each.
WRITES = [("lvremove", 3), ("lvremove", 5), ("lvremove", 8), ("vgreduce", 4), ("vgreduce", 6)]


def repair(m: Machine, shell: str = "dash", before: str = "") -> Result:
    return m.run(f"{before} {shell} /run/repair-groups", check=False)


def make_group(m: Machine, *disks: str, **volumes: str) -> None:
    """A group with an origin, a snapshot of it on a lent PV, and the repair as a boot has it."""
    make_vg(
        m,
        disks=("ubda", *disks),
        volumes={"system": "32M", **volumes},
        filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
        mounts={"/dev/ubdb": "/media/space", "system": "/mnt"},
    )
    m.run("echo precious > /mnt/data; umount /mnt")
    m.write_file("/run/repair-groups", (TOP / "lvmsnap/boot_files/repair-groups").read_text(), 0o755)
    write_profile(m, "a", PROFILE)
    lvmsnap(m, "up a")


def lvs(m: Machine) -> dict[str, str]:
    """The group's LVs and their first six attributes."""
    lines = m.run("lvs --noheadings -o lv_name,lv_attr vg0").stdout.splitlines()
    return {name: attributes[:6] for name, attributes in map(str.split, lines)}


def vg(m: Machine, fields: str) -> list[str]:
    return m.run(f"vgs --noheadings -o {fields} vg0").stdout.split()


def assert_whole(m: Machine) -> None:
    assert vg(m, "vg_missing_pv_count,pv_count") == ["0", "1"]
    assert set(lvs(m)) == {"system"}
    assert m.run("mount -o ro /dev/vg0/system /mnt; cat /mnt/data; umount /mnt").stdout == "precious\n"


def test_it_gives_the_group_back_in_any_shell_and_once_is_enough(lab: Machine) -> None:
    make_group(lab)
    lab.run(f"{LOSE_LENT_PV}; {SAVE.format('ubda')}")

    for shell in ("dash", "busybox sh"):
        lab.run(RESTORE.format("ubda"))
        first = repair(lab, shell)
        assert (first.returncode, first.stderr.splitlines()[-1]) == (0, "lvmsnap: vg0 is whole again"), shell
        assert_whole(lab)
        assert lvs(lab) == {"system": "-wi-a-"}

    number = vg(lab, "vg_seqno")
    again = repair(lab)
    assert (again.returncode, again.stdout, again.stderr, vg(lab, "vg_seqno")) == (0, "", "", number)


def test_with_nothing_of_ours_it_is_one_command_that_reads(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    lab.write_file("/run/repair-groups", (TOP / "lvmsnap/boot_files/repair-groups").read_text(), 0o755)

    traced = repair(lab, before="strace -f -qq -e trace=execve,openat -o /run/trace").returncode
    began = time.monotonic()
    repair(lab)
    seconds = time.monotonic() - began

    trace = lab.read_file("/run/trace").splitlines()
    assert traced == 0
    assert len([line for line in trace if "execve(" in line and "= 0" in line]) == 2  # the shell, lvm
    assert [line for line in trace if "/dev/ubd" in line and "O_RDONLY" not in line] == []
    assert seconds < 1.5, "half a second where nothing else runs"
    assert lab.run("cat /run/lvmsnap/boot.log", check=False).returncode == 1


def test_killed_at_any_write_it_is_completed_by_the_next_run(lab: Machine) -> None:
    make_group(lab)
    lab.write_file("/run/shim/lvm", SHIM, 0o755)
    lab.run(f"{LOSE_LENT_PV}; {SAVE.format('ubda')}")

    for command, number in WRITES:
        lab.run(RESTORE.format("ubda"))
        killed = repair(lab, before=f"KILL={command} AT={number} PATH=/run/shim:$PATH")
        assert killed.returncode == 1, f"{command} was not killed at {number}: {killed.stderr}"
        assert "could not be made whole" in killed.stderr

        done = repair(lab)

        assert done.returncode == 0, f"after {command} killed at {number}: {done.stderr}"
        lab.run("vgchange -q -ay vg0")  # As the boot does, where the group was whole already.
        assert_whole(lab)


def test_a_group_that_lacks_another_disk_too_is_not_touched_before_it_is_there(lab: Machine) -> None:
    make_group(lab, "ubdc", other="100%FREE")
    lab.run(f"{LOSE_LENT_PV}; {SAVE.format('ubdc')}; dd if=/dev/zero of=/dev/ubdc bs=1M count=1 oflag=direct")
    lab.run("udevadm settle")
    before = lab.run("head -c 1048576 /dev/ubda | cksum").stdout

    first, second = repair(lab), repair(lab)

    assert lab.run("head -c 1048576 /dev/ubda | cksum").stdout == before
    assert first.returncode == second.returncode == 0
    assert "vg0 is left alone until PVs that lvmsnap did not lend are there too" in first.stderr
    assert second.stderr == "", "said once in a boot"
    lab.run(RESTORE.format("ubdc"))
    assert repair(lab).returncode == 0
    assert (vg(lab, "vg_missing_pv_count,pv_count"), set(lvs(lab))) == (["0", "2"], {"system", "other"})


def test_a_volume_of_others_on_the_lent_pv_is_never_removed(lab: Machine) -> None:
    make_group(lab)
    lab.run("lvremove -q -y vg0/system-lvmsnap-a; lvcreate -q -n foreign -l 1 vg0 $(losetup -nO NAME)")
    lab.run(LOSE_LENT_PV)

    result = repair(lab)

    assert result.returncode == 1
    assert "vg0 could not be made whole" in result.stderr
    assert "never use vgreduce --force" in result.stderr
    assert set(lvs(lab)) == {"system", "foreign"}
    assert vg(lab, "vg_missing_pv_count") == ["1"]
