"""LUKS in an origin, on real LVM: opened, mounted, closed again; by a key file or a passphrase; and no key anywhere."""

from __future__ import annotations

import signal

import pytest

from tests.lab import looking
from tests.lab.faults import Fault, break_commands
from tests.lab.helpers import make_vg
from tests.lab.luks import (
    FAST,
    KEY,
    KEY_FILE,
    LINKS,
    MAPPING,
    MOUNTPOINT,
    everything,
    luks_profile,
    make_origin,
    write_key,
)
from tests.lab.machine import Job, Machine
from tests.lab.support import lvmsnap, profile_text, shell_line, write_profile

pytestmark = pytest.mark.lab

NEEDED = {"ext4": {"ro"}, "xfs": {"ro", "nouuid"}}
# A cryptsetup that tells what any user could see of it, and of lvmsnap, while it runs.
SEEN = "/run/seen"
TELLING = f'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >> {SEEN}; echo "$@" >> {SEEN}; exec "$name" "$@"'


@pytest.mark.parametrize(("version", "kind"), [("luks1", "ext4"), ("luks2", "xfs")])
def test_what_is_in_luks_is_mounted_by_a_mapping_of_our_own(lab: Machine, version: str, kind: str) -> None:
    make_origin(lab, version, kind, size="340M" if kind == "xfs" else "64M")
    luks_profile(lab, mount_options="[noexec]")
    before = everything(lab)
    links = lab.run(LINKS).stdout

    up = lvmsnap(lab, "-v up p")
    assert up.stdout == f"{MOUNTPOINT}\n"
    assert ("less than its journal" in up.stderr) is (kind == "xfs")
    lab.run(f"echo new > /mnt/file; sync; diff -r /tmp/old {MOUNTPOINT}; ! touch {MOUNTPOINT}/x")
    options = set(looking.mount_options(lab, MOUNTPOINT))
    assert {kind, MAPPING, "noexec", "nodev", "nosuid"} | NEEDED[kind] <= options
    assert f'"device": "{MAPPING}"' in lvmsnap(lab, "status p --json").stdout
    # Whoever mounts by UUID or LABEL gets the origin, also after udev has looked at all anew.
    lab.run("udevadm trigger --subsystem-match=block; udevadm settle")
    assert lab.run(LINKS).stdout == links
    assert lvmsnap(lab, "up p", code=3).stderr.count("up already") == 1
    lvmsnap(lab, "-v up p --replace")
    lab.run(f"cmp /mnt/file {MOUNTPOINT}/file")
    lvmsnap(lab, "down p")
    assert everything(lab) == before
    assert lab.run("cat /mnt/file").stdout == "new\n"


def test_without_a_mountpoint_the_opened_device_is_made_and_a_hook_may_sync_before(lab: Machine) -> None:
    make_origin(lab)
    luks_profile(lab, mountpoint=None)
    lab.run("echo 'hooks: {before_snapshot: [sync, --file-system, /mnt]}' >> /etc/lvmsnap/p.yaml")
    before = everything(lab)

    lab.run("echo late > /mnt/file")
    assert lvmsnap(lab, "up p").stdout == f"{MAPPING}\n"
    lab.run(f"mount -o ro,noload {MAPPING} /media && grep late /media/file; umount /media")
    lab.run(f"exec 3< {MAPPING}; sleep 600 & echo $! > /run/sleeper")
    failed = lvmsnap(lab, "-v down p", code=4).stderr
    assert "left: LUKS mapping: lvmsnap-p" in failed
    assert "sleep" in failed, "who holds it is named"
    assert "left: snapshot: vg0/data-lvmsnap-p" in failed
    lab.run("kill $(cat /run/sleeper)")
    lvmsnap(lab, "down p")
    assert everything(lab) == before

    ran = lvmsnap(
        lab, "run p -- sh -c 'echo $LVMSNAP_DEVICE $LVMSNAP_DEVICE_1; blkid -po value -s LABEL $LVMSNAP_DEVICE'"
    )
    assert ran.stdout == f"{MAPPING} {MAPPING}\ninside\n"
    closing = "dmsetup remove lvmsnap-p; cryptsetup open --key-file /root/system.key /dev/vg0/data-lvmsnap-p mine"
    lost = lvmsnap(lab, f"run p -- sh -c '{closing}; cryptsetup close mine'", code=124).stderr
    assert "its LUKS mapping was closed or replaced" in lost
    assert everything(lab) == before


