"""A group or a volume is renamed while a snapshot of it is up: names change, the snapshot is the same one."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

LEFT = """lvs --noheadings -o vg_name,lv_name; pvs --noheadings -o pv_name; losetup -nO BACK-FILE
ls -A /var/lib/lvmsnap; ls -A /media/store; grep ' /run/lvmsnap/' /proc/self/mountinfo"""


def prepare(lab: Machine, **settings: Any) -> None:
    make_vg(
        lab,
        volumes={"system": "64M"},
        filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
        mounts={"system": "/mnt/system", "/dev/ubdb": "/media/store"},
    )
    lab.run("rmdir /media/store/lost+found; mkdir -p /var/lib/lvmsnap")
    write_profile(lab, "p", profile_text(size="16MiB", **settings))


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("vgrename -q vg0 vg1", ["vg1", "system"]),
        ("lvrename -q vg0 system-lvmsnap-p other", ["vg0", "system"]),
        ("lvrename -q vg0 system sysnew", ["vg0", "sysnew"]),
    ],
    ids=["the group", "the snapshot", "the origin"],
)
def test_a_rename_while_a_run_is_at_work_spoils_neither_its_result_nor_its_end(
    lab: Machine, command: str, names: list[str]
) -> None:
    prepare(lab)

    lvmsnap(lab, f"run p -- sh -c '{command} && sleep 2 && ls \"$LVMSNAP_MOUNTPOINT\"'")

    assert lab.run(LEFT, check=False).stdout.split() == [*names, "/dev/ubda"]


def test_a_snapshot_in_a_renamed_group_is_given_more_room_in_time(lab: Machine) -> None:
    prepare(lab, backing_file={"path": "/media/store/lent", "max_size": "64MiB"})
    lab.run("echo 'overflow: {warn_at: 10%}' >> /etc/lvmsnap/p.yaml")
    pieces = "head -c 2300000 /dev/urandom > /mnt/system/$n; sync; sleep 1"
    write = f"vgrename -q vg0 vg1; for n in 1 2 3 4 5 6; do {pieces}; done; sleep 2"

    ended = lvmsnap(lab, f"run p -- sh -c '{write}; lvs --noheadings --units m -o lv_size vg1/system-lvmsnap-p >&2'")

    size = float(ended.stderr.split()[-1].rstrip("m"))
    assert size > 16
    assert "vg1/system-lvmsnap-p is " in ended.stderr
    assert "vg0/" not in ended.stderr
    assert lab.run(LEFT, check=False).stdout.split() == ["vg1", "system", "/dev/ubda"]


@pytest.mark.parametrize(
    ("command", "name"),
    [("vgrename -q vg0 vg1", "vg1/system-lvmsnap-p"), ("lvrename -q vg0 system-lvmsnap-p other", "vg0/other")],
    ids=["the group", "the snapshot"],
)
def test_what_was_renamed_while_it_is_up_is_told_of_by_its_name_of_now(lab: Machine, command: str, name: str) -> None:
    told = '[sh, -c, "test -b $LVMSNAP_DEVICE && echo $LVMSNAP_DEVICE > /tmp/told"]'
    prepare(lab, mountpoint=None)
    lab.run(f"echo 'hooks: {{before_down: {told}}}' >> /etc/lvmsnap/p.yaml")
    lvmsnap(lab, "up p")

    lab.run(command)
    holder = lab.start(f"exec sh -c 'echo $$; exec sleep 9999' 3< /dev/{name}")
    pid = holder.wait_for_output("\n", 60).strip()

    assert json.loads(lvmsnap(lab, "status p --json").stdout)[0]["snapshot"] == name
    plan = json.loads(lvmsnap(lab, "plan p --down --json").stdout)
    assert [step["object"] for step in plan["actions"]] == ["before_down", name]
    assert "{vg}/{name}".format_map(plan["target"]["snapshots"][0]) == name
    assert lvmsnap(lab, "up p --if-down").stdout == f"/dev/{name}\n"
    left = lvmsnap(lab, "down p", code=4).stderr
    assert f"held by pid {pid} (sleep): " in left
    assert lab.run("cat /tmp/told").stdout == f"/dev/{name}\n"
    holder.kill()
    holder.wait(60)
    lvmsnap(lab, "down p")
    assert lab.run(LEFT, check=False).stdout.split() == [name.partition("/")[0], "system", "/dev/ubda"]


# Ends as one does that is killed when the metadata is written, and the devices are still to be removed.
KILLED = """#!/bin/sh
dmsetup info -c --noheadings --separator ' ' -o name,uuid vg0-other vg0-other-cow > /run/left
/usr/sbin/lvremove "$@"
while read -r name uuid; do dmsetup create "$name" --uuid "$uuid" --table '0 8 error'; done < /run/left
kill -KILL $PPID
"""


def test_what_a_killed_lvremove_left_of_a_renamed_snapshot_is_removed_by_the_next_down(lab: Machine) -> None:
    prepare(lab, mountpoint=None)
    lab.write_file("/run/killed/lvremove", KILLED, mode=0o755)
    lvmsnap(lab, "up p")
    lab.run("lvrename -q vg0 system-lvmsnap-p other")

    lvmsnap(lab, "down p", code=128 + signal.SIGKILL, path="/run/killed")
    assert {"vg0-other", "vg0-other-cow"} <= set(lab.run("dmsetup ls").stdout.split())
    lvmsnap(lab, "down p")

    assert "vg0-other" not in lab.run("dmsetup ls").stdout
    assert lab.run(LEFT, check=False).stdout.split() == ["vg0", "system", "/dev/ubda"]
