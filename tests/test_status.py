"""A profile's state, by what of it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap import status
from lvmsnap.identify import dm_uuid
from lvmsnap.status import State
from lvmsnap.system import Facts
from tests import samples
from tests.samples import DISK, EARLIER_BOOT, ORIGIN_UUID, TARGET, VG_UUID

SUSPENDED = samples.dm("vg0-system", dm_uuid(VG_UUID, ORIGIN_UUID), suspended=True)
INVALID = samples.vg(samples.snapshot_lv(attr="sri-I-s---"), pvs=(DISK, samples.lent_pv()))
INVALID_SUSPENDED = samples.vg(samples.snapshot_lv(attr="sri-S-s---"), pvs=(DISK, samples.lent_pv()))
MISSING = samples.vg(samples.snapshot_lv(), pvs=(DISK, samples.lent_pv(missing=True)))
UNFINISHED = samples.vg(samples.snapshot_lv(origin=""), pvs=(DISK, samples.lent_pv()))


@pytest.mark.parametrize(
    ("facts", "state", "problem"),
    [
        (samples.up_facts(), State.UP, ""),
        (samples.up_facts(INVALID), State.LOST, ""),
        (samples.up_facts(INVALID_SUSPENDED), State.LOST, ""),
        (samples.up_facts(INVALID, mounts=()), State.LOST, ""),
        (samples.up_facts(mounts=()), State.PARTIAL, "missing: mount"),
        (samples.up_facts(file=None), State.PARTIAL, "missing: backing file"),
        (samples.up_facts(file=None, loops=()), State.PARTIAL, "missing: backing file, loop device"),
        (samples.up_facts(MISSING), State.PARTIAL, "missing: lent PV"),
        (samples.up_facts(UNFINISHED), State.PARTIAL, "missing: snapshot"),
        (samples.up_facts(dm_devices=(SUSPENDED,)), State.PARTIAL, "missing: running origin"),
    ],
)
def test_the_state_of_a_profile_with_a_record(facts: Facts, state: State, problem: str) -> None:
    found = status.of_target(TARGET, facts, samples.record())

    assert (found.state, found.problem) == (state, problem)


def test_a_record_with_nothing_standing_is_partial_so_that_recover_clears_it() -> None:
    assert status.of_target(TARGET, samples.facts(), samples.record()).state is State.PARTIAL


def test_a_record_of_an_earlier_boot_is_stale_whatever_stands() -> None:
    for facts in (samples.facts(), samples.up_facts(), samples.up_facts(INVALID)):
        assert status.of_target(TARGET, facts, samples.record(EARLIER_BOOT)).state is State.STALE


def test_without_a_record_the_marks_decide() -> None:
    foreign = samples.facts(samples.vg(samples.snapshot_lv(tags=())))

    assert status.of_target(TARGET, samples.up_facts(), None).state is State.UP
    assert status.of_target(TARGET, samples.facts(), None).state is State.DOWN
    assert status.of_target(TARGET, foreign, None).state is State.FOREIGN
    assert status.of_target(TARGET, samples.facts(loops=(samples.LOOP,)), None).state is State.PARTIAL


def test_a_profile_without_file_and_mount_is_up_with_its_snapshot_alone() -> None:
    bare = samples.target(lent_pv=None, mount=None)

    found = status.of_target(bare, samples.facts(samples.vg(samples.snapshot_lv())), None)

    assert (found.state, found.device, found.mountpoint) == (State.UP, f"/dev/vg0/{samples.SNAPSHOT}", "")


def test_a_status_tells_size_fill_place_and_time() -> None:
    found = status.of_target(TARGET, samples.up_facts(), samples.record())

    assert found.snapshot == f"vg0/{samples.SNAPSHOT}"
    assert (found.size_bytes, found.fill_percent) == (64 * 1024**2, 1.5)
    assert (found.mountpoint, found.time) == (samples.MOUNTPOINT, samples.TIME)


def test_a_mountpoint_with_something_else_on_it_is_not_told_as_ours() -> None:
    other = replace(samples.mounted(), device_number="8:1")

    assert status.of_target(TARGET, samples.up_facts(mounts=(other,)), samples.record()).mountpoint == ""


def test_every_state_has_its_meaning() -> None:
    assert set(status.MEANING) == set(State)
