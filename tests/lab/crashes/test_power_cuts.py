"""The power fails at every moment of `up` and `down`; the machine boots, and everything is as before `up`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab import moments, moments_table
from tests.lab.machine import Machine
from tests.lab.moments import DISKS, EVERY_CUT, Moment, Recorder
from tests.lab.support import lvmsnap

pytestmark = pytest.mark.lab


@dataclass
class Booted:
    """The machine that boots again and again, and how it looks when nothing ever happened."""

    machine: Machine
    before: str


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    with Machine(DISKS) as machine:
        made = Recorder(machine, tmp_path_factory.mktemp("cuts"))
        made.build()
        yield made


@pytest.fixture(scope="module")
def booted(recorder: Recorder) -> Iterator[Booted]:
    with Machine(DISKS) as machine:
        moments.install(machine)
        moments.boot_from(machine, recorder.template)
        yield Booted(machine, moments.look(machine))


@pytest.mark.parametrize("moment", EVERY_CUT, ids=str)
def test_a_power_cut_leaves_nothing_behind_once_the_machine_has_booted(
    recorder: Recorder, booted: Booted, moment: Moment
) -> None:
    machine, cut = booted.machine, recorder.cut(moment)

    seconds = moments.boot_from(machine, cut)
    left = after_boot = moments.look(machine)
    if after_boot != booted.before:
        lvmsnap(machine, "recover")
        left = moments.look(machine)

    wrong = moments.check_origin(machine, recorder.sums, cut.journal)
    by_itself, clean = after_boot == booted.before, left == booted.before
    moments_table.note(moments_table.Outcome(str(moment), "power cut", by_itself, clean, not wrong, seconds))
    assert not wrong
    assert left == booted.before
