"""Thin snapshots on real LVM: made without room in the group, read as the origin was, lost when their pool is full."""

from __future__ import annotations

import json

import pytest

from tests.lab import looking
from tests.lab.helpers import MachineFactory, fingerprint
from tests.lab.machine import GiB, Machine
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap, write_profile

pytestmark = pytest.mark.lab

SNAP = "/run/lvmsnap/p"
SUMS = "cd {} && find . | sort | xargs stat -c '%n %f %u %g %s %Y' && find . -type f | sort | xargs sha256sum"
# A group without a free extent, in it a pool of 64 MiB with an origin, mounted, and somebody's own thin snapshots.
POOL = """set -e
vgcreate -q -s 1M vg0 /dev/ubda; lvcreate -q -y -L 64M -T vg0/pool; lvchange -q --errorwhenfull y vg0/pool
lvcreate -q -y -V 96M -T vg0/pool -n system; lvcreate -q -y -l 100%FREE -n rest vg0
mkfs.ext4 -q /dev/vg0/system; mkdir -p /mnt/d; mount /dev/vg0/system /mnt/d
mkdir -p /mnt/d/a/b; head -c 6M /dev/urandom > /mnt/d/a/file; echo old > /mnt/d/a/b/file; ln -s a /mnt/d/link; sync
lvcreate -q -y -s -n theirs vg0/system; lvcreate -q -y -s -K -n active vg0/system"""
FILL = "dd if=/dev/urandom of=/mnt/d/big bs=64k oflag=direct status=none"
LOOK = "lvs -a --noheadings -o lv_name,lv_uuid,lv_attr,origin,lv_tags,lv_skip_activation vg0; dmsetup table"


@pytest.fixture
def server(lab: Machine) -> Machine:
    lab.run(POOL, timeout=120)
    write_profile(lab, "p", "volumes: [{origin: vg0/system}]")
    return lab


def test_it_shows_the_origin_as_it_was_file_by_file_and_needs_no_room_in_the_group(server: Machine) -> None:
    lvmsnap(server, "status")
    before, devices = fingerprint(server, ("/media",)), server.run(LOOK).stdout
    # Not synced before: what was written is in the snapshot all the same.
    server.run("head -c 1M /dev/urandom > /mnt/d/late")
    files = server.run(SUMS.format("/mnt/d")).stdout

    assert lvmsnap(server, "up p").stdout == f"{SNAP}\n"
    server.run("echo new > /mnt/d/a/file; rm /mnt/d/late; chmod 0 /mnt/d/a/b; sync")
    seen = server.run(SUMS.format(SNAP)).stdout
    fields = looking.lv(server, "vg0/system-lvmsnap-p", "lv_attr,origin,pool_lv,lv_skip_activation")
    options = looking.mount_options(server, SNAP)
    assert server.run(f"touch {SNAP}/x", check=False).returncode != 0
    lvmsnap(server, "down p")

    assert seen == files
    assert fields == ["Vwi-aotz-k", "system", "pool", "skip activation"]
    assert {"ro", "nosuid", "nodev"} <= set(options)
    assert server.run(LOOK).stdout == devices
    assert fingerprint(server, ("/media",)) == before


def facts(m: Machine, command: str) -> dict[str, str]:
    return {fact["name"]: fact["value"] for fact in json.loads(lvmsnap(m, command).stdout)["facts"]}


def test_plan_and_status_tell_of_the_pool(server: Machine) -> None:
    assert facts(server, "plan p --json")["snapshot"].startswith("thin; pool vg0/pool: 64 MiB, ")
    assert "thin snapshot" in facts(server, "plan p --offline --json")["depends on the origin"]

    lvmsnap(server, "up p")
    server.run("sync")
    (told,) = json.loads(lvmsnap(server, "status p --json").stdout)["profiles"]
    percent = float(looking.lv(server, "vg0/pool", "data_percent")[0])
    metrics = lvmsnap(server, "status p --prometheus").stdout
    server.run("umount /run/lvmsnap/p; lvchange -q -an vg0/system-lvmsnap-p")
    (inactive,) = json.loads(lvmsnap(server, "status p --json").stdout)["profiles"]
    lvmsnap(server, "recover")

    assert (told["state"], told["pool"], told["size_bytes"]) == ("up", "vg0/pool", 64 << 20)
    assert abs(told["fill_percent"] - percent) < 5
    assert 'lvmsnap_snapshot_size_bytes{profile="p",origin="vg0/system"} 67108864' in metrics
    assert (inactive["state"], inactive["problem"]) == ("partial", "missing: snapshot, mount")
    assert lvmsnap(server, "status p").stdout.split("\n")[1].split()[1] == "down"


