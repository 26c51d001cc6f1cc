"""What install-boot installs, on machines with LVM: the repair of groups, systemd boots after power cuts, shutdowns."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

UUID = "0f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f"
DISKS = {"ubda": 160 * MiB, "ubdb": 256 * MiB, "ubdc": 64 * MiB, "ubdd": 32 * MiB}
FSTAB = """\
/dev/ubdb /media/space ext4 defaults 0 0
/dev/ubdd /var/lib/lvmsnap ext4 defaults 0 0
UUID={uuid} /srv/system ext4 nofail,x-systemd.device-timeout={timeout} 0 0
"""
PLACES = "mkdir -p /media/space /var/lib/lvmsnap /srv/system; mount /dev/ubdb /media/space; \
    mount /dev/ubdd /var/lib/lvmsnap"
PROFILE_A = profile_text(size="16MiB", mountpoint=None, backing_file={"path": "/media/space/a"})
PROFILE_C = profile_text(size="8MiB", mountpoint=None)
PROFILE_B = profile_text("vg1/data", size="16MiB", mountpoint=None, backing_file={"path": "/media/space/b"})
# Nothing but the shell: a process takes longer than the moment that is looked for.
WATCH = """#!/bin/bash
last=
while sleep 0.005; do
    now=
    for name in /sys/block/dm-*/dm/name; do
        [ -e "$name" ] && read -r what < "$name" && now="$now $what"
        for link in /dev/disk/by-uuid/*; do
            device=${name%/dm/name}
            [ "$link" -ef "/dev/${device##*/}" ] && now="$now ${link##*/}=$what"
        done
    done
    [ "$now" = "$last" ] || echo "$now"
    last=$now
done > /run/links
"""
# In place of lvremove and vgreduce: systemd's time-out passes while lvremove runs.
SLOW = """#!/bin/sh
name=${0##*/}
echo "$name begins" >> /run/calls
[ "$name" = lvremove ] && sleep 18
"/sbin/$name" "$@"
status=$?
echo "$name ends" >> /run/calls
exit $status
"""
WATCH_UNIT = """[Unit]
DefaultDependencies=no
Before=systemd-udevd.service
[Service]
ExecStart=/usr/local/bin/watch-links
"""
ATTACH_LATE = "losetup --find --show /media/space/late.img"
# What the boot of a guest starts with is in the machine's work folder, seen as /lab/overlay.
KEEP_INSTALLED = """set -e
    mkdir -p /lab/overlay; cp -a --parents /usr/lib/udev/lvmsnap-repair-groups /etc/udev/rules.d/*-lvmsnap.rules \
        /etc/systemd/system/lvmsnap-* /etc/systemd/system/multi-user.target.wants/lvmsnap-* \
        /etc/systemd/system/*.requires/lvmsnap-* \
        /etc/lvmsnap /lab/overlay"""


def only_systemd(m: Machine) -> None:
    """Have the guest know no program that makes an initramfs: that would take minutes in it."""
    m.run("rm -f $(command -v update-initramfs dracut)", check=False)


def volumes(m: Machine, vg: str) -> dict[str, bool]:
    """The group's LVs, and whether each is active."""
    lines = m.run(f"lvs --noheadings --separator : -o lv_name,lv_active {vg}").stdout.split()
    return {line.split(":")[0]: line.split(":")[1] == "active" for line in lines}


def missing(m: Machine, vg: str) -> int:
    return int(m.run(f"vgs --noheadings -o vg_missing_pv_count {vg}").stdout)


def wait_for(m: Machine, condition: str, timeout: float = 60) -> None:
    m.run(f"until {condition}; do sleep 0.3; done", timeout=timeout)


def write_fstab(m: Machine, timeout: str) -> None:
    (m.work / "overlay" / "etc").mkdir(parents=True, exist_ok=True)
    (m.work / "overlay" / "etc" / "fstab").write_text(FSTAB.format(timeout=timeout, uuid=UUID))


def listing(m: Machine) -> set[str]:
    """What lies on the filesystem of the backing files, and the records."""
    return set(m.run("ls /media/space /var/lib/lvmsnap | grep -v : | sort -u").stdout.split()) - {"lost+found"}


def make_server(m: Machine) -> None:
    """vg0 on a disk; vg1 on a disk and on one that comes late; both have lent a file on a third disk."""
    m.run("mkfs.ext4 -q /dev/ubdb; mkfs.ext4 -q /dev/ubdd")
    m.run(PLACES)
    make_vg(m, volumes={"system": "48M", "other": "16M"}, filesystems={"system": "ext4"})
    m.run(f"tune2fs -U {UUID} /dev/vg0/system")
    m.run("mount /dev/vg0/system /srv/system; echo precious > /srv/system/data")
    m.run("fallocate -l 24M /media/space/late.img")
    late = m.run(ATTACH_LATE).stdout.strip()
    make_vg(m, "vg1", disks=("ubdc", late.removeprefix("/dev/")), volumes={"data": "32M", "tail": "100%FREE"})
    write_profile(m, "a", PROFILE_A)
    write_profile(m, "b", PROFILE_B)
    write_profile(m, "c", PROFILE_C)


@pytest.fixture(scope="module")
def server() -> Iterator[Machine]:
    """A server with install-boot's files for systemd, switched off by a power cut while profile a was up."""
    with Machine(DISKS) as m:
        write_fstab(m, "60")
        m.boot()
        make_server(m)
        only_systemd(m)
        lvmsnap(m, "install-boot")
        m.run(KEEP_INSTALLED)
        lvmsnap(m, "up a")
        lvmsnap(m, "up c")
        m.run("echo of today > /srv/system/data; sync")
        m.cut_power()
        watch_links(m)
        yield m


def watch_links(m: Machine) -> None:
    """Have each boot write down from its start which device the origin's UUID leads to, and what is activated."""
    overlay = m.work / "overlay"
    (overlay / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (overlay / "usr/local/bin/watch-links").write_text(WATCH)
    (overlay / "usr/local/bin/watch-links").chmod(0o755)
    units = overlay / "etc/systemd/system"
    (units / "watch-links.service").write_text(WATCH_UNIT)
    (units / "sysinit.target.wants").mkdir(exist_ok=True)
    (units / "sysinit.target.wants/watch-links.service").symlink_to("../watch-links.service")


def boot_to_the_end(m: Machine) -> str:
    """Boot with systemd; return the state of the system and the units that failed."""
    m.boot(systemd=True)
    return m.run(
        "systemctl is-system-running --wait; systemctl --failed --plain --no-legend", timeout=120, check=False
    ).stdout


def a_systemd_boot_after_a_power_cut_activates_no_old_snapshot_and_recover_removes_the_rest(server: Machine) -> None:
    m = server

    assert boot_to_the_end(m) == "running\n"

    assert (volumes(m, "vg0"), missing(m, "vg0")) == ({"system": True, "other": True}, 0)
    assert m.run("findmnt -no SOURCE /srv/system; cat /srv/system/data").stdout == "/dev/mapper/vg0-system\nof today\n"
    seen = m.run("cat /run/links").stdout.splitlines()
    assert any(f"{UUID}=vg0-system" in line for line in seen)
    assert [line for line in seen if "lvmsnap" in line] == [], "no snapshot ever came up"
    assert listing(m) == {"late.img"}
    # Nothing was lent to vg1: its missing disk is nobody's business here.
    assert (volumes(m, "vg1"), missing(m, "vg1")) == ({"data": False, "tail": False}, 1)
    assert "vg1" not in m.run("journalctl --no-pager -u 'lvmsnap-*'").stdout


def a_group_that_lacks_another_disk_too_is_left_alone_until_it_appears(server: Machine) -> None:
    m = server
    m.run(ATTACH_LATE)
    wait_for(m, "[ -e /dev/vg1/tail ]")
    lvmsnap(m, "up a")
    lvmsnap(m, "up b")
    m.run("rm /var/lib/lvmsnap/b.json; sync")
    m.cut_power()

    state = boot_to_the_end(m)

    journal = m.run("journalctl --no-pager -u 'lvmsnap-*'").stdout
    # What has to wait for the disk says so, and keeps nothing else from being put right.
    assert state.split()[:2] == ["degraded", "lvmsnap-recover.service"]
    assert "remove the backing file (/media/space/a)" in journal
    assert "bring the disk back first" in journal
    assert (volumes(m, "vg0"), missing(m, "vg0")) == ({"system": True, "other": True}, 0)
    assert (volumes(m, "vg1"), missing(m, "vg1")) == ({"data": False, "tail": False, "data-lvmsnap-b": False}, 2)
    everything = m.run("journalctl --no-pager").stdout
    assert "vg1 is left alone until PVs that lvmsnap did not lend are there too" in everything

    m.run(ATTACH_LATE)
    wait_for(m, "[ -e /dev/vg1/tail ]")
    assert (volumes(m, "vg1"), missing(m, "vg1")) == ({"data": True, "tail": True}, 0)
    assert listing(m) == {"late.img", "b"}  # Without record and marks, b is a file like any other.
    m.run("vgchange -q -an vg1; losetup -d $(losetup -nO NAME -j /media/space/late.img)")


def a_shutdown_that_takes_too_long_starts_no_new_command_and_ends_none(server: Machine) -> None:
    m = server
    lvmsnap(m, "up a")
    for name in ("lvremove", "vgreduce"):
        m.write_file(f"/usr/local/sbin/{name}", SLOW, 0o755)
    unit = "/etc/systemd/system/lvmsnap-shutdown.service"
    m.run(f"sed -i.before 's/--stop-after 240/--stop-after 10/; s/5min/15s/' {unit}; systemctl daemon-reload")

    m.run("systemctl stop lvmsnap-shutdown.service", timeout=90)

    assert m.read_file("/run/calls").splitlines() == ["lvremove begins", "lvremove ends"]
    assert set(volumes(m, "vg0")) == {"system", "other"}
    m.run(f"rm /usr/local/sbin/lvremove /usr/local/sbin/vgreduce; mv {unit}.before {unit}; systemctl daemon-reload")
    m.run("systemctl reset-failed; systemctl start lvmsnap-shutdown.service")
    lvmsnap(m, "down a")


def a_hibernation_takes_everything_down_first_or_does_not_begin(server: Machine) -> None:
    """The guest's kernel cannot hibernate: what comes before is all that is seen."""
    m = server
    m.run("mkdir -p /run/systemd/system/systemd-hibernate.service.d")
    m.write_file(
        "/run/systemd/system/systemd-hibernate.service.d/fake.conf",
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'lvs vg0 > /run/asleep'\n",
    )
    m.run("systemctl daemon-reload")
    lvmsnap(m, "up a")
    m.run("exec 9< /dev/vg0/system-lvmsnap-a; echo $$ > /run/holder; exec sleep 1000 &")
    m.run("sleep 1; systemctl start systemd-hibernate.service", check=False, timeout=120)
    assert m.run("systemctl is-failed lvmsnap-hibernate.service", check=False).stdout == "failed\n"
    assert m.run("ls /run/asleep", check=False).returncode != 0

    m.run("kill $(cat /run/holder)", check=False)
    m.run("pkill -f 'sleep 1000'", check=False)
    lvmsnap(m, "down a", code=None)
    lvmsnap(m, "up a")
    m.run("systemctl start systemd-hibernate.service", timeout=120)
    assert "lvmsnap" not in m.read_file("/run/asleep")
    assert set(volumes(m, "vg0")) == {"system", "other"}
    m.run("rm -r /run/systemd/system/systemd-hibernate.service.d /run/asleep; systemctl daemon-reload")


def an_orderly_shutdown_takes_everything_down_first(server: Machine) -> None:
    m = server
    lvmsnap(m, "up a")
    assert {"a", "a.json"} < listing(m)

    m.shutdown()

    m.boot()
    m.run(PLACES)
    assert (set(volumes(m, "vg0")), missing(m, "vg0")) == ({"system", "other"}, 0)
    assert listing(m) == {"late.img", "b"}


def without_install_boot_nothing_of_the_group_comes_up(server: Machine) -> None:
    m = server
    write_profile(m, "a", PROFILE_A)
    lvmsnap(m, "up a")
    m.run("sync")
    m.cut_power()
    shutil.rmtree(m.work / "overlay")
    write_fstab(m, "3")

    boot_to_the_end(m)

    assert not any(volumes(m, "vg0").values())
    assert "VG vg0 incomplete" in m.run("journalctl --no-pager").stdout


def test_one_server_boots_from_each_state_after_the_other(server: Machine) -> None:
    """One test, since each step goes on from the disks and the running system that the one before it left."""
    a_systemd_boot_after_a_power_cut_activates_no_old_snapshot_and_recover_removes_the_rest(server)
    a_group_that_lacks_another_disk_too_is_left_alone_until_it_appears(server)
    a_shutdown_that_takes_too_long_starts_no_new_command_and_ends_none(server)
    a_hibernation_takes_everything_down_first_or_does_not_begin(server)
    an_orderly_shutdown_takes_everything_down_first(server)
    without_install_boot_nothing_of_the_group_comes_up(server)
