"""The repair of groups that runs in an early boot: what it removes, what it leaves alone, killed at every write."""

from __future__ import annotations

import sys
import time

import pytest

from tests.lab import boot_script
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, Result
from tests.lab.support import ENVIRONMENT, LAB_HOST, lvmsnap, profile_text, write_profile
from tests.samples import OTHER_HOST

pytestmark = pytest.mark.lab

PROFILE = profile_text(size="8MiB", mountpoint=None, backing_file={"path": "/media/space/lent"})
SAVE = "dd if=/dev/{0} of=/run/head-{0} bs=1M count=1 status=none"
# LVM's hints would not know of the change: in a boot a disk that appears is a new one, which makes them void.
RESTORE = """vgchange -q -an vg0; rm -f /run/lvm/hints
    dd if=/run/head-{0} of=/dev/{0} bs=1M oflag=direct status=none; udevadm settle"""
# As if the profile had been brought up before this boot.
AGE = r"""sed -i 's/"boot_id": "[^"]*/"boot_id": "0/' /var/lib/lvmsnap/a.json"""
LOSE_LENT_PV = f"{AGE}; vgchange -q -an vg0; losetup -d $(losetup -nO NAME -j /media/space/lent); udevadm settle"
NOT_HERE = 'activation { auto_activation_volume_list = [ "vg1", "vg1/system" ] }'
# Kills LVM's command $KILL at its I/O number $AT: what a power cut at that moment leaves on the disk.
SHIM = """#!/bin/sh
[ "$1" = "$KILL" ] || exec /sbin/lvm "$@"
exec strace -qq -o /dev/null -e trace=io_submit -e inject=io_submit:signal=KILL:when="$AT" /sbin/lvm "$@"
"""
# The writes of their transactions (the reads before them left out), the first and the last of each.
WRITES = [("lvremove", 3), ("lvremove", 5), ("lvremove", 8), ("vgreduce", 4), ("vgreduce", 6)]


def repair(m: Machine, shell: str = "dash", before: str = "", mode: str = "") -> Result:
    return m.run(f"{before} {shell} {boot_script.PATH} {mode}", check=False)


def event(m: Machine, disk: str = "ubda") -> Result:
    """What udev runs for a PV that appears."""
    return repair(m, before=f"DEVNAME=/dev/{disk}", mode="event")


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
    boot_script.put(m)
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
        assert first.returncode == 0, f"{shell}: {first.stderr}"
        assert "lvmsnap: vg0 is whole again" in first.stderr.splitlines()
        assert_whole(lab)
        assert lvs(lab) == {"system": "-wi-a-"}

    number = vg(lab, "vg_seqno")
    again = repair(lab)
    assert (again.returncode, again.stdout, again.stderr, vg(lab, "vg_seqno")) == (0, "", "", number)


