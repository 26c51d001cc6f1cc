"""Somebody mounts over the snapshot, above it, or moves it away: what was read meanwhile never counts."""

from __future__ import annotations

import shlex

import pytest

from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, status

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


# The snapshot is mounted below /media/a, a mount that shares nothing.
SCENE = Scene(
    profiles={"p": profile_text(size="16MiB", mountpoint=SNAPSHOT)},
    more=f"mkdir -p {SNAPSHOT} /media/b; mount --bind /media/a /media/a; mount --make-private /media/a",
)


@pytest.mark.parametrize("meeting", MEETINGS.values(), ids=MEETINGS)
def test_a_snapshot_that_was_hidden_for_a_while_makes_the_run_a_failure(stage: Stage, meeting: str) -> None:
    done = lvmsnap(stage, f"run p -- sh -c {shlex.quote(meeting)}", code=124)

    assert "seen:\n" in done.stdout
    assert f"the snapshot is lost while sh runs: {SNAPSHOT} was unmounted or mounted over" in done.stderr
    stage.assert_as_before()


def test_mounts_elsewhere_and_reads_of_the_snapshot_leave_the_run_a_success(stage: Stage) -> None:
    meeting = f"mount -t tmpfs t /media/b; cat {SNAPSHOT}/file; umount /media/b; mount --bind {SNAPSHOT} /media/b;"
    meeting += " umount /media/b"

    assert lvmsnap(stage, f"run p -- sh -c {shlex.quote(meeting)}").stdout == "before\n"
    stage.assert_as_before()


def test_status_and_down_name_what_covers_the_snapshot(stage: Stage) -> None:
    lvmsnap(stage, "up p")
    stage.run("mount -t tmpfs t /media/a; mkdir /media/a/snap")

    assert status(stage, "p")["state"] == "partial"
    failed = lvmsnap(stage, "down p", code=4)
    assert f"mount on {SNAPSHOT}, covered by the one on /media/a" in failed.stderr

    stage.run("umount /media/a")
    lvmsnap(stage, "down p")
    stage.assert_as_before()
