"""The guard on real LVM: a filling snapshot is warned of, given more room in time, and never called good when lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine, MiB
from tests.support import lvmsnap, profile_text, start_lvmsnap, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/media", "/media/b", "/mnt")
SNAP = "/media/snap"
FILE = "/media/b/tmp"
NAME = "vg0/system-lvmsnap-p"
FILES_MIB = 80
# What the writer writes a second, in MiB. While it does, more room takes 3 to 7 s of the lab's slow clock to add.
RATE_MIB = 3

# Overwrites the files in place, a MiB at a time, keeping to its rate; stops by itself after all of them.
WRITER = """
import os, sys, time
rate, files = float(sys.argv[1]), int(sys.argv[2])
start, block = time.monotonic(), os.urandom(1 << 20)
for number in range(files):
    with open(f"/mnt/d/{number:03}", "r+b") as file:
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if rate:
        time.sleep(max(0, start + (number + 1) / rate - time.monotonic()))
"""
SUMS = "cd {}; find . -type f | sort | xargs cat | md5sum"


@pytest.fixture
def server(lab: Machine) -> Machine:
    """A group with 400 MiB of free extents, a mounted origin with many files, and another filesystem."""
    mounts = {"system": "/mnt", "/dev/ubdb": "/media/b"}
    make_vg(lab, volumes={"system": "400M"}, filesystems={"system": "ext4", "/dev/ubdb": "ext4"}, mounts=mounts)
    lab.run(
        f"mkdir /mnt/d; for i in $(seq -f %03g 0 {FILES_MIB - 1}); do head -c 1M /dev/urandom > /mnt/d/$i; done; sync",
        timeout=120,
    )
    lab.write_file("/run/writer.py", WRITER)
    lvmsnap(lab, "status")
    return lab


def guarded_profile(m: Machine, size: str = "48MiB", overflow: str = "", **settings: Any) -> None:
    text = profile_text(size=size, mountpoint=SNAP, **settings)
    write_profile(m, "p", text + (f"overflow: {overflow}\n" if overflow else ""))


def assert_gone(m: Machine, before: str) -> None:
    assert fingerprint(m, FOLDERS) == before


def write(rate: float, files: int = FILES_MIB) -> str:
    return f"python3 /run/writer.py {rate} {files}"


@pytest.mark.parametrize("backing_file", [True, False])
def test_a_backup_under_a_writer_is_whole_since_the_snapshot_grows_in_time(server: Machine, backing_file: bool) -> None:
    room: dict[str, Any] = {"backing_file": {"path": FILE, "max_size": "300MiB"}} if backing_file else {}
    guarded_profile(server, "48MiB", "{warn_at: 30%, extend_at: 40%}", **room)

    for attempt in range(3 if backing_file else 2):
        old = server.run(SUMS.format("/mnt")).stdout
        before = fingerprint(server, FOLDERS)
        # The tar takes as long as the writer, so the snapshot is read to the end of the growing.
        script = f"{write(RATE_MIB)} & tar -cf - -C {SNAP} . | dd of=/run/a.tar bs=1M status=none; wait; "
        script += f"{SUMS.format(SNAP)}; lvs --noheadings -o seg_monitor,lv_size --units m --nosuffix {NAME}"

        done = lvmsnap(server, f"run p -- sh -c '{script}'", code=None, timeout=200)

        assert done.returncode == 0, f"attempt {attempt}: {done.stdout}{done.stderr}"
        tar, monitored = done.stdout.splitlines()
        assert f"{tar}\n" == old
        server.run("mkdir /run/out; tar -xf /run/a.tar -C /run/out")
        assert server.run(SUMS.format("/run/out")).stdout == old
        server.run("rm -r /run/out /run/a.tar")
        assert monitored.split()[:2] == ["not", "monitored"]
        assert float(monitored.split()[2]) > FILES_MIB
        assert done.stderr.count("was given") >= 2, done.stderr
        assert done.stderr.count("warning: ") <= 1
        assert_gone(server, before)


def test_without_room_the_end_is_124_in_each_of_five_runs_and_nothing_stays(server: Machine) -> None:
    guarded_profile(server, "16MiB", backing_file={"path": FILE})
    before = fingerprint(server, FOLDERS)

    for _ in range(5):
        done = lvmsnap(server, f"run p -- sh -c '{write(0, 40)}; exit 0'", code=124)
        assert "do not trust its result" in done.stderr
        assert_gone(server, before)


def test_a_growth_that_fails_half_way_is_tried_again_and_all_is_taken_back(server: Machine) -> None:
    backing = {"path": FILE, "max_size": "97MiB", "allocation": "zero-fill"}
    guarded_profile(server, "40MiB", "{warn_at: 30%, extend_at: 40%, extend_by: 100%}", backing_file=backing)
    server.write_file(
        "/run/bad/pvresize",
        '#!/bin/sh\n[ -e /run/failed ] && exec /usr/sbin/pvresize "$@"\ntouch /run/failed; echo no luck >&2; exit 5\n',
        mode=0o755,
    )
    before = fingerprint(server, FOLDERS)

    lvmsnap(server, "up p")
    job = start_lvmsnap(server, "watch p", path="/run/bad")
    server.run(write(0, 18))
    job.wait_for_output("was given")

    assert job.stderr.count("warning: ") == 2
    assert job.stderr.count("it cannot grow: pvresize") == 1
    assert "no luck" in job.stderr
    blocks = server.run(["stat", "-c", "%s %b", FILE]).stdout.split()
    assert int(blocks[0]) <= 97 * MiB
    assert int(blocks[1]) * 512 >= int(blocks[0])
    assert looking.lv(server, NAME, "lv_size,seg_monitor") == [str(80 * MiB), "not monitored"]
    lvmsnap(server, "down p")
    assert job.wait().returncode == 0, job.stderr
    assert_gone(server, before)


def test_it_grows_to_what_the_origin_can_use_and_never_beyond(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    write_profile(
        lab, "p", profile_text(size="24MiB", mountpoint=None) + "overflow: {extend_at: 50%, extend_by: 300%}\n"
    )
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up p")
    job = start_lvmsnap(lab, "watch p")
    lab.run("dd if=/dev/urandom of=/dev/vg0/system bs=1M count=14 oflag=sync status=none")
    job.wait_for_output("was given")
    assert looking.lv(lab, NAME, "lv_size") == [str(36 * MiB)]
    lab.run("dd if=/dev/urandom of=/dev/vg0/system bs=1M oflag=sync status=none", check=False)
    job.wait_for_output("all the room its origin can ever use")
    assert looking.lv(lab, NAME, "lv_size,lv_snapshot_invalid") == [str(36 * MiB), ""]
    lvmsnap(lab, "down p")

    assert job.wait().returncode == 0
    assert_gone(lab, before)


def test_watch_ends_with_124_where_the_snapshot_is_lost_or_removed_and_needs_one_that_is_up(server: Machine) -> None:
    guarded_profile(server, "16MiB", "{extend_at: 100%}")
    before = fingerprint(server, FOLDERS)
    assert "p is not up" in lvmsnap(server, "watch p", code=2).stderr

    lvmsnap(server, "up p")
    job = start_lvmsnap(server, "watch p")
    server.run("sleep 2; " + write(0, 40))
    assert job.wait().returncode == 124
    assert "the snapshot of p is lost" in job.stderr
    lvmsnap(server, "up p --replace")
    job = start_lvmsnap(server, "watch p")
    server.run(f"sleep 2; umount {SNAP}; lvremove -qqy {NAME}")
    assert job.wait().returncode == 124
    assert "removed by hand" in job.stderr
    lvmsnap(server, "down p")
    assert_gone(server, before)


def test_watching_a_snapshot_at_rest_costs_next_to_nothing_and_starts_no_process(server: Machine) -> None:
    guarded_profile(server)
    lvmsnap(server, "up p")
    job = start_lvmsnap(server, "watch p")
    server.run("sleep 4")
    seen = "set -- $(pgrep -f 'lvmsnap watch p'); cat /proc/$1/stat; grep processes /proc/stat"

    before, start = server.run(seen).stdout.split(), time.monotonic()
    time.sleep(20)
    after, seconds = server.run(seen).stdout.split(), time.monotonic() - start

    # proc(5): utime, stime, and of waited-for children; in hundredths of a second.
    used, children = (sum(int(after[n]) - int(before[n]) for n in fields) for fields in ((13, 14), (15, 16)))
    print(f"{used / seconds:.2f} % of a processor")
    assert used / seconds < 1
    assert children == 0
    assert int(after[-1]) - int(before[-1]) <= 6  # the shell that looks, and what it starts
    lvmsnap(server, "down p")
    assert job.wait().returncode == 0
