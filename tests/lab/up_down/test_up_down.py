"""Up and down on real LVM: what exists in between, that nothing stays, names, sizes, and the commands around them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import TOP
from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.stage import Scene, Stage
from tests.lab.support import LAB_HOST, lvmsnap, profile_text, shell_line, status, write_profile

pytestmark = pytest.mark.lab

# Not lvmsnap's own: its empty state folder and its lock file stay.
FOLDERS = ("/etc/lvmsnap", "/media", "/media/other_partition", "/mnt")
SCENE = Scene(profiles={}, more="echo old > /mnt/file")
SNAPSHOT_FIELDS = "lv_attr,lv_size,lv_tags,origin,seg_monitor,devices"


def make_server(m: Machine, profile: str, *, full: bool = False) -> None:
    """A server as the sample profiles know it: root filesystem on LVM, a partition on another disk."""
    volumes = {"system": "300M", "rest": "100%FREE"} if full else {"system": "300M"}
    mounts = {"system": "/mnt", "/dev/ubdb": "/media/other_partition"}
    filesystems = {"system": "ext4", "/dev/ubdb": "ext4"}
    make_vg(m, "lvm_server_vg", volumes=volumes, filesystems=filesystems, mounts=mounts)
    write_profile(m, profile, (TOP / "profiles" / f"{profile}.yaml").read_text())
    m.run("echo old > /mnt/file; sync")


def assert_frozen(m: Machine, mountpoint: str) -> None:
    m.run("echo new > /mnt/file; sync")
    assert m.run(["cat", f"{mountpoint}/file", "/mnt/file"]).stdout == "old\nnew\n"
    m.run("echo old > /mnt/file; sync")


def lent_device(m: Machine) -> str:
    """The one loop device that is bound."""
    (device,) = m.run(["losetup", "-nO", "NAME"]).stdout.split()
    return device


def assert_gone(m: Machine, name: str, before: str) -> None:
    """Nothing of the profile is left, and all else is byte for byte as it was."""
    assert fingerprint(m, FOLDERS) == before
    assert looking.kept(m) == [], name


def test_a_snapshot_in_free_space_holds_the_moment_of_up_and_down_leaves_nothing(lab: Machine) -> None:
    make_server(lab, "system")
    before = fingerprint(lab, FOLDERS)

    out = lvmsnap(lab, "up system").stdout
    assert out == "/media/system_snapshot\n"
    attr, size, tags, origin, monitor, devices = looking.lv(lab, "lvm_server_vg/snap1", SNAPSHOT_FIELDS)
    assert (attr[:2], int(size), tags, origin) == ("sw", 256 * MiB, f"lvmsnap2.{LAB_HOST}.system", "system")
    assert (monitor, devices[:10]) == ("not monitored", "/dev/ubda(")
    assert {"ext4", "/dev/mapper/lvm_server_vg-snap1", "ro"} < set(looking.mount_options(lab, "/media/system_snapshot"))
    assert looking.mode(lab, "/var/lib/lvmsnap/system.json") == "regular file 600 root"
    assert_frozen(lab, "/media/system_snapshot")

    lvmsnap(lab, "down system")
    assert_gone(lab, "system", before)


def test_a_snapshot_on_lent_space_holds_the_moment_of_up_and_down_leaves_nothing(lab: Machine) -> None:
    make_server(lab, "system-full-vg", full=True)
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up system-full-vg")
    loop = lent_device(lab)
    attr, size, tags, origin, monitor, devices = looking.lv(lab, "lvm_server_vg/snap1", SNAPSHOT_FIELDS)
    assert (attr[:2], int(size), tags, origin) == ("sw", 256 * MiB, f"lvmsnap2.{LAB_HOST}.system-full-vg", "system")
    assert (monitor, devices) == ("not monitored", f"{loop}(0)")
    uuid, areas, vg, free = looking.pv(lab, loop, "pv_uuid,pv_mda_count,vg_name,pv_free")
    assert (uuid[:17], areas, vg, free) == (f"lvmsn2-{LAB_HOST[:4]}-{LAB_HOST[4:]}-", "0", "lvm_server_vg", "0")
    path = "/media/other_partition/tmp_space.tmp"
    assert looking.mode(lab, path) == "regular file 600 root"
    size_bytes, blocks = map(int, lab.run(["stat", "-c", "%s %b", path]).stdout.split())
    assert (size_bytes, blocks * 512 >= size_bytes) == (257 * MiB, True)
    assert looking.mode(lab, "/var/lib/lvmsnap/system-full-vg.json") == "regular file 600 root"
    assert_frozen(lab, "/media/system_snapshot")

    lvmsnap(lab, "down system-full-vg")
    assert_gone(lab, "system-full-vg", before)


@pytest.mark.parametrize("remove", [False, True])
def test_a_mountpoint_that_was_there_stays_unless_the_profile_says_otherwise(stage: Stage, remove: bool) -> None:
    stage.run("mkdir -m 0710 /media/there")
    stage.write_profile("p", profile_text(size="16MiB", mountpoint="/media/there", remove_mountpoint=remove))

    lvmsnap(stage, "up p")
    assert_frozen(stage, "/media/there")
    lvmsnap(stage, "down p")

    if not remove:
        assert looking.mode(stage, "/media/there") == "directory 710 root"
        stage.run("rmdir /media/there")
    stage.assert_as_before()


def test_without_a_mountpoint_in_the_profile_the_snapshot_is_mounted_under_run(stage: Stage) -> None:
    stage.run("umount /mnt")
    stage.write_profile("p", profile_text(size="16MiB"))

    assert lvmsnap(stage, "up p").stdout == "/run/lvmsnap/p\n"
    assert stage.run("cat /run/lvmsnap/p/file").stdout == "old\n"
    assert looking.mode(stage, "/run/lvmsnap") in ("directory 755 root", "directory 700 root")
    lvmsnap(stage, "down p")

    stage.run("mount /dev/vg0/system /mnt")
    stage.assert_as_before()


def test_with_mountpoint_null_only_the_device_is_made(stage: Stage) -> None:
    stage.run("umount /mnt")
    stage.write_profile("p", profile_text(size="16MiB", mountpoint=None))

    device = lvmsnap(stage, "up p").stdout.strip()
    assert device == "/dev/vg0/system-lvmsnap-p"
    stage.run(f"cmp /dev/vg0/system {device} && mount /dev/vg0/system /mnt && echo new > /mnt/file && umount /mnt")
    assert stage.run(f"mount -o ro,noload {device} /mnt && cat /mnt/file && umount /mnt").stdout == "old\n"
    lvmsnap(stage, "down p")

    stage.run("mount /dev/vg0/system /mnt; echo old > /mnt/file")
    stage.assert_as_before()


def test_names_with_every_character_that_lvm_and_the_kernel_allow(lab: Machine) -> None:
    filesystems = {"a--b.c+d": "ext4", "/dev/ubdb": "ext4"}
    folder, mountpoint = '/media/it\'s "o\\ther" $HOME ä', "/media/sn ap'\"\\040$x ü"
    mounts = {"a--b.c+d": "/mnt", "/dev/ubdb": folder}
    make_vg(lab, "my-vg.1+x_", volumes={"a--b.c+d": "64M"}, filesystems=filesystems, mounts=mounts)
    lab.run("echo old > /mnt/file; sync")
    backing_file = {"path": json.dumps(f"{folder}/tmp 'space\".tmp", ensure_ascii=False)}
    where = json.dumps(mountpoint, ensure_ascii=False)
    text = profile_text("my-vg.1+x_/a--b.c+d", size="16MiB", mountpoint=where, backing_file=backing_file)
    write_profile(lab, "n-a_me", text)
    before = fingerprint(lab, ("/media", "/mnt", folder))

    assert lvmsnap(lab, "up n-a_me").stdout == f"{mountpoint}\n"
    assert_frozen(lab, mountpoint)
    assert looking.lv(lab, "my-vg.1+x_/a--b.c+d-lvmsnap-n-a_me", "origin,devices") == [
        *("a--b.c+d", f"{lent_device(lab)}(0)"),
    ]
    assert status(lab, "n-a_me")["state"] == "up"
    lvmsnap(lab, "down n-a_me")

    assert fingerprint(lab, ("/media", "/mnt", folder)) == before


def test_a_name_too_long_for_device_mapper_is_refused_and_the_longest_works(stage: Stage) -> None:
    longest = "s" * (127 - len("vg0-") - len("-cow"))
    stage.write_profile("fits", profile_text(size="8MiB", snapshot=longest))
    stage.write_profile("long", profile_text(size="8MiB", snapshot=f"{longest}s"))
    stage.write_profile("dash", profile_text(size="8MiB", snapshot=f"{longest[:-1]}-"))

    for name in ("long", "dash"):
        refused = lvmsnap(stage, f"up {name}", code=None)
        assert refused.returncode in (2, 3)
        assert "128 characters, 127 are allowed" in refused.stderr
    stage.assert_as_before()
    lvmsnap(stage, "up fits")
    assert looking.lv(stage, f"vg0/{longest}", "origin") == ["system"]
    lvmsnap(stage, "down fits")

    stage.assert_as_before()


def test_an_origin_whose_name_leaves_no_room_for_device_mapper_is_refused(lab: Machine) -> None:
    name = "o" * (127 - len("vg0-") - len("-real") + 1)
    make_vg(lab, volumes={name: "16M", name[:-1]: "16M"})
    write_profile(lab, "long", profile_text(f"vg0/{name}", snapshot="s", size="8MiB", mountpoint=None))
    write_profile(lab, "fits", profile_text(f"vg0/{name[:-1]}", snapshot="s", size="8MiB", mountpoint=None))
    before = fingerprint(lab, FOLDERS)

    refused = lvmsnap(lab, "up long", code=None)
    assert refused.returncode in (2, 3)
    assert "128 characters, 127 are allowed" in refused.stderr
    assert fingerprint(lab, FOLDERS) == before
    lvmsnap(lab, "up fits")
    lvmsnap(lab, "down fits")

    assert_gone(lab, "fits", before)


@pytest.mark.parametrize("extent", ["1m", "16m"])
def test_a_size_gives_what_lvm_gives(lab: Machine, extent: str) -> None:
    lab.run(f"vgcreate -q -y -s {extent} vg0 /dev/ubda && lvcreate -q -y -W n -L 80M -n system vg0")
    sizes = {
        ("20%ORIGIN", None): "-l 20%ORIGIN",
        ("5%FREE", "64KiB"): "-l 5%FREE -c 64k",
        ("1GiB", "512KiB"): "-L 900M -c 512k",
    }
    for (size, chunk), by_hand in sizes.items():
        chunk_size = {"chunk_size": chunk} if chunk else {}
        write_profile(lab, "p", profile_text(size=size, snapshot="s", mountpoint=None, **chunk_size))
        lab.run(f"lvcreate -q -y -s -n t {by_hand} vg0/system")
        wanted = looking.lv(lab, "vg0/t", "lv_size,chunk_size")
        lab.run("lvremove -q -y vg0/t")
        lvmsnap(lab, "up p")
        assert looking.lv(lab, "vg0/s", "lv_size,chunk_size") == wanted, (size, chunk)
        lvmsnap(lab, "down p")


def test_a_snapshot_spans_group_and_file_and_holds_almost_its_size(lab: Machine) -> None:
    """Everything about the file is as the profile says; both parts of the snapshot keep old data."""
    make_vg(
        lab,
        volumes={"system": "100M", "rest": "888M"},
        filesystems={"/dev/ubdb": "ext4"},
        mounts={"/dev/ubdb": "/media"},
    )
    backing = {"path": "/media/lent", "size": "33MiB", "allocation": "zero-fill", "loop_device": "/dev/loop5"}
    write_profile(lab, "p", profile_text(snapshot="s", size="64MiB", mountpoint=None, backing_file=backing))
    lab.run("dd if=/dev/urandom of=/dev/vg0/system bs=1M count=100 conv=fsync status=none")
    before = lab.run("md5sum < /dev/vg0/system").stdout

    lvmsnap(lab, "up p")
    assert lab.run("losetup -nO NAME,BACK-FILE").stdout.split() == ["/dev/loop5", "/media/lent"]
    segments = lab.run("lvs --noheadings --segments -o devices,seg_size --units m --nosuffix vg0/s").stdout.split()
    assert sorted(zip(segments[::2], segments[1::2], strict=True)) == [
        *(("/dev/loop5(0)", "32.00"), ("/dev/ubda(247)", "32.00")),
    ]
    lab.run("dd if=/dev/zero of=/dev/vg0/system bs=1M count=63 conv=notrunc,fsync status=none")
    assert lab.run("md5sum < /dev/vg0/s").stdout == before
    assert float(looking.lv(lab, "vg0/s", "data_percent")[0]) > 98
    lvmsnap(lab, "down p")

    assert lab.run("pvs --noheadings -o pv_name; losetup; ls /media").stdout.split() == ["/dev/ubda", "lost+found"]


def test_all_of_the_lent_space_can_be_asked_for(lab: Machine) -> None:
    make_vg(
        lab,
        volumes={"system": "64M", "rest": "100%FREE"},
        filesystems={"/dev/ubdb": "ext4"},
        mounts={"/dev/ubdb": "/media"},
    )
    backing = {"path": "/media/lent", "size": "30MiB"}
    write_profile(lab, "p", profile_text(snapshot="s", size="100%PVS", mountpoint=None, backing_file=backing))

    lvmsnap(lab, "up p")
    assert looking.lv(lab, "vg0/s", "lv_size") == [str(28 * MiB)]
    assert looking.pv(lab, lent_device(lab), "pv_free") == ["0"]
    lvmsnap(lab, "down p")


def test_the_lent_space_has_the_sector_size_of_the_group(lab: Machine) -> None:
    lab.run("mkfs.ext4 -q /dev/ubdb; mount /dev/ubdb /media; fallocate -l 200M /media/disk")
    lab.run("losetup --sector-size 4096 /dev/loop0 /media/disk")
    make_vg(lab, disks=["loop0"], volumes={"system": "64M", "rest": "100%FREE"}, filesystems={"system": "ext4"})
    write_profile(lab, "p", profile_text(snapshot="s", size="16MiB", backing_file={"path": "/media/lent"}))
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up p")
    assert lab.run("losetup -nO LOG-SEC -j /media/lent").stdout.split() == ["4096"]
    lvmsnap(lab, "down p")

    assert_gone(lab, "p", before)


def test_up_and_down_again_status_replace_and_if_down(stage: Stage) -> None:
    stage.write_profile("p", profile_text(size="16MiB", mountpoint="/media/p"))
    snapshot = "vg0/system-lvmsnap-p"
    assert status(stage, "p")["state"] == "down"

    assert lvmsnap(stage, "up p").stderr == ""
    (first,) = looking.lv(stage, snapshot, "lv_uuid")
    state = status(stage, "p")
    assert (state["state"], state["mountpoint"], state["size_bytes"]) == ("up", "/media/p", 16 * MiB)
    table = lvmsnap(stage, "status").stdout.splitlines()
    assert table[0].split()[:4] == ["PROFILE", "STATE", "SIZE", "FILL"]
    assert table[1].split()[:4] == ["p", "up", "16", "MiB"]
    assert table[1].split()[-2:] == [snapshot, "/media/p"]
    assert "up already" in lvmsnap(stage, "up p", code=3).stderr
    assert lvmsnap(stage, "up p --if-down").stdout == "/media/p\n"
    assert looking.lv(stage, snapshot, "lv_uuid") == [first]

    stage.run("echo newer > /mnt/file")
    lvmsnap(stage, "up p --replace")
    assert stage.run("cat /media/p/file").stdout == "newer\n"
    assert looking.lv(stage, snapshot, "lv_uuid") != [first]

    said = lvmsnap(stage, "down p -v").stderr
    assert "$ umount -- /media/p  " in said
    assert "$ lvremove --yes --select " in said
    assert "p is down already" in lvmsnap(stage, "-v down p").stderr
    assert lvmsnap(stage, "down p").stderr == ""
    stage.run("echo old > /mnt/file")
    stage.assert_as_before()


def test_profiles_are_found_in_other_folders_and_by_their_paths(stage: Stage) -> None:
    stage.write_file("/srv/profiles/p.yaml", profile_text(size="8MiB", mountpoint=None))
    variable = shell_line("up p").replace("env ", "env LVMSNAP_PROFILE_DIR=/srv/profiles ", 1)
    assert stage.run(variable).stdout == "/dev/vg0/system-lvmsnap-p\n"
    lvmsnap(stage, "down p")
    lvmsnap(stage, "--profile-dir /srv/profiles up p")
    lvmsnap(stage, "down /srv/profiles/p.yaml")
    lvmsnap(stage, "up /srv/profiles/p.yaml")
    lvmsnap(stage, "down p --profile-dir /srv/profiles")

    stage.assert_as_before()


def test_a_profile_that_others_can_write_is_refused(stage: Stage) -> None:
    stage.write_profile("p", profile_text(size="8MiB", mountpoint=None))
    for change in ("chown nobody /etc/lvmsnap/p.yaml", "chown root /etc/lvmsnap/p.yaml; chmod g+w /etc/lvmsnap/p.yaml"):
        stage.run(change)
        for command in ("up p", "up p --dry-run"):
            assert "/etc/lvmsnap/p.yaml" in lvmsnap(stage, command, code=2).stderr
        stage.assert_as_before()


def test_without_root_it_is_said_what_is_needed(stage: Stage) -> None:
    stage.write_profile("p", profile_text(size="8MiB", mountpoint=None))
    # Anybody may start the program and its interpreter.
    programs = (Path(sys.executable), Path(sys.executable).resolve(), TOP / "lvmsnap")
    stage.run(["chmod", "a+x", *{str(folder) for program in programs for folder in program.parents}])
    for command in (
        "up p",
        "down p",
        "status",
        "recover",
        "plan p",
        "plan p --down",
        "up p --dry-run",
        "down p --dry-run",
    ):
        line = f"setpriv --reuid 65534 --regid 65534 --clear-groups {shell_line(command)}"
        refused = stage.run(line, check=False)
        assert (refused.returncode, "root" in refused.stdout + refused.stderr) == (3, True), refused
        assert "Traceback" not in refused.stderr, refused

    stage.assert_as_before()
