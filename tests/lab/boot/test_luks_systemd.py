"""LUKS under systemd: what is mounted by UUID stays the origin's, and nothing of ours is unmounted or started by it."""

from __future__ import annotations

import pytest

from tests.lab.helpers import MachineFactory
from tests.lab.luks import MAPPING, MOUNTPOINT, luks_profile, make_origin
from tests.lab.machine import MiB
from tests.lab.support import lvmsnap

pytestmark = pytest.mark.lab

SOURCES = f"findmnt -no SOURCE /mnt; findmnt -no SOURCE {MOUNTPOINT}"


def test_a_mount_by_uuid_is_the_origins_while_its_snapshot_is_up_and_both_stay(fresh_machine: MachineFactory) -> None:
    m = fresh_machine({"ubda": 256 * MiB})
    m.boot(systemd=True)
    make_origin(m)
    luks_profile(m)
    m.run("""set -e
        echo "UUID=$(blkid -o value -s UUID /dev/mapper/data) /mnt ext4 defaults,nofail 0 0" >> /etc/fstab
        umount /mnt; systemctl daemon-reload; systemctl start mnt.mount""")

    lvmsnap(m, "up p")
    m.run("udevadm trigger --subsystem-match=block; udevadm settle; systemctl daemon-reload; sleep 3")
    assert m.run(SOURCES).stdout.split() == ["/dev/mapper/data", MAPPING]
    m.run("systemctl restart mnt.mount; sleep 1")
    assert m.run(SOURCES).stdout.split() == ["/dev/mapper/data", MAPPING]
    lvmsnap(m, "down p")
    m.run("sleep 1")
    assert m.run("findmnt -no SOURCE /mnt").stdout.split() == ["/dev/mapper/data"]
    assert "appeared twice" not in m.run("journalctl --no-pager -b").stdout
