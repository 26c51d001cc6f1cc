"""What a killed run leaves, snapshots that were lost, extents of others on the lent PV: on real LVM."""

from __future__ import annotations

import re

import pytest

from tests.lab import looking
from tests.lab.faults import FILE, MOUNTPOINT, SPACE
from tests.lab.machine import Job, Machine
from tests.lab.stage import Stage
from tests.lab.support import lvmsnap, start_lvmsnap, status

pytestmark = pytest.mark.lab

SNAP = MOUNTPOINT
POOL = "vg0/pool"
RECORD = "/var/lib/lvmsnap/lent.json"


def run_until_it_works(m: Machine, name: str, seconds: int) -> Job:
    """Start a `run` whose command writes its pid and sleeps; wait until it does."""
    job = start_lvmsnap(m, f"run {name} -- sh -c 'echo working $$; exec sleep {seconds}'")
    job.wait_for_output("working", 120)
    return job


def test_what_a_killed_run_left_goes_with_the_next_run_or_recover_and_a_living_one_is_refused(stage: Stage) -> None:
    living = run_until_it_works(stage, "plain", 9871)
    pid = stage.run("pgrep -f '[l]vmsnap run plain'").stdout.split()[0]

    # One that lives: refused, with --replace too, and left alone by recover.
    for command, code in (("run plain -- true", 125), ("run --replace plain -- true", 125), ("up --replace plain", 3)):
        assert f"lvmsnap (pid {pid}) is using plain" in lvmsnap(stage, command, code=code).stderr
    assert f"lvmsnap (pid {pid}) is using it" in lvmsnap(stage, "recover").stdout
    assert status(stage, "plain").items() >= {"state": "up", "problem": None}.items()

    # One that was killed: its command survives, is named, and the next run goes on as on a clean machine.
    stage.run(["kill", "-KILL", pid])
    living.wait(60)
    assert "which has ended" in status(stage, "plain")["problem"]
    assert "partial" in lvmsnap(stage, "up plain", code=3).stderr
    sleeper = stage.run("pgrep -fx 'sleep 9871'").stdout.strip()
    next_run = lvmsnap(stage, "run plain -- cat /media/snap/lost+found/none /dev/null", code=1)
    assert f"warning: pid {sleeper} (sleep) is still running: lvmsnap run had started it" in next_run.stderr
    stage.run(["kill", sleeper])
    stage.assert_as_before()

    # And recover takes it down without a next run.
    killed = run_until_it_works(stage, "plain", 9872)
    stage.run("pkill -KILL -f '[l]vmsnap run plain'; pkill -fx 'sleep 9872'")
    killed.wait(60)
    assert "recovered  plain" in lvmsnap(stage, "recover").stdout
    stage.assert_as_before()


def test_a_good_night_is_silent_and_a_bad_one_is_heard(stage: Stage) -> None:
    assert lvmsnap(stage, "run plain -- true").stderr == ""
    for quiet in ("", "-q "):
        failed = lvmsnap(stage, f"{quiet}run plain -- false", code=1)
        assert failed.stderr == "error: false ended with exit status 1\n"
    stage.write_profile("wrong", "volumes: [{origin: vg0/system, sise: 4MiB}]")
    assert "sise" in lvmsnap(stage, "run wrong -- true", code=125).stderr
    lvmsnap(stage, "run plain", code=2)
    stage.assert_as_before()


def test_down_of_a_snapshot_that_was_lost_takes_all_down_and_exits_124(stage: Stage) -> None:
    lvmsnap(stage, "up lent")
    stage.run("dd if=/dev/urandom of=/mnt/fill bs=1M count=24 conv=fsync status=none; rm /mnt/fill; sync")
    assert status(stage, "lent")["state"] == "lost"
    assert "warning: the snapshot of lent was lost" in lvmsnap(stage, "recover").stderr
    user = stage.start(f"cd {SNAP}; exec sleep 9999")
    busy = lvmsnap(stage, "down lent", code=124)
    assert "it overflowed, or a write to it failed" in busy.stderr
    assert "lent could not be taken down: it is in use, held by pid " in busy.stderr
    user.kill()
    user.wait(60)
    assert "it overflowed" in lvmsnap(stage, "down --all", code=124).stderr
    stage.assert_as_before()
    lvmsnap(stage, "down lent")

    # Removed by somebody, whose name for it nobody knows.
    lvmsnap(stage, "up plain")
    stage.run(f"umount {SNAP}; lvremove -qy vg0/snap")
    assert status(stage, "plain").items() >= {"state": "lost", "problem": "it was removed or replaced"}.items()
    assert "it was removed or replaced" in lvmsnap(stage, "down plain", code=124).stderr
    stage.assert_as_before()

    # One that is replaced is warned of, and the new one is good.
    lvmsnap(stage, "up plain")
    stage.run(f"umount {SNAP}; lvremove -qy vg0/snap")
    assert "warning: the snapshot of plain was lost" in lvmsnap(stage, "up --replace plain").stderr
    lvmsnap(stage, "down plain")
    stage.assert_as_before()


def test_extents_of_others_on_the_lent_pv_are_named_with_the_pvmove_that_frees_it(stage: Stage) -> None:
    stage.run(f"lvcreate -qy --type thin-pool -L 8M {POOL}; lvcreate -qy -V 8M --thin {POOL} -n thin")
    stage.run("dd if=/dev/urandom of=/dev/vg0/thin bs=1M count=8 oflag=direct status=none")
    old = stage.run("md5sum < /dev/vg0/thin").stdout
    # As dmeventd does: right after the group has the space, before the snapshot takes it.
    stage.run('mkdir -p /run/bin; printf %s "$(cat)" > /run/bin/lvcreate; chmod +x /run/bin/lvcreate', stdin=EXTENDS)

    failed = lvmsnap(stage, "up lent", code=4, path="/run/bin")

    (loop,) = re.findall(r"left: physical volume: (\S+)", failed.stderr)
    for said in (failed, lvmsnap(stage, "down lent", code=4), lvmsnap(stage, "recover", code=4)):
        assert "held by extents of vg0/pool_tdata" in said.stderr
        assert f"$ pvmove {loop}\n    $ lvmsnap down lent\n" in said.stderr
    assert f"first, by hand: pvmove {loop}" in lvmsnap(stage, "plan lent --down").stdout
    assert looking.lv(stage, "vg0/system", "lv_attr") == ["-wi-ao----"]

    # After a power cut the pool lacks a disk; the origin comes up, and the pool once the file is attached again.
    stage.run(f'umount /mnt; vgchange -qan vg0; losetup -d {loop}; sed -i \'s/"boot_id": "./&0/\' {RECORD}')
    stale = lvmsnap(stage, "recover", code=4).stderr
    assert looking.lv(stage, "vg0/system", "lv_attr") == ["-wi-a-----"]
    attach = re.search(rf"\$ (losetup .*) {FILE}\n    \$ (pvmove .*)\n    \$ lvmsnap down lent\n", stale)
    assert attach is not None, stale
    stage.run(f"{attach[1]} {FILE} && {attach[2]}")
    lvmsnap(stage, "down lent")
    stage.run("vgchange -qay vg0; mount /dev/vg0/system /mnt")
    assert stage.run("md5sum < /dev/vg0/thin").stdout == old
    assert stage.run(f"ls -A {SPACE}; losetup -a; ls -A -I history /var/lib/lvmsnap").stdout.split() == ["lost+found"]


EXTENDS = """#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
for loop; do case $loop in /dev/loop*) lvextend -q -l +1 vg0/pool "$loop" >/dev/null 2>&1 ;; esac; done
exec lvcreate "$@"
"""
