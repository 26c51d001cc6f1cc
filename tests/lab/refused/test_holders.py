"""Whatever keeps a snapshot busy is named at `down`, and nothing is unmounted where something else pins it."""

from __future__ import annotations

import sys

import pytest

from tests import TOP
from tests.lab.helpers import make_vg
from tests.lab.machine import Job, Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

SNAPSHOT = "/run/lvmsnap/p"
SEEN = "grep vg0- /proc/self/mountinfo; ls /dev/mapper; ls -d /run/lvmsnap/p"


def started(machine: Machine, command: str) -> tuple[Job, str]:
    """Start a process that prints its pid and sleeps; return it and its pid."""
    job = machine.start(command)
    return job, job.wait_for_output("\n", 60).strip()


def test_all_holders_are_named_and_nothing_is_unmounted_or_removed(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/media/system"})
    lab.run("mkdir /media/system/sub /mnt/bind; echo precious > /media/system/sub/file; truncate -s 1M /media/system/i")
    write_profile(lab, "p", profile_text(size="16MiB"))
    lvmsnap(lab, "up p")
    private, in_namespace = started(lab, "exec unshare -m --propagation private sh -c 'echo $$; exec sleep 9999'")

    # A copy in a namespace alone: removing the mountpoint's directory would unmount it there.
    before = lab.run(SEEN).stdout
    result = lvmsnap(lab, "down p", code=4)
    assert f"held by pid {in_namespace} (sleep): {SNAPSHOT} in its own mount namespace" in result.stderr
    assert lab.run(SEEN).stdout == before
    assert lab.run(f"nsenter -t {in_namespace} -m cat {SNAPSHOT}/sub/file").stdout == "precious\n"

    lab.run(f"losetup -r /dev/loop3 {SNAPSHOT}/i; mount --bind {SNAPSHOT}/sub /mnt/bind")
    opener, of_device = started(lab, "exec sh -c 'echo $$; exec sleep 9999' 3< /dev/vg0/system-lvmsnap-p")
    user, inside = started(lab, f"cd {SNAPSHOT}/sub; exec sh -c 'echo $$; exec sleep 9999'")
    device = lab.run("readlink -f /dev/vg0/system-lvmsnap-p").stdout.strip()
    before = lab.run(SEEN).stdout
    result = lvmsnap(lab, "down p", code=4)
    assert {line.strip().removeprefix("held by ") for line in result.stderr.splitlines() if "held by" in line} == {
        f"pid {inside} (sleep): {SNAPSHOT}/sub",
        f"pid {in_namespace} (sleep): {SNAPSHOT} in its own mount namespace",
        "mount on /mnt/bind",
        f"/dev/loop3 on {SNAPSHOT}/i",
        f"pid {of_device} (sleep): {device}",
    }
    assert lab.run(SEEN).stdout == before

    for job in (private, opener, user):
        job.kill()
        job.wait(60)
    lab.run("losetup -d /dev/loop3; umount /mnt/bind")
    lvmsnap(lab, "down p")


def test_a_namespace_that_follows_ours_keeps_nothing_busy(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"})
    write_profile(lab, "p", profile_text(size="16MiB"))
    lab.run("mount --make-rshared /")  # as systemd does
    lvmsnap(lab, "up p")
    slave, pid = started(lab, "exec unshare -m --propagation slave sh -c 'echo $$; exec sleep 9999'")
    shown = lab.run(f"grep -c {SNAPSHOT} /proc/{pid}/mountinfo").stdout

    lvmsnap(lab, "down p")

    left = lab.run(f"grep -c vg0- /proc/{pid}/mountinfo", check=False).stdout
    slave.kill()
    slave.wait(60)
    lab.run("mount --make-rprivate /")
    assert (shown, left) == ("1\n", "0\n")


def test_an_overlay_over_the_snapshot_is_named_and_nothing_unmounted(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    lab.run("echo old > /mnt/file; sync; mkdir -p /media/merged /media/empty")
    write_profile(lab, "p", profile_text(size="16MiB"))
    lvmsnap(lab, "up p")
    # As `podman -v /run/lvmsnap/p:/data:O` does.
    lab.run(f"mount -t overlay -o lowerdir={SNAPSHOT}:/media/empty overlay /media/merged")
    before = lab.run(SEEN).stdout

    result = lvmsnap(lab, "down p", code=4)
    after = lab.run(SEEN).stdout
    read = lab.run("cat /media/merged/file; umount /media/merged").stdout
    lvmsnap(lab, "down p")

    assert f"held by overlay on /media/merged, made of {SNAPSHOT}" in result.stderr
    assert (after, read) == (before, "old\n")


def test_a_dead_filesystem_that_was_detached_keeps_down_from_nothing(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    write_profile(lab, "p", profile_text(size="16MiB"))
    lab.run("modprobe fuse; rm -f /run/dead; mkdir -p /media/remote")
    lvmsnap(lab, "up p")
    server = lab.start(f"exec {sys.executable} {TOP}/tests/lab/dead_server.py /media/remote /run/dead")
    server.wait_for_output("mounted", 60)
    opener, has_open = started(lab, "exec sh -c 'echo $$; exec sleep 9999' 9< /media/remote")
    worker, works_in = started(lab, "cd /media/remote; exec sh -c 'echo $$; exec sleep 9999'")
    of_device, device_user = started(lab, "exec sh -c 'echo $$; exec sleep 9999' 3< /dev/vg0/system-lvmsnap-p")
    lab.run("touch /run/dead; umount -l /media/remote")

    # In use by somebody else: who cannot be examined is named beside that one.
    refused = lvmsnap(lab, "down p", code=4, timeout=120)
    of_device.kill()
    of_device.wait(60)
    lvmsnap(lab, "down p", timeout=120)

    for job in (server, opener, worker):
        job.kill(9)
        job.wait(60)
    assert f"held by pid {device_user} (sleep): /dev/" in refused.stderr
    for pid in (has_open, works_in):
        assert f"held by pid {pid} (sleep): / cannot be examined" in refused.stderr


def test_who_holds_a_snapshot_that_is_a_device_alone_is_named(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M"})
    write_profile(lab, "p", profile_text(size="16MiB", mountpoint=None))
    lvmsnap(lab, "up p")
    lab.run("dmsetup create mine --table '0 100 linear /dev/vg0/system-lvmsnap-p 0'; udevadm settle")

    result = lvmsnap(lab, "down p", code=4)
    lab.run("dmsetup remove mine")
    lvmsnap(lab, "down p")

    assert "held by device mine above it" in result.stderr
