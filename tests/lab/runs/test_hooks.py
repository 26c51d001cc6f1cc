"""Hooks around a real snapshot: their order, what the snapshot shows of it, and every way in which they can end."""

from __future__ import annotations

import re
import signal

import pytest

from tests.lab import looking
from tests.lab.faults import FAILS_BEFORE, Fault, break_commands
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/media", "/mnt")
SNAP = "/media/snap"
SAY = '#!/bin/sh\necho "$*" >> /run/hooks\n'


@pytest.fixture
def server(lab: Machine) -> Machine:
    """A group vg0 with a mounted origin on which a database writes; /run/hooks tells which hooks were run."""
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    lab.run("cat > /usr/local/sbin/say; chmod +x /usr/local/sbin/say", stdin=SAY)
    lab.run("echo running > /mnt/database; sync")
    return lab


def profile(m: Machine, **hooks: str) -> None:
    """Write profile p, whose hooks lock and unlock the database unless told otherwise."""
    given = {
        "before_snapshot": "'say before; echo locked > /mnt/database; sync /mnt/database'",
        "after_snapshot": "'say after; echo running > /mnt/database; sync /mnt/database'",
        "before_down": "[say, down begins, '$HOME']",
        "after_down": "'say all down $(lvs --noheadings -o lv_name vg0)'",
        **hooks,
    }
    text = "hooks:\n" + "".join(f"  {name}: {hook}\n" for name, hook in given.items())
    write_profile(m, "p", profile_text(size="16MiB", mountpoint=SNAP) + text)


def said(m: Machine) -> list[str]:
    """Return what the hooks wrote down, and forget it."""
    return m.run("touch /run/hooks; cat /run/hooks; rm /run/hooks").stdout.splitlines()


def assert_gone(m: Machine, before: str) -> None:
    assert fingerprint(m, FOLDERS) == before
    assert looking.kept(m) == []
    assert m.read_file("/mnt/database") == "running\n"


def test_the_snapshot_shows_the_locked_database_and_each_hook_has_its_moment(server: Machine) -> None:
    profile(server, after_down="'say $LVMSNAP_PROFILE down $(lvs --noheadings -o lv_name vg0); echo bye; exit 3'")
    before = fingerprint(server, FOLDERS)

    up = lvmsnap(server, "-v up p")

    assert server.read_file(f"{SNAP}/database") == "locked\n"
    assert server.read_file("/mnt/database") == "running\n"
    assert said(server) == ["before", "after"]
    assert re.search(r"from the start of before_snapshot to the end of after_snapshot: \d+\.\d s\n", up.stderr)
    plan = lvmsnap(server, "plan p --down").stdout
    assert plan.index("before_down") < plan.index("umount") < plan.index("lvremove") < plan.index("after_down")

    down = lvmsnap(server, "-v down p", code=1)

    assert said(server) == ["down begins $HOME", "p down system"]
    assert "after_down: bye\n" in down.stderr
    assert "error: p is down, but the after_down hook failed: exit 3: bye\n" in down.stderr
    assert_gone(server, before)

    profile(server, before_down="'exit 1'", after_down="[say, done]")
    lvmsnap(server, "run p -- cp /media/snap/database /run/copy", code=1)
    assert said(server) == ["before", "after", "done"]
    assert server.read_file("/run/copy") == "locked\n"
    server.run("rm /run/copy")


def test_whatever_goes_wrong_the_database_is_given_back(server: Machine) -> None:
    profile(server)
    before = fingerprint(server, FOLDERS)

    with_fault = break_commands(server, Fault("lvcreate", FAILS_BEFORE))
    failed = lvmsnap(server, "up p", code=1, path=with_fault)
    assert "made to fail" in failed.stderr
    assert said(server) == ["before", "after"]
    assert_gone(server, before)

    profile(server, before_snapshot="'say before; echo locked > /mnt/database; echo too busy; exit 4'")
    before = fingerprint(server, FOLDERS)
    failed = lvmsnap(server, "up p", code=1)
    assert "exit 4: too busy" in failed.stderr
    assert said(server) == ["before", "after"]
    assert_gone(server, before)

    profile(server, before_snapshot="'say before; echo locked > /mnt/database; sleep 60'", timeout="1s")
    before = fingerprint(server, FOLDERS)
    assert "took longer than 1 s" in lvmsnap(server, "run p -- true", code=125).stderr
    assert said(server) == ["before", "after"]
    assert_gone(server, before)
    assert server.run(["pgrep", "-fx", "sleep 60"], check=False).stdout == ""


def test_a_signal_or_a_kill_in_before_snapshot_gives_the_database_back_too(server: Machine) -> None:
    profile(server, before_snapshot="'say before; echo locked > /mnt/database; sync; echo held; sleep 61'")
    before = fingerprint(server, FOLDERS)

    job = start_lvmsnap(server, "-v up p")
    job.wait_for_output("held")
    job.kill(signal.SIGTERM)
    assert job.wait(60).returncode == 143
    assert said(server) == ["before", "after"]
    assert_gone(server, before)

    job = start_lvmsnap(server, "-v up p")
    job.wait_for_output("held")
    job.kill(signal.SIGKILL)
    job.wait(60)
    server.run("pkill -fx 'sleep 61'", check=False)
    assert server.read_file("/mnt/database") == "locked\n"
    assert "run of the after_snapshot hook" in lvmsnap(server, "status p").stdout
    lvmsnap(server, "recover p")
    assert said(server) == ["before", "after"]
    assert_gone(server, before)


def test_an_after_snapshot_that_never_succeeds_is_residue_until_it_does_or_is_given_up(server: Machine) -> None:
    profile(server, after_snapshot="'test -e /run/mended && echo running > /mnt/database'")
    before = fingerprint(server, FOLDERS)

    stuck = lvmsnap(server, "up p", code=4)

    assert "after_snapshot hook: after_snapshot" in stuck.stderr
    assert looking.lv(server, "vg0/system", "lv_attr") == ["-wi-ao----"]
    assert looking.mount_options(server, SNAP) == []
    server.run("touch /run/mended")
    lvmsnap(server, "recover")
    assert_gone(server, before)
    server.run("rm /run/mended")
    lvmsnap(server, "up p", code=4)
    given_up = lvmsnap(server, "down p --force").stderr
    assert "not run: the after_snapshot hook: /bin/sh -c 'test -e /run/mended" in given_up
    server.run("echo running > /mnt/database")
    assert_gone(server, before)
