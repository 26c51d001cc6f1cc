"""`lvmsnap init` on real LVM: what it proposes for each kind of origin passes its plan, and says what is so here."""

from __future__ import annotations

import shlex

import pytest

from tests.lab.luks import FAST, KEY_FILE, write_key
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, shell_line

pytestmark = pytest.mark.lab

# Two groups, one of which is full; a disk beside them.
GROUPS = f"""set -e
vgcreate -q -y vg0 /dev/ubda /dev/ubdb; vgcreate -q -y my-vg /dev/ubdc
lvm <<END
lvcreate -q -y -L 300M -n system vg0
lvcreate -q -y -L 64M -n swap vg0
lvcreate -q -y -L 64M -n empty vg0
lvcreate -q -y -L 120M -n bt vg0
lvcreate -q -y -L 48M -T vg0/pool
lvcreate -q -y -V 32M -T vg0/pool -n thin
lvcreate -q -y --type raid1 -m 1 -L 32M -n raid1 vg0
lvcreate -q -y -L 64M -n da-ta my-vg
lvcreate -q -y -l 100%FREE -n full my-vg
END
for lv in system thin raid1; do mkfs.ext4 -q /dev/vg0/$lv; done
mkfs.xfs -q /dev/my-vg/full; mkfs.btrfs -q /dev/vg0/bt > /dev/null 2>&1; mkswap -q /dev/vg0/swap
cryptsetup luksFormat -q --type luks2 {FAST["luks2"]} --key-file {KEY_FILE} /dev/my-vg/da-ta
cryptsetup open --key-file {KEY_FILE} /dev/my-vg/da-ta data; mkfs.ext4 -q /dev/mapper/data
mkfs.ext4 -q /dev/ubdd
cd /mnt; mkdir system full data bt disk raid1
mount /dev/vg0/system system; mount /dev/my-vg/full full; mount /dev/mapper/data data; mount /dev/vg0/bt bt
mount /dev/vg0/raid1 raid1; mount /dev/ubdd disk; udevadm settle"""
# How each is called on the command line, and what its profile must say.
KINDS = {
    "linear": ("/mnt/system", ["size: 64MiB\n"]),
    "full": ("/dev/my-vg/full", ["size: 192MiB\n", "path: /mnt/disk/lvmsnap-full.tmp\n"]),
    "thin": ("vg0/thin", ["# No size: "]),
    "raid1": ("/dev/mapper/vg0-raid1", ["size: 16MiB\n"]),
    "luks": ("/dev/mapper/my--vg-da--ta", ["luks: {prompt: true}", "path: /mnt/disk/lvmsnap-luks.tmp\n"]),
    "unmounted": ("vg0/empty", ["mountpoint: null\n"]),
    "btrfs": ("/mnt/bt", ["btrfs, mounted at /mnt/bt\n", "mountpoint: null\n"]),
    "set": ("/mnt/system /mnt/full /mnt/raid1", ["path: /mnt/disk/lvmsnap-set-my-vg.tmp\n  vg: my-vg\n"]),
    "all": ("vg0/thin vg0/system vg0/empty /dev/mapper/data", ["vg0/thin\n    # Room", "mountpoint: null\n"]),
}


def test_what_is_written_for_each_kind_of_origin_passes_its_plan(lab: Machine) -> None:
    write_key(lab)
    lab.run(GROUPS, timeout=120)
    listed = lvmsnap(lab, "init")
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert rows[6][:5] == ["vg0/system", "300", "MiB", "ext4", "/mnt/system"]
    assert rows[1] == ["my-vg/da-ta", "64", "MiB", "LUKS:", "ext4", "/mnt/data", "0", "B"]
    assert "not offered: vg0/pool (a thin pool), vg0/swap (swap)\n" in listed.stderr

    for name, (words, said) in KINDS.items():
        lvmsnap(lab, f"init {words} --write {name}")
        text = lab.read_file(f"/etc/lvmsnap/{name}.yaml")
        assert [line for line in said if line not in text] == [], text
        schema = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        # What the comment beside it says: without a terminal nobody can be asked.
        key = f"s|luks: {{prompt: true}}|luks: {{key_file: {KEY_FILE}}}|"
        lab.run(f"test -s {shlex.quote(schema)}; sed -i {shlex.quote(key)} /etc/lvmsnap/{name}.yaml")
        lvmsnap(lab, f"plan {name}")

    assert lab.run("stat -c '%U %a' /etc/lvmsnap/set.yaml").stdout == "root 600\n"
    assert "exists already" in lvmsnap(lab, "init vg0/system --write set", code=3).stderr
    assert lvmsnap(lab, "run full -- sh -c 'echo $LVMSNAP_MOUNTPOINT'").stdout == "/run/lvmsnap/full\n"

    lab.run(f"cp -a /etc/crypttab /tmp/crypttab; echo 'data /dev/my-vg/da-ta {KEY_FILE} luks' > /etc/crypttab")
    lvmsnap(lab, "init /mnt/data --write key")
    lab.run("cp -a /tmp/crypttab /etc/crypttab")
    assert f"    luks: {{key_file: {KEY_FILE}}}   # as in /etc/crypttab\n" in lab.read_file("/etc/lvmsnap/key.yaml")
    assert lvmsnap(lab, "run key -- sh -c 'ls $LVMSNAP_MOUNTPOINT'").stdout == "lost+found\n"

    job = lab.start(f"exec {shell_line('init --write chosen')}", tty=(80, 24))
    job.wait_for_output("Enter for none: ", 60)
    job.write("1 /mnt/system\n")
    done = job.wait(60)
    assert (done.returncode, max(map(len, done.stdout.splitlines())) <= 80) == (0, True), done.stdout
    assert lab.run("grep origin: /etc/lvmsnap/chosen.yaml").stdout.split()[2::3] == ["my-vg/da-ta", "vg0/system"]


def test_a_full_group_with_no_other_disk_is_said_so_and_its_own_volume_is_left_to_a_person(lab: Machine) -> None:
    lab.run("""set -e
        vgcreate -q -y vg0 /dev/ubda; lvcreate -q -y -L 500M -n system vg0; lvcreate -q -y -l 100%FREE -n home vg0
        mkfs.ext4 -q /dev/vg0/system; mkfs.ext4 -q /dev/vg0/home; mkdir -p /mnt/system /mnt/home
        mount /dev/vg0/system /mnt/system""")
    alone = lvmsnap(lab, "init /mnt/system")
    lab.run("mount /dev/vg0/home /mnt/home")
    beside = lvmsnap(lab, "init /mnt/system --write beside")

    assert "its plan will be refused: not enough space for the snapshot: " in alone.stderr
    assert "# backing_file:\n" in alone.stdout
    assert "backing file /mnt/home/lvmsnap-beside.tmp lies in vg0: on vg0-home" in beside.stderr
    lvmsnap(lab, "plan beside", code=3)
    lab.run("sed -i 's/# allow_same_vg/allow_same_vg/' /etc/lvmsnap/beside.yaml")
    lvmsnap(lab, "plan beside")
