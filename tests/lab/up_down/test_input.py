"""What comes from outside on a real machine: closed and full streams, names, odd mount points, unreadable records."""

from __future__ import annotations

import shlex

import pytest

from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, shell_line, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/var/lib/lvmsnap", "/media", "/mnt")
MOUNTPOINT = "/run/lvmsnap/p"


def prepare(m: Machine) -> str:
    """Make a group vg0 with a mounted origin and profile p; return how all looks with nothing up."""
    make_vg(m, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    m.run("echo old > /mnt/file; sync; mkdir -m 700 /var/lib/lvmsnap")
    write_profile(m, "p", profile_text(size="8MiB"))
    return fingerprint(m, FOLDERS)


def ends(m: Machine, arguments: str, streams: str) -> int:
    """Run lvmsnap with its streams redirected, and return its exit code."""
    return m.run(f"{shell_line(arguments)} {streams}", check=False, timeout=120).returncode


def read_by_nobody(m: Machine, arguments: str) -> int:
    """Run lvmsnap with a reader that is gone already, and return its exit code."""
    m.run(f"{{ sleep 0.2; {shell_line(arguments)} 2>&1; echo $? > /run/code; }} | true", timeout=120)
    return int(m.read_file("/run/code"))


def is_up(m: Machine) -> bool:
    return bool(looking.mount_options(m, MOUNTPOINT)) and m.run(["cat", f"{MOUNTPOINT}/file"]).stdout == "old\n"


def test_closed_and_full_streams_change_neither_what_is_done_nor_the_exit_code(lab: Machine) -> None:
    before = prepare(lab)

    assert ends(lab, "up p", "<&- >&- 2>&-") == 0
    assert is_up(lab)
    assert ends(lab, "status", ">/dev/full") == 1
    assert read_by_nobody(lab, "status") == 141
    assert ends(lab, "down p", "2>&-") == 0
    assert fingerprint(lab, FOLDERS) == before

    assert ends(lab, "-v up p", ">/dev/full 2>/dev/full") == 0
    assert is_up(lab)
    lab.run(["umount", MOUNTPOINT])
    assert ends(lab, "-v recover", ">&- 2>&-") == 0
    assert fingerprint(lab, FOLDERS) == before

    assert ends(lab, f"-v run p -- sh -c 'echo x; cat {MOUNTPOINT}/file; exit 7'", "<&- >/dev/full 2>&-") == 7
    assert fingerprint(lab, FOLDERS) == before

    assert read_by_nobody(lab, "-v up p") == 0
    assert is_up(lab)
    assert read_by_nobody(lab, "-v down p") == 0
    assert fingerprint(lab, FOLDERS) == before


def test_no_name_leads_out_of_the_folders_of_lvmsnap(lab: Machine) -> None:
    prepare(lab)
    lvmsnap(lab, "up p")
    lab.run("mkdir -m 777 /media/u && cp /var/lib/lvmsnap/p.json /media/u/evil.json")
    lab.write_file("/media/u/p.yaml", profile_text(size="8MiB"))
    before = fingerprint(lab, FOLDERS)

    for name in ("../../../media/u/evil", "", "a\nb", "/media/u/evil"):
        for command in ("down", "down --force", "plan --down", "recover", "status", "watch"):
            lvmsnap(lab, f"{command} {shlex.quote(name)}", code=2)
    assert "there is no profile nope" in lvmsnap(lab, "status nope", code=2).stderr
    assert "was brought up from /etc/lvmsnap/p.yaml" in lvmsnap(lab, "down /media/u/p.yaml", code=3).stderr

    assert fingerprint(lab, FOLDERS) == before
    assert is_up(lab)


def test_odd_names_of_mounts_and_of_a_pv_s_device_hide_nothing(lab: Machine) -> None:
    """As any user can make a mount point by FUSE, and as cryptsetup names a device."""
    before = prepare(lab)
    odd = shlex.quote("/run/odd/a\rb\x85c\u2028d\x1ce\x0bf\x0cg h\\i\x1d\x1e")
    lab.run(f"mkdir -p {odd} && mount -t tmpfs $(printf 'x\\ry') {odd} && mount -t tmpfs '' /srv")
    lab.run("printf '/dev/x /a\\\\777b auto noauto 0 0\\n/dev/y /c\\302\\205d auto noauto 0 0\\n' >> /etc/fstab")
    lab.run("dmsetup create 'my disk' --table '0 65536 linear /dev/ubdb 0' && pvcreate -q -y '/dev/mapper/my\\x20disk'")

    assert "all" in lvmsnap(lab, "plan p").stdout
    lvmsnap(lab, "up p")
    assert is_up(lab)
    assert lvmsnap(lab, "status p").stdout.splitlines()[1].split()[:2] == ["p", "up"]
    lvmsnap(lab, "down p")

    lab.run(f"umount {odd} /srv; pvremove -q -y '/dev/mapper/my\\x20disk'; dmsetup remove 'my disk'; : > /etc/fstab")
    assert fingerprint(lab, FOLDERS) == before


TORN = ("", "{", "[" * 99999, '{"format": 1, "target": null}', '{"format": 9}')


def test_an_unreadable_record_is_said_to_be_and_its_one_advice_works(lab: Machine) -> None:
    before = prepare(lab)
    lvmsnap(lab, "up p")
    whole = lab.read_file("/var/lib/lvmsnap/p.json")

    for text in (*TORN, whole.replace("+00:00", ""), whole.replace('"vg0"', "5")):
        lab.write_file("/var/lib/lvmsnap/p.json", text)
        assert "lvmsnap down p --force relies on LVM's own marks" in lvmsnap(lab, "down p", code=1).stderr
    assert "the record cannot be read" in lvmsnap(lab, "status").stdout
    assert is_up(lab)
    lvmsnap(lab, "down p --force")
    lab.run("test -e /var/lib/lvmsnap/p.json.unreadable && rm /var/lib/lvmsnap/p.json.unreadable")
    assert fingerprint(lab, FOLDERS) == before

    lab.run("mkdir /var/lib/lvmsnap/p.json")
    lvmsnap(lab, "up p", code=1)
    lvmsnap(lab, "down p --force")
    lab.run("rmdir /var/lib/lvmsnap/p.json.unreadable")
    assert fingerprint(lab, FOLDERS) == before
