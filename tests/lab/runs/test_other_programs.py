"""The page on other programs, word for word, with the real ones: a good night, and one whose snapshot is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import yaml

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


def prepare(m: Machine) -> Machine:
    """Have an origin with files there, the profile of the page, room for backups."""
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
    return m


@pytest.fixture(scope="module")
def server() -> Iterator[Machine]:
    """A machine with systemd."""
    with Machine({"ubda": 256 * MiB, "ubdb": 128 * MiB}) as m:
        m.boot(systemd=True)
        yield prepare(m)


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


# --- by hooks ---------------------------------------------------------------------------------------------------------

BORGMATIC = {"2.1.10": "/etc/borgmatic/config.yaml", "1.7.7": "/etc/borgmatic.d/nightly.yaml"}
LISTED = "borg list --short --last 1 /backup/borg"


def when_it_starts(m: Machine, program: str, known_by: str, script: str = OVERFLOW) -> None:
    """Put a program in place of the real one that first lets the snapshot overflow, when it is given such a word."""
    real = m.run(["which", program]).stdout.strip()
    m.run(f"[ -e {real}.real ] || mv {real} {real}.real")
    script = f'case "$*" in *{known_by}*) {script} ;; esac\nexec {real}.real "$@"'
    m.write_file(real, f"#!/bin/sh\n{script}\n", mode=0o755)


def nothing_is_left(m: Machine) -> bool:
    m.run("rm -f /srv/system/big; sync")
    return m.run(STANDING, check=False).stdout.split() == ["system"]


@pytest.mark.parametrize("version", BORGMATIC)
def test_borgmatic_backs_up_the_snapshot_and_fails_where_that_is_lost(lab: Machine, version: str) -> None:
    m, path = prepare(lab), BORGMATIC[version]
    m.run(f"mkdir -p {path.rpartition('/')[0]}; rm -rf /root/.cache/borg /root/.config/borg")
    m.run("echo secret > /root/borg-passphrase")
    m.write_file(path, file_of(path))
    m.run("BORG_PASSPHRASE=secret borg init --encryption=repokey-blake2 /backup/borg")
    create = f"{TOP}/.venv/borgmatic-{version}/bin/borgmatic --config {path} create"

    done = m.run(create, check=False, timeout=180)

    assert done.returncode == 0, done.stdout + done.stderr
    shown = m.run(f"export BORG_PASSPHRASE=secret; borg extract --stdout /backup/borg::$({LISTED}) {UP[1:]}/file")
    assert shown.stdout == "first\n"
    assert nothing_is_left(m)
    m.run("echo changed > /srv/system/file; sync")
    when_it_starts(m, "borg", "create")
    done = m.run(create, check=False, timeout=180)
    assert done.returncode != 0, done.stdout + done.stderr
    assert "was lost while it was up: it overflowed" in done.stdout + done.stderr
    m.run("mv /usr/bin/borg.real /usr/bin/borg")
    assert nothing_is_left(m)


def test_rsnapshot_backs_up_the_snapshot_and_fails_where_that_is_lost(lab: Machine) -> None:
    m = prepare(lab)
    m.run("mkdir -p /media/nightly")
    (profile,) = re.findall(r"```yaml\n(volumes:.*?)```", PAGE, re.DOTALL)
    write_profile(m, "nightly", profile)
    m.write_file("/etc/rsnapshot.conf", file_of("/etc/rsnapshot.conf"))
    assert m.run("rsnapshot configtest").stdout == "Syntax OK\n"

    done = m.run("rsnapshot daily", check=False, timeout=180)

    assert done.returncode == 0, done.stdout + done.stderr
    assert m.run("cat /backup/rsnapshot/daily.0/server/file").stdout == "first\n"
    assert nothing_is_left(m)
    when_it_starts(m, "rsync", "/nightly")
    done = m.run("rsnapshot daily", check=False, timeout=180)
    assert done.returncode != 0, done.stdout + done.stderr
    assert "was lost while it was up: it overflowed" in done.stdout + done.stderr
    assert nothing_is_left(m)
    m.run("mv /usr/bin/rsync.real /usr/bin/rsync; rmdir /media/nightly")


# --- restic -----------------------------------------------------------------------------------------------------------

RESTIC = "export RESTIC_REPOSITORY=/backup/restic RESTIC_PASSWORD_FILE=/root/restic-password"
RUN, OWN_UNIT = "lvmsnap@nightly.service", "restic.service"


def install_page_file(m: Machine, path: str) -> None:
    m.run(["mkdir", "-p", path.rpartition("/")[0]])
    m.write_file(path, file_of(path))
    m.run("systemctl daemon-reload")


def by_a_timer(m: Machine) -> str:
    """Have `install-units` start restic, as the page says; return what starts it now."""
    (options,) = re.findall(r"^lvmsnap (install-units nightly .*restic.*)$", PAGE, re.MULTILINE)
    lvmsnap(m, options)
    install_page_file(m, f"/etc/systemd/system/{RUN}.d/restic.conf")
    return f"systemctl start {RUN}"


def by_a_hold(m: Machine) -> str:
    """Have the page's unit for restic; return what starts it now."""
    lvmsnap(m, "install-units nightly --hold")
    install_page_file(m, f"/etc/systemd/system/{OWN_UNIT}")
    return f"systemctl start {OWN_UNIT}"


