"""dmeventd and snapshots: it never watches ours, and goes on watching everybody else's."""

from __future__ import annotations

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

WATCHED = "lvs --noheadings -o lv_name,seg_monitor --separator = -S 'origin=system'"


def watched(lab: Machine) -> dict[str, bool]:
    """Return whether dmeventd watches each snapshot of vg0/system."""
    lines = lab.run(WATCHED).stdout.split("\n")
    return {name.strip(): state == "monitored" for name, _, state in (line.partition("=") for line in lines) if state}


def test_others_snapshots_of_the_origin_stay_watched_and_ours_never_are(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M"})
    lab.run("lvcreate -q -y -s -L 16M -n other vg0/system")
    for name in ("a", "b"):
        write_profile(lab, name, profile_text(snapshot=name, size="16MiB", mountpoint=None))

    lvmsnap(lab, "up a")
    lvmsnap(lab, "up b")
    assert watched(lab) == {"other": True, "a": False, "b": False}

    lvmsnap(lab, "down a")
    assert watched(lab) == {"other": True, "b": False}

    lvmsnap(lab, "down b")
    assert watched(lab) == {"other": True}
