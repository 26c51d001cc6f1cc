"""LUKS mappings when something goes wrong: faults, kills, a power cut, a lost record, somebody else's mapping."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest

from tests.lab import looking
from tests.lab.faults import FAILS_AFTER, FAILS_BEFORE, LIES, Fault, break_commands
from tests.lab.helpers import MachineFactory
from tests.lab.luks import KEY_FILE, MAPPING, everything, luks_profile, make_origin, write_key
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap

pytestmark = pytest.mark.lab

KILL_AFTER = 'real "$@"; kill -KILL $PPID; exit'
KILL_BEFORE = "kill -KILL $PPID; exit"
# How far cryptsetup comes before it is killed: the device is made, its table is loaded.
DIES = 'exec strace -f -o /dev/null -e trace=ioctl -e inject=ioctl:signal=SIGKILL:when={} /usr/sbin/cryptsetup "$@"'
KILLED_AT = {"luks1": (14, 15), "luks2": (15, 16, 17)}


@pytest.fixture
def server(lab: Machine) -> Machine:
    make_origin(lab)
    luks_profile(lab)
    return lab


def test_whatever_opening_or_closing_does_wrong_nothing_stays_or_it_is_named(server: Machine) -> None:
    before = everything(server)
    for body, code in ((FAILS_BEFORE, 1), (FAILS_AFTER, 1), (LIES, 1)):
        path = break_commands(server, Fault("cryptsetup", body))
        failed = lvmsnap(server, "up p", code=code, path=path).stderr
        assert "the LUKS container in vg0/data-lvmsnap-p" in failed
        assert everything(server) == before
    path = break_commands(server, Fault("dmsetup", FAILS_BEFORE, "--uuid"), Fault("mount", FAILS_BEFORE))
    failed = lvmsnap(server, "up p", code=4, path=path, timeout=300).stderr
    assert "left: LUKS mapping: lvmsnap-p" in failed
    assert "dmsetup remove --retry --uuid CRYPT-LUKS2-" in failed
    lvmsnap(server, "recover")
    assert everything(server) == before
    lvmsnap(server, "up p")
    for body, code in ((FAILS_BEFORE, 4), (LIES, 4), (FAILS_AFTER, 0)):
        path = break_commands(server, Fault("dmsetup", body, "--uuid"))
        lvmsnap(server, "down p", code=code, path=path, timeout=300)
    assert everything(server) == before


@pytest.mark.parametrize("moments", [(16,), range(13, 19)], ids=["as it loads the table", "all"])
def test_a_cryptsetup_that_is_killed_leaves_nothing(server: Machine, moments: Sequence[int]) -> None:
    before = everything(server)
    left = []
    for when in moments:
        path = break_commands(server, Fault("cryptsetup", DIES.format(when)))
        result = lvmsnap(server, "-v up p", code=None, path=path)
        left.append("dmsetup remove" in result.stderr)
        if result.returncode == 0:
            lvmsnap(server, "down p")
        assert everything(server) == before, when
    assert any(left), "some kill leaves a device"


@pytest.mark.parametrize("record", ["kept", "lost"])
def test_an_lvmsnap_that_is_killed_around_the_opening_is_recovered(server: Machine, record: str) -> None:
    before = everything(server)
    for command, body in (("cryptsetup", KILL_BEFORE), ("cryptsetup", KILL_AFTER), ("mount", KILL_AFTER)):
        path = break_commands(server, Fault(command, body))
        lvmsnap(server, "up p", code=128 + signal.SIGKILL, path=path)
        if record == "lost":
            server.run(f"rm {looking.RECORD.format('p')}")
        lvmsnap(server, "down p" if body == KILL_AFTER else "recover")
        assert everything(server) == before, (command, body)


def test_a_mapping_of_somebody_elses_is_never_touched(server: Machine) -> None:
    server.run("dmsetup create lvmsnap-p --table '0 2048 zero'; udevadm settle")
    before = everything(server)

    assert "device name lvmsnap-p is taken: lvmsnap-p exists" in lvmsnap(server, "up p", code=3).stderr
    assert everything(server) == before
    server.run("dmsetup remove lvmsnap-p")
    lvmsnap(server, "up p")
    # Ours is renamed, and another one bears its name; one more is on the origin.
    server.run(
        "dmsetup rename lvmsnap-p ours; dmsetup create lvmsnap-p --table '0 2048 zero'; mount --bind /tmp /media"
    )
    warned = lvmsnap(server, "down p").stderr
    assert f"left alone: {MAPPING}" in warned
    assert server.run("dmsetup ls | cut -f1 | sort").stdout.split() == ["data", "lvmsnap-p", "vg0-data"]
    server.run("dmsetup remove lvmsnap-p; umount /media; umount /mnt; mount /dev/mapper/data /mnt")


def test_after_a_power_cut_nothing_of_it_is_open_and_recover_removes_the_rest(fresh_machine: MachineFactory) -> None:
    m = fresh_machine({"ubda": 256 * MiB})
    m.boot()
    make_origin(m)
    luks_profile(m)
    lvmsnap(m, "up p")
    record = m.read_file(looking.RECORD.format("p"))
    m.run("echo new > /mnt/file; sync")
    m.cut_power()

    m.boot()
    write_key(m)
    luks_profile(m)
    m.run("mkdir -m 0700 /var/lib/lvmsnap; vgchange -qq -ay vg0; udevadm settle")
    m.write_file(looking.RECORD.format("p"), record, 0o600)
    devices = "dmsetup ls | cut -f1 | sort"
    assert "data-lvmsnap-p" in m.run("lvs --noheadings -o lv_name vg0").stdout
    assert [name for name in m.run(devices).stdout.split() if not name.startswith("vg0-")] == []
    assert "recovered" in lvmsnap(m, "recover").stdout
    assert m.run(devices).stdout.split() == ["vg0-data"]
    m.run(f"cryptsetup open --key-file {KEY_FILE} /dev/vg0/data data; mount /dev/mapper/data /mnt")
    assert m.run("cat /mnt/file").stdout == "new\n"
    lvmsnap(m, "run p -- true")
