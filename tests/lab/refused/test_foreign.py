"""What lvmsnap did not make survives it: bytes, inode, UUID. What is still its own goes, whatever was done by hand.

A foreign thing is looked at before and after.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.faults import FILE, MOUNTPOINT
from tests.lab.machine import Machine
from tests.lab.stage import Scene, Stage
from tests.lab.support import LAB_HOST, lvmsnap, profile_text, status

pytestmark = pytest.mark.lab

TAG = f"lvmsnap2.{LAB_HOST}."
SNAPSHOT = "vg0/system-lvmsnap-mine"
SCENE = Scene(volumes={"system": "64M", "data": "32M"}, profiles={})


@pytest.fixture
def mine(stage: Stage) -> Stage:
    """The stage with profile `mine`: on lent space, mounted."""
    stage.write_profile("mine", profile(mountpoint=MOUNTPOINT, backing_file={"path": FILE}))
    return stage


def profile(origin: str = "vg0/system", **settings: Any) -> str:
    return profile_text(origin, **{"size": "8MiB", "mountpoint": None, **settings})


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
def test_a_volume_that_only_has_the_name_survives_every_command(stage: Stage, make: str) -> None:
    stage.write_profile("name", profile(snapshot="theirs"))
    stage.run(make)
    look = "lvs --noheadings -o lv_name,lv_uuid,lv_attr,lv_size,lv_tags,origin vg0"
    before = stage.run(look).stdout

    refused = lvmsnap(stage, "up name", code=3)
    lvmsnap(stage, "up name --replace", code=3)
    lvmsnap(stage, "down name --force")
    lvmsnap(stage, "recover name")
    state = status(stage, "name")["state"]

    assert "name vg0/theirs is taken: by a " in refused.stderr
    assert state == "foreign"
    assert stage.run(look).stdout == before
    stage.run("lvremove -q -y vg0/theirs")
    stage.assert_as_before()


def test_a_snapshot_with_an_older_tag_of_which_this_host_has_no_record_survives_every_command(stage: Stage) -> None:
    stage.write_profile("tagged", profile(snapshot="theirs"))
    stage.run("lvcreate -q -y -s -L 8M -n theirs --addtag lvmsnap.tagged vg0/system")
    look = "lvs --noheadings -o lv_name,lv_uuid,lv_attr,lv_tags,origin vg0"
    before = stage.run(look).stdout

    lvmsnap(stage, "up tagged", code=3)
    lvmsnap(stage, "up tagged --replace", code=3)
    lvmsnap(stage, "down tagged --force")
    lvmsnap(stage, "recover tagged")

    assert stage.run(look).stdout == before
    stage.run("lvremove -q -y vg0/theirs")
    stage.assert_as_before()


def test_a_snapshot_with_this_hosts_tag_is_found_whatever_the_profile_says_of_its_origin_by_now(
    stage: Stage,
) -> None:
    stage.write_profile("tagged", profile(snapshot="ours"))
    stage.run(f"lvcreate -q -y -s -L 8M -n ours --addtag {TAG}tagged vg0/data")

    assert status(stage, "tagged")["state"] == "partial"
    lvmsnap(stage, "up tagged", code=3)
    lvmsnap(stage, "down tagged")

    stage.assert_as_before()


def test_a_pv_that_somebody_else_lent_survives_an_up_and_a_down_beside_it(mine: Stage) -> None:
    mine.run(
        """set -e
        truncate -s 20M /media/space/theirs; losetup /dev/loop2 /media/space/theirs
        pvcreate -q -y /dev/loop2; vgextend -q vg0 /dev/loop2; lvcreate -q -y -Wn -Zn -l 2 -n onit vg0 /dev/loop2"""
    )
    look = "stat -c %i /media/space/theirs; losetup -nO NAME,BACK-FILE /dev/loop2"
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
        losetup -d /dev/loop2; rm /media/space/theirs"""
    )
    mine.assert_as_before()


