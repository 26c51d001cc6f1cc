"""Another LVM command suspends the origin for a moment, just after our report: that is no debris to be repaired."""

from __future__ import annotations

import json

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

BIN = "/run/suspending"
# Whenever LVM has reported, somebody's command takes the group's lock and suspends the origin, as lvcreate does.
LVM = """#!/bin/sh
/usr/sbin/lvm "$@"
status=$?
if [ "$1" = fullreport ]; then
    rm -f /run/held
    setsid flock /run/lock/lvm/V_vg0 sh -c \
        'dmsetup suspend vg0-system; : > /run/held; sleep 2; dmsetup resume vg0-system' > /dev/null 2>&1 &
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e /run/held ] || sleep 0.1; done
fi
exit $status
"""


def test_an_origin_that_another_command_suspends_for_a_moment_is_left_alone(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    write_profile(lab, "nightly", profile_text(snapshot="snap", size="8MiB", mountpoint=None))
    lvmsnap(lab, "up nightly")
    before = lab.run("dmsetup table").stdout
    lab.write_file(f"{BIN}/lvm", LVM, 0o755)

    recovered = lvmsnap(lab, "recover", path=BIN)

    lab.run("flock /run/lock/lvm/V_vg0 true")
    assert "left alone" in recovered.stdout
    assert lab.run("dmsetup table").stdout == before
    (told,) = json.loads(lvmsnap(lab, "status nightly --json").stdout)
    assert told["state"] == "up"
    lvmsnap(lab, "down nightly")
