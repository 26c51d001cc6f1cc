"""lvmsnap is killed at every moment of `up` and `down`; `recover` puts right what that left. And the page's count."""

from __future__ import annotations

import time

import pytest

from tests.lab import moments, moments_table
from tests.lab.faults import FIND_LVMSNAP, FIRED, Fault, standing
from tests.lab.moments import KILLS, Moment
from tests.lab.stage import Stage
from tests.lab.support import lvmsnap, status

# A body that does not exit goes on to the true command.
KILL = f"{FIND_LVMSNAP}; kill -KILL $p"
BODIES = {"before": f"{KILL}; exit 1", "as it starts": KILL}
KILLED = 128 + 9
# Mount, its directory, snapshot; lent PV as a PV and as a member, loop device, backing file.
EVERYTHING = {"lent": 7, "plain": 3, "set": 8}
SCENE = moments.scene()


def fault(moment: Moment) -> Fault:
    """Give the fault that kills lvmsnap at the moment: at a command's first call of that kind, or at its second."""
    name, _, second = moment.command.partition(" ")
    kind = {"lvm": "/dev/fd/0", "dmsetup": "suspend"}.get(name, "")
    number = f'[ "$(grep -c "^{name} " {FIRED})" = {second or 1} ] || {{ real "$@"; exit; }}'
    return Fault(name, f"{number}\n{BODIES[moment.when]}", kind)


def assert_whole_or_gone(stage: Stage, profile: str) -> None:
    """What recover leaves alone is whole, and says so."""
    there = standing(stage)
    assert (len(there), status(stage, profile)["state"]) in ((0, "down"), (EVERYTHING[profile], "up")), there


@pytest.mark.lab
@pytest.mark.parametrize("moment", KILLS, ids=str)
def test_recover_puts_right_what_a_killed_lvmsnap_left(stage: Stage, moment: Moment) -> None:
    profile = moment.walk.split()[1]
    if moment.walk.startswith("down"):
        lvmsnap(stage, f"up {profile}")

    stage.lvmsnap(moment.walk, KILLED, fault(moment))
    start = time.monotonic()
    lvmsnap(stage, "recover")
    seconds = time.monotonic() - start

    assert_whole_or_gone(stage, profile)
    lvmsnap(stage, f"down {profile}")
    wrong, there = moments.check_origin(stage, stage.said, ""), standing(stage)
    moments_table.note(moments_table.Outcome(str(moment), "killed", True, not there, not wrong, seconds))
    assert not wrong
    stage.assert_as_before()


def test_the_page_on_reliability_counts_the_moments_that_are_tested() -> None:
    told = moments_table.counts(moments_table.PAGE.read_text())
    cuts, kills = told["power cut"], told["killed"]
    assert cuts in [(len(listed),) * 3 for listed in (moments.SOME_CUTS, moments.EVERY_CUT)]
    assert kills == (len(KILLS),) * 3
