"""Hooks around a real snapshot: their order, what the snapshot shows of it, and every way in which they can end."""

from __future__ import annotations

import re
import shlex
import signal

import pytest

from tests.lab import looking
from tests.lab.faults import FAILS_BEFORE, MOUNTPOINT, Fault
from tests.lab.machine import Machine
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap

pytestmark = pytest.mark.lab

SNAP = MOUNTPOINT
SAY = '#!/bin/sh\necho "$*" >> /run/hooks\n'
# On the origin a database writes; /run/hooks tells which hooks were run.
SCENE = Scene(
    profiles={},
    more=f"""echo running > /mnt/database
printf %s {shlex.quote(SAY)} > /usr/local/sbin/say; chmod +x /usr/local/sbin/say""",
)


def profile(stage: Stage, **hooks: str) -> None:
    """Write profile p, whose hooks lock and unlock the database by default."""
    given = {
        "before_snapshot": "'say before; echo locked > /mnt/database; sync /mnt/database'",
        "after_snapshot": "'say after; echo running > /mnt/database; sync /mnt/database'",
        "before_down": "[say, down begins, '$HOME']",
        "after_down": "'say all down $(lvs --noheadings -o lv_name vg0)'",
        **hooks,
    }
    text = "hooks:\n" + "".join(f"  {name}: {hook}\n" for name, hook in given.items())
    stage.write_profile("p", profile_text(size="16MiB", mountpoint=SNAP) + text)


def said(m: Machine) -> list[str]:
    """Return what the hooks wrote down, and forget it."""
    return m.run("touch /run/hooks; cat /run/hooks; rm /run/hooks").stdout.splitlines()


def assert_gone(stage: Stage) -> None:
    stage.assert_as_before()
    assert stage.read_file("/mnt/database") == "running\n"


def test_the_snapshot_shows_the_locked_database_and_each_hook_has_its_moment(stage: Stage) -> None:
    profile(stage, after_down="'say $LVMSNAP_PROFILE down $(lvs --noheadings -o lv_name vg0); echo bye; exit 3'")

    up = lvmsnap(stage, "-v up p")

    assert stage.read_file(f"{SNAP}/database") == "locked\n"
    assert stage.read_file("/mnt/database") == "running\n"
    assert said(stage) == ["before", "after"]
    assert re.search(r"from the start of before_snapshot to the end of after_snapshot: \d+\.\d s\n", up.stderr)
    plan = lvmsnap(stage, "plan p --down").stdout
    assert plan.index("before_down") < plan.index("umount") < plan.index("lvremove") < plan.index("after_down")

    down = lvmsnap(stage, "-v down p", code=1)

    assert said(stage) == ["down begins $HOME", "p down system"]
    assert "after_down: bye\n" in down.stderr
    assert "error: p is down, but the after_down hook failed: exit 3: bye\n" in down.stderr
    assert_gone(stage)

    profile(stage, before_down="'exit 1'", after_down="[say, done]")
    lvmsnap(stage, "run p -- cp /media/snap/database /run/copy", code=1)
    assert said(stage) == ["before", "after", "done"]
    assert stage.read_file("/run/copy") == "locked\n"
    stage.run("rm /run/copy")


def test_whatever_goes_wrong_the_database_is_given_back(stage: Stage) -> None:
    profile(stage)

    failed = stage.lvmsnap("up p", 1, Fault("lvcreate", FAILS_BEFORE))
    assert "made to fail" in failed.stderr
    assert said(stage) == ["before", "after"]
    assert_gone(stage)

    profile(stage, before_snapshot="'say before; echo locked > /mnt/database; echo too busy; exit 4'")
    failed = lvmsnap(stage, "up p", code=1)
    assert "exit 4: too busy" in failed.stderr
    assert said(stage) == ["before", "after"]
    assert_gone(stage)

    profile(stage, before_snapshot="'say before; echo locked > /mnt/database; sleep 60'", timeout="1s")
    assert "took longer than 1 s" in lvmsnap(stage, "run p -- true", code=125).stderr
    assert said(stage) == ["before", "after"]
    assert_gone(stage)
    assert stage.run(["pgrep", "-fx", "sleep 60"], check=False).stdout == ""


def test_a_signal_or_a_kill_in_before_snapshot_gives_the_database_back_too(stage: Stage) -> None:
    profile(stage, before_snapshot="'say before; echo locked > /mnt/database; sync; echo held; sleep 61'")

    job = start_lvmsnap(stage, "-v up p")
    job.wait_for_output("held")
    job.kill(signal.SIGTERM)
    assert job.wait(60).returncode == 143
    assert said(stage) == ["before", "after"]
    assert_gone(stage)

    job = start_lvmsnap(stage, "-v up p")
    job.wait_for_output("held")
    job.kill(signal.SIGKILL)
    job.wait(60)
    stage.run("pkill -fx 'sleep 61'", check=False)
    assert stage.read_file("/mnt/database") == "locked\n"
    assert "run of the after_snapshot hook" in lvmsnap(stage, "status p").stdout
    lvmsnap(stage, "recover p")
    assert said(stage) == ["before", "after"]
    assert_gone(stage)


def test_an_after_snapshot_that_never_succeeds_is_residue_until_it_does_or_is_given_up(stage: Stage) -> None:
    profile(stage, after_snapshot="'test -e /run/mended && echo running > /mnt/database'")

    stuck = lvmsnap(stage, "up p", code=4)

    assert "after_snapshot hook: after_snapshot" in stuck.stderr
    assert looking.lv(stage, "vg0/system", "lv_attr") == ["-wi-ao----"]
    assert looking.mount_options(stage, SNAP) == []
    stage.run("touch /run/mended")
    lvmsnap(stage, "recover")
    assert_gone(stage)
    stage.run("rm /run/mended")
    lvmsnap(stage, "up p", code=4)
    given_up = lvmsnap(stage, "down p --force").stderr
    assert "not run: the after_snapshot hook: /bin/sh -c 'test -e /run/mended" in given_up
    stage.run("echo running > /mnt/database")
    assert_gone(stage)
