"""What lvmsnap did not make survives it: bytes, inode, UUID. What is still its own goes, whatever was done by hand.

The tests share one group and put back what they change. A foreign thing is looked at before and after.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.helpers import fingerprint, make_vg, wipe
from tests.lab.machine import Machine
from tests.lab.support import LAB_HOST, lvmsnap, profile_text, shell_line, write_profile

pytestmark = pytest.mark.lab

LENT = "/media/store/lent"
TAG = f"lvmsnap2.{LAB_HOST}."
SNAPSHOT = "vg0/system-lvmsnap-mine"
FOLDERS = ("/var/lib/lvmsnap", "/media", "/mnt", "/media/store", "/media/system")


@pytest.fixture(scope="module")
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """A group with two origins, and a store on another disk; at the end as at the start."""
    if not shared_machine.is_running():
        shared_machine.boot()
    wipe(shared_machine)
    make_vg(
        shared_machine,
        volumes={"system": "64M", "data": "32M"},
        filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
        mounts={"system": "/media/system", "/dev/ubdb": "/media/store"},
    )
    shared_machine.run(
        "mkdir -p /etc/lvmsnap /var/lib/lvmsnap; chmod 700 /var/lib/lvmsnap; echo precious > /media/system/file; sync"
    )
    before = fingerprint(shared_machine, FOLDERS)
    yield shared_machine
    assert fingerprint(shared_machine, FOLDERS) == before


@pytest.fixture
def mine(machine: Machine) -> Iterator[Machine]:
    """The machine with profile `mine`: on lent space, mounted. A failed test must not spoil the next one."""
    write_profile(machine, "mine", profile(mountpoint="/mnt/snap", backing_file={"path": LENT}))
    yield machine
    machine.run(
        '[ -z "$(ls /var/lib/lvmsnap /mnt)" ] || { umount /mnt/snap; ' + shell_line("down mine") + "; }", check=False
    )
    machine.run("rm -rf /mnt/snap /media/store/lent* /media/store/moved")


def profile(origin: str = "vg0/system", **settings: Any) -> str:
    return profile_text(origin, **{"size": "8MiB", "mountpoint": None, **settings})


def volumes(m: Machine) -> list[str]:
    return m.run("lvs --noheadings -o lv_name vg0").stdout.split()


def lent_pvs(m: Machine) -> str:
    return m.run("pvs -a --noheadings -o pv_name,pv_uuid -S 'pv_name=~^/dev/loop && pv_uuid!=\"\"'").stdout.strip()


def assert_nothing_of_mine(m: Machine) -> None:
    assert m.run("losetup -a").stdout == ""
    assert lent_pvs(m) == ""
    assert m.run("ls /var/lib/lvmsnap").stdout == ""
    assert "lvmsnap" not in m.run("lvs --noheadings -o lv_name,lv_tags").stdout


# --- there before `up` --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        "lvcreate -q -y -Wn -Zn -L 8M -n theirs vg0",
        "lvcreate -q -y -s -L 8M -n theirs vg0/data",
        "lvcreate -q -y -s -L 8M -n theirs vg0/system",
        f"lvcreate -q -y -s -L 8M -n theirs --addtag {TAG}other vg0/system",
    ],
    ids=["no snapshot", "of another origin", "without our tag", "of another profile"],
)
def test_a_volume_that_only_has_the_name_survives_every_command(machine: Machine, make: str) -> None:
    write_profile(machine, "name", profile(snapshot="theirs"))
    machine.run(make)
    look = "lvs --noheadings -o lv_name,lv_uuid,lv_attr,lv_size,lv_tags,origin vg0"
    before = machine.run(look).stdout

    refused = lvmsnap(machine, "up name", code=3)
    lvmsnap(machine, "up name --replace", code=3)
    lvmsnap(machine, "down name --force")
    lvmsnap(machine, "recover name")
    state = lvmsnap(machine, "status name")

    assert "vg0/theirs exists and does not belong to this profile" in refused.stderr
    assert state.stdout.splitlines()[1].split()[:2] == ["name", "foreign"]
    assert machine.run(look).stdout == before
    machine.run("lvremove -q -y vg0/theirs")


def test_a_snapshot_with_an_older_tag_of_which_this_host_has_no_record_survives_every_command(machine: Machine) -> None:
    write_profile(machine, "tagged", profile(snapshot="theirs"))
    machine.run("lvcreate -q -y -s -L 8M -n theirs --addtag lvmsnap.tagged vg0/system")
    look = "lvs --noheadings -o lv_name,lv_uuid,lv_attr,lv_tags,origin vg0"
    before = machine.run(look).stdout

    try:
        lvmsnap(machine, "up tagged", code=3)
        lvmsnap(machine, "up tagged --replace", code=3)
        lvmsnap(machine, "down tagged --force")
        lvmsnap(machine, "recover tagged")

        assert machine.run(look).stdout == before
    finally:
        machine.run("lvremove -q -y vg0/theirs; rm -f /var/lib/lvmsnap/*")


def test_a_snapshot_with_this_hosts_tag_is_found_whatever_the_profile_says_of_its_origin_by_now(
    machine: Machine,
) -> None:
    write_profile(machine, "tagged", profile(snapshot="ours"))
    machine.run(f"lvcreate -q -y -s -L 8M -n ours --addtag {TAG}tagged vg0/data")

    assert json.loads(lvmsnap(machine, "status tagged --json").stdout)[0]["state"] == "partial"
    lvmsnap(machine, "up tagged", code=3)
    lvmsnap(machine, "down tagged")

    assert "ours" not in machine.run("lvs --noheadings -o lv_name vg0").stdout


def test_a_pv_that_somebody_else_lent_survives_an_up_and_a_down_beside_it(mine: Machine) -> None:
    mine.run(
        """set -e
        truncate -s 20M /media/store/theirs; losetup /dev/loop2 /media/store/theirs
        pvcreate -q -y /dev/loop2; vgextend -q vg0 /dev/loop2; lvcreate -q -y -Wn -Zn -l 2 -n onit vg0 /dev/loop2"""
    )
    look = "stat -c %i /media/store/theirs; losetup -nO NAME,BACK-FILE /dev/loop2"
    look += "; pvs --noheadings -o pv_name,pv_uuid,pv_used /dev/loop2; lvs --noheadings -o lv_uuid,devices vg0/onit"
    before = mine.run(look).stdout

    lvmsnap(mine, "up mine")
    during = mine.run(look).stdout
    lvmsnap(mine, "down mine")
    lvmsnap(mine, "recover")
    lvmsnap(mine, "down mine --force")

    assert during == before
    assert mine.run(look).stdout == before
    assert len(mine.run("losetup -a").stdout.splitlines()) == 1
    mine.run(
        """lvremove -q -y vg0/onit; vgreduce -q vg0 /dev/loop2; pvremove -q /dev/loop2
        losetup -d /dev/loop2; rm /media/store/theirs"""
    )


def test_two_profiles_on_one_group_leave_each_other_alone(mine: Machine) -> None:
    write_profile(mine, "min", profile(backing_file={"path": "/media/store/lent-too"}))
    look = "lvs --noheadings -o lv_name,lv_uuid,devices vg0/system-lvmsnap-min; ls -i /media/store/lent-too"

    lvmsnap(mine, "up min")
    before = mine.run(look).stdout
    lvmsnap(mine, "up mine")
    lvmsnap(mine, "down mine --force")
    after = mine.run(look).stdout
    left = lent_pvs(mine)
    lvmsnap(mine, "down min")

    assert after == before
    assert len(left.splitlines()) == 1
    assert_nothing_of_mine(mine)


# --- between check and command -----------------------------------------------------------------------------------


def test_a_file_that_appears_between_check_and_creation_is_not_touched(mine: Machine) -> None:
    wrapper = f'#!/bin/bash\necho precious > {LENT}\nPATH=${{PATH#/run/wrap:}} exec sh "$@"\n'
    mine.run("rm -rf /run/wrap")
    mine.write_file("/run/wrap/sh", wrapper, 0o755)
    machine_before = fingerprint(mine, ("/var/lib/lvmsnap", "/mnt"))

    result = lvmsnap(mine, "up mine", code=1, path="/run/wrap")

    assert LENT in result.stderr
    assert mine.read_file(LENT) == "precious\n"
    assert fingerprint(mine, ("/var/lib/lvmsnap", "/mnt")) == machine_before
    mine.run(f"rm {LENT}")


def test_a_volume_that_appears_between_check_and_creation_is_not_touched(mine: Machine) -> None:
    wrapper = "#!/bin/bash\nPATH=${PATH#/run/wrap:}\n"
    wrapper += 'lvcreate -q -y -s -L 8M -n system-lvmsnap-mine vg0/system\nexec lvcreate "$@"\n'
    mine.run("rm -rf /run/wrap")
    mine.write_file("/run/wrap/lvcreate", wrapper, 0o755)

    result = lvmsnap(mine, "up mine", code=1, path="/run/wrap")

    assert "already exists" in result.stderr
    assert mine.run(f"lvs --noheadings -o origin,lv_tags {SNAPSHOT}").stdout.split() == ["system"]
    mine.run(f"lvremove -q -y {SNAPSHOT}")
    assert_nothing_of_mine(mine)
    assert "lent" not in mine.run("ls /media/store").stdout


# --- by hand, while it is up --------------------------------------------------------------------------------------


def up(m: Machine, by_hand: str) -> None:
    lvmsnap(m, "up mine")
    m.run(f"set -e\n{by_hand}")


def state(m: Machine) -> str:
    return lvmsnap(m, "status mine").stdout.splitlines()[1].split()[1]


def test_a_stray_umount_and_files_in_the_directory(mine: Machine) -> None:
    up(mine, "umount /mnt/snap; echo precious > /mnt/snap/file")

    seen = state(mine)
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.read_file("/mnt/snap/file") == "precious\n"
    assert "left alone: /mnt/snap" in result.stderr
    assert_nothing_of_mine(mine)
    mine.run("rm -r /mnt/snap")


def test_something_else_mounted_over_the_mountpoint_stays(mine: Machine) -> None:
    up(mine, "umount /mnt/snap; mount -t tmpfs theirs /mnt/snap; echo precious > /mnt/snap/file")

    seen = state(mine)
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.read_file("/mnt/snap/file") == "precious\n"
    assert "left alone: /mnt/snap" in result.stderr
    assert_nothing_of_mine(mine)
    mine.run("umount /mnt/snap; rmdir /mnt/snap")


def test_a_backing_file_moved_away_and_replaced_stays_and_so_does_what_replaced_it(mine: Machine) -> None:
    up(mine, f"mv {LENT} /media/store/moved; echo precious > {LENT}")
    inode = mine.run(f"stat -c %i {LENT}").stdout

    seen = state(mine)
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.run(f"stat -c %i {LENT}; cat {LENT}").stdout == f"{inode}precious\n"
    assert f"left alone: {LENT}: it is not the file that lvmsnap made" in result.stderr
    assert "/media/store/moved" in result.stderr
    assert_nothing_of_mine(mine)
    mine.run(f"rm {LENT} /media/store/moved")


def test_a_backing_file_deleted_while_up_hinders_nothing(mine: Machine) -> None:
    up(mine, f"rm {LENT}")

    seen = state(mine)
    lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert_nothing_of_mine(mine)
    assert not mine.run("ls /mnt").stdout


def test_a_snapshot_removed_by_hand_and_the_rest_goes(mine: Machine) -> None:
    up(mine, f"umount /mnt/snap; lvremove -q -y {SNAPSHOT}")

    seen = state(mine)
    lvmsnap(mine, "down mine", code=124)

    assert seen == "lost"
    assert_nothing_of_mine(mine)
    assert "lent" not in mine.run("ls /media/store /mnt").stdout


def test_a_snapshot_without_its_tag_is_no_longer_ours(mine: Machine) -> None:
    write_profile(mine, "mine", profile())
    up(mine, f"lvchange -q --deltag {TAG}mine {SNAPSHOT}")
    before = mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,origin {SNAPSHOT}").stdout

    seen = state(mine)
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,origin {SNAPSHOT}").stdout == before
    assert f"left alone: {SNAPSHOT}: it is not tagged {TAG}mine" in result.stderr
    mine.run(f"lvremove -q -y {SNAPSHOT}")


def test_a_snapshot_without_its_tag_keeps_the_space_it_stands_on(mine: Machine) -> None:
    up(mine, f"lvchange -q --deltag {TAG}mine {SNAPSHOT}")
    before = mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,devices {SNAPSHOT}; cat /mnt/snap/file").stdout

    result = lvmsnap(mine, "down mine", code=4)

    assert mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,devices {SNAPSHOT}; cat /mnt/snap/file").stdout == before
    assert f"left alone: {SNAPSHOT}: it is not tagged {TAG}mine" in result.stderr
    assert "lent PV in the volume group: vg0" in result.stderr
    mine.run(f"lvchange -q --addtag {TAG}mine {SNAPSHOT}")
    lvmsnap(mine, "down mine")
    assert_nothing_of_mine(mine)


def test_a_renamed_group_is_found_by_its_uuid(mine: Machine) -> None:
    up(mine, "vgrename -q vg0 renamed")
    try:
        lvmsnap(mine, "down mine")

        assert mine.run("lvs --noheadings -o lv_name renamed").stdout.split() == ["data", "system"]
        assert_nothing_of_mine(mine)
        assert "lent" not in mine.run("ls /media/store /mnt").stdout
    finally:
        mine.run("vgrename -q renamed vg0")


def test_a_loop_device_detached_by_hand_while_in_use_goes_with_the_rest(mine: Machine) -> None:
    up(mine, "losetup -d $(losetup -nO NAME)")

    seen = state(mine)
    lvmsnap(mine, "down mine")

    assert seen == "up"  # the kernel detaches it at its last close: until then nothing is missing
    assert_nothing_of_mine(mine)
    assert "lent" not in mine.run("ls /media/store /mnt").stdout


def test_another_loop_device_over_the_same_file_stays_and_so_does_the_file(mine: Machine) -> None:
    up(mine, f"losetup --read-only /dev/loop1 {LENT}")

    result = lvmsnap(mine, "down mine", code=None)
    print(result.stderr)

    # LVM changes no group while it sees one PV on two devices: nothing can be given back before one of them goes.
    assert result.returncode == 4
    assert "left alone: /dev/loop1: it is bound to the backing file too" in result.stderr
    assert mine.run("losetup -nO BACK-FILE /dev/loop1").stdout == f"{LENT}\n"
    mine.run("losetup -d /dev/loop1; udevadm settle")
    lvmsnap(mine, "down mine")
    assert_nothing_of_mine(mine)


def test_no_pv_label_and_nothing_of_the_group_is_left_in_the_file_before_it_is_removed(mine: Machine) -> None:
    wrapper = (
        f'#!/bin/bash\n[ "$2" != {LENT} ] || cp {LENT} /media/store/copy\nPATH=${{PATH#/run/wrap:}} exec rm "$@"\n'
    )
    mine.run("rm -rf /run/wrap")
    mine.write_file("/run/wrap/rm", wrapper, 0o755)
    lvmsnap(mine, "up mine")
    label = mine.run(f"head -c 4096 {LENT} | grep -c LABELONE").stdout

    lvmsnap(mine, "down mine", path="/run/wrap")

    assert label == "1\n"
    assert mine.run("head -c 4096 /media/store/copy | grep -c LABELONE", check=False).stdout == "0\n"
    mine.run("rm /media/store/copy")
    assert_nothing_of_mine(mine)
