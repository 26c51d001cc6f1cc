"""lvm.conf decides how LVM's reports look; it must not decide what lvmsnap reads in them, nor what it does."""

from __future__ import annotations

import sys

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.support import ENVIRONMENT

pytestmark = pytest.mark.lab

# Lists of tags and of devices, a snapshot, and a group that lacks a PV.
GROUPS = """lvcreate -q -y -Wn -Zn -i2 -L 64M -n system --addtag one --addtag two vg0
lvcreate -q -y -s -l 4 -n snap --addtag three --addtag four vg0/system
vgcreate -q -y vg1 /dev/ubdc /dev/ubdd; lvcreate -q -y -an -Wn -Zn -L 8M -n part vg1 /dev/ubdd
dd if=/dev/zero of=/dev/ubdd bs=1M count=4 status=none; mkdir /run/conf"""
SETTINGS_OF_2_03_16 = 61


def test_no_setting_of_lvm_conf_changes_what_is_read(lab: Machine) -> None:
    make_vg(lab, disks=("ubda", "ubdb"))
    lab.run(f"set -e\n{GROUPS}")

    walk = [sys.executable, "-m", "tests.lvm_settings"]
    told = lab.run(walk, env={**ENVIRONMENT, "LVM_SYSTEM_DIR": "/run/conf"}, timeout=300).stdout

    changed, _, tried = told.rpartition("tried ")
    assert changed == ""
    assert int(tried) >= SETTINGS_OF_2_03_16
