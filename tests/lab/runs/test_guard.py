"""The guard on real LVM: a filling snapshot is warned of, given more room in time, and never called good when lost."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import looking
from tests.lab.faults import FILE, MOUNTPOINT, SPACE
from tests.lab.helpers import MachineFactory, fingerprint, make_vg
from tests.lab.machine import GiB, Machine, MiB
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, shell_line, start_lvmsnap, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/media", SPACE, "/mnt")
SNAP = MOUNTPOINT
NAME = "vg0/system-lvmsnap-p"
FILES_MIB = 80
# That the guard has looked once.
WATCHED = "until [ -e /run/lvmsnap/p.guard ]; do sleep 0.2; done"
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

# Overwrites all files, then fills the filesystem, as fast as it goes, with all the memory the kernel lends it.
FILLER = """
import os, sys, time
from lvmsnap.system.device_mapper import snapshot_status
start, block, written, peak = time.monotonic(), os.urandom(1 << 20), 0, 0
def write(file):
    global written, peak
    file.write(block)
    written += 1
    if written % 32 == 0 and (seen := snapshot_status("vg0-system--lvmsnap--p")) and not seen.is_lost:
        peak = max(peak, 100 * seen.used_bytes // seen.total_bytes)
try:
    for name in sorted(os.listdir("/mnt/d")):
        with open(f"/mnt/d/{name}", "r+b", buffering=0) as file:
            write(file)
    with open("/mnt/fill", "wb", buffering=0) as file:
        while True:
            write(file)
except OSError as error:
    assert error.errno == 28, error
os.sync()
print(f"{written} MiB at {written / (time.monotonic() - start):.0f} MiB/s, at most {peak} % full", file=sys.stderr)
"""


# A group with 400 MiB of free extents, a mounted origin with many files, and another filesystem.
SCENE = Scene(
    volumes={"system": "400M"},
    profiles={},
    more=f"""mkdir /mnt/d; for i in $(seq -f %03g 0 {FILES_MIB - 1}); do head -c 1M /dev/urandom > /mnt/d/$i; done
printf %s {shlex.quote(WRITER)} > /run/writer.py""",
)


def guarded(size: str = "48MiB", overflow: str = "", **settings: Any) -> str:
    text = profile_text(size=size, mountpoint=SNAP, **settings)
    return text + (f"overflow: {overflow}\n" if overflow else "")


def write(rate: float, files: int = FILES_MIB) -> str:
    return f"python3 /run/writer.py {rate} {files}"


# Without more room, what is written does not fit. While it was added, up to 1.2 GiB were used in the worst of twenty
# runs.
@pytest.mark.parametrize(("origin_mib", "size_mib", "runs"), [(1792, 1536, 1), (3072, 2560, 20)], ids=["once", "often"])
def test_a_writer_at_full_speed_loses_no_backup_where_the_file_may_grow(
    fresh_machine: MachineFactory, origin_mib: int, size_mib: int, runs: int
) -> None:
    m = fresh_machine({"ubda": (origin_mib + 64) * MiB, "ubdb": 5 * GiB})
    m.boot()
    text = guarded(f"{size_mib}MiB", "{warn_at: 6%, extend_at: 8%}", backing_file={"path": FILE, "max_size": "4GiB"})
    files = "mkdir /mnt/d; for i in $(seq -f %03g 0 127); do head -c 1M /dev/urandom > /mnt/d/$i; done"
    Scene(volumes={"system": f"{origin_mib}M"}, profiles={"p": text}, more=files).build(m)
    m.write_file("/run/filler.py", FILLER)
    script = f"python3 /run/filler.py & tar -cf {SPACE}/a.tar -C {SNAP} d; wait; cd {SNAP}; md5sum d/*"

    for attempt in range(runs):
        old = m.run("rm -f /mnt/fill; sync; cd /mnt; md5sum d/*").stdout
        before = fingerprint(m, FOLDERS)

        done = lvmsnap(m, f"-v run p -- sh -c '{script}'", code=None, timeout=400)

        print(f"run {attempt}: exit {done.returncode}\n{done.stderr}", flush=True)
        assert done.returncode == 0, f"run {attempt}: {done.stderr}"
        assert done.stdout == old
        assert m.run(f"cd /run; tar -xf {SPACE}/a.tar; rm {SPACE}/a.tar; md5sum d/*; rm -r d").stdout == old
        assert m.run("rm /mnt/fill; cd /mnt; md5sum d/*").stdout != old
        assert "was extended by" in done.stderr
        assert "cannot become full: it has all the room its origin can ever use" in done.stderr
        assert fingerprint(m, FOLDERS) == before


@pytest.mark.parametrize("runs", [1, 20])
def test_a_writer_at_full_speed_without_room_is_124_and_nothing_stays(stage: Stage, runs: int) -> None:
    stage.write_profile("p", guarded("16MiB", backing_file={"path": FILE}))
    script = f"{write(0, 40)} & tar -cf - -C {SNAP} . | cat > /dev/null; wait; exit 0"
    for attempt in range(runs):
        done = lvmsnap(stage, f"run p -- sh -c '{script}'", code=124)
        print(f"run {attempt}: exit {done.returncode}\n{done.stderr}", flush=True)
        assert "do not trust its result" in done.stderr
        stage.assert_as_before()


AUTOEXTEND = "activation { snapshot_autoextend_threshold = 50 snapshot_autoextend_percent = 20 }"


@pytest.fixture
def autoextended(stage: Stage) -> Iterator[Stage]:
    """The stage with another snapshot of the origin, which dmeventd watches and gives more room."""
    stage.run("mv /etc/lvm/lvm.conf /etc/lvm/lvm.conf.kept")
    stage.write_file("/etc/lvm/lvm.conf", AUTOEXTEND)
    stage.run("lvcreate -qqy -s -L 112M -n other vg0/system")
    yield stage
    stage.run("mv /etc/lvm/lvm.conf.kept /etc/lvm/lvm.conf")


def test_the_guard_grows_its_snapshot_beside_dmeventd_which_extends_anothers(autoextended: Stage) -> None:
    m = autoextended
    m.write_profile("p", guarded("48MiB", "{warn_at: 30%, extend_at: 40%}"))
    old = m.run(SUMS.format("/mnt")).stdout
    # As after somebody's lvcreate or lvremove on the same origin: dmeventd watches both.
    script = f"lvchange --monitor y vg0/other {NAME}; {write(RATE_MIB)} & tar -cf - -C {SNAP} . > /run/a.tar; wait;"
    script += f"{SUMS.format(SNAP)}; for i in $(seq 20); do sleep 1; "
    script += "[ $(lvs --noheadings -o lv_size --units m --nosuffix vg0/other | cut -d. -f1) -gt 112 ] && break; "
    script += f"done; lvs --noheadings -o lv_size,seg_monitor --units m --nosuffix {NAME} vg0/other | sort -u"

    done = lvmsnap(m, f"-v run p -- sh -c '{script}'", timeout=200)

    tar, *rows = done.stdout.splitlines()
    assert f"{tar}\n" == old
    m.run("mkdir /run/out; tar -xf /run/a.tar -C /run/out")
    assert m.run(SUMS.format("/run/out")).stdout == old
    m.run("rm -r /run/out /run/a.tar")
    sizes = {" ".join(words): float(size) for size, *words in map(str.split, rows)}
    assert sizes["not monitored"] > FILES_MIB
    assert sizes["monitored"] > 112, "dmeventd extends the other one"
    assert done.stderr.count("was extended by") >= 1, done.stderr
    assert (
        m.run(f"ls -A -I history /var/lib/lvmsnap; findmnt {SNAP}; lvs --noheadings {NAME}", check=False).stdout == ""
    )


@pytest.mark.parametrize("switched_on", ["vgchange --monitor y vg0", "lvcreate -y -s -L 8M -n later vg0/system"])
def test_dmeventd_unmounts_no_guarded_snapshot_and_goes_on_watching_anothers(lab: Machine, switched_on: str) -> None:
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    write_profile(lab, "p", profile_text(size="16MiB", mountpoint=SNAP) + "overflow: {extend_at: 100%}\n")
    lab.run("echo old > /mnt/file; sync; lvcreate -qqy -s -L 32M -n other vg0/system")
    seen = f"lvs --noheadings -o seg_monitor {NAME}"
    script = f"{switched_on}; for i in $(seq 60); do sleep 1; {seen} | grep -q not && break; done; {seen}; "
    # dmeventd looks every 10 s.
    script += "lvs --noheadings -o seg_monitor vg0/other; dd if=/dev/urandom of=/mnt/big bs=1M count=24 conv=fsync; "
    script += f"sleep 12; findmnt -no TARGET {SNAP}; ls {SNAP}"

    done = lvmsnap(lab, f"-v run p -- sh -c '{script}'", code=124, timeout=240)

    words = [line.strip() for line in done.stdout.splitlines()]
    assert words[-3:] == ["not monitored", "monitored", SNAP]
    assert f"reading directory '{SNAP}': Input/output error" in done.stderr
    assert "turned off dmeventd's monitoring of " in done.stderr


def test_a_growth_that_fails_half_way_is_tried_again_and_all_is_taken_back(stage: Stage) -> None:
    backing = {"path": FILE, "max_size": "97MiB", "allocation": "zero-fill"}
    stage.write_profile("p", guarded("40MiB", "{warn_at: 30%, extend_at: 40%, extend_by: 100%}", backing_file=backing))
    stage.write_file(
        "/run/bad/pvresize",
        '#!/bin/sh\n[ -e /run/failed ] && exec /usr/sbin/pvresize "$@"\ntouch /run/failed; echo no luck >&2; exit 5\n',
        mode=0o755,
    )
    lvmsnap(stage, "up p")
    job = start_lvmsnap(stage, "-v watch p", path="/run/bad")
    stage.run(write(0, 18))
    job.wait_for_output("was extended by")

    assert job.stderr.count("it cannot grow: pvresize") == 1
    assert "no luck" in job.stderr
    blocks = stage.run(["stat", "-c", "%s %b", FILE]).stdout.split()
    assert int(blocks[0]) <= 97 * MiB
    assert int(blocks[1]) * 512 >= int(blocks[0])
    assert looking.lv(stage, NAME, "lv_size,seg_monitor") == [str(80 * MiB), "not monitored"]
    lvmsnap(stage, "down p")
    assert job.wait().returncode == 0, job.stderr
    stage.assert_as_before()


def test_it_grows_to_what_the_origin_can_use_and_never_beyond(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    write_profile(
        lab, "p", profile_text(size="24MiB", mountpoint=None) + "overflow: {extend_at: 50%, extend_by: 300%}\n"
    )
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up p")
    job = start_lvmsnap(lab, "-v watch p")
    lab.run("dd if=/dev/urandom of=/dev/vg0/system bs=1M count=14 oflag=sync status=none")
    job.wait_for_output("was extended by")
    assert looking.lv(lab, NAME, "lv_size") == [str(36 * MiB)]
    lab.run("dd if=/dev/urandom of=/dev/vg0/system bs=1M oflag=sync status=none", check=False)
    job.wait_for_output("all the room its origin can ever use")
    assert looking.lv(lab, NAME, "lv_size,lv_snapshot_invalid") == [str(36 * MiB), ""]
    lvmsnap(lab, "down p")

    assert job.wait().returncode == 0
    assert fingerprint(lab, FOLDERS) == before


def test_only_room_that_lvm_would_allocate_counts_and_less_is_taken_where_there_is_less(lab: Machine) -> None:
    make_vg(lab, disks=("ubda", "ubdb"), volumes={"system": "64M"})
    overflow = "overflow: {warn_at: 30%, extend_at: 40%, extend_by: 500%}\n"
    write_profile(lab, "p", profile_text(size="40MiB", mountpoint=None) + overflow)
    # Free on the open disk: 7 extents, in which the snapshot of 3 will lie, and 2 that are not next to it.
    lab.run("lvcreate -qqy -n room -l 7 vg0 /dev/ubda; lvcreate -qqy -n wall -l 230 vg0 /dev/ubda")
    lab.run("lvremove -qqy vg0/room; pvchange -q --allocatable n /dev/ubdb; vgchange -q --alloc contiguous vg0")
    before = fingerprint(lab, FOLDERS[1:])

    refused = lvmsnap(lab, "up p", code=3)
    write_profile(lab, "p", profile_text(size="12MiB", mountpoint=None) + overflow)
    lvmsnap(lab, "up p")
    job = start_lvmsnap(lab, "-v watch p")
    lab.run("dd if=/dev/urandom of=/dev/vg0/system bs=1M count=6 oflag=sync status=none")
    job.wait_for_output("was extended by")

    assert "40 MiB needed, 36 MiB available; 1020 MiB more on /dev/ubdb, not allocatable" in refused.stderr
    assert "was extended by 12 MiB" in job.stderr
    assert looking.lv(lab, NAME, "lv_size") == [str(24 * MiB)]
    lvmsnap(lab, "down p")
    assert job.wait().returncode == 0
    assert fingerprint(lab, FOLDERS[1:]) == before


def test_watch_ends_with_124_where_the_snapshot_is_lost_or_removed_and_needs_one_that_is_up(stage: Stage) -> None:
    stage.write_profile("p", guarded("16MiB", "{extend_at: 100%}"))
    assert "p is not up" in lvmsnap(stage, "watch p", code=2).stderr

    lvmsnap(stage, "up p")
    job = start_lvmsnap(stage, "watch p")
    stage.run(f"{WATCHED}; {write(0, 40)}")
    assert job.wait().returncode == 124
    assert "the snapshot of p is lost" in job.stderr
    lvmsnap(stage, "up p --replace")
    job = start_lvmsnap(stage, "watch p")
    stage.run(f"{WATCHED}; umount {SNAP}; lvremove -qqy {NAME}")
    assert job.wait().returncode == 124
    assert "removed by hand" in job.stderr
    assert "it was removed or replaced" in lvmsnap(stage, "down p", code=124).stderr
    stage.assert_as_before()


def test_on_a_terminal_watch_shows_how_it_stands_and_ctrl_c_leaves_nothing_of_that(stage: Stage) -> None:
    stage.write_profile("p", guarded("16MiB"))
    lvmsnap(stage, "up p")
    job = stage.start(f"export TERM=xterm; exec {shell_line('watch p')}", tty=(100, 30))
    job.wait_for_output(f"guarding {NAME}, ")
    job.wait_for_output("p: 0.1 % of 16 MiB used, not filling")
    stage.run(write(RATE_MIB, 5))
    filling = r"p: \d+\.\d % of 16 MiB used, [\d.]+ [KM]iB/s, full in \d"
    job.wait_for(lambda: re.search(filling, job.stdout) is not None, 30)
    job.write("\x03")

    assert job.wait().returncode == 130
    *lines, last = (line.rpartition("\r\x1b[K")[2] for line in job.stdout.split("\r\n"))
    assert last == ""
    assert lines.pop() == "p stays up, no longer guarded: lvmsnap down p takes it down"
    assert all(line.startswith(("guarding ", NAME)) for line in lines), lines
    lvmsnap(stage, "down p")


def test_while_its_command_runs_the_terminal_is_the_commands_alone(stage: Stage) -> None:
    stage.write_profile("p", guarded("16MiB"))
    words = "printf begun; sleep 3; echo ended"

    job = stage.start(f"export TERM=xterm; exec {shell_line(f'run p -- sh -c {shlex.quote(words)}')}", tty=(100, 30))

    assert job.wait(120).returncode == 0
    assert "begunended\r\n" in job.stdout
    assert re.search(r"\r\nsh ended with exit status 0; the run took [\d.]+ s\r\npeak fill ", job.stdout)
    stage.assert_as_before()


def test_watching_a_snapshot_at_rest_costs_next_to_nothing_and_starts_no_process(stage: Stage) -> None:
    stage.write_profile("p", guarded())
    lvmsnap(stage, "up p")
    job = start_lvmsnap(stage, "watch p")
    stage.run(f"{WATCHED}; sleep 3")
    seen = "set -- $(pgrep -f '[l]vmsnap watch p'); cat /proc/$1/stat; grep processes /proc/stat"

    before, start = stage.run(seen).stdout.split(), time.monotonic()
    time.sleep(10)
    after, seconds = stage.run(seen).stdout.split(), time.monotonic() - start

    # proc(5): utime, stime, and of waited-for children; in hundredths of a second.
    used, children = (sum(int(after[n]) - int(before[n]) for n in fields) for fields in ((13, 14), (15, 16)))
    print(f"{used / seconds:.2f} % of a processor")
    assert used / seconds < 1
    assert children == 0
    assert int(after[-1]) - int(before[-1]) <= 6  # the shell that looks, and what it starts
    lvmsnap(stage, "down p")
    assert job.wait().returncode == 0


def test_two_on_one_file_are_given_room_at_one_moment_told_apart_and_lost_together(lab: Machine) -> None:
    mounts = {"/dev/ubdb": SPACE}
    make_vg(lab, volumes={"a": "64M", "b": "64M"}, filesystems={"/dev/ubdb": "ext4"}, mounts=mounts)
    volumes = ", ".join(f"{{origin: vg0/{name}, size: 16MiB, mountpoint: null}}" for name in "ab")
    text = f"volumes: [{volumes}]\nconsistent: false\nbacking_file: {{path: {FILE}, max_size: 64MiB}}\n"
    write_profile(lab, "p", text)
    before = fingerprint(lab, FOLDERS)
    lvmsnap(lab, "up p")
    job = start_lvmsnap(lab, "-v watch p")
    lab.run("sleep 2")

    fill = "dd if=/dev/urandom of=/dev/vg0/{} bs=1M count={} oflag=sync status=none"
    lab.run(" & ".join(fill.format(name, 14) for name in "ab") + "; wait")
    for name in "ab":
        job.wait_for_output(f"vg0/{name}: vg0/{name}-lvmsnap-p was extended by")
    lab.run("sleep 3")
    (told,) = json.loads(lvmsnap(lab, "status p --json").stdout)["profiles"]
    sizes = {one["origin"]: (one["size_bytes"] > 16 * MiB, one["last_growth"] is not None) for one in told["volumes"]}
    assert sizes == {"vg0/a": (True, True), "vg0/b": (True, True)}

    lab.run(fill.format("b", 64))
    assert job.wait().returncode == 124
    assert "p's snapshot of vg0/b is lost: it overflowed" in job.stderr
    assert "p's snapshot of vg0/b was lost while it was up: it overflowed" in lvmsnap(lab, "down p", code=124).stderr
    assert fingerprint(lab, FOLDERS) == before