def asked(lab: Machine, arguments: str = "up p", path: str = "") -> Job:
    job = lab.start(f"exec {shell_line(arguments, path)}", tty=(100, 30))
    job.wait_for_output("Passphrase of vg0/data: ", 60)
    return job


def test_a_passphrase_is_asked_for_before_the_first_change_and_is_nowhere_to_be_seen(lab: Machine) -> None:
    make_origin(lab)
    luks_profile(lab, luks="{prompt: true}")
    before = everything(lab)
    lab.run(f"rm -f {KEY_FILE} {SEEN}")
    path = break_commands(lab, Fault("cryptsetup", TELLING.removesuffix('; exec "$name" "$@"')))

    job = asked(lab, path=path)
    assert everything(lab) == before
    assert not looking.exists(lab, looking.RECORD.format("p"))
    job.write("wrong horse\n")
    job.wait_for_output("that passphrase does not open vg0/data", 60)
    job.wait_for(lambda: job.stdout.count("Passphrase") == 2, 60)
    job.write(f"{KEY}\n")
    done = job.wait(120)
    assert done.returncode == 0, done.stdout
    assert "horse" not in done.stdout
    assert lab.run(f"diff -r /tmp/old {MOUNTPOINT}; wc -l < /run/faults/fired").stdout == "3\n"
    where = f"/var/lib/lvmsnap /run/lvmsnap /run/udev /etc/lvmsnap {SEEN}"
    assert lab.run(f"grep -rl horse {where}", check=False).stdout == ""
    assert "lvmsnap" in lab.run(f"tr '\\0' ' ' < {SEEN}").stdout
    lvmsnap(lab, "down p")
    assert everything(lab) == before

    refused = lvmsnap(lab, "up p", code=3).stderr
    assert "no terminal to ask for the passphrase of vg0/data on" in refused
    assert lvmsnap(lab, "run p -- true", code=125).stderr.count("no terminal to ask for the passphrase") == 1
    interrupted = asked(lab)
    interrupted.write("\x03")
    assert interrupted.wait(60).returncode == 128 + signal.SIGINT
    ended = asked(lab, "run p -- true")
    ended.write("\x04")
    assert ended.wait(60).returncode == 125
    assert everything(lab) == before
    assert "a unit has no terminal" in lvmsnap(lab, "install-units p -- true", code=2).stderr


def test_what_was_closed_is_examined_once_it_is_open_and_nothing_unknown_is_mounted(lab: Machine) -> None:
    make_origin(lab)
    luks_profile(lab)
    luks_profile(lab, "device", mountpoint=None)
    lab.run("umount /mnt; cryptsetup close data")
    before = everything(lab)

    assert "LUKS2, closed on this host" in lvmsnap(lab, "plan p").stdout
    lvmsnap(lab, "up p")
    lab.run(f"diff -r /tmp/old {MOUNTPOINT}")
    assert {"ext4", "ro", "nosuid", "nodev", MAPPING} <= set(looking.mount_options(lab, MOUNTPOINT))
    lvmsnap(lab, "down p")
    assert everything(lab) == before

    contents = {
        "mkswap -q": ("it holds no filesystem that is known to work", None),
        "mkfs.ext2 -q -F": ("", None),
        "mkfs.vfat": ("", None),
        "dd if=/dev/zero bs=1M count=1 of": ("it holds no filesystem that is known to work", None),
        "pvcreate -qq -y": ("it holds a volume group of its own", "it holds a volume group of its own"),
    }
    for make, (words, alone) in contents.items():
        command = make + ("=/dev/mapper/data" if make.startswith("dd") else " /dev/mapper/data")
        lab.run(f"cryptsetup open --key-file {KEY_FILE} /dev/vg0/data data; wipefs -qa /dev/mapper/data; {command}")
        lab.run("udevadm settle; cryptsetup close data")
        before = everything(lab)
        for name, said in (("p", words), ("device", alone)):
            result = lvmsnap(lab, f"up {name}", code=1 if said else 0)
            assert (said or "") in result.stderr
            if not said:
                lvmsnap(lab, f"down {name}")
            assert everything(lab) == before