@pytest.mark.parametrize("is_queued", [False, True], ids=["errors", "queues"])
def test_a_pool_that_runs_full_during_run_is_124_and_nothing_stays(server: Machine, is_queued: bool) -> None:
    queue = "lvchange -q --errorwhenfull n vg0/pool" if is_queued else "true"
    server.run(f"rm -f /run/begun /run/written; {queue}")
    lvmsnap(server, "status")
    before = fingerprint(server, ("/media",))

    job = start_lvmsnap(server, f"run p -- sh -c 'touch /run/begun; sleep 8; cat {SNAP}/a/b/file'")
    server.run("until [ -e /run/begun ]; do sleep 0.1; done", timeout=60)
    server.start(f"{FILL}; sync; touch /run/written")
    ended = job.wait(120)
    server.run("until [ -e /run/written ]; do sleep 0.5; done; rm /mnt/d/big; sync", timeout=180)

    assert ended.returncode == 124, ended.stderr
    # Its files could be read to the end: what the pool kept is kept.
    assert ended.stdout == "old\n"
    assert "its thin pool ran full, or failed" in ended.stderr
    assert "extend the thin pool" in ended.stderr
    # The pool stays full of what the filler wrote, which the origin's journal may have met too.
    after = fingerprint(server, ("/media",)).replace("twi-aotzD-", "twi-aotz--").replace(",emergency_ro", "")
    assert after == before


def test_a_pool_that_fills_is_warned_of_and_one_that_is_full_is_lost_for_status_down_and_up(server: Machine) -> None:
    write_profile(server, "p", "volumes: [{origin: vg0/system}]\noverflow: {warn_at: 5%}")
    warned = lvmsnap(server, "up p").stderr
    assert "thin pool vg0/pool is filling" in warned
    server.run(f"{FILL}; true", timeout=120)

    (told,) = json.loads(lvmsnap(server, "status p --json").stdout)["profiles"]
    assert (told["state"], told["problem"]) == ("lost", "its thin pool ran full, or failed")
    again = lvmsnap(server, "down p", code=124).stderr
    assert "its thin pool ran full, or failed" in again
    # What the snapshot held is free again, but the filler has taken all there was.
    server.run(f"{FILL}; true", timeout=120)
    refused = lvmsnap(server, "up p", code=3).stderr
    assert "thin pool vg0/pool is not writable: it has no space left for data" in refused
    assert looking.lv(server, "vg0/active", "lv_attr") == ["Vwi-a-tz-k"]


def test_what_a_thin_snapshot_cannot_have_is_refused_with_size_as_the_way_out(server: Machine) -> None:
    server.run("mkfs.ext4 -q /dev/ubdb; mkdir -p /media/b; mount /dev/ubdb /media/b")
    write_profile(
        server, "p", profile_text(chunk_size="64KiB", backing_file={"path": "/media/b/lent", "size": "16MiB"})
    )
    before = fingerprint(server, ("/media",))

    refused = lvmsnap(server, "up p", code=3).stderr

    assert "a file lends space beside vg0/pool: /media/b/lent lends space to its group" in refused
    assert "a thin snapshot uses its pool's chunk size" in refused
    assert refused.count("give `size`") == 2
    assert fingerprint(server, ("/media",)) == before
    write_profile(server, "p", profile_text(size="16MiB", backing_file={"path": "/media/b/lent"}))
    lvmsnap(server, "up p")
    assert looking.lv(server, "vg0/system-lvmsnap-p", "lv_attr,origin") == ["swi-aos---", "system"]
    lvmsnap(server, "down p")


