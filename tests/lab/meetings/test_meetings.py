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
        assert f"lent lies on the origin: {ring}" in refused.stderr
        assert len(snapshots(lab)) == 1
        lvmsnap(lab, f"down {first}")
    lab.run("timeout 20 sh -c 'echo x > /srv/a/x; echo x > /srv/b/x; sync'; umount /srv/a /srv/b")


def test_three_profiles_in_a_ring_are_never_up_together_and_no_writer_waits_for_itself(lab: Machine) -> None:
    places = (("vg0", "ubda"), ("vg1", "ubdb"), ("vg2", "ubdc"))
    for vg, disk in places:
        make_vg(lab, vg, (disk,), volumes={"data": "64M"})
        make = f"mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/{vg}/data"  # else it goes on writing
        lab.run(f"{make}; mkdir -p /srv/{vg}; mount /dev/{vg}/data /srv/{vg}")
    for name, vg, place in (("a", "vg0", "vg1"), ("b", "vg1", "vg2"), ("c", "vg2", "vg0")):
        backing = {"path": f"/srv/{place}/lent", "allow_same_vg": True}
        write_profile(lab, name, profile_text(f"{vg}/data", size="8MiB", mountpoint=None, backing_file=backing))

    lvmsnap(lab, "up a")
    lvmsnap(lab, "up b")
    # The spaces of these two lead nowhere, and the second is the origin's own.
    lab.run("for vg in vg0 vg2; do lvcreate -qqy -s -L 8M -n elsewhere $vg/data; done")
    refused = lvmsnap(lab, "up c", code=3)
    lab.run("lvremove -qqy vg0/elsewhere vg2/elsewhere")

    a, b = "vg0/data-lvmsnap-a (profile a)", "vg1/data-lvmsnap-b (profile b)"
    assert f"backing file /srv/vg0/lent lies on the origin: vg2-data, by way of {a}, {b}" in refused.stderr
    assert f"; or take one of {a} and {b} down first" in refused.stderr
    assert sorted(snapshots(lab)) == ["vg0/data-lvmsnap-a", "vg1/data-lvmsnap-b"]
    writes = "; ".join(f"echo x > /srv/{vg}/x" for vg, _ in places)
    lab.run(f"timeout 30 sh -c '{writes}; sync'")
    lvmsnap(lab, "down a")
    lvmsnap(lab, "up c")
    lab.run(f"timeout 30 sh -c '{writes}; sync'")
    for name in ("b", "c"):
        lvmsnap(lab, f"down {name}")
    lab.run("umount /srv/vg0 /srv/vg1 /srv/vg2")


@pytest.mark.parametrize("command", ["up p --replace", "run p --replace -- true"])
def test_a_profile_that_cannot_go_up_keeps_its_old_snapshot(lab: Machine, command: str) -> None:
    make_vg(lab, volumes={"system": "64M"}, filesystems={"system": "ext4"})
    write_profile(lab, "p", profile_text(size="8MiB", mountpoint="/run/lvmsnap/p"))
    lvmsnap(lab, "up p")
    look = (
        "lvs --noheadings -o lv_name,lv_uuid vg0; grep /run/lvmsnap/p /proc/self/mountinfo; cat /var/lib/lvmsnap/p.json"
    )
    before = lab.run(look).stdout
    write_profile(lab, "p", profile_text(size="8MiB", mountpoint="/run/lvmsnap/p", backing_file={"path": "/dev/shm/x"}))

    refused = lvmsnap(lab, command, code=3 if command.startswith("up") else 125)

    assert "cannot hold a backing file" in refused.stderr
    assert lab.run(look).stdout == before
    write_profile(lab, "p", profile_text(size="12MiB", mountpoint="/run/lvmsnap/p"))
    lvmsnap(lab, "up p --replace")
    assert lab.run("lvs --noheadings --units m -o lv_size vg0/system-lvmsnap-p").stdout.split() == ["12.00m"]
    lvmsnap(lab, "down p")


def test_a_run_that_ends_leaves_alone_what_was_brought_up_anew_meanwhile(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"}, filesystems={"/dev/ubdb": "ext4"}, mounts={"/dev/ubdb": "/media/space"})
    write_profile(lab, "nb", profile_text(size="8MiB", mountpoint=None, backing_file={"path": "/media/space/lent"}))
    lab.write_file("/run/anew", f"{shell_line('down nb')}; {shell_line('up nb')}\n")

    ended = lvmsnap(lab, "run nb -- sh /run/anew", code=124)

    assert "left alone: nb was taken down, or brought up again, meanwhile" in ended.stderr
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