def test_two_profiles_on_one_group_leave_each_other_alone(mine: Stage) -> None:
    mine.write_profile("min", profile(backing_file={"path": "/media/space/lent-too"}))
    look = "lvs --noheadings -o lv_name,lv_uuid,devices vg0/system-lvmsnap-min; ls -i /media/space/lent-too"

    lvmsnap(mine, "up min")
    before = mine.run(look).stdout
    lvmsnap(mine, "up mine")
    lvmsnap(mine, "down mine --force")
    after = mine.run(look).stdout
    left = mine.run("pvs -a --noheadings -o pv_name -S 'pv_name=~^/dev/loop && pv_uuid!=\"\"'").stdout
    lvmsnap(mine, "down min")

    assert after == before
    assert len(left.split()) == 1
    mine.assert_as_before()


# --- between check and command -----------------------------------------------------------------------------------


def test_a_file_that_appears_between_check_and_creation_is_not_touched(mine: Stage) -> None:
    wrapper = f'#!/bin/bash\necho precious > {FILE}\nPATH=${{PATH#/run/wrap:}} exec sh "$@"\n'
    mine.run("rm -rf /run/wrap")
    mine.write_file("/run/wrap/sh", wrapper, 0o755)

    result = lvmsnap(mine, "up mine", code=1, path="/run/wrap")

    assert FILE in result.stderr
    assert mine.read_file(FILE) == "precious\n"
    mine.run(f"rm {FILE}")
    mine.assert_as_before()


def test_a_volume_that_appears_between_check_and_creation_is_not_touched(mine: Stage) -> None:
    wrapper = "#!/bin/bash\nPATH=${PATH#/run/wrap:}\n"
    wrapper += 'lvcreate -q -y -s -L 8M -n system-lvmsnap-mine vg0/system\nexec lvcreate "$@"\n'
    mine.run("rm -rf /run/wrap")
    mine.write_file("/run/wrap/lvcreate", wrapper, 0o755)

    result = lvmsnap(mine, "up mine", code=1, path="/run/wrap")

    assert "already exists" in result.stderr
    assert mine.run(f"lvs --noheadings -o origin,lv_tags {SNAPSHOT}").stdout.split() == ["system"]
    mine.run(f"lvremove -q -y {SNAPSHOT}")
    mine.assert_as_before()


# --- by hand, while it is up --------------------------------------------------------------------------------------


def up(m: Machine, by_hand: str) -> None:
    lvmsnap(m, "up mine")
    m.run(f"set -e\n{by_hand}")


def test_a_stray_umount_and_files_in_the_directory(mine: Stage) -> None:
    up(mine, "umount /media/snap; echo precious > /media/snap/file")

    seen = status(mine, "mine")["state"]
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.read_file("/media/snap/file") == "precious\n"
    assert "left alone: /media/snap" in result.stderr
    mine.run("rm -r /media/snap")
    mine.assert_as_before()


def test_something_else_mounted_over_the_mountpoint_stays(mine: Stage) -> None:
    up(mine, "umount /media/snap; mount -t tmpfs theirs /media/snap; echo precious > /media/snap/file")

    seen = status(mine, "mine")["state"]
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.read_file("/media/snap/file") == "precious\n"
    assert "left alone: /media/snap" in result.stderr
    mine.run("umount /media/snap; rmdir /media/snap")
    mine.assert_as_before()


def test_a_backing_file_moved_away_and_replaced_stays_and_so_does_what_replaced_it(mine: Stage) -> None:
    up(mine, f"mv {FILE} /media/space/moved; echo precious > {FILE}")
    inode = mine.run(f"stat -c %i {FILE}").stdout

    seen = status(mine, "mine")["state"]
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.run(f"stat -c %i {FILE}; cat {FILE}").stdout == f"{inode}precious\n"
    assert f"left alone: {FILE}: it is not the file that lvmsnap made" in result.stderr
    assert "/media/space/moved" in result.stderr
    mine.run(f"rm {FILE} /media/space/moved")
    mine.assert_as_before()


def test_a_backing_file_deleted_while_up_does_no_harm(mine: Stage) -> None:
    up(mine, f"rm {FILE}")

    seen = status(mine, "mine")["state"]
    lvmsnap(mine, "down mine")

    assert seen == "partial"
    mine.assert_as_before()


