"""Two hosts that see the same disks: nothing on one of them touches what the other has up, unless it is told to."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from tests.lab.helpers import MachineFactory, make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.support import LAB_HOST, lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

SHARED = {"ubda": 160 * MiB, "ubdb": 64 * MiB}
OTHER_MACHINE_ID = "fedcba9876543210fedcba9876543210\n"


def write_profiles(m: Machine) -> None:
    lent = {"snapshot": "snap", "size": "16MiB", "backing_file": {"path": "/media/space/lent"}}
    write_profile(m, "lent", profile_text("vg0/system", **lent))
    write_profile(m, "plain", profile_text("vg1/system", snapshot="snap", size="16MiB", mountpoint=None))


def bring_up(m: Machine) -> None:
    """Have both profiles up on host A, as the disks hold it while it runs on."""
    m.boot()
    m.run("mkfs.ext4 -q /dev/ubdc; mkdir -p /media/space; mount /dev/ubdc /media/space")
    for vg, disk in (("vg0", "ubda"), ("vg1", "ubdb")):
        make_vg(m, vg, (disk,), volumes={"system": "32M"}, filesystems={"system": "ext4"})
    write_profiles(m)
    lvmsnap(m, "up lent")
    lvmsnap(m, "up plain")
    m.run("sync")


def boot_beside(a: Machine, b: Machine) -> None:
    """Boot host B, which has A's disks before it, and not the one with the backing file."""
    for disk in SHARED:
        shutil.copy(a.disk_image(disk), b.disk_image(disk))
    identity = b.work / "overlay/etc/machine-id"
    identity.parent.mkdir(parents=True)
    identity.write_text(OTHER_MACHINE_ID)
    b.boot()
    write_profiles(b)


def bytes_of_disks(m: Machine) -> list[str]:
    m.run("sync")
    return [hashlib.sha256(m.disk_image(disk).read_bytes()).hexdigest() for disk in SHARED]


def test_a_second_host_leaves_the_first_ones_snapshots_alone_until_it_is_told_to(fresh_machine: MachineFactory) -> None:
    a, b = fresh_machine({**SHARED, "ubdc": 64 * MiB}), fresh_machine(SHARED)
    bring_up(a)
    boot_beside(a, b)
    before = bytes_of_disks(b)
    look = "lvs -a --noheadings -o vg_name,vg_seqno,vg_missing_pv_count,lv_name,lv_tags,lv_active"
    seen = b.run(look).stdout

    # The running host knows its own, though the other one looks at the same disks.
    told = {status["name"]: status["state"] for status in json.loads(lvmsnap(a, "status --json").stdout)["profiles"]}
    assert told == {"lent": "up", "plain": "up"}

    told = {status["name"]: status for status in json.loads(lvmsnap(b, "status --json").stdout)["profiles"]}
    assert {told[name]["state"] for name in ("lent", "plain")} == {"foreign"}
    assert f"lvmsnap recover --from-host {LAB_HOST}" in told["lent"]["problem"]
    recovered = lvmsnap(b, "recover")
    assert "nothing of lvmsnap's is on this machine" in recovered.stdout
    lvmsnap(b, "recover lent plain")
    for name in ("lent", "plain"):
        lvmsnap(b, f"down {name}")
        lvmsnap(b, f"down {name} --force")
        lvmsnap(b, f"up {name} --replace", code=3)
    lvmsnap(b, "down --all")
    shown = lvmsnap(b, f"recover --from-host {LAB_HOST} --dry-run").stdout
    refused = lvmsnap(b, f"recover --from-host {LAB_HOST}", code=3)
    assert "vgreduce --removemissing vg0" in shown
    assert shown.count("lvremove --yes") == 2
    assert "add --yes" in refused.stderr
    assert b.run(look).stdout == seen
    assert bytes_of_disks(b) == before

    # Host A is gone for good.
    a.cut_power()
    lvmsnap(b, f"recover --from-host {LAB_HOST} --yes")
    assert b.run("lvs -a --noheadings -o vg_name,vg_missing_pv_count,lv_name,lv_active").stdout.split() == [
        *("vg0", "0", "system", "active"),
        *("vg1", "0", "system", "active"),
    ]
    b.run("e2fsck -fn /dev/vg0/system && e2fsck -fn /dev/vg1/system")
    assert {state["state"] for state in json.loads(lvmsnap(b, "status --json").stdout)["profiles"]} == {"down"}


def test_all_that_another_host_left_of_one_profile_goes_at_once(lab: Machine) -> None:
    tag = "lvmsnap2.4e5f6071.nightly"
    for vg, disk in (("vg0", "ubda"), ("vg1", "ubdb")):
        make_vg(lab, vg, (disk,), volumes={"system": "32M"})
        lab.run(f"lvcreate -q -y -s -L 8M -n snap --addtag {tag} {vg}/system")

    shown = lvmsnap(lab, "recover --from-host 4e5f6071 --dry-run").stdout
    lvmsnap(lab, "recover --from-host 4e5f6071 --yes")

    assert shown.count("lvremove --yes") == 2
    assert lab.run("lvs --noheadings -o vg_name,lv_name").stdout.split() == ["vg0", "system", "vg1", "system"]
