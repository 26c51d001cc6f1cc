"""lvmsnap is killed at every moment of `up` and `down`; `recover` puts right what that left. And the page's count."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from tests.lab import moments, moments_table
from tests.lab.faults import FOLDERS, Fault, Stage, standing
from tests.lab.helpers import fingerprint
from tests.lab.looking import exists
from tests.lab.machine import Machine
from tests.lab.moments import JOURNAL, KILLS, Moment
from tests.lab.support import lvmsnap

# $PPID of a command is lvmsnap. A body that does not exit goes on to the true command.
BODIES = {"before": "kill -KILL $PPID; exit 1", "as it starts": "kill -KILL $PPID"}
KILLED = 128 + 9
# Mount, its directory, snapshot; lent PV as a PV and as a member, loop device, backing file.
EVERYTHING = {"lent": 7, "plain": 3}


@dataclass
class DataStage(Stage):
    """The stage with files on its origin, whose checksums are known."""

    sums: str = ""

    def prepare(self) -> None:
        """Build it where it does not stand as before."""
        stood = self.is_clean
        super().prepare()
        if not (stood and exists(self.machine, JOURNAL)):
            self.sums = moments.add_data(self.machine)
            assert moments.check_origin(self.machine, self.sums, "") == ""
            self.before = fingerprint(self.machine, FOLDERS)


@pytest.fixture(scope="module")
def shared_stage(shared_machine: Machine) -> DataStage:
    if not shared_machine.is_running():
        shared_machine.boot()
    return DataStage(shared_machine)


@pytest.fixture
def stage(shared_stage: DataStage) -> DataStage:
    shared_stage.prepare()
    return shared_stage


def assert_whole_or_gone(stage: Stage, profile: str) -> None:
    """What recover leaves alone is whole, and says so."""
    there = standing(stage.machine)
    (status,) = json.loads(lvmsnap(stage.machine, f"status {profile} --json").stdout)
    assert (len(there), status["state"]) in ((0, "down"), (EVERYTHING[profile], "up")), there


@pytest.mark.lab
@pytest.mark.parametrize("moment", KILLS, ids=str)
def test_recover_puts_right_what_a_killed_lvmsnap_left(stage: DataStage, moment: Moment) -> None:
    profile = moment.walk.split()[1]
    if moment.walk.startswith("down"):
        lvmsnap(stage.machine, f"up {profile}")

    stage.run(moment.walk, KILLED, Fault(moment.command, BODIES[moment.when]))
    start = time.monotonic()
    lvmsnap(stage.machine, "recover")
    seconds = time.monotonic() - start

    assert_whole_or_gone(stage, profile)
    lvmsnap(stage.machine, f"down {profile}")
    wrong, there = moments.check_origin(stage.machine, stage.sums, ""), standing(stage.machine)
    moments_table.note(moments_table.Outcome(str(moment), "killed", True, not there, not wrong, seconds))
    assert not wrong
    stage.assert_as_before()


def test_the_page_on_reliability_counts_the_moments_that_are_tested() -> None:
    told = moments_table.counts(moments_table.PAGE.read_text())
    cuts, kills = told["power cut"], told["killed"]
    assert cuts in [(len(listed),) * 3 for listed in (moments.SOME_CUTS, moments.EVERY_CUT)]
    assert kills == (len(KILLS),) * 3
