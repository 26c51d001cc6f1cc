"""Profiles that meet: files on each other's origin, one brought up anew while a run of it ends, a parent's signals."""

from __future__ import annotations

import pytest

from tests.lab.helpers import make_vg
from tests.lab.looking import exists
from tests.lab.machine import Machine
from tests.lab.support import COMMAND, ENVIRONMENT, lvmsnap, profile_text, shell_line, write_profile

pytestmark = pytest.mark.lab

# As a daemon does that wants no zombies: programs that it starts have SIGCHLD ignored too.
IGNORING = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"


def snapshots(m: Machine) -> list[str]:
    return m.run("lvs --noheadings -o vg_name,lv_name --separator / -S 'origin!=\"\"'").stdout.split()


def test_two_profiles_with_files_on_each_others_origin_are_never_up_together(lab: Machine) -> None:
    for vg, disk, lv in (("vg0", "ubda", "a"), ("vg1", "ubdb", "b")):
        make_vg(lab, vg, (disk,), volumes={lv: "64M"})
        lab.run(f"mkfs.ext4 -q /dev/{vg}/{lv}; mkdir -p /srv/{lv}; mount /dev/{vg}/{lv} /srv/{lv}")
    for name, origin, place in (("pa", "vg0/a", "/srv/b"), ("pb", "vg1/b", "/srv/a")):
        backing = {"path": f"{place}/lent"}
        write_profile(lab, name, profile_text(origin, size="8MiB", mountpoint=None, backing_file=backing))

    for first, second, ring in (("pa", "pb", "vg1-b"), ("pb", "pa", "vg0-a")):
        lvmsnap(lab, f"up {first}")
        refused = lvmsnap(lab, f"up {second}", code=3)
        assert f"lent does not lie on the origin: it lies on {ring}" in refused.stderr
        assert len(snapshots(lab)) == 1
        lvmsnap(lab, f"down {first}")
    lab.run("timeout 20 sh -c 'echo x > /srv/a/x; echo x > /srv/b/x; sync'; umount /srv/a /srv/b")


def test_a_run_that_ends_leaves_alone_what_was_brought_up_anew_meanwhile(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"}, filesystems={"/dev/ubdb": "ext4"}, mounts={"/dev/ubdb": "/media/space"})
    write_profile(lab, "nb", profile_text(size="8MiB", mountpoint=None, backing_file={"path": "/media/space/lent"}))
    lab.write_file("/run/anew", f"{shell_line('down nb')}; {shell_line('up nb')}\n")

    ended = lvmsnap(lab, "run nb -- sh /run/anew", code=124)

    assert "left alone: nb was brought up anew while the command ran" in ended.stderr
    assert snapshots(lab) == ["vg0/system-lvmsnap-nb"]
    assert exists(lab, "/var/lib/lvmsnap/nb.json")
    lvmsnap(lab, "down nb")
    assert lab.run("pvs --noheadings -o pv_name").stdout.split() == ["/dev/ubda"]
    assert not exists(lab, "/media/space/lent")


def test_a_hook_that_fails_is_noticed_though_our_parent_ignores_its_children(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    hooks = "hooks:\n  before_snapshot: exit 1\n"
    write_profile(lab, "hk", profile_text(size="8MiB", mountpoint=None) + hooks)

    ended = lab.run([COMMAND[0], "-c", IGNORING, *COMMAND, "up", "hk"], env=ENVIRONMENT, check=False)

    assert ended.returncode == 1, ended.stderr
    assert "before_snapshot" in ended.stderr
    assert snapshots(lab) == []