def test_after_a_power_cut_it_is_not_active_beside_its_origin_and_recover_removes_it(
    fresh_machine: MachineFactory,
) -> None:
    machine = fresh_machine({"ubda": GiB})
    machine.boot()
    machine.run(POOL, timeout=120)
    write_profile(machine, "p", "volumes: [{origin: vg0/system}]")
    volumes = machine.run("lvs -a --noheadings -o lv_name,lv_uuid,origin,lv_tags vg0").stdout
    lvmsnap(machine, "up p")
    record = machine.read_file(looking.RECORD.format("p"))
    machine.run("sync")
    machine.cut_power()

    machine.boot()
    machine.run("vgchange -q -ay vg0; udevadm settle")
    attr = looking.lv(machine, "vg0/system-lvmsnap-p", "lv_attr")
    by_uuid = machine.run("readlink -f /dev/disk/by-uuid/*; readlink -f /dev/vg0/system").stdout.split()
    write_profile(machine, "p", "volumes: [{origin: vg0/system}]")
    machine.run("mkdir -p -m 700 /var/lib/lvmsnap")
    machine.write_file(looking.RECORD.format("p"), record, 0o600)
    state = json.loads(lvmsnap(machine, "status p --json").stdout)["profiles"][0]["state"]
    lvmsnap(machine, "recover")

    assert attr == ["Vwi---tz-k"]
    assert by_uuid[-1] in by_uuid[:-1]
    assert state == "stale"
    assert machine.run("lvs -a --noheadings -o lv_name,lv_uuid,origin,lv_tags vg0").stdout == volumes
    assert not looking.exists(machine, looking.RECORD.format("p"))
    machine.run("mkdir -p /mnt/d; mount /dev/vg0/system /mnt/d && cat /mnt/d/a/b/file")


def test_its_origin_removed_or_renamed_meanwhile_it_goes_down_all_the_same(server: Machine) -> None:
    lvmsnap(server, "up p")
    server.run("umount /mnt/d; lvrename -q vg0 system sysnew")
    assert json.loads(lvmsnap(server, "status p --json").stdout)["profiles"][0]["state"] == "up"
    server.run("lvremove -q -y vg0/sysnew")
    assert json.loads(lvmsnap(server, "status p --json").stdout)["profiles"][0]["state"] == "up"
    assert server.run(f"cat {SNAP}/a/b/file").stdout == "old\n"
    lvmsnap(server, "down p")

    names = server.run("lvs --noheadings -o lv_name vg0").stdout.split()
    assert sorted(names) == ["active", "pool", "rest", "theirs"]


@pytest.mark.parametrize("is_watched", ["y", "n"])
def test_whether_dmeventd_watches_the_pool_stays_as_it_is(server: Machine, is_watched: str) -> None:
    server.run(f"lvchange -q --monitor {is_watched} vg0/pool")
    watched = [looking.lv(server, "vg0/pool", "seg_monitor")]

    lvmsnap(server, "up p")
    watched.append(looking.lv(server, "vg0/pool", "seg_monitor"))
    lvmsnap(server, "down p")
    watched.append(looking.lv(server, "vg0/pool", "seg_monitor"))

    assert watched == [["monitored" if is_watched == "y" else "not monitored"]] * 3


def test_a_pool_in_which_lvm_makes_no_more_volumes_is_refused_before_anything_is_changed(server: Machine) -> None:
    server.run("head -c 20M /dev/urandom > /mnt/d/much; sync; cp /etc/lvm/lvm.conf /run/lvm.conf")
    setting = "s/^.*thin_pool_autoextend_threshold = .*/thin_pool_autoextend_threshold = 20/"
    try:
        server.run(f"sed -i '{setting}' /etc/lvm/lvm.conf")
        refused = lvmsnap(server, "up p", code=3).stderr
        by_lvm = server.run("lvcreate -y -s -n no vg0/system", check=False).stderr
    finally:
        server.run("cp /run/lvm.conf /etc/lvm/lvm.conf")

    assert "thin_pool_autoextend_threshold in lvm.conf, 20 %" in refused
    assert "reached threshold" in by_lvm


def test_luks_in_a_pool_is_opened_in_its_thin_snapshot(server: Machine) -> None:
    server.run(
        """set -e
        umask 077; echo secret > /etc/lvmsnap/key; lvcreate -q -y -V 32M -T vg0/pool -n crypt
        cryptsetup -q luksFormat --type luks1 --iter-time 1 /dev/vg0/crypt /etc/lvmsnap/key
        cryptsetup open --key-file /etc/lvmsnap/key /dev/vg0/crypt open; mkfs.ext4 -q /dev/mapper/open
        mkdir /mnt/c; mount /dev/mapper/open /mnt/c; echo old > /mnt/c/file; sync""",
        timeout=120,
    )
    write_profile(server, "p", "volumes: [{origin: vg0/crypt, luks: {key_file: /etc/lvmsnap/key}}]")

    lvmsnap(server, "up p")
    server.run("echo new > /mnt/c/file; sync")
    seen = server.run(f"cat {SNAP}/file").stdout
    fields = looking.lv(server, "vg0/crypt-lvmsnap-p", "origin,pool_lv")
    lvmsnap(server, "down p")
    server.run("umount /mnt/c; cryptsetup close open")

    assert (seen, fields) == ("old\n", ["crypt", "pool"])
    assert "crypt-lvmsnap" not in server.run(LOOK).stdout
