"""Plans on real LVM: planning changes nothing, pasting the plan is as good as `up`, and few processes are started."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/media", "/media/other", "/mnt")
FILE = {"path": "/media/other/lent.tmp"}
READING = re.compile(r"(lvm fullreport|wipefs --no-act) ")


def make_system(m: Machine) -> None:
    """A mounted origin in vg0, two profiles for it: `room` in the group, `lent` on a backing file."""
    filesystems = {"system": "ext4", "/dev/ubdb": "ext4"}
    make_vg(
        m, volumes={"system": "64M"}, filesystems=filesystems, mounts={"system": "/mnt", "/dev/ubdb": "/media/other"}
    )
    write_profile(m, "room", profile_text(snapshot="room", size="16MiB", mountpoint="/media/snapshot"))
    write_profile(m, "lent", profile_text(snapshot="lent", size="16MiB", mountpoint="/media/lent", backing_file=FILE))


def everything(m: Machine) -> str:
    """The whole system, lvmsnap's own state folders too."""
    return fingerprint(m, (*FOLDERS, "/var/lib/lvmsnap", "/run/lvmsnap", "/run/lock"))


def test_planning_up_changes_nothing_and_starts_only_what_reads(lab: Machine) -> None:
    make_system(lab)
    before = everything(lab)
    for command in ("plan lent", "up lent --dry-run"):
        planned = looking.traced(lab, command)
        assert planned.returncode == 0, planned
        assert all(READING.match(line) for line in planned.started), planned.started
        assert "losetup --nooverlap" in planned.stdout
    plan = json.loads(lvmsnap(lab, "plan lent --json").stdout)
    assert [action["thing"] for action in plan["actions"]] == [
        *("backing file", "backing file's blocks", "loop device", "physical volume", "lent PV in the volume group"),
        *("snapshot", "mountpoint directory", "mount"),
    ]
    assert everything(lab) == before


def test_an_exported_plan_is_a_picture_a_page_or_text(lab: Machine) -> None:
    make_system(lab)
    before = everything(lab)
    for suffix, start in ((".svg", "<svg "), (".html", "<!DOCTYPE html>"), (".txt", "lvmsnap up lent")):
        lvmsnap(lab, f"plan lent --export /tmp/plan{suffix}")
        written = lab.read_file(f"/tmp/plan{suffix}")
        assert written.startswith(start)
        assert "lvcreate" in written
    refused = lvmsnap(lab, "plan lent --export /tmp/plan.pdf", code=2)
    assert ".svg, .html or .txt" in refused.stderr
    assert not looking.exists(lab, "/tmp/plan.pdf")
    assert everything(lab) == before


def test_planning_down_changes_nothing_and_starts_only_what_reads(lab: Machine) -> None:
    make_system(lab)
    assert json.loads(lvmsnap(lab, "plan lent --down --json").stdout)["actions"] == []
    lvmsnap(lab, "up lent")
    before = everything(lab)
    for command in ("plan lent --down", "down lent --dry-run"):
        planned = looking.traced(lab, command)
        assert planned.returncode == 0, planned
        assert all(READING.match(line) for line in planned.started), planned.started
        assert "losetup --detach" in planned.stdout
    undos = [
        line
        for action in json.loads(lvmsnap(lab, "plan lent --down --json").stdout)["actions"]
        for line in action["undo"]
    ]
    again = lvmsnap(lab, "plan lent", code=3)
    assert "profile lent: up already" in again.stdout
    assert everything(lab) == before

    lab.run("set -e\n" + "\n".join(undos))
    assert not looking.exists(lab, FILE["path"])
    assert lab.run("lvs --noheadings -o lv_name; pvs --noheadings -o pv_name").stdout.split() == ["system", "/dev/ubda"]


@pytest.mark.parametrize("name", ["room", "lent"])
def test_a_pasted_plan_does_what_up_does_and_its_undos_backwards_what_down_does(lab: Machine, name: str) -> None:
    make_system(lab)
    before = fingerprint(lab, FOLDERS)
    actions = json.loads(lvmsnap(lab, f"plan {name} --json").stdout)["actions"]

    lab.run("set -e\n" + "\n".join(line for action in actions for line in action["do"]))
    pasted = fingerprint(lab, FOLDERS)
    lab.run("set -e\n" + "\n".join(line for action in reversed(actions) for line in action["undo"]))
    assert fingerprint(lab, FOLDERS) == before

    lvmsnap(lab, f"up {name}")
    assert looking.without_uuids(fingerprint(lab, FOLDERS)) == looking.without_uuids(pasted)
    lvmsnap(lab, f"down {name}")
    assert fingerprint(lab, FOLDERS) == before


# Programs that are started at most: one report each, and one for each change; the shell that opens the backing file,
# asks readlink whether that is the right one, and becomes fallocate, counts as three. For `down` a process of its own
# looks at what others have open in mounts of no table: a dead server may keep it waiting.
LIMITS = {"room": {"plan": 2, "up": 4, "down": 5}, "lent": {"plan": 2, "up": 10, "down": 9}}


@pytest.mark.parametrize("name", LIMITS)
def test_few_processes_are_started(lab: Machine, name: str) -> None:
    make_system(lab)
    for origin in ("mounted", "unmounted"):
        if origin == "unmounted":
            # A snapshot of what is mounted nowhere is not opened to all.
            lab.run("umount /mnt; chmod 0700 /media")
        for command, most in LIMITS[name].items():
            done = looking.traced(lab, f"{command} {name}")
            assert done.returncode == 0, done
            # The first snapshot of a boot has LVM load the kernel's module.
            started = [line for line in done.started if not line.endswith("/modprobe dm-snapshot")]
            assert len(started) <= most, (origin, command, done.started)
            reports = [line for line in done.started if line.startswith("lvm fullreport ")]
            assert len(reports) == 1, (origin, command, done.started)
    lab.run("chmod 0755 /media")


def test_no_process_is_started_where_no_system_is_looked_at(lab: Machine) -> None:
    write_profile(lab, "room", profile_text(size="16MiB"))
    for command in ("validate room", "plan room --offline", "schema", "--help"):
        done = looking.traced(lab, command)
        assert (done.returncode, done.started) == (0, ()), command
