"""lvm.conf decides how LVM's reports look; it must not decide what lvmsnap reads in them, nor what it does."""

from __future__ import annotations

import sys

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.stage import Stage
from tests.lab.support import ENVIRONMENT, lvmsnap

pytestmark = pytest.mark.lab

# Lists of tags and of devices, a snapshot, and a group that lacks a PV.
GROUPS = """lvcreate -q -y -Wn -Zn -i2 -L 64M -n system --addtag one --addtag two vg0
lvcreate -q -y -s -l 4 -n snap --addtag three --addtag four vg0/system
vgcreate -q -y vg1 /dev/ubdc /dev/ubdd; lvcreate -q -y -an -Wn -Zn -L 8M -n part vg1 /dev/ubdd
dd if=/dev/zero of=/dev/ubdd bs=1M count=4 status=none; mkdir -p /run/conf"""
SETTINGS_OF_2_03_16 = 61


@pytest.mark.parametrize("how", ["together", "each"])
def test_no_setting_of_lvm_conf_changes_what_is_read(lab: Machine, how: str) -> None:
    make_vg(lab, disks=("ubda", "ubdb"))
    lab.run(f"set -e\n{GROUPS}")

    walk = [sys.executable, "-m", "tests.lab.lvm_settings", how]
    told = lab.run(walk, env={**ENVIRONMENT, "LVM_SYSTEM_DIR": "/run/conf"}, timeout=300).stdout

    changed, _, tried = told.rpartition("tried ")
    assert changed == ""
    assert int(tried) >= SETTINGS_OF_2_03_16


# Settings that change what LVM's own commands do, or print, as far as they can be had all at once.
CHANGED = """log/prefix="#" log/silent=1 log/command_names=1 log/verbose=3 report/prefixes=1
report/binary_values_as_numeric=1 report/list_item_separator=";" activation/monitoring=0 metadata/pvmetadataignore=1
metadata/pvmetadatacopies=2 metadata/vgmetadatacopies=1 metadata/record_lvs_history=1 devices/data_alignment=8192
devices/preferred_names=["^/dev/block/"] devices/issue_discards=1 activation/auto_set_activation_skip=0"""


def test_a_profile_goes_up_and_down_whatever_lvm_conf_says(stage: Stage) -> None:
    saved = stage.read_file("/etc/lvm/lvmlocal.conf")
    stage.write_file("/etc/lvm/lvmlocal.conf", saved + CHANGED.replace(" ", "\n") + "\n")
    try:
        lvmsnap(stage, "up lent")
        state = lvmsnap(stage, "status lent").stdout.splitlines()[1].split()[:2]
        lvmsnap(stage, "down lent")
    finally:
        stage.write_file("/etc/lvm/lvmlocal.conf", saved)

    assert state == ["lent", "up"]
    stage.assert_as_before()
