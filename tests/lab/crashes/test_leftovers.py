"""What a killed run leaves, snapshots that were lost, extents of others on the lent PV: on real LVM."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Job, Machine
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/media", "/mnt")
SNAP, SPACE = "/media/snap", "/media/space"
FILE = f"{SPACE}/lent"
POOL = "vg0/pool"
RECORD = "/var/lib/lvmsnap/lent.json"


@pytest.fixture
def server(lab: Machine) -> Machine:
    """A group vg0 with a mounted origin and a thin pool, a disk for backing files, profiles `plain` and `lent`."""
    make_vg(
        lab,
        volumes={"system": "64M"},
        filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
        mounts={"system": "/mnt", "/dev/ubdb": SPACE},
    )
    write_profile(lab, "plain", profile_text(size="16MiB", mountpoint=SNAP))
    write_profile(lab, "lent", profile_text(size="16MiB", mountpoint=SNAP, backing_file={"path": FILE}))
    lvmsnap(lab, "status")
    return lab


def assert_gone(m: Machine, before: str) -> None:
    assert fingerprint(m, FOLDERS) == before
    assert m.run("ls -A /var/lib/lvmsnap").stdout == ""


def run_until_it_works(m: Machine, name: str, seconds: int) -> Job:
    """Start a `run` whose command writes its pid and sleeps; wait until it does."""
    job = start_lvmsnap(m, f"run {name} -- sh -c 'echo working $$; exec sleep {seconds}'")
    job.wait_for_output("working", 120)
    return job


def state(m: Machine, name: str) -> tuple[str, str]:
    (told,) = json.loads(lvmsnap(m, f"status {name} --json").stdout)
    return told["state"], told["problem"]


def test_what_a_killed_run_left_goes_with_the_next_run_or_recover_and_a_living_one_is_refused(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)
    living = run_until_it_works(server, "plain", 9871)
    pid = server.run("pgrep -f '[l]vmsnap run plain'").stdout.split()[0]

    # One that lives: refused, with --replace too, and left alone by recover.
    for command, code in (("run plain -- true", 125), ("run --replace plain -- true", 125), ("up --replace plain", 3)):
        assert f"lvmsnap run (pid {pid}) is using plain" in lvmsnap(server, command, code=code).stderr
    assert f"lvmsnap run (pid {pid}) is using it" in lvmsnap(server, "recover").stdout
    assert state(server, "plain") == ("up", "")

    # One that was killed: its command survives, is named, and the next run goes on as on a clean machine.
    server.run(["kill", "-KILL", pid])
    living.wait(60)
    assert "which was killed" in state(server, "plain")[1]
    assert "partial" in lvmsnap(server, "up plain", code=3).stderr
    sleeper = server.run("pgrep -fx 'sleep 9871'").stdout.strip()
    next_run = lvmsnap(server, "run plain -- cat /media/snap/lost+found/none /dev/null", code=1)
    assert f"warning: pid {sleeper} (sleep) is still running: lvmsnap run had started it" in next_run.stderr
    server.run(["kill", sleeper])
    assert_gone(server, before)

    # And recover takes it down without a next run.
    killed = run_until_it_works(server, "plain", 9872)
    server.run("pkill -KILL -f '[l]vmsnap run plain'; pkill -fx 'sleep 9872'")
    killed.wait(60)
    assert "recovered  plain" in lvmsnap(server, "recover").stdout
    assert_gone(server, before)


def test_a_good_night_is_silent_and_a_bad_one_is_heard(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)

    assert lvmsnap(server, "run plain -- true").stderr == ""
    for quiet in ("", "-q "):
        failed = lvmsnap(server, f"{quiet}run plain -- false", code=1)
        assert failed.stderr == "error: false ended with exit status 1\n"
    write_profile(server, "wrong", "volumes: [{origin: vg0/system, sise: 4MiB}]")
    assert "sise" in lvmsnap(server, "run wrong -- true", code=125).stderr
    server.run("rm /etc/lvmsnap/wrong.yaml")
    lvmsnap(server, "run plain", code=2)
    assert_gone(server, before)


def test_down_of_a_snapshot_that_was_lost_takes_all_down_and_exits_124(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)

    lvmsnap(server, "up lent")
    server.run("dd if=/dev/urandom of=/mnt/fill bs=1M count=24 conv=fsync status=none; rm /mnt/fill; sync")
    assert state(server, "lent")[0] == "lost"
    assert "warning: the snapshot of lent was lost" in lvmsnap(server, "recover").stderr
    user = server.start(f"cd {SNAP}; exec sleep 9999")
    busy = lvmsnap(server, "down lent", code=124)
    assert "it overflowed, or a write to it failed" in busy.stderr
    assert f"left: mount: {SNAP}" in busy.stderr
    user.kill()
    user.wait(60)
    assert "it overflowed" in lvmsnap(server, "down --all", code=124).stderr
    assert_gone(server, before)
    lvmsnap(server, "down lent")

    # Removed by somebody, whose name for it nobody knows.
    lvmsnap(server, "up plain")
    server.run(f"umount {SNAP}; lvremove -qy vg0/system-lvmsnap-plain")
    assert state(server, "plain") == ("lost", "it was removed or replaced")
    assert "it was removed or replaced" in lvmsnap(server, "down plain", code=124).stderr
    assert_gone(server, before)

    # One that is replaced is warned of, and the new one is good.
    lvmsnap(server, "up plain")
    server.run(f"umount {SNAP}; lvremove -qy vg0/system-lvmsnap-plain")
    assert "warning: the snapshot of plain was lost" in lvmsnap(server, "up --replace plain").stderr
    lvmsnap(server, "down plain")
    assert_gone(server, before)


def test_extents_of_others_on_the_lent_pv_are_named_with_the_pvmove_that_frees_it(server: Machine) -> None:
    server.run(f"lvcreate -qy --type thin-pool -L 8M {POOL}; lvcreate -qy -V 8M --thin {POOL} -n thin")
    server.run("dd if=/dev/urandom of=/dev/vg0/thin bs=1M count=8 oflag=direct status=none")
    old = server.run("md5sum < /dev/vg0/thin").stdout
    write_profile(server, "lent", profile_text(size="16MiB", mountpoint=SNAP, backing_file={"path": FILE}))
    # As dmeventd does: right after the group has the space, before the snapshot takes it.
    server.run('mkdir -p /run/bin; printf %s "$(cat)" > /run/bin/lvcreate; chmod +x /run/bin/lvcreate', stdin=EXTENDS)

    failed = lvmsnap(server, "up lent", code=4, path="/run/bin")

    (loop,) = re.findall(r"left: physical volume: (\S+)", failed.stderr)
    for said in (failed, lvmsnap(server, "down lent", code=4), lvmsnap(server, "recover", code=4)):
        assert "held by extents of vg0/pool_tdata" in said.stderr
        assert f"$ pvmove {loop}\n    $ lvmsnap down lent\n" in said.stderr
    assert f"first, by hand: pvmove {loop}" in lvmsnap(server, "plan lent --down").stdout
    assert looking.lv(server, "vg0/system", "lv_attr") == ["-wi-ao----"]

    # After a power cut the pool lacks a disk; the origin comes up, and the pool once the file is attached again.
    server.run(f'umount /mnt; vgchange -qan vg0; losetup -d {loop}; sed -i \'s/"boot_id": "./&0/\' {RECORD}')
    stale = lvmsnap(server, "recover", code=4).stderr
    assert looking.lv(server, "vg0/system", "lv_attr") == ["-wi-a-----"]
    attach = re.search(rf"\$ (losetup .*) {FILE}\n    \$ (pvmove .*)\n    \$ lvmsnap down lent\n", stale)
    assert attach is not None, stale
    server.run(f"{attach[1]} {FILE} && {attach[2]}")
    lvmsnap(server, "down lent")
    server.run("vgchange -qay vg0; mount /dev/vg0/system /mnt")
    assert server.run("md5sum < /dev/vg0/thin").stdout == old
    assert server.run(f"ls -A {SPACE}; losetup -a; ls -A /var/lib/lvmsnap").stdout.split() == ["lost+found"]


EXTENDS = """#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
for loop; do case $loop in /dev/loop*) lvextend -q -l +1 vg0/pool "$loop" >/dev/null 2>&1 ;; esac; done
exec lvcreate "$@"
"""