def test_a_snapshot_removed_by_hand_and_the_rest_goes(mine: Stage) -> None:
    up(mine, f"umount /media/snap; lvremove -q -y {SNAPSHOT}")

    seen = status(mine, "mine")["state"]
    lvmsnap(mine, "down mine", code=124)

    assert seen == "lost"
    mine.assert_as_before()


def test_a_snapshot_without_its_tag_is_no_longer_ours(mine: Stage) -> None:
    mine.write_profile("mine", profile())
    up(mine, f"lvchange -q --deltag {TAG}mine {SNAPSHOT}")
    before = mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,origin {SNAPSHOT}").stdout

    seen = status(mine, "mine")["state"]
    result = lvmsnap(mine, "down mine")

    assert seen == "partial"
    assert mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,origin {SNAPSHOT}").stdout == before
    assert f"left alone: {SNAPSHOT}: it is not tagged {TAG}mine" in result.stderr
    mine.run(f"lvremove -q -y {SNAPSHOT}")
    mine.assert_as_before()


def test_a_snapshot_without_its_tag_keeps_the_space_it_lies_on(mine: Stage) -> None:
    up(mine, f"lvchange -q --deltag {TAG}mine {SNAPSHOT}")
    before = mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,devices {SNAPSHOT}; cat /media/snap/file").stdout

    result = lvmsnap(mine, "down mine", code=4)

    assert mine.run(f"lvs --noheadings -o lv_uuid,lv_attr,devices {SNAPSHOT}; cat /media/snap/file").stdout == before
    assert f"left alone: {SNAPSHOT}: it is not tagged {TAG}mine" in result.stderr
    assert "lent PV in the volume group: vg0" in result.stderr
    mine.run(f"lvchange -q --addtag {TAG}mine {SNAPSHOT}")
    lvmsnap(mine, "down mine")
    mine.assert_as_before()


def test_a_renamed_group_is_found_by_its_uuid(mine: Stage) -> None:
    up(mine, "vgrename -q vg0 renamed")

    lvmsnap(mine, "down mine")

    assert mine.run("lvs --noheadings -o lv_name renamed").stdout.split() == ["data", "system"]
    mine.run("vgrename -q renamed vg0")
    mine.assert_as_before()


def test_a_loop_device_detached_by_hand_while_in_use_goes_with_the_rest(mine: Stage) -> None:
    up(mine, "losetup -d $(losetup -nO NAME)")

    seen = status(mine, "mine")["state"]
    lvmsnap(mine, "down mine")

    assert seen == "up"  # the kernel detaches it at its last close: until then nothing is missing
    mine.assert_as_before()


def test_another_loop_device_over_the_same_file_stays_and_so_does_the_file(mine: Stage) -> None:
    up(mine, f"losetup --read-only /dev/loop1 {FILE}")

    result = lvmsnap(mine, "down mine", code=None)
    print(result.stderr)

    # LVM changes no group while it sees one PV on two devices: nothing can be given back before one of them goes.
    assert result.returncode == 4
    assert "left alone: /dev/loop1: it is attached to the backing file too" in result.stderr
    assert mine.run("losetup -nO BACK-FILE /dev/loop1").stdout == f"{FILE}\n"
    mine.run("losetup -d /dev/loop1; udevadm settle")
    lvmsnap(mine, "down mine")
    mine.assert_as_before()


def test_no_pv_label_and_nothing_of_the_group_is_left_in_the_file_before_it_is_removed(mine: Stage) -> None:
    wrapper = (
        f'#!/bin/bash\n[ "$2" != {FILE} ] || cp {FILE} /media/space/copy\nPATH=${{PATH#/run/wrap:}} exec rm "$@"\n'
    )
    mine.run("rm -rf /run/wrap")
    mine.write_file("/run/wrap/rm", wrapper, 0o755)
    lvmsnap(mine, "up mine")
    label = mine.run(f"head -c 4096 {FILE} | grep -c LABELONE").stdout

    lvmsnap(mine, "down mine", path="/run/wrap")

    assert label == "1\n"
    assert mine.run("head -c 4096 /media/space/copy | grep -c LABELONE", check=False).stdout == "0\n"
    mine.run("rm /media/space/copy")
    mine.assert_as_before()
