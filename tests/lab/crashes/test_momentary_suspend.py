"""Another LVM command suspends the origin for a moment, just after our report: that is no debris to be repaired."""

from __future__ import annotations

import pytest

from tests.lab.stage import Stage
from tests.lab.support import lvmsnap, status

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


def test_an_origin_that_another_command_suspends_for_a_moment_is_left_alone(stage: Stage) -> None:
    lvmsnap(stage, "up plain")
    before = stage.run("dmsetup table").stdout
    stage.write_file(f"{BIN}/lvm", LVM, 0o755)

    recovered = lvmsnap(stage, "recover", path=BIN)

    stage.run("flock /run/lock/lvm/V_vg0 true")
    assert "left alone" in recovered.stdout
    assert stage.run("dmsetup table").stdout == before
    assert status(stage, "plain")["state"] == "up"
    lvmsnap(stage, "down plain")
    stage.assert_as_before()
