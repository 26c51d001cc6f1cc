"""The units of install-units under a real systemd: what runs in them, what fails in them, what is left of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, profile_text, shell_line

pytestmark = pytest.mark.lab

UNIT = "lvmsnap@nightly.service"
FOLDER = "/srv/100% my $profiles"
# What the service runs: it notes its arguments, then does what the test wrote into /backup/do.
COMMAND = "/usr/local/bin/back up"
SCRIPT = """#!/bin/sh
printf '%s\\0' "$@" > /backup/arguments
touch /backup/begun
. /backup/do
"""
ODD = (
    *("", "two  words", "100%", "%n %i %%", "$HOME ${HOME} $$", "a\\b \\n \\x41", 'it\'s "quoted"', "line\nline\ttab"),
    *(";", "\\;", "#", "größe", "@-:+!", "-x", "--", "*", "~", "\x01\x7f", "$HOME", "end\\"),
)
UNITS_LISTED = (
    "cd /etc/systemd/system; find . -printf '%p %y %m %l\\n' | sort; find . -type f -exec sha256sum {} + | sort"
)
LOOKS = """\
    tar -cf /backup/x.tar -C "$LVMSNAP_MOUNTPOINT" .
    grep -c " $LVMSNAP_MOUNTPOINT " /proc/1/mountinfo > /backup/seen
    for kind in mnt ipc pid net user; do readlink /proc/self/ns/$kind /proc/1/ns/$kind; done | uniq | wc -l \\
        >> /backup/seen
    echo "$HOME" >> /backup/seen
    date -s @0 2> /dev/null || echo the clock is not for it >> /backup/seen
    cp -p /usr/bin/mount /backup/copy; stat -c %a /backup/copy >> /backup/seen
    setsid sleep 4711 &
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Machine]:
    """A machine with systemd, a volume, a profile in a folder of an odd name, and nothing of lvmsnap's in systemd."""
    with Machine({"ubda": 160 * MiB}) as m:
        m.boot(systemd=True)
        make_vg(m, volumes={"system": "48M"}, filesystems={"system": "ext4"}, mounts={"system": "/srv/system"})
        m.run(f"echo precious > /srv/system/data; mkdir -p /backup {shlex.quote(FOLDER)}")
        m.write_file(f"{FOLDER}/nightly.yaml", profile_text(size="16MiB"))
        m.write_file(COMMAND, SCRIPT, mode=0o755)
        yield m


def install(m: Machine, *options: str) -> str:
    arguments = ("install-units", "--profile-dir", FOLDER, "nightly", *options, "--", COMMAND, *ODD)
    return lvmsnap(m, shlex.join(arguments)).stderr


def shown(m: Machine, unit: str, name: str) -> str:
    return m.run(f"systemctl show --value -p {name} {unit}").stdout.strip()


def left(m: Machine) -> list[str]:
    """What of lvmsnap's is there though nothing should be."""
    looks = "lvs --noheadings -o lv_name | grep -v ' system$'; cat /proc/self/mountinfo | grep /run/lvmsnap; \
        find /var/lib/lvmsnap -type f ! -path '*/history/*'; pgrep -x 'sleep|tar|back up'"
    return m.run(looks, check=False).stdout.splitlines()


def run_once(m: Machine, script: str) -> tuple[int, str]:
    """Have the service run and end; return systemctl's exit code and what its status shows."""
    m.write_file("/backup/do", script)
    # systemd refuses what is started five times in ten seconds.
    code = m.run(f"systemctl reset-failed {UNIT}; systemctl start {UNIT}", check=False, timeout=120).returncode
    return code, m.run(f"systemctl status --no-pager --lines 30 {UNIT}", check=False).stdout


def start_and_leave_running(m: Machine) -> None:
    m.write_file("/backup/do", "sleep 1000\n")
    m.run(f"rm /backup/begun; systemctl start --no-block {UNIT}; until [ -e /backup/begun ]; do sleep 0.2; done")


def the_timer_is_set_and_systemd_finds_no_fault(m: Machine) -> None:
    said = install(m)

    assert shown(m, "lvmsnap@nightly.timer", "NextElapseUSecRealtime") in said
    assert m.run("systemctl list-timers --no-legend").stdout.count(UNIT) == 1
    assert m.run("systemctl is-enabled lvmsnap@nightly.timer").stdout == "enabled\n"
    verified = m.run(f"systemd-analyze verify {UNIT} lvmsnap@nightly.timer")
    assert (verified.stdout, verified.stderr) == ("", "")
    assert "everything is installed already" in install(m)


def a_run_succeeds_in_the_mounts_of_all_and_leaves_nothing(m: Machine) -> None:
    code, status = run_once(m, LOOKS)

    assert code == 0, status
    assert tuple(m.read_file("/backup/arguments").split("\0")[:-1]) == ODD
    # Mounted where everybody sees it, in no namespace of its own, HOME set, set-user-ID programs copied as they are.
    assert m.read_file("/backup/seen").split("\n")[:-1] == ["1", "5", "/root", "the clock is not for it", "4755"]
    assert m.run("tar -xOf /backup/x.tar ./data").stdout == "precious\n"
    assert left(m) == []


