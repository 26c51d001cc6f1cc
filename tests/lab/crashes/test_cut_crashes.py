"""Held origins go on within five seconds, whoever is killed or stopped, and nothing is left after that."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab import cuts
from tests.lab.helpers import fingerprint
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, shell_line, start_lvmsnap

pytestmark = pytest.mark.lab

FOLDERS = ("/etc/lvmsnap", "/mnt", "/var/lib/lvmsnap")
ALIVE = "for place in a r t; do echo x > /mnt/$place/alive && timeout 5 sync /mnt/$place/alive || exit 1; done"
# Of LVM's calls of the kernel: the first; as the first origin's layer, its CoW, its snapshot are made, and as it goes
# on; and the same of the second.
CALLS = (3, 20, 22, 26, 27, 30, 32, 54, 58, 60, 64, 66)


@pytest.fixture
def server(lab: Machine) -> Machine:
    """The three volumes, their profile, and everything as it is to be again."""
    cuts.make_server(lab)
    lab.run(ALIVE + "; mkdir -p /var/lib/lvmsnap; chmod 700 /var/lib/lvmsnap")
    return lab


def assert_as_before(m: Machine, before: str) -> None:
    """Fail unless nothing is held, nothing is left, and no write has failed."""
    m.run(ALIVE)
    assert not m.run(cuts.SUSPENDED, check=False).stdout
    assert not m.run("dmesg | grep -iE 'I/O error|EXT4-fs error|table unavailable'", check=False).stdout
    assert fingerprint(m, FOLDERS) == before


def wait_until_all_go_on(m: Machine, seconds: float) -> None:
    """Wait until something is held, then until nothing is; fail where that takes longer."""
    m.run(f"until {cuts.SUSPENDED} > /run/held; do sleep 0.05; done", timeout=60)
    start = time.monotonic()
    m.run(f"while {cuts.SUSPENDED} > /run/held; do sleep 0.05; done", timeout=60)
    assert time.monotonic() - start < seconds


@pytest.mark.parametrize("call", CALLS)
def test_an_lvm_that_is_killed_at_the_cut_is_undone(server: Machine, call: int) -> None:
    before = fingerprint(server, FOLDERS)

    lvmsnap(server, "up p", code=1, path=cuts.wrap(server, "lvm", cuts.killed_at(call)))

    assert_as_before(server, before)


@pytest.mark.parametrize("call", [3, 26, 54])
def test_what_a_killed_lvmsnap_and_its_lvm_held_goes_on_and_recover_takes_the_rest(server: Machine, call: int) -> None:
    before = fingerprint(server, FOLDERS)
    kill = 'read -r _ _ _ lvmsnap _ < /proc/$PPID/stat; kill -9 "$lvmsnap" "$PPID"'
    body = cuts.killed_at(call).replace("exec ", "") + f"; {kill}"

    lvmsnap(server, "up p", code=137, path=cuts.wrap(server, "lvm", body))
    server.run(f"sleep 2; {ALIVE}; ! {cuts.SUSPENDED}")
    lvmsnap(server, "recover")

    assert_as_before(server, before)


def test_a_stopped_lvmsnap_and_a_stopped_lvm_hold_nobody_for_long(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)
    stop = 'read -r _ _ _ lvmsnap _ < /proc/$PPID/stat; kill -STOP "$lvmsnap"; '

    up = start_lvmsnap(server, "up p", path=cuts.wrap(server, "lvm", stop + cuts.killed_at(20, "SIGSTOP")))
    wait_until_all_go_on(server, 6)
    server.run(ALIVE)
    server.run("pkill -9 -x strace; pkill -9 -x lvm; pkill -CONT -f 'lvmsnap up'", check=False)

    assert up.wait(120).returncode == 1
    assert_as_before(server, before)


def test_a_hold_that_fails_half_way_is_let_go_at_once(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)
    body = 'if [ "$1" = suspend ]; then dmsetup suspend "$2"; exit 1; fi; exec dmsetup "$@"'

    lvmsnap(server, "up p", code=1, path=cuts.wrap(server, "dmsetup", body))

    assert_as_before(server, before)


def test_a_snapshot_that_somebody_activates_too_early_fails_the_cut(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)
    body = 'lvm "$@" && lvchange --refresh vg0/a'
    wrapped = cuts.wrap(server, "lvm", body)
    server.run("echo 1 > /run/wrapped/count")  # the call before it

    ended = lvmsnap(server, "up p", code=1, path=wrapped)

    assert "is active already" in ended.stderr
    assert_as_before(server, before)


def test_a_snapshot_that_somebody_activates_just_before_all_are_held_fails_the_cut(server: Machine) -> None:
    before = fingerprint(server, FOLDERS)
    body = '[ "$1" = suspend ] && /sbin/lvchange --refresh vg0/a; exec /sbin/dmsetup "$@"'

    ended = lvmsnap(server, "up p", code=1, path=cuts.wrap(server, "dmsetup", body))

    assert "vg0-a--lvmsnap--p is active already" in ended.stderr
    assert_as_before(server, before)


@pytest.fixture(scope="module")
def unit_server() -> Iterator[Machine]:
    """The same under systemd."""
    with Machine(dict.fromkeys(("ubda", "ubdb", "ubdc"), 512 * MiB)) as machine:
        machine.boot(systemd=True)
        cuts.make_server(machine)
        machine.run(ALIVE + "; mkdir -p /var/lib/lvmsnap; chmod 700 /var/lib/lvmsnap")
        yield machine


def test_a_unit_that_is_killed_with_all_its_processes_holds_nobody(unit_server: Machine) -> None:
    m, before = unit_server, fingerprint(unit_server, FOLDERS)
    path = cuts.wrap(m, "lvm", "cat > /dev/null; sleep 100")

    m.run(f"systemd-run --unit=night --collect {shell_line('up p', f'{path}:/usr/sbin:/usr/bin:/sbin:/bin')}")
    m.run(f"until {cuts.SUSPENDED} > /run/held; do sleep 0.05; done", timeout=60)
    m.run("systemctl kill --signal=KILL night")
    m.run(f"sleep 1.5; ! {cuts.SUSPENDED}; {ALIVE}")
    lvmsnap(m, "recover")

    assert_as_before(m, before)


def test_in_a_unit_whose_control_group_cannot_be_left_nothing_is_held(unit_server: Machine) -> None:
    m, before = unit_server, fingerprint(unit_server, FOLDERS)
    line = shell_line("up p", "/usr/sbin:/usr/bin:/sbin:/bin")

    refused = m.run(f"systemd-run --wait --pipe -p ProtectControlGroups=yes {line}", check=False)

    assert refused.returncode == 3
    assert "dead man's switch" in refused.stderr
    assert_as_before(m, before)
