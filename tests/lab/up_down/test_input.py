"""What comes from outside on a real machine: closed and full streams, names, odd mount points, unreadable records."""

from __future__ import annotations

import shlex

import pytest

from tests.lab import looking
from tests.lab.machine import Machine
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, profile_text, shell_line

pytestmark = pytest.mark.lab

MOUNTPOINT = "/run/lvmsnap/p"
SCENE = Scene(profiles={"p": profile_text(size="8MiB")})


def ends(m: Machine, arguments: str, streams: str) -> int:
    """Run lvmsnap with its streams redirected, and return its exit code."""
    return m.run(f"{shell_line(arguments)} {streams}", check=False, timeout=120).returncode


def read_by_nobody(m: Machine, arguments: str) -> int:
    """Run lvmsnap with a reader that is gone already, and return its exit code."""
    m.run(f"{{ sleep 0.2; {shell_line(arguments)} 2>&1; echo $? > /run/code; }} | true", timeout=120)
    return int(m.read_file("/run/code"))


def is_up(m: Machine) -> bool:
    return bool(looking.mount_options(m, MOUNTPOINT)) and m.run(["cat", f"{MOUNTPOINT}/file"]).stdout == "before\n"


def test_closed_and_full_streams_change_neither_what_is_done_nor_the_exit_code(stage: Stage) -> None:
    assert ends(stage, "up p", "<&- >&- 2>&-") == 0
    assert is_up(stage)
    assert ends(stage, "status", ">/dev/full") == 1
    assert read_by_nobody(stage, "status") == 141
    assert ends(stage, "down p", "2>&-") == 0
    stage.assert_as_before()

    assert ends(stage, "-v up p", ">/dev/full 2>/dev/full") == 0
    assert is_up(stage)
    stage.run(["umount", MOUNTPOINT])
    assert ends(stage, "-v recover", ">&- 2>&-") == 0
    stage.assert_as_before()

    assert ends(stage, f"-v run p -- sh -c 'echo x; cat {MOUNTPOINT}/file; exit 7'", "<&- >/dev/full 2>&-") == 7
    stage.assert_as_before()

    assert read_by_nobody(stage, "-v up p") == 0
    assert is_up(stage)
    assert read_by_nobody(stage, "-v down p") == 0
    stage.assert_as_before()


STANDS_STILL = """
mkfifo /run/still; exec 8<>/run/still; dd if=/dev/zero of=/run/still bs=4k oflag=nonblock 2> /dev/null
(RUN; echo $? > /run/ended) 2> /run/still &
for _ in $(seq 100); do [ -e /run/ran ] && [ ! -e /var/lib/lvmsnap/p.json ] && break; sleep 0.1; done
echo "down: $? $(ls /run/ended 2>&1)"
timeout 1 cat <&8 | tr -d '\\0'
cat /run/ended; rm /run/still /run/ended /run/ran
"""


def test_a_reader_of_stderr_that_stands_still_holds_nothing_up_and_gets_all_in_the_end(stage: Stage) -> None:
    said = stage.run(STANDS_STILL.replace("RUN", shell_line("-v run p -- touch /run/ran"))).stdout

    assert said.startswith("down: 0 ls: cannot access '/run/ended'")
    assert "take the snapshot" in said
    assert "remove the snapshot" in said
    assert said.endswith("\n0\n")
    stage.assert_as_before()


def test_no_name_leads_out_of_the_folders_of_lvmsnap(stage: Stage) -> None:
    lvmsnap(stage, "up p")
    stage.run("mkdir -m 777 /media/u && cp /var/lib/lvmsnap/p.json /media/u/evil.json")
    stage.write_file("/media/u/p.yaml", profile_text(size="8MiB"))
    before = stage.look()

    for name in ("../../../media/u/evil", "", "a\nb", "/media/u/evil"):
        for command in ("down", "down --force", "plan --down", "recover", "status", "watch"):
            lvmsnap(stage, f"{command} {shlex.quote(name)}", code=2)
    assert "there is no profile nope" in lvmsnap(stage, "status nope", code=2).stderr
    assert "was brought up from /etc/lvmsnap/p.yaml" in lvmsnap(stage, "down /media/u/p.yaml", code=3).stderr

    assert stage.look() == before
    assert is_up(stage)
    stage.run("rm -r /media/u")
    lvmsnap(stage, "down p")
    stage.assert_as_before()


def test_odd_names_of_mounts_and_of_a_pv_s_device_hide_nothing(stage: Stage) -> None:
    """As any user can make a mount point by FUSE, and as cryptsetup names a device."""
    odd = shlex.quote("/run/odd/a\rb\x85c\u2028d\x1ce\x0bf\x0cg h\\i\x1d\x1e")
    stage.run(f"mkdir -p {odd} && mount -t tmpfs $(printf 'x\\ry') {odd} && mount -t tmpfs '' /srv")
    stage.run("printf '/dev/x /a\\\\777b auto noauto 0 0\\n/dev/y /c\\302\\205d auto noauto 0 0\\n' >> /etc/fstab")
    stage.run(
        "dmsetup create 'my disk' --table '0 65536 linear /dev/ubdc 0' && pvcreate -q -y '/dev/mapper/my\\x20disk'"
    )

    assert lvmsnap(stage, "plan p").stdout.splitlines()[-1].startswith("ready: ")
    lvmsnap(stage, "up p")
    assert is_up(stage)
    assert lvmsnap(stage, "status p").stdout.splitlines()[1].split()[:2] == ["p", "up"]
    lvmsnap(stage, "down p")

    stage.run(
        f"umount {odd} /srv; pvremove -q -y '/dev/mapper/my\\x20disk'; dmsetup remove --retry 'my disk'; : > /etc/fstab"
    )
    stage.assert_as_before()


TORN = ("", "{", "[" * 99999, '{"format": 1, "target": null}', '{"format": 9}')


def test_an_unreadable_record_is_said_to_be_and_its_one_advice_works(stage: Stage) -> None:
    lvmsnap(stage, "up p")
    whole = stage.read_file("/var/lib/lvmsnap/p.json")

    for text in (*TORN, whole.replace("+00:00", ""), whole.replace('"vg0"', "5")):
        stage.write_file("/var/lib/lvmsnap/p.json", text)
        assert "lvmsnap down p --force relies on LVM's own marks" in lvmsnap(stage, "down p", code=1).stderr
    assert "the record cannot be read" in lvmsnap(stage, "status").stdout
    assert is_up(stage)
    lvmsnap(stage, "down p --force")
    stage.run("test -e /var/lib/lvmsnap/p.json.unreadable && rm /var/lib/lvmsnap/p.json.unreadable")
    stage.assert_as_before()

    stage.run("mkdir /var/lib/lvmsnap/p.json")
    lvmsnap(stage, "up p", code=1)
    lvmsnap(stage, "down p --force")
    stage.run("rmdir /var/lib/lvmsnap/p.json.unreadable")
    stage.assert_as_before()
