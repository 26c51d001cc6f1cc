"""Whoever may change a directory on the way leads no mount or file of root's elsewhere, and sees nothing private."""

from __future__ import annotations

import pytest

from tests.lab import looking
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

FILE, SNAP = "/media/space/bob/lent", "/media/bob/snap"
LEFT = "lvs --noheadings -o lv_name vg0; losetup -a; dmsetup ls | grep snap; grep 'vg0-snap' /proc/self/mountinfo; true"
# What bob does once the directories are his: symlinks to root's in their place.
SWAP = """mv /media/space/bob /media/space/bob.old; ln -s /media/space/etc /media/space/bob
mv /media/bob /media/bob.old; ln -s /srv/etc /media/bob; chown -h 1000 /media/bob /media/space/bob
chown 1000 /media/bob.old /media/space/bob.old"""
SWAP_BACK = """rm /media/bob /media/space/bob; mv /media/bob.old /media/bob; mv /media/space/bob.old /media/space/bob
chown 0 /media/bob /media/space/bob"""
WRAPPER = """#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
case "$*" in *{match}*) {before} ;; esac
exec {program} "$@"
"""


@pytest.fixture
def server(lab: Machine) -> Machine:
    make_vg(
        lab,
        volumes={"system": "32M"},
        filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
        mounts={"system": "/srv/system", "/dev/ubdb": "/media/space"},
    )
    lab.run(
        """set -e
        mkdir -p /media/bob /media/space/bob /media/space/etc /srv/etc/snap
        head -c 30000000 /dev/urandom > /media/space/etc/lent; echo root > /srv/etc/snap/shadow
        md5sum /media/space/etc/lent /srv/etc/snap/shadow > /run/sums"""
    )
    return lab


def write(m: Machine, allocation: str = "fallocate") -> None:
    backing = {"path": FILE, "allocation": allocation}
    write_profile(m, "p", profile_text(snapshot="snap", size="8MiB", mountpoint=SNAP, backing_file=backing))


def test_a_directory_that_others_may_change_is_refused_wherever_it_is_on_the_way(server: Machine) -> None:
    write(server)
    server.run("mkdir /media/space/bob/deep; chown 1000 /media/bob; chmod 1777 /media/space/bob")
    before = server.run("ls -laR /media").stdout

    refused = lvmsnap(server, "up p", code=3).stderr

    assert f"mountpoint {SNAP} can be changed by others: /media/bob belongs to user 1000" in refused
    assert "can be changed by others: users other than root can write to /media/space/bob" in refused
    assert server.run("ls -laR /media").stdout == before


@pytest.mark.parametrize(
    ("program", "match", "allocation"),
    [
        ("sh", "fallocate", "fallocate"),
        ("sh", "dd", "zero-fill"),
        ("losetup", "nooverlap", "fallocate"),
        ("lvcreate", "snap", "fallocate"),
        ("mount", "snap", "fallocate"),
    ],
)
def test_directories_that_are_swapped_in_the_middle_of_up_lead_nothing_of_roots_astray(
    server: Machine, program: str, match: str, allocation: str
) -> None:
    write(server, allocation)
    real = server.run(f"command -v {program}").stdout.strip()
    server.write_file("/run/swap", SWAP, 0o755)
    server.write_file(f"/run/wrap/{program}", WRAPPER.format(match=match, before="sh /run/swap", program=real), 0o755)

    ended = lvmsnap(server, "up p", code=None, path="/run/wrap")

    assert ended.returncode in (1, 4), ended.stderr
    assert looking.exists(server, "/media/bob.old"), "the wrapper was never run"
    server.run("md5sum --check --quiet /run/sums; rm -r /run/wrap")
    if ended.returncode == 1:
        assert server.run(LEFT).stdout.split() == ["system"], ended.stderr
    assert "/srv/etc" not in server.run("cat /proc/self/mountinfo").stdout
    server.run(SWAP_BACK)
    lvmsnap(server, "down p")
    assert server.run(LEFT).stdout.split() == ["system"]
    assert not looking.exists(server, FILE)
    server.run("md5sum --check --quiet /run/sums")


def test_a_snapshot_opens_nothing_that_its_origin_keeps_shut(server: Machine) -> None:
    server.run(
        """set -e
        umount /srv/system; mkdir -p /srv/secret/system; chmod 700 /srv/secret
        mount -o noexec,nosuid /dev/vg0/system /srv/secret/system
        cp /bin/true /srv/secret/system/program; chmod 4755 /srv/secret/system/program
        mkdir -p /run/lvmsnap; chmod 755 /run/lvmsnap"""
    )
    write_profile(server, "open", profile_text(size="8MiB", mountpoint="/media/snap"))
    write_profile(
        server,
        "meant",
        profile_text(size="8MiB", mountpoint="/media/snap", allow_wider_access=True, mount_options="[suid]"),
    )
    write_profile(server, "shut", profile_text(size="8MiB"))
    as_bob = "setpriv --reuid=1000 --regid=1000 --clear-groups"

    refused = lvmsnap(server, "up open", code=3).stderr
    assert "/media/snap is more open than vg0/system: /srv/secret keeps others from it" in refused
    assert "`allow_wider_access: true`" in refused

    lvmsnap(server, "up shut")
    assert looking.mode(server, "/run/lvmsnap") == "directory 700 root"
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(looking.mount_options(server, "/run/lvmsnap/shut"))
    assert server.run(f"{as_bob} ls /run/lvmsnap/shut", check=False).returncode != 0
    lvmsnap(server, "down shut")

    lvmsnap(server, "up meant")
    options = looking.mount_options(server, "/media/snap")
    assert {"nodev", "noexec"} <= set(options)
    assert "nosuid" not in options
    assert server.run(f"{as_bob} ls /media/snap").stdout.split() == ["lost+found", "program"]
    lvmsnap(server, "down meant")
