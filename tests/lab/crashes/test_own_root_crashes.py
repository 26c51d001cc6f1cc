"""The cut on a server's own `/` and `/var`, with LVM, Python and lvmsnap on them, whoever dies or stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import cuts, own_root
from tests.lab.faults import FIND_LVMSNAP
from tests.lab.helpers import fingerprint
from tests.lab.machine import Job, Machine, MiB
from tests.lab.own_root import OwnRoot
from tests.lab.stage import KEPT

pytestmark = pytest.mark.lab

MAKE = """set -e
vgcreate -q -y vg0 /dev/ubda; lvcreate -q -y -L 300M -n root vg0; lvcreate -q -y -L 48M -n var vg0
for lv in root var; do mkfs.ext4 -q -E lazy_itable_init=0 /dev/vg0/$lv; done
mkdir /mnt/root; mount /dev/vg0/root /mnt/root"""
PROFILE = "volumes:\n- {origin: vg0/root, size: 24MiB}\n- {origin: vg0/var, size: 24MiB}\n"
ALIVE = "for place in / /var; do echo x > $place/alive && sync $place/alive || exit 1; done"
LOG = "/var/log/terminal"
# The origins: a snapshot that was being made is in nobody's use, and for `recover`.
HELD = f"{cuts.SUSPENDED} | grep -v -e root--lvmsnap--p -e var--lvmsnap--p"
# Of LVM's calls of the kernel: before it holds the root itself, while it does, and as each origin goes on.
CALLS = (3, 16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 52, 56, 60)
DIES = f"{{}}; {FIND_LVMSNAP}; kill -9 $p $PPID"
STOPS = f"{FIND_LVMSNAP}; kill -STOP $p; {{}}"


@pytest.fixture(scope="module")
def server() -> Iterator[OwnRoot]:
    """A server under systemd, `/` and `/var` on volumes of their own, and a profile of both."""
    with Machine({"ubda": 512 * MiB}) as m:
        m.boot(systemd=True)
        m.run(MAKE, timeout=120)
        own_root.fill(m, "/mnt/root")
        m.run(f"""set -e
            cd /mnt/root; mount /dev/vg0/var var; mkdir -p var/lib/lvmsnap var/log; chmod 700 var/lib/lvmsnap
            printf %s '{PROFILE}' > etc/lvmsnap/p.yaml; : > .{LOG}; touch alive var/alive""")
        yield own_root.enter(m, "/mnt/root")


@pytest.fixture
def before(server: OwnRoot) -> str:
    """What is to be the same again, when all goes on."""
    server.run(ALIVE)
    return look(server)


def look(server: OwnRoot) -> str:
    """LVM, devices and mounts as the guest sees them, mounts as the server does, and what lvmsnap keeps."""
    kept = server.run(f"{KEPT}; cat /proc/mounts")
    return fingerprint(server.machine, ()) + kept.stdout


def assert_as_before(server: OwnRoot, before: str) -> None:
    """Fail unless nothing is held, no write has failed, and nothing is left after `recover`."""
    server.run(ALIVE, timeout=10)
    server.lvmsnap("recover")
    assert not server.machine.run(cuts.SUSPENDED, check=False).stdout
    assert not server.machine.run("dmesg | grep -iE 'I/O error|EXT4-fs error'", check=False).stdout
    assert look(server) == before


def wait_until_all_go_on(server: OwnRoot) -> None:
    """Fail unless all origins go on within the bound, once one is held or LVM was stopped or killed before that."""
    m = server.machine
    m.run(f"until [ -e /run/wrapped/at-work ]; do sleep 0.05; done; {HELD} || sleep 0.5", check=False)
    m.run(f"n=0; while {HELD} && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; ! {HELD}")


def lvm_that(server: OwnRoot, body: str, call: int, signal: str) -> str:
    """Put the wrapper of LVM in place: at its call of the kernel of that number it gets the signal."""
    strace = cuts.killed_at(call, signal).replace("exec ", "")
    return cuts.wrap(server.machine, "lvm", ": > /run/wrapped/at-work; " + body.format(strace))


def start_up(server: OwnRoot, body: str, call: int, signal: str) -> Job:
    """Start `up` with that LVM, its terminal's log on /var."""
    path = lvm_that(server, body, call, signal)
    return server.machine.start(server.line(f"sh -c '{own_root.command(path)} -v up p > {LOG} 2>&1'"))


def test_both_are_of_one_instant_and_the_log_goes_on(server: OwnRoot, before: str) -> None:
    writer = server.machine.start(server.line(f"{own_root.PYTHON} -c '{cuts.WRITER}' / /var"))
    server.run("sleep 1")

    up = server.run(f"{own_root.COMMAND} -v up p > {LOG} 2>&1; cat {LOG}", timeout=180).stdout
    seen = [int(server.run(f"cat /run/lvmsnap/p/{place}/counter").stdout) for place in ("", "var")]
    writer.kill(15)
    server.run(f"{own_root.COMMAND} down p; rm /counter /var/counter")

    assert "writers were held for" in up
    assert 0 <= seen[0] - seen[1] <= 1, seen
    assert_as_before(server, before)


@pytest.mark.parametrize("call", CALLS)
def test_when_lvmsnap_and_lvm_are_killed_all_goes_on(server: OwnRoot, before: str, call: int) -> None:
    up = start_up(server, DIES, call, "SIGKILL")
    wait_until_all_go_on(server)
    up.wait(60)

    assert_as_before(server, before)


@pytest.mark.parametrize("call", CALLS)
def test_when_lvmsnap_and_lvm_are_stopped_all_goes_on(server: OwnRoot, before: str, call: int) -> None:
    up = start_up(server, STOPS, call, "SIGSTOP")
    wait_until_all_go_on(server)
    server.run(ALIVE, timeout=10)
    server.machine.run("pkill -9 -x strace; pkill -9 -x lvm; pkill -CONT -f 'lvmsnap -v up'", check=False)
    up.wait(120)

    assert_as_before(server, before)


@pytest.mark.parametrize("call", CALLS)
def test_when_the_main_process_of_a_unit_is_killed_all_goes_on(server: OwnRoot, before: str, call: int) -> None:
    path = lvm_that(server, "{}", call, "SIGSTOP")
    m = server.machine

    keeper = m.run("cat /run/keeper").stdout.strip()
    m.run(f"systemd-run --unit=night --collect -- nsenter -t {keeper} -m -- {own_root.command(path)} up p")
    m.run("until [ -e /run/wrapped/at-work ]; do sleep 0.05; done; sleep 0.5")
    m.run("systemctl kill --signal=KILL --kill-whom=main night")
    wait_until_all_go_on(server)
    m.run("while systemctl is-active night; do sleep 0.1; done", timeout=30, check=False)

    assert_as_before(server, before)
