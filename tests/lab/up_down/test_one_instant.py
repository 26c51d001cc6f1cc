"""The snapshots of several volumes are of one instant, whatever kind of volumes, in whichever groups, under load."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.lab import cuts, looking, luks
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

ROUNDS = int(os.environ.get("LVMSNAP_SETS", "1"))
FOLDERS = ("/etc/lvmsnap", "/mnt", "/run/lvmsnap/p")


def test_no_write_is_seen_without_what_was_on_the_disk_before_it(lab: Machine) -> None:
    cuts.make_server(lab)

    with cuts.writing(lab, load=True):
        seen = cuts.take(lab, ROUNDS)

    assert [one for one in seen if not cuts.are_of_one_instant(one)] == []
    assert len({tuple(one) for one in seen}) == ROUNDS


def test_one_after_the_other_they_are_of_different_instants(lab: Machine) -> None:
    cuts.make_server(lab, consistent=False)

    with cuts.writing(lab):
        seen = cuts.take(lab, 1)

    assert [one for one in seen if not cuts.are_of_one_instant(one)] == seen


def test_up_says_how_long_writers_were_held_and_nothing_is_left_of_it(lab: Machine) -> None:
    cuts.make_server(lab)
    before = fingerprint(lab, FOLDERS)

    up = lvmsnap(lab, "-v up p")
    assert "end of the cut" not in lvmsnap(lab, "status p").stdout
    lvmsnap(lab, "down p")

    (held,) = re.findall(r"writers were held for ([\d.]+) s", up.stderr)
    assert 0 < float(held) < 4
    assert fingerprint(lab, FOLDERS) == before


def test_a_pasted_plan_makes_the_same_cut(lab: Machine) -> None:
    cuts.make_server(lab)
    actions = json.loads(lvmsnap(lab, "plan p --json").stdout)["actions"]

    with cuts.writing(lab):
        lab.run("set -e\n" + "\n".join(line for action in actions for line in action["do"]), timeout=120)
    seen = cuts.counters(lab)
    lab.run("set -e\n" + "\n".join(line for action in reversed(actions) for line in action["undo"]), timeout=120)

    assert cuts.are_of_one_instant(seen), seen
    assert "lvmsnap" not in lab.run("lvs; dmsetup ls").stdout


def test_a_luks_mapping_on_one_of_them_is_not_read_while_it_waits(lab: Machine) -> None:
    luks.make_origin(lab)
    make_vg(lab, "vg1", ["ubdb"], volumes={"b": "48M"}, filesystems={"b": "ext4"})
    keys = "mountpoint: null, size: 8MiB"
    write_profile(lab, "p", f"volumes:\n- {{origin: vg0/data, {keys}}}\n- {{origin: vg1/b, {keys}}}\n")

    up = lvmsnap(lab, "-v up p")
    lvmsnap(lab, "down p")

    (held,) = re.findall(r"writers were held for ([\d.]+) s", up.stderr)
    assert float(held) < 3


def test_what_is_dirty_is_written_before_writers_are_held(lab: Machine) -> None:
    cuts.make_server(lab)
    traced = looking.traced(lab, "up p").started
    lvmsnap(lab, "down p")

    (synced,) = (number for number, line in enumerate(traced) if line.startswith("sync --file-system"))
    (held,) = (number for number, line in enumerate(traced) if line.startswith("dmsetup suspend"))
    assert synced < held
    assert traced[synced].split()[2:] == list(cuts.PLACES)


def test_ext2_a_chunk_size_and_a_lent_file_are_as_they_are_for_one_volume(lab: Machine) -> None:
    make_vg(lab, volumes={"a": "48M", "b": "48M"}, filesystems={"a": "ext2", "b": "ext4", "/dev/ubdb": "ext4"})
    lab.run("mkdir /media/x; mount /dev/ubdb /media/x")
    keys = "mountpoint: null, size: 8MiB"
    volumes = f"volumes:\n- {{origin: vg0/a, {keys}}}\n- {{origin: vg0/b, {keys}, chunk_size: 64KiB}}\n"
    write_profile(lab, "p", f"{volumes}backing_file: {{path: /media/x/lent}}\n")
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up p")
    made = lab.run("lvs --noheadings -o lv_name,lv_attr,chunk_size,devices -S 'origin!=\"\"'").stdout.split()
    lvmsnap(lab, "down p")

    assert made[0::4] == ["a-lvmsnap-p", "b-lvmsnap-p"]
    assert [attr[:2] for attr in made[1::4]] == ["sr", "sw"]
    assert made[2::4] == ["4.00k", "64.00k"]
    assert all(device.startswith("/dev/loop") for device in made[3::4])
    assert fingerprint(lab, FOLDERS) == before


def test_few_processes_are_started_for_each_further_volume(lab: Machine) -> None:
    make_vg(lab, volumes={"a": "48M", "b": "48M"}, filesystems={"a": "ext4", "b": "ext4"})
    lab.run("mkdir /mnt/a /mnt/b /media/a /media/b; mount /dev/vg0/a /mnt/a; mount /dev/vg0/b /mnt/b")
    write_profile(lab, "one", profile_text("vg0/a", size="8MiB", mountpoint="/media/a"))
    each = (f"- {{origin: vg0/{name}, size: 8MiB, mountpoint: /media/{name}}}\n" for name in "ab")
    two = f"volumes:\n{''.join(each)}"
    write_profile(lab, "two", two)
    lvmsnap(lab, "up one")
    lvmsnap(lab, "down one")

    for command, most in (("up", 5), ("down", 2)):
        started = {name: looking.traced(lab, f"{command} {name}").started for name in ("one", "two")}
        assert len(started["two"]) <= len(started["one"]) + most, started["two"]


def test_where_lvm_lies_on_one_origin_and_the_record_on_another_both_are_held(lab: Machine) -> None:
    cuts.make_server(lab)
    write_profile(lab, "p", cuts.SET.replace("}", ", mountpoint: null}"))
    lab.run(
        "set -e; cp -a /etc/lvm/. /mnt/r; mount --bind /mnt/r /etc/lvm; mkdir -p /mnt/a/state /var/lib/lvmsnap\n"
        "chmod 700 /mnt/a/state; mount --bind /mnt/a/state /var/lib/lvmsnap"
    )
    script = lvmsnap(lab, "plan p").stdout

    with cuts.writing(lab):
        lvmsnap(lab, "up p")
    mount = "mkdir -p /run/x/mnt/${lv#*/}; mount -r /dev/$lv-lvmsnap-p /run/x/mnt/${lv#*/}"
    lab.run(f"for lv in vg0/a vg1/r vg1/t; do {mount}; done")
    seen = cuts.counters(lab, "/run/x")
    lab.run("umount /run/x/mnt/*")
    lvmsnap(lab, "down p")
    lab.run("mkdir /mnt/t/lvm; mount --bind /mnt/t/lvm /run/lock/lvm")
    refused = lvmsnap(lab, "plan p", code=3)
    lab.run("umount /run/lock/lvm /etc/lvm /var/lib/lvmsnap")

    assert "dmsetup suspend vg0-a vg1-t && " in script
    assert cuts.are_of_one_instant(seen), seen
    assert "/etc/lvm lies on r" in refused.stdout
