"""Somebody mounts over the snapshot, above it, or moves it away: what was read meanwhile never counts."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

SNAPSHOT = "/media/a/snap"
SEEN = f"echo seen: $(ls -A {SNAPSHOT})"
MEETINGS = {
    "a mount above it": f"mount -t tmpfs t /media/a; mkdir {SNAPSHOT}; {SEEN}; umount /media/a",
    "a mount on it": f"mount -t tmpfs t {SNAPSHOT}; {SEEN}; umount {SNAPSHOT}",
    "moved away and back": f"mount --move {SNAPSHOT} /media/b; {SEEN}; mount --move /media/b {SNAPSHOT}",
    "unmounted beside a bind mount": f"mount --bind {SNAPSHOT} /media/b; umount {SNAPSHOT}; {SEEN};"
    f" mount -o ro $LVMSNAP_DEVICE {SNAPSHOT}; umount /media/b",
}


@pytest.fixture
def server(lab: Machine) -> Machine:
    """An origin with a file; its snapshot is mounted below /media/a, a mount that shares nothing."""
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    lab.run(
        f"rm -r /mnt/lost+found; echo old > /mnt/file; sync; mkdir -p {SNAPSHOT} /media/b;"
        " mount --bind /media/a /media/a; mount --make-private /media/a"
    )
    write_profile(lab, "p", profile_text(size="16MiB", mountpoint=SNAPSHOT))
    return lab


@pytest.mark.parametrize("meeting", MEETINGS.values(), ids=MEETINGS)
def test_a_snapshot_that_was_hidden_for_a_while_makes_the_run_a_failure(server: Machine, meeting: str) -> None:
    done = lvmsnap(server, f"run p -- sh -c {shlex.quote(meeting)}", code=124)

    assert "seen:\n" in done.stdout
    assert f"the snapshot is lost while sh runs: {SNAPSHOT} was unmounted or mounted over" in done.stderr
    assert server.run("lvs --noheadings -o lv_name vg0").stdout.split() == ["system"]


def test_mounts_elsewhere_and_reads_of_the_snapshot_leave_the_run_a_success(server: Machine) -> None:
    meeting = f"mount -t tmpfs t /media/b; cat {SNAPSHOT}/file; umount /media/b; mount --bind {SNAPSHOT} /media/b;"
    meeting += " umount /media/b"

    assert lvmsnap(server, f"run p -- sh -c {shlex.quote(meeting)}").stdout == "old\n"


def test_status_and_down_name_what_covers_the_snapshot(server: Machine) -> None:
    lvmsnap(server, "up p")
    server.run("mount -t tmpfs t /media/a; mkdir /media/a/snap")

    (status,) = json.loads(lvmsnap(server, "status p --json").stdout)
    assert status["state"] == "partial"
    failed = lvmsnap(server, "down p", code=4)
    assert f"mount on {SNAPSHOT}, covered by the one on /media/a" in failed.stderr

    server.run("umount /media/a")
    lvmsnap(server, "down p")
    assert server.run("lvs --noheadings -o lv_name vg0").stdout.split() == ["system"]
