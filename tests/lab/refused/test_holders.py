"""Whatever keeps a snapshot busy is named at `down`, and nothing is unmounted where something else pins it."""

from __future__ import annotations

import sys

import pytest

from tests import TOP
from tests.lab.machine import Job, Machine
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text

pytestmark = pytest.mark.lab

SNAPSHOT = "/run/lvmsnap/p"
SCENE = Scene(profiles={"p": profile_text(size="16MiB")})
SEEN = "grep vg0- /proc/self/mountinfo; ls /dev/mapper; ls -d /run/lvmsnap/p"


def started(machine: Machine, command: str) -> tuple[Job, str]:
    """Start a process that prints its pid and sleeps; return it and its pid."""
    job = machine.start(command)
    return job, job.wait_for_output("\n", 60).strip()


def test_all_holders_are_named_and_nothing_is_unmounted_or_removed(stage: Stage) -> None:
    stage.run("mkdir /mnt/sub /media/bind; echo precious > /mnt/sub/file; truncate -s 1M /mnt/i")
    lvmsnap(stage, "up p")
    private, in_namespace = started(stage, "exec unshare -m --propagation private sh -c 'echo $$; exec sleep 9999'")

    # A copy in a namespace alone: removing the mountpoint's directory would unmount it there.
    before = stage.run(SEEN).stdout
    result = lvmsnap(stage, "down p", code=4)
    assert f"held by pid {in_namespace} (sleep): {SNAPSHOT} in its own mount namespace" in result.stderr
    assert stage.run(SEEN).stdout == before
    assert stage.run(f"nsenter -t {in_namespace} -m cat {SNAPSHOT}/sub/file").stdout == "precious\n"

    stage.run(f"losetup -r /dev/loop3 {SNAPSHOT}/i; mount --bind {SNAPSHOT}/sub /media/bind")
    opener, of_device = started(stage, "exec sh -c 'echo $$; exec sleep 9999' 3< /dev/vg0/system-lvmsnap-p")
    user, inside = started(stage, f"cd {SNAPSHOT}/sub; exec sh -c 'echo $$; exec sleep 9999'")
    device = stage.run("readlink -f /dev/vg0/system-lvmsnap-p").stdout.strip()
    before = stage.run(SEEN).stdout
    result = lvmsnap(stage, "down p", code=4)
    assert {line.strip().removeprefix("held by ") for line in result.stderr.splitlines() if "held by" in line} == {
        f"pid {inside} (sleep): {SNAPSHOT}/sub",
        f"pid {in_namespace} (sleep): {SNAPSHOT} in its own mount namespace",
        "mount on /media/bind",
        f"/dev/loop3 on {SNAPSHOT}/i",
        f"pid {of_device} (sleep): {device}",
    }
    assert stage.run(SEEN).stdout == before

    for job in (private, opener, user):
        job.kill()
        job.wait(60)
    stage.run("losetup -d /dev/loop3; umount /media/bind")
    lvmsnap(stage, "down p")
    stage.run("rm -r /mnt/sub /mnt/i /media/bind")
    stage.assert_as_before()


def test_a_namespace_that_follows_ours_keeps_nothing_busy(stage: Stage) -> None:
    stage.run("mount --make-rshared /")  # as systemd does
    lvmsnap(stage, "up p")
    slave, pid = started(stage, "exec unshare -m --propagation slave sh -c 'echo $$; exec sleep 9999'")
    shown = stage.run(f"grep -c {SNAPSHOT} /proc/{pid}/mountinfo").stdout

    lvmsnap(stage, "down p")

    left = stage.run(f"grep -c vg0-system--lvmsnap /proc/{pid}/mountinfo", check=False).stdout
    slave.kill()
    slave.wait(60)
    stage.run("mount --make-rprivate /")
    assert (shown, left) == ("1\n", "0\n")
    stage.assert_as_before()


def test_an_overlay_over_the_snapshot_is_named_and_nothing_unmounted(stage: Stage) -> None:
    stage.run("mkdir /media/merged /media/empty")
    lvmsnap(stage, "up p")
    # As `podman -v /run/lvmsnap/p:/data:O` does.
    stage.run(f"mount -t overlay -o lowerdir={SNAPSHOT}:/media/empty overlay /media/merged")
    before = stage.run(SEEN).stdout

    result = lvmsnap(stage, "down p", code=4)
    after = stage.run(SEEN).stdout
    read = stage.run("cat /media/merged/file; umount /media/merged").stdout
    lvmsnap(stage, "down p")

    assert f"held by overlay on /media/merged, made of {SNAPSHOT}" in result.stderr
    assert (after, read) == (before, "before\n")
    stage.run("rmdir /media/merged /media/empty")
    stage.assert_as_before()


def test_a_dead_filesystem_that_was_detached_keeps_down_from_nothing(stage: Stage) -> None:
    stage.run("modprobe fuse; rm -f /run/dead; mkdir -p /media/remote")
    lvmsnap(stage, "up p")
    server = stage.start(f"exec {sys.executable} {TOP}/tests/lab/dead_server.py /media/remote /run/dead")
    server.wait_for_output("mounted", 60)
    opener, has_open = started(stage, "exec sh -c 'echo $$; exec sleep 9999' 9< /media/remote")
    worker, works_in = started(stage, "cd /media/remote; exec sh -c 'echo $$; exec sleep 9999'")
    of_device, device_user = started(stage, "exec sh -c 'echo $$; exec sleep 9999' 3< /dev/vg0/system-lvmsnap-p")
    stage.run("touch /run/dead; umount -l /media/remote")

    # In use by somebody else: who cannot be examined is named beside that one.
    refused = lvmsnap(stage, "down p", code=4, timeout=120)
    of_device.kill()
    of_device.wait(60)
    lvmsnap(stage, "down p", timeout=120)

    for job in (server, opener, worker):
        job.kill(9)
        job.wait(60)
    assert f"held by pid {device_user} (sleep): /dev/" in refused.stderr
    for pid in (has_open, works_in):
        assert f"held by pid {pid} (sleep): / cannot be examined" in refused.stderr
    stage.run("rmdir /media/remote")
    stage.assert_as_before()


def test_who_holds_a_snapshot_that_is_a_device_alone_is_named(stage: Stage) -> None:
    stage.write_profile("device", profile_text(size="16MiB", mountpoint=None))
    lvmsnap(stage, "up device")
    stage.run("dmsetup create mine --table '0 100 linear /dev/vg0/system-lvmsnap-device 0'; udevadm settle")

    result = lvmsnap(stage, "down device", code=4)
    stage.run("dmsetup remove mine")
    lvmsnap(stage, "down device")

    assert "held by device mine above it" in result.stderr
    stage.assert_as_before()