def test_with_nothing_of_ours_it_is_one_command_that_reads(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    boot_script.put(lab)

    for mode in ("", "event"):
        trace = "DEVNAME=/dev/ubda strace -f --seccomp-bpf -qq -e trace=execve,openat -o /run/trace"
        assert repair(lab, before=trace, mode=mode).returncode == 0
        seen = lab.read_file("/run/trace").splitlines()
        assert len([line for line in seen if "execve(" in line and "= 0" in line]) == 2  # the shell, lvm
        seen = [line for line in seen if "openat(" in line]
        assert [line for line in seen if "/dev/ubd" in line and "O_RDONLY" not in line] == []
    assert [line for line in seen if '"/dev/ubdb"' in line] == [], "an event looks at its own PV"
    began = time.monotonic()
    event(lab)
    seconds = time.monotonic() - began

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


def test_a_volume_of_others_on_the_lent_pv_is_never_removed_and_all_else_is_activated(lab: Machine) -> None:
    make_group(lab, other="8M")
    lab.run(
        f"""set -e; lvremove -q -y vg0/system-lvmsnap-a; loop=$(losetup -nO NAME); lvcreate -q -n foreign -l 1 vg0 $loop
        lvcreate -q -s -l 1 -n system-lvmsnap-a --addtag lvmsnap2.{LAB_HOST}.a vg0/system $loop"""
    )
    lab.run(LOSE_LENT_PV)

    result = repair(lab)

    assert result.returncode == 1
    assert "vg0 could not be made whole: the PV that lvmsnap lent it still holds foreign," in result.stderr
    assert "Never use vgreduce --force" in result.stderr
    assert lvs(lab) == {"system": "-wi-a-", "other": "-wi-a-", "foreign": "-wi---"}
    assert vg(lab, "vg_missing_pv_count") == ["1"]
    assert lab.run("mount -o ro /dev/vg0/system /mnt; cat /mnt/data; umount /mnt").stdout == "precious\n"


def test_marks_of_another_host_and_old_ones_without_a_record_are_left_alone(lab: Machine) -> None:
    make_group(lab)
    lab.run(LOSE_LENT_PV)
    before = lab.run("head -c 1048576 /dev/ubda | cksum").stdout

    # The other host that sees the disk, and runs the same; for it the running host's file is missing.
    boot_script.put(lab, OTHER_HOST)
    for result in (repair(lab), event(lab)):
        assert (result.returncode, result.stderr) == (0, "")
    assert lab.run("head -c 1048576 /dev/ubda | cksum").stdout == before

    lab.run("lvremove -q -y vg0/system-lvmsnap-a; vgreduce -q --removemissing vg0")
    # The same with an older lvmsnap's marks.
    old = "lvmsnp-1a2b-3c4d-5e6f-7a8b-9c0d-1e2f3a"
    lab.run(
        f"""set -e; loop=$(losetup -f --show /media/space/lent)
        pvcreate -q -ff -y --uuid {old} --norestorefile --metadatacopies 0 $loop; vgextend -q vg0 $loop
        lvcreate -q -s -l 1 -n old --addtag lvmsnap.a vg0/system $loop; {LOSE_LENT_PV}"""
    )
    boot_script.put(lab)
    for result in (repair(lab), event(lab)):
        assert (result.returncode, result.stderr) == (0, "")
    assert sorted(lvs(lab)) == ["old", "system"]

    boot_script.put(lab, old_pvs=(old,))
    assert event(lab).returncode == 0
    lab.run("vgchange -q -ay vg0")
    assert_whole(lab)


@pytest.mark.parametrize("how", ["together", "each"])
def test_no_setting_of_lvm_conf_changes_what_the_script_does(lab: Machine, how: str) -> None:
    make_group(lab)
    lab.run(f"lvcreate -q -s -l 1 -n snap --addtag one --addtag lvmsnap2.{LAB_HOST}.b --addtag two vg0/system")
    lab.run(LOSE_LENT_PV)
    lab.run("mkdir -p /run/conf; rm -f /var/lib/lvmsnap/a.json")
    lab.write_file("/run/shim/lvm", boot_script.SHIM, 0o755)

    walk = [sys.executable, "-m", "tests.lab.boot_script", how]
    told = lab.run(walk, env={**ENVIRONMENT, "LVM_SYSTEM_DIR": "/run/conf"}, timeout=300).stdout

    by_default, _, rest = told.partition("\n\n")
    assert [line.split()[0] for line in by_default.splitlines()] == ["lvremove", "lvremove", "vgreduce", "vgchange"]
    assert rest.startswith("tried ")


def test_a_snapshot_of_an_earlier_boot_goes_and_one_that_is_in_use_or_merging_stays(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M", "data": "16M"}, filesystems={"system": "ext4", "data": "ext4"})
    boot_script.put(lab)
    write_profile(lab, "a", profile_text(size="8MiB", mountpoint=None))
    lvmsnap(lab, "up a")
    lab.run(
        f"""set -e; mkdir -p /mnt; mount /dev/vg0/data /mnt; echo merged > /mnt/data; sync
        lvcreate -q -s -L 4M -n merging --addtag lvmsnap2.{LAB_HOST}.m vg0/data; echo changed > /mnt/data
        lvcreate -q -s -L 4M -n theirs --addtag lvmsnap2.{OTHER_HOST}.a vg0/system
        lvconvert -q --merge vg0/merging; umount /mnt"""
    )
    everything = {"system", "data", "system-lvmsnap-a", "theirs"}

    assert (event(lab).stderr, set(lvs(lab))) == ("", everything), "all are active"
    lab.run("vgchange -q -an vg0")
    assert (event(lab).stderr, set(lvs(lab))) == ("", everything), "up in this boot, by its record"
    lab.run(AGE)
    lab.run("lvchange -q -ay vg0/system")
    assert (event(lab).stderr, set(lvs(lab))) == ("", everything), "not beside an active origin"
    lab.run("vgchange -q -an vg0")

    # Where LVM does not activate the group by itself here, another host may have it in use.
    for off, on in (
        ("vgchange -q --setautoactivation n vg0", "vgchange -q --setautoactivation y vg0"),
        (f"echo '{NOT_HERE}' > /etc/lvm/lvmlocal.conf", "rm /etc/lvm/lvmlocal.conf"),
    ):
        lab.run(off)
        left = event(lab)
        assert (left.returncode, set(lvs(lab))) == (0, everything), left.stderr
        lab.run(on)
    assert "vg0 is left alone: LVM does not activate it here by itself" in lab.read_file("/run/lvmsnap/boot.log")

    # A group that stays locked delays the boot for seconds, not for ever; then it goes on as LVM does by itself.
    held = lab.run(f"flock -x /run/lock/lvm/V_vg0 env DEVNAME=/dev/ubda dash {boot_script.PATH} event", check=False)
    assert (held.returncode, set(lvs(lab))) == (0, everything)
    assert "vg0/system-lvmsnap-a could not be removed" in held.stderr

    assert event(lab).returncode == 0
    assert lvs(lab) == {"system": "owi---", "data": "Owi---", "theirs": "swi---"}
    lab.run("vgchange -q -ay vg0; until ! lvs -a vg0 | grep -q merging; do sleep 0.3; done")
    assert lab.run("mount /dev/vg0/data /mnt; cat /mnt/data; umount /mnt").stdout == "merged\n"
