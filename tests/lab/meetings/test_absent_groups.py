"""A group that is away or not active here, a lost record, a name like another: nothing is forgotten or taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.helpers import make_vg
from tests.lab.looking import exists
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, status, write_profile

pytestmark = pytest.mark.lab

RECORD = "/var/lib/lvmsnap/image.json"
SNAPSHOT = "vg0/data-lvmsnap-image"
# The group's disk is a loop device, which can be taken away.
ATTACH = "losetup /dev/loop5 /run/disk; udevadm settle; vgchange -q -ay vg0"
DETACH = "udevadm settle; vgchange -q -an vg0; losetup -d /dev/loop5; udevadm settle"
AGE = f"""sed -i 's/"boot_id": "[^"]*/"boot_id": "0/' {RECORD}"""


def snapshots(m: Machine) -> list[str]:
    return m.run("lvs --noheadings -o vg_name,lv_name --separator / -S 'origin!=\"\"'").stdout.split()


def test_what_is_in_a_group_that_is_away_or_not_active_here_is_neither_forgotten_nor_removed(lab: Machine) -> None:
    lab.run("truncate -s 64M /run/disk; losetup /dev/loop5 /run/disk")
    make_vg(lab, disks=("loop5",), volumes={"data": "16M"})
    write_profile(lab, "image", profile_text("vg0/data", size="8MiB", mountpoint=None))
    lvmsnap(lab, "up image")

    lab.run(DETACH)
    for command in ("recover", "down image"):
        refused = lvmsnap(lab, command, code=3)
        assert "volume group vg0 is not visible, and may still hold the snapshot" in refused.stderr
    lab.run(ATTACH)
    assert (snapshots(lab), exists(lab, RECORD), status(lab, "image")["state"]) == ([SNAPSHOT], True, "up")

    # As after a boot that did not activate the group, since another host may have taken it over.
    lab.run(f"udevadm settle; vgchange -q -an vg0; cp {RECORD} /run/record; {AGE}")
    for command in ("recover", "down image"):
        refused = lvmsnap(lab, command, code=3)
        assert "another host may be using its disks" in refused.stderr
    assert snapshots(lab) == [SNAPSHOT]
    lab.run(f"vgchange -q -ay vg0; cp /run/record {RECORD}")

    lab.run(f"rm {RECORD}")
    assert status(lab, "image")["state"] == "partial"
    assert "profile image is partial" in lvmsnap(lab, "up image --if-down", code=3).stderr
    lvmsnap(lab, "recover")
    assert snapshots(lab) == []


def test_a_profile_never_takes_the_lent_pv_of_another_one_whose_name_has_the_same_hash(lab: Machine) -> None:
    make_vg(
        lab,
        volumes={"system": "32M"},
        filesystems={"/dev/ubdb": "ext4"},
        mounts={"/dev/ubdb": "/media/space"},
    )
    common: dict[str, Any] = {"size": "8MiB", "mountpoint": None}
    # The first four hex digits of the names' SHA-256 are the same.
    write_profile(lab, "web", profile_text(**common, backing_file={"path": "/media/space/lent"}))
    write_profile(lab, "backup-web", profile_text(**common))
    lvmsnap(lab, "up web")

    assert (status(lab, "web")["state"], status(lab, "backup-web")["state"]) == ("up", "down")
    for command in ("recover", "down backup-web", "run backup-web -- true"):
        lvmsnap(lab, command)
    assert (status(lab, "web")["state"], snapshots(lab)) == ("up", ["vg0/system-lvmsnap-web"])

    lvmsnap(lab, "down web")
    assert lab.run("pvs --noheadings -o pv_name").stdout.split() == ["/dev/ubda"]
    assert not exists(lab, "/media/space/lent")