def by_hooks(_: Machine) -> str:
    """Return the commands that resticprofile runs by its documentation, in that order: it itself is not to be had."""
    profile = yaml.safe_load(file_of("/etc/resticprofile/profiles.yaml"))["nightly"]
    backup = profile["backup"]
    assert backup["source-relative"]
    (source,) = backup["source"]
    restic = f"restic --repo {profile['repository']} --password-file {profile['password-file']} backup {source}"
    backed_up = f"{backup['run-before']} && (cd {backup['source-base']} && {restic}) && {backup['run-after']}"
    # What comes last is run whatever happened, and its own exit status does not count.
    return f"{backed_up}; status=$?; {backup['run-finally']}; exit $status"


def lost_as_it_ends(m: Machine, start: str) -> None:
    """Lose it though restic itself is content."""
    when_it_starts(m, "restic", "backup", f'restic.real "$@" && {OVERFLOW}; exit')

    done = m.run(start, check=False, timeout=180)

    assert done.returncode != 0, done.stdout + done.stderr


def lost_in_the_middle(m: Machine, start: str) -> None:
    """Lose it while restic has a lock in its repository, which would keep the next `forget` from its work."""
    when_it_starts(m, "restic", "backup", 'set -- "$@" --limit-upload 20')
    m.run("head -c 2M /dev/urandom > /srv/system/new; sync")

    m.run(f"{start} --no-block; until ls /backup/restic/locks | grep -q .; do sleep 0.2; done; {OVERFLOW}")

    wait_until_over(m, OWN_UNIT)
    assert shown(m, OWN_UNIT, "ActiveState") == "failed"
    assert m.run("ls /backup/restic/locks").stdout == ""
    wait_until_over(m, HOLD)


class Way(NamedTuple):
    """How restic is started, and how the snapshot is lost meanwhile."""

    install: Callable[[Machine], str]
    lose: Callable[[Machine, str], None]


WAYS = {
    "a timer": Way(by_a_timer, lost_as_it_ends),
    "a hold": Way(by_a_hold, lost_in_the_middle),
    "hooks": Way(by_hooks, lost_as_it_ends),
}


@pytest.mark.parametrize("name", WAYS)
def test_restic_backs_up_the_snapshot_and_fails_where_that_is_lost(server: Machine, name: str) -> None:
    m, way = server, WAYS[name]
    m.run(f"echo {name} > /srv/system/file; sync; echo secret > /root/restic-password")
    m.run(f"{RESTIC}; [ -e /backup/restic ] || restic init")
    start = way.install(m)
    when_it_starts(m, "restic", "backup", "echo changed > /srv/system/file; sync")

    done = m.run(start, check=False, timeout=180)

    assert done.returncode == 0, done.stdout + done.stderr
    m.run(f"{RESTIC}; restic restore latest --target /restored; echo {name} | cmp - /restored/file")
    assert m.run("diff -r /srv/system/doc /restored/doc; cat /srv/system/file").stdout == "changed\n"
    wait_until_over(m, HOLD)
    assert nothing_is_left(m)
    way.lose(m, start)
    assert nothing_is_left(m)
    m.run("mv /usr/bin/restic.real /usr/bin/restic; rm -rf /restored /srv/system/new")


# --- fleets -----------------------------------------------------------------------------------------------------------


def test_the_playbook_changes_nothing_the_second_time_and_brings_back_the_plan(lab: Machine) -> None:
    m = prepare(lab)
    m.run("mkdir -p /root/fleet/profiles; mv /etc/lvmsnap/nightly.yaml /root/fleet/profiles; rmdir /etc/lvmsnap")
    m.write_file("/root/fleet/lvmsnap.yml", file_of("lvmsnap.yml"))
    python = "ansible_python_interpreter=/usr/bin/python3"
    play = f"cd /root/fleet && ansible-playbook -i server1, -c local -e {python} lvmsnap.yml"

    told = [m.run(play, check=False, timeout=240) for _ in range(2)]

    assert [done.returncode for done in told] == [0, 0], told[0].stdout + told[0].stderr + told[1].stdout
    changed = [re.search(r"changed=(\d+).*failed=0", done.stdout) for done in told]
    assert [found and found[1] for found in changed] == ["2", "0"], told[0].stdout + told[1].stdout
    assert m.run("stat -c %a%U /etc/lvmsnap/nightly.yaml").stdout == "600root\n"
    assert json.loads(m.read_file("/root/fleet/server1.plan.json"))["checks"]
    assert "-aHAXS" in m.run("cat /etc/systemd/system/lvmsnap@nightly.service.d/lvmsnap.conf").stdout
    m.write_file("/root/fleet/profiles/nightly.yaml", "volumes: [{origin: lvm_server_vg/system, sise: 1GiB}]\n")
    assert "did you mean size?" in m.run(play, check=False, timeout=240).stdout
    lvmsnap(m, "install-units nightly --remove")
