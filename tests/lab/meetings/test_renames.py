"""A group or a volume is renamed while a snapshot of it is up: names change, the snapshot is the same one."""

from __future__ import annotations

import json
import signal

import pytest

from tests.lab.faults import FILE
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, status

pytestmark = pytest.mark.lab

SCENE = Scene(profiles={"p": profile_text(size="16MiB")})
NAMES = "vgs --noheadings -o vg_name; lvs --noheadings -o lv_name"
NAME_BACK = {"vg1": "vgrename -q vg1 vg0", "sysnew": "lvrename -q vg0 sysnew system"}


def assert_gone(stage: Stage, *names: str) -> None:
    """Nothing is left but the group and the origin under their new names."""
    assert stage.run(NAMES).stdout.split() == [*names]
    stage.run("; ".join(NAME_BACK[name] for name in names if name in NAME_BACK) or "true")
    stage.assert_as_before()


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
    stage: Stage, command: str, names: list[str]
) -> None:
    lvmsnap(stage, f"run p -- sh -c '{command} && sleep 2 && ls \"$LVMSNAP_MOUNTPOINT\"'")

    assert_gone(stage, *names)


def test_a_snapshot_in_a_renamed_group_is_given_more_room_in_time(stage: Stage) -> None:
    backing = {"path": FILE, "max_size": "64MiB"}
    stage.write_profile("p", profile_text(size="16MiB", backing_file=backing) + "overflow: {warn_at: 10%}\n")
    pieces = "head -c 2300000 /dev/urandom > /mnt/$n; sync; sleep 1"
    write = f"vgrename -q vg0 vg1; for n in 1 2 3 4 5 6; do {pieces}; done; sleep 2"

    ended = lvmsnap(stage, f"run p -- sh -c '{write}; lvs --noheadings --units m -o lv_size vg1/system-lvmsnap-p >&2'")

    size = float(ended.stderr.split()[-1].rstrip("m"))
    assert size > 16
    assert "vg1/system-lvmsnap-p is " in ended.stderr
    assert "vg0/" not in ended.stderr
    stage.run("rm /mnt/[1-6]")
    assert_gone(stage, "vg1", "system")


@pytest.mark.parametrize(
    ("command", "name"),
    [("vgrename -q vg0 vg1", "vg1/system-lvmsnap-p"), ("lvrename -q vg0 system-lvmsnap-p other", "vg0/other")],
    ids=["the group", "the snapshot"],
)
def test_what_was_renamed_while_it_is_up_is_told_of_by_its_name_of_now(stage: Stage, command: str, name: str) -> None:
    told = '[sh, -c, "test -b $LVMSNAP_DEVICE && echo $LVMSNAP_DEVICE > /tmp/told"]'
    stage.write_profile("p", f"{profile_text(size='16MiB', mountpoint=None)}hooks: {{before_down: {told}}}\n")
    lvmsnap(stage, "up p")

    stage.run(command)
    holder = stage.start(f"exec sh -c 'echo $$; exec sleep 9999' 3< /dev/{name}")
    pid = holder.wait_for_output("\n", 60).strip()

    assert status(stage, "p")["snapshot"] == name
    plan = json.loads(lvmsnap(stage, "plan p --down --json").stdout)
    assert [step["object"] for step in plan["actions"]] == ["before_down", name]
    assert "{vg}/{name}".format_map(plan["target"]["snapshots"][0]) == name
    assert lvmsnap(stage, "up p --if-down").stdout == f"/dev/{name}\n"
    left = lvmsnap(stage, "down p", code=4).stderr
    assert f"held by pid {pid} (sleep): " in left
    assert stage.run("cat /tmp/told").stdout == f"/dev/{name}\n"
    holder.kill()
    holder.wait(60)
    lvmsnap(stage, "down p")
    assert_gone(stage, name.partition("/")[0], "system")


# Ends as one does that is killed when the metadata is written, and the devices are still to be removed.
KILLED = """#!/bin/sh
dmsetup info -c --noheadings --separator ' ' -o name,uuid vg0-other vg0-other-cow > /run/left
/usr/sbin/lvremove "$@"
while read -r name uuid; do dmsetup create "$name" --uuid "$uuid" --table '0 8 error'; done < /run/left
kill -KILL $PPID
"""


def test_what_a_killed_lvremove_left_of_a_renamed_snapshot_is_removed_by_the_next_down(stage: Stage) -> None:
    stage.write_profile("p", profile_text(size="16MiB", mountpoint=None))
    stage.write_file("/run/killed/lvremove", KILLED, mode=0o755)
    lvmsnap(stage, "up p")
    stage.run("lvrename -q vg0 system-lvmsnap-p other")

    lvmsnap(stage, "down p", code=128 + signal.SIGKILL, path="/run/killed")
    assert {"vg0-other", "vg0-other-cow"} <= set(stage.run("dmsetup ls").stdout.split())
    lvmsnap(stage, "down p")

    assert "vg0-other" not in stage.run("dmsetup ls").stdout
    assert_gone(stage, "vg0", "system")
