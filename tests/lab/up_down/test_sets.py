"""Several volumes on real LVM: one tree that looks like the server, with one file for each group, and nothing left."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.stage import KEPT, Scene, Stage
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
MOUNTED = """set -e
mkfs.ext4 -q -E lazy_itable_init=0 /dev/ubdc; mkfs.ext2 -q /dev/ubdd
mkdir -p /etc/lvmsnap /srv /media/disk; mount /dev/vg0/root /srv; mkdir -p /srv/home /srv/var/lib/data /srv/boot
mount /dev/vg0/home /srv/home; mount /dev/vg1/data /srv/var/lib/data; mount /dev/ubdd /srv/boot
mount /dev/ubdc /media/disk
for f in /srv/a /srv/home/b /srv/var/lib/data/c /srv/boot/d; do echo old $f > $f; done; sync"""
FILES = """\
backing_file:
  - {vg: vg0, path: /media/disk/zero.tmp}
  - {vg: vg1, path: /media/disk/one.tmp}
"""


@dataclass(frozen=True)
class Server(Scene):
    """A server below /srv, with volumes in two groups, one mounted in another, and a partition that is on no LV."""

    def build(self, m: Machine) -> str:
        make_vg(m, volumes={"root": "64M", "home": "304M"}, filesystems={"root": "ext4", "home": "xfs"})
        make_vg(m, "vg1", ["ubdb"], volumes={"data": "64M"}, filesystems={"data": "ext4"})
        return m.run(MOUNTED).stdout

    def look(self, m: Machine) -> str:
        return fingerprint(m, FOLDERS, KEPT)


SCENE = Server()


def seen(m: Machine, top: str) -> str:
    """All files of a tree, with what is in them, as a backup that crosses filesystems reads it."""
    return m.run(f"cd {top} && find . -type f | sort | xargs md5sum").stdout


@pytest.mark.parametrize("lent", [False, True], ids=["free space", "two files"])
def test_a_set_is_one_tree_that_looks_like_the_server_and_goes_without_a_trace(stage: Stage, lent: bool) -> None:
    stage.write_profile("server", SET + (FILES if lent else ""))
    old = seen(stage, "/srv")

    up = lvmsnap(stage, "up server")

    assert up.stdout == f"{TREE}\n"
    stage.run("for f in /srv/a /srv/home/b /srv/var/lib/data/c; do echo new > $f; done; sync")
    assert seen(stage, f"{TREE}/srv") == old
    table = stage.run(["findmnt", "--raw", "-nR", "-o", "TARGET,OPTIONS", f"{TREE}/srv"]).stdout.splitlines()
    mounts = dict(line.split(" ") for line in table)
    assert sorted(mounts) == [f"{TREE}/srv{at}" for at in ("", "/boot", "/home", "/var/lib/data")]
    assert all(options.split(",")[0] == "ro" for options in mounts.values())
    stage.run("touch /srv/boot/still-writable && rm /srv/boot/still-writable")

    lvmsnap(stage, "down server")

    stage.run("for f in /srv/a /srv/home/b /srv/var/lib/data/c; do echo old $f > $f; done; sync")
    stage.assert_as_before()
    assert not looking.exists(stage, TREE)


def test_the_command_of_a_run_finds_the_tree_and_a_set_is_lost_with_one_of_its_snapshots(stage: Stage) -> None:
    stage.write_profile("server", SET)

    good = lvmsnap(stage, "run server -- sh -c 'cd $LVMSNAP_MOUNTPOINT && find . -name c; echo ${LVMSNAP_DEVICE-none}'")
    assert (good.stdout, good.stderr) == ("./srv/var/lib/data/c\nnone\n", "")
    fill = "dd if=/dev/zero of=/srv/var/lib/data/fill bs=1M count=30 conv=fsync 2>&1"
    lost = lvmsnap(stage, f"run server -- sh -c '{fill}; sleep 3; true'", code=124)

    assert "but its snapshot of vg1/data was lost: it overflowed" in lost.stderr
    stage.run("rm /srv/var/lib/data/fill; sync")
    stage.assert_as_before()
    assert not looking.exists(stage, TREE)


def test_a_tree_goes_down_by_its_marks_alone_and_what_is_in_use_inside_is_named(stage: Stage) -> None:
    stage.write_profile("server", SET + FILES)
    lvmsnap(stage, "up server")
    stage.run("rm /var/lib/lvmsnap/server.json")

    stage.start(f"cd {TREE}/srv/home && exec sleep 1000")
    busy = lvmsnap(stage, "down server", code=4)
    stage.run("pkill -x sleep")
    assert f"{TREE}/srv/home" in busy.stderr
    assert "sleep" in busy.stderr
    lvmsnap(stage, "down server")

    stage.assert_as_before()
    assert not looking.exists(stage, TREE)


def test_sixteen_volumes_are_planned_with_the_processes_of_one_and_cut_at_once(lab: Machine) -> None:
    names = [f"v{number}" for number in range(16)]
    make_vg(lab, volumes=dict.fromkeys(names, "16M"))
    write_profile(lab, "one", "volumes: [{origin: vg0/v0, size: 8MiB, mountpoint: null}]\n")
    volumes = ", ".join(f"{{origin: vg0/{name}, size: 8MiB, mountpoint: null}}" for name in names)
    write_profile(lab, "all", f"volumes: [{volumes}]\n")

    one, sixteen = (looking.traced(lab, f"plan {name}") for name in ("one", "all"))
    assert [line.split()[0] for line in sixteen.started] == [line.split()[0] for line in one.started]
    assert sixteen.returncode == 0
    up = lvmsnap(lab, "up all")
    assert up.stdout.splitlines() == [f"/dev/vg0/{name}-lvmsnap-all" for name in names]
    lvmsnap(lab, "down all")
    assert looking.kept(lab) == []
