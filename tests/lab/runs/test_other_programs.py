"""The page on other programs, word for word, with the real ones: a good night, and one whose snapshot is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests import TOP
from tests.lab import recipes
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, MiB, Result
from tests.lab.runs.test_units import shown
from tests.lab.support import lvmsnap, shell_line, write_profile

pytestmark = pytest.mark.lab

PAGE = (TOP / "lvmsnap/docs/programs.md").read_text()
HOLD, BACKUP = "lvmsnap-hold@nightly.service", "backup.service"
UP = "/run/lvmsnap/nightly"
OVERFLOW = "dd if=/dev/urandom of=/srv/system/big bs=1M count=40 conv=fsync status=none"
# Where the page has programs of the machine's own, the lab has these: they note what they are given.
STAND_INS = {
    "/usr/sbin/lvmsnap": f'#!/bin/sh\nexec {shell_line("")} "$@"\n',
    "/usr/bin/curl": '#!/bin/sh\necho "$@" >> /backup/pings\n',
    "/usr/bin/mail": '#!/bin/sh\n{ echo "$@"; cat; } >> /backup/mails\n',
}
STANDING = (
    "lvs --noheadings -o lv_name; cat /proc/self/mountinfo | grep /run/lvmsnap; find /var/lib/lvmsnap -name '*.json'"
)


def file_of(path: str) -> str:
    """The text of a file that the page shows."""
    found = re.search(rf"^```\w+\n(# {re.escape(path)}\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found, path
    return found[1]


@pytest.fixture(scope="module")
def server() -> Iterator[Machine]:
    """A machine with systemd, an origin with files, the profile of the page, room for backups."""
    with Machine({"ubda": 256 * MiB, "ubdb": 128 * MiB}) as m:
        m.boot(systemd=True)
        make_vg(
            m,
            "lvm_server_vg",
            volumes={"system": "96M"},
            filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
            mounts={"system": "/srv/system", "/dev/ubdb": "/backup"},
        )
        write_profile(m, "nightly", recipes.profiles()["nightly"])
        for path, text in STAND_INS.items():
            m.write_file(path, text, mode=0o755)
        m.run("cp -r /usr/share/doc/lvm2 /srv/system/doc; echo first > /srv/system/file; sync")
        yield m


def systemctl(m: Machine, arguments: str) -> Result:
    return m.run(f"systemctl {arguments}", check=False, timeout=180)


def wait_until_over(m: Machine, unit: str) -> None:
    m.run(f"until systemctl show --value -p ActiveState {unit} | grep -qE '^(inactive|failed)$'; do sleep 0.3; done")


def a_good_night_is_backed_up_and_down_again(m: Machine) -> None:
    said = lvmsnap(m, "install-units nightly --hold").stderr
    assert file_of(f"/etc/systemd/system/{BACKUP}").count(f"BindsTo={HOLD}") == said.count(f"BindsTo={HOLD}") == 1
    for name in (BACKUP, "failure-mail@.service"):
        m.write_file(f"/etc/systemd/system/{name}", file_of(f"/etc/systemd/system/{name}"))
    m.run("systemctl daemon-reload")
    verified = m.run(f"systemd-analyze verify {HOLD} {BACKUP}", check=False)
    assert (verified.stdout, verified.stderr) == ("", "")

    assert systemctl(m, f"start {BACKUP}").returncode == 0, m.run(f"journalctl -u {HOLD} -u {BACKUP}").stdout

    wait_until_over(m, HOLD)
    assert m.run("cat /backup/system/file; cat /backup/pings").stdout.startswith("first\n-fsS -m 10")
    assert shown(m, HOLD, "Result") == "success"
    assert m.run("ls /backup/mails", check=False).returncode == 2
    assert m.run(STANDING, check=False).stdout.split() == ["system"]
    assert "everything is installed already" in lvmsnap(m, "install-units nightly --hold").stderr
    assert lvmsnap(m, "install-units nightly --hold --status").stdout.startswith("now: inactive")


def a_lost_snapshot_stops_the_backup_which_fails_and_mails(m: Machine) -> None:
    m.run("rm -f /backup/pings")
    m.run(f"mkdir -p /run/systemd/system/{BACKUP}.d")
    # Reads on and on, and takes no TERM for an answer but ends well.
    script = f"trap 'exit 0' TERM; touch /backup/begun; while :; do cat {UP}/doc/* > /dev/null 2>&1; sleep 0.2; done"
    m.write_file("/usr/local/bin/slow", f"#!/bin/sh\n{script}\n", mode=0o755)
    m.write_file(f"/run/systemd/system/{BACKUP}.d/slow.conf", "[Service]\nExecStart=\nExecStart=/usr/local/bin/slow\n")
    m.write_file(f"/run/systemd/system/{HOLD}.d/mail.conf", "[Unit]\nOnFailure=failure-mail@%n.service\n")
    m.run(
        f"systemctl daemon-reload; systemctl start --no-block {BACKUP}; until [ -e /backup/begun ]; do sleep 0.2; done"
    )

    m.run(OVERFLOW)

    wait_until_over(m, BACKUP)
    wait_until_over(m, HOLD)
    assert (shown(m, HOLD, "Result"), shown(m, HOLD, "ExecMainStatus")) == ("exit-code", "124")
    assert m.run("ls /backup/pings", check=False).returncode == 2
    m.run("until grep -q 'lvmsnap-hold@nightly.service failed' /backup/mails; do sleep 0.3; done", timeout=30)
    assert "was lost while it was held: it overflowed" in m.read_file("/backup/mails")
    m.run("rm -f /srv/system/big; sync")
    assert m.run(STANDING, check=False).stdout.split() == ["system"]


def a_loss_as_the_backup_ends_is_found_by_the_check(m: Machine) -> None:
    m.write_file(
        "/usr/local/bin/slow",
        f"#!/bin/sh\nkill -STOP $(systemctl show --value -p MainPID {HOLD}); {OVERFLOW}\n",
        mode=0o755,
    )

    assert systemctl(m, f"start {BACKUP}").returncode == 1
    m.run(f"kill -CONT $(systemctl show --value -p MainPID {HOLD})", check=False)

    assert shown(m, BACKUP, "Result") == "exit-code"
    wait_until_over(m, HOLD)
    m.run(
        "until grep -q 'backup.service failed' /backup/mails; do sleep 0.3; done; rm -f /srv/system/big; sync",
        timeout=30,
    )
    assert m.run(STANDING, check=False).stdout.split() == ["system"]


def where_it_cannot_be_brought_up_the_backup_fails_too(m: Machine) -> None:
    m.run(f"rm -f /backup/mails /backup/begun; systemctl reset-failed; mkdir -p {UP}; touch {UP}/in-the-way")

    assert systemctl(m, f"start {BACKUP}").returncode == 1

    m.run("until grep -q 'backup.service failed' /backup/mails; do sleep 0.3; done", timeout=30)
    m.run(f"rm -r {UP}")


def removal_leaves_nothing(m: Machine) -> None:
    lvmsnap(m, "install-units nightly --hold --remove")

    assert m.run("ls /etc/systemd/system | grep lvmsnap", check=False).stdout == ""


def test_a_unit_that_is_bound_to_a_hold_is_as_good_as_a_run(server: Machine) -> None:
    """One test, since each step goes on from the running system that the one before it left."""
    a_good_night_is_backed_up_and_down_again(server)
    a_lost_snapshot_stops_the_backup_which_fails_and_mails(server)
    a_loss_as_the_backup_ends_is_found_by_the_check(server)
    where_it_cannot_be_brought_up_the_backup_fails_too(server)
    removal_leaves_nothing(server)
