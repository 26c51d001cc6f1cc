"""Several volumes on real LVM: one tree that looks like the server, with one file for each group, and nothing left."""

from __future__ import annotations

import pytest

from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/media", "/mnt", "/srv")
TREE = "/run/lvmsnap/server"
SET = """\
volumes:
  - {origin: vg0/root, size: 16MiB}
  - {origin: vg0/home, size: 16MiB}
  - {origin: vg1/data, size: 16MiB}
include: [/srv/boot]
consistent: false
"""
FILES = """\
backing_file:
  - {vg: vg0, path: /media/disk/zero.tmp}
  - {vg: vg1, path: /media/disk/one.tmp}
"""


def make_server(m: Machine) -> None:
    """A server below /srv, with volumes in two groups, one mounted in another, and a partition that is on no LV."""
    make_vg(m, volumes={"root": "64M", "home": "304M"}, filesystems={"root": "ext4", "home": "xfs"})
    make_vg(m, "vg1", ["ubdb"], volumes={"data": "64M"}, filesystems={"data": "ext4"})
    m.run(
        "set -e; mkfs.ext4 -q /dev/ubdc; mkfs.ext2 -q /dev/ubdd\n"
        "mkdir -p /srv /media/disk; mount /dev/vg0/root /srv; mkdir -p /srv/home /srv/var/lib/data /srv/boot\n"
        "mount /dev/vg0/home /srv/home; mount /dev/vg1/data /srv/var/lib/data; mount /dev/ubdd /srv/boot\n"
        "mount /dev/ubdc /media/disk\n"
        "for f in /srv/a /srv/home/b /srv/var/lib/data/c /srv/boot/d; do echo old $f > $f; done; sync"
    )
    write_profile(m, "server", SET)


def seen(m: Machine, top: str) -> str:
    """All files of a tree, with what is in them, as a backup that crosses filesystems reads it."""
    return m.run(f"cd {top} && find . -type f | sort | xargs md5sum").stdout


@pytest.mark.parametrize("lent", [False, True], ids=["free space", "two files"])
def test_a_set_is_one_tree_that_looks_like_the_server_and_goes_without_a_trace(lab: Machine, lent: bool) -> None:
    make_server(lab)
    write_profile(lab, "server", SET + (FILES if lent else ""))
    before, old = fingerprint(lab, FOLDERS), seen(lab, "/srv")

    up = lvmsnap(lab, "up server")

    assert up.stdout == f"{TREE}\n"
    lab.run("for f in /srv/a /srv/home/b /srv/var/lib/data/c; do echo new > $f; done; sync")
    assert seen(lab, f"{TREE}/srv") == old
    table = lab.run(["findmnt", "--raw", "-nR", "-o", "TARGET,OPTIONS", f"{TREE}/srv"]).stdout.splitlines()
    mounts = dict(line.split(" ") for line in table)
    assert sorted(mounts) == [f"{TREE}/srv{at}" for at in ("", "/boot", "/home", "/var/lib/data")]
    assert all(options.split(",")[0] == "ro" for options in mounts.values())
    lab.run("touch /srv/boot/still-writable && rm /srv/boot/still-writable")

    lvmsnap(lab, "down server")

    lab.run("for f in /srv/a /srv/home/b /srv/var/lib/data/c; do echo old $f > $f; done; sync")
    assert fingerprint(lab, FOLDERS) == before
    assert looking.kept(lab) == []
    assert not looking.exists(lab, TREE)