def a_failing_command_is_a_failed_unit_that_says_why(m: Machine) -> None:
    code, status = run_once(m, "echo no space on the backup server >&2; exit 7\n")

    assert code == 1
    assert "Active: failed (Result: exit-code)" in status
    assert "code=exited, status=7" in status
    assert "no space on the backup server" in status
    assert left(m) == []


def a_lost_snapshot_is_a_failed_unit_that_says_so_last(m: Machine) -> None:
    code, status = run_once(m, 'umount "$LVMSNAP_MOUNTPOINT"\n')

    own = [line for line in status.splitlines() if " lvmsnap[" in line]
    assert code == 1
    assert "code=exited, status=124" in status
    assert "but its snapshot was lost" in own[-2]
    assert "what to do: do not trust its result" in own[-1]
    errors = m.run(f"journalctl --no-pager -o cat -p err -u {UNIT}").stdout
    assert "error: /usr/local/bin/back up exited 0" in errors
    assert "<3>" not in errors
    assert left(m) == []


def stopping_it_in_the_middle_leaves_nothing(m: Machine) -> None:
    start_and_leave_running(m)

    m.run(f"systemctl stop {UNIT}", timeout=120)

    assert (shown(m, UNIT, "ActiveState"), shown(m, UNIT, "ExecMainStatus")) == ("failed", "143")
    assert left(m) == []


def killing_all_of_it_leaves_nothing_either(m: Machine) -> None:
    start_and_leave_running(m)

    m.run(f"systemctl kill --signal=KILL {UNIT}")

    m.run(f"while [ $(systemctl is-active {UNIT}) != failed ]; do sleep 0.3; done", check=False)
    assert shown(m, UNIT, "Result") == "signal"
    assert left(m) == []


def a_run_by_hand_keeps_its_snapshot_when_the_timers_is_refused(m: Machine) -> None:
    script = "touch /backup/begun; until [ -e /backup/end ]; do sleep 0.2; done; cat $LVMSNAP_MOUNTPOINT/data"
    m.run("rm /backup/begun")
    words = ("run", "--profile-dir", FOLDER, "nightly", "--", "sh", "-c", script)
    by_hand = m.start(shell_line(shlex.join(words)))
    m.run("until [ -e /backup/begun ]; do sleep 0.2; done")

    code, status = run_once(m, "true")

    m.run("touch /backup/end")
    done = by_hand.wait(60)
    assert code == 1
    assert "is using nightly" in status
    assert (done.returncode, done.stdout) == (0, "precious\n"), done.stderr
    assert left(m) == []


def another_time_does_not_count_as_missed(m: Machine) -> None:
    m.run(
        "systemctl stop lvmsnap@nightly.timer; touch -d yesterday /var/lib/systemd/timers/stamp-lvmsnap@nightly.timer"
    )
    earlier = m.run("date -d '2 hours ago' '+*-*-* %H:%M'").stdout.strip()

    install(m, "--on-calendar", earlier)

    hours = m.run(
        'next=$(systemctl show --value -p NextElapseUSecRealtime lvmsnap@nightly.timer); \
        echo $(( ($(date -d "$next" +%s) - $(date +%s)) / 3600 ))'
    ).stdout
    assert int(hours) in (21, 22)


def removing_leaves_every_file_of_systemd_as_it_was(m: Machine, before: str) -> None:
    said = lvmsnap(m, "install-units nightly --remove").stderr

    assert "left alone" not in said
    assert m.run(UNITS_LISTED).stdout == before
    assert m.run("systemctl list-units --all --no-legend 'lvmsnap@*'; ls /var/lib/systemd/timers").stdout == ""


def a_shutdown_in_the_middle_takes_the_snapshot_down(m: Machine) -> None:
    install(m)
    start_and_leave_running(m)
    assert "system-lvmsnap-nightly" in m.run("lvs --noheadings -o lv_name").stdout

    m.shutdown()

    m.boot()
    assert m.run("lvs --noheadings -o lv_name").stdout.split() == ["system"]


def test_the_units_of_a_profile_from_install_units_to_their_removal(server: Machine) -> None:
    """One test, since each step goes on from the running system that the one before it left."""
    m = server
    before = m.run(UNITS_LISTED).stdout
    the_timer_is_set_and_systemd_finds_no_fault(m)
    a_run_succeeds_in_the_mounts_of_all_and_leaves_nothing(m)
    a_failing_command_is_a_failed_unit_that_says_why(m)
    a_lost_snapshot_is_a_failed_unit_that_says_so_last(m)
    stopping_it_in_the_middle_leaves_nothing(m)
    killing_all_of_it_leaves_nothing_either(m)
    a_run_by_hand_keeps_its_snapshot_when_the_timers_is_refused(m)
    another_time_does_not_count_as_missed(m)
    removing_leaves_every_file_of_systemd_as_it_was(m, before)
    a_shutdown_in_the_middle_takes_the_snapshot_down(m)