def test_a_key_file_that_others_could_use_or_swap_is_refused_and_a_wrong_key_undone(lab: Machine) -> None:
    make_origin(lab)
    lab.run(f"""set -e
        mkdir -p /root/keys; cd /root/keys; rm -rf *; cp {KEY_FILE} good; chmod 0400 good
        ln -s good link; mkfifo -m 0400 pipe; cp good group; chmod 0440 group; cp good user; chown 1000 user
        : > empty; chmod 0400 empty; mkdir -m 0777 open; cp -p good open/key
        printf nonsense > wrong; chmod 0400 wrong""")
    words = {
        "none": "it does not exist",
        "link": "it is a symlink",
        "pipe": "it is not a regular file",
        "group": "users other than root can use it (mode 0440)",
        "user": "it belongs to user 1000",
        "empty": "it is empty",
        "open/key": "users other than root can write to /root/keys/open",
    }
    before = everything(lab)
    for name, said in words.items():
        luks_profile(lab, luks=f"{{key_file: /root/keys/{name}}}")
        assert said in lvmsnap(lab, "up p", code=3).stderr, name
    luks_profile(lab, luks="{key_file: /root/keys/wrong}")
    failed = lvmsnap(lab, "up p", code=1).stderr
    assert "open the LUKS container in vg0/data-lvmsnap-p with /root/keys/wrong failed" in failed
    assert "No key available" in failed
    # The key may lie on the origin itself.
    lab.run(f"cp -p {KEY_FILE} /mnt/key; sync")
    luks_profile(lab, luks="{key_file: /mnt/key}")
    lvmsnap(lab, "run p -- true")
    lab.run("rm /mnt/key")
    write_profile(lab, "p", profile_text("vg0/data", size="16MiB"))
    assert "`luks` with a `key_file`, or with `prompt: true`, opens it" in lvmsnap(lab, "up p", code=3).stderr
    luks_profile(lab)
    assert everything(lab) == before


def test_luks_is_one_volume_of_several_and_its_snapshot_has_its_place_in_the_tree(lab: Machine) -> None:
    make_vg(lab, volumes={"data": "64M", "home": "64M"}, filesystems={"data": "ext4"}, mounts={"data": "/mnt"})
    write_key(lab)
    lab.run(f"""set -e
        cryptsetup luksFormat -q {FAST["luks2"]} --key-file {KEY_FILE} /dev/vg0/home
        cryptsetup open --key-file {KEY_FILE} /dev/vg0/home home; mkfs.ext4 -q /dev/mapper/home
        mkdir /mnt/home; mount /dev/mapper/home /mnt/home; echo 1 > /mnt/file; echo 2 > /mnt/home/file; sync
        udevadm trigger --subsystem-match=block; udevadm settle""")
    volumes = f"[{{origin: vg0/data, size: 8M}}, {{origin: vg0/home, size: 8M, luks: {{key_file: {KEY_FILE}}}}}]"
    write_profile(lab, "p", f"volumes: {volumes}")
    before = everything(lab)

    assert lvmsnap(lab, "up p").stdout == f"{MOUNTPOINT}\n"
    assert lab.run(f"cat {MOUNTPOINT}/mnt/file {MOUNTPOINT}/mnt/home/file").stdout == "1\n2\n"
    assert f"{MAPPING}.2" in looking.mount_options(lab, f"{MOUNTPOINT}/mnt/home")
    lvmsnap(lab, "down p")
    assert everything(lab) == before
