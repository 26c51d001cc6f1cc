"""Plans on real LVM: planning changes nothing, pasting the plan is as good as `up`, and few processes are started."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import looking
from tests.lab.faults import FILE, MOUNTPOINT
from tests.lab.helpers import fingerprint
from tests.lab.stage import FOLDERS, Scene, Stage
from tests.lab.support import lvmsnap, profile_text

pytestmark = pytest.mark.lab

READING = re.compile(r"(lvm fullreport|wipefs --no-act) ")


SCENE = Scene(
    profiles={
        "room": profile_text(snapshot="room", size="16MiB", mountpoint=MOUNTPOINT),
        "lent": profile_text(snapshot="lent", size="16MiB", mountpoint="/media/lent", backing_file={"path": FILE}),
    }
)


def everything(stage: Stage) -> str:
    """The whole system, locks too."""
    return stage.look() + stage.run("ls -R /run/lock").stdout


def test_planning_up_changes_nothing_and_starts_only_what_reads(stage: Stage) -> None:
    before = everything(stage)
    for command in ("plan lent", "up lent --dry-run"):
        planned = looking.traced(stage, command)
        assert planned.returncode == 0, planned
        assert all(READING.match(line) for line in planned.started), planned.started
        assert "losetup --nooverlap" in planned.stdout
    plan = json.loads(lvmsnap(stage, "plan lent --json").stdout)
    assert [action["thing"] for action in plan["actions"]] == [
        *("backing file", "backing file's blocks", "loop device", "physical volume", "lent PV in the volume group"),
        *("snapshot", "mountpoint directory", "mount"),
    ]
    assert everything(stage) == before
    stage.assert_as_before()


def test_an_exported_plan_is_a_picture_a_page_or_text(stage: Stage) -> None:
    before = everything(stage)
    for suffix, start in ((".svg", "<svg "), (".html", "<!DOCTYPE html>"), (".txt", "lvmsnap up lent")):
        lvmsnap(stage, f"plan lent --export /tmp/plan{suffix}")
        written = stage.read_file(f"/tmp/plan{suffix}")
        assert written.startswith(start)
        assert "lvcreate" in written
    refused = lvmsnap(stage, "plan lent --export /tmp/plan.pdf", code=2)
    assert ".svg, .html or .txt" in refused.stderr
    assert not looking.exists(stage, "/tmp/plan.pdf")
    assert everything(stage) == before
    stage.assert_as_before()


def test_planning_down_changes_nothing_and_starts_only_what_reads(stage: Stage) -> None:
    assert json.loads(lvmsnap(stage, "plan lent --down --json").stdout)["actions"] == []
    lvmsnap(stage, "up lent")
    before = everything(stage)
    for command in ("plan lent --down", "down lent --dry-run"):
        planned = looking.traced(stage, command)
        assert planned.returncode == 0, planned
        assert all(READING.match(line) for line in planned.started), planned.started
        assert "losetup --detach" in planned.stdout
    undos = [
        line
        for action in json.loads(lvmsnap(stage, "plan lent --down --json").stdout)["actions"]
        for line in action["undo"]
    ]
    again = lvmsnap(stage, "plan lent", code=3)
    assert "profile lent is up already" in again.stdout
    assert everything(stage) == before

    stage.run("set -e\n" + "\n".join([*undos, "rm /var/lib/lvmsnap/lent.json"]))
    stage.assert_as_before()


@pytest.mark.parametrize("name", ["room", "lent"])
def test_a_pasted_plan_does_what_up_does_and_its_undos_backwards_what_down_does(stage: Stage, name: str) -> None:
    actions = json.loads(lvmsnap(stage, f"plan {name} --json").stdout)["actions"]

    stage.run("set -e\n" + "\n".join(line for action in actions for line in action["do"]))
    pasted = fingerprint(stage, FOLDERS[2:])
    stage.run("set -e\n" + "\n".join(line for action in reversed(actions) for line in action["undo"]))
    stage.assert_as_before()

    lvmsnap(stage, f"up {name}")
    assert looking.without_uuids(fingerprint(stage, FOLDERS[2:])) == looking.without_uuids(pasted)
    lvmsnap(stage, f"down {name}")
    stage.assert_as_before()


# Programs that are started at most: one report each, and one for each change; the shell that opens the backing file,
# asks readlink whether that is the right one, and becomes fallocate, counts as three. `down` has stat(1) ask, once, who
# uses the snapshot, and makes no copy of itself for that.
LIMITS = {"room": {"plan": 2, "up": 4, "down": 5}, "lent": {"plan": 2, "up": 10, "down": 9}}


@pytest.mark.parametrize("name", LIMITS)
def test_few_processes_are_started(stage: Stage, name: str) -> None:
    for origin in ("mounted", "unmounted"):
        if origin == "unmounted":
            # A snapshot of what is mounted nowhere is not opened to all.
            stage.run("umount /mnt; chmod 0700 /media")
        for command, most in LIMITS[name].items():
            done = looking.traced(stage, f"{command} {name}")
            assert done.returncode == 0, done
            # The first snapshot of a boot has LVM load the kernel's module.
            started = [line for line in done.started if not line.endswith("/modprobe dm-snapshot")]
            assert len(started) <= most, (origin, command, done.started)
            reports = [line for line in done.started if line.startswith("lvm fullreport ")]
            assert len(reports) == 1, (origin, command, done.started)
    stage.run("chmod 0755 /media; mount /dev/vg0/system /mnt")
    stage.assert_as_before()


def test_no_process_is_started_where_no_system_is_looked_at(stage: Stage) -> None:
    for command in ("validate room", "plan room --offline", "schema", "--help"):
        done = looking.traced(stage, command)
        assert (done.returncode, done.started) == (0, ()), command
    stage.assert_as_before()
