"""What of an earlier time may be taken down, and what only looks as if it might."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.execution import records
from lvmsnap.model.errors import RefusedError
from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import history
from tests import samples
from tests.samples import BOOT, DISK, EARLIER_BOOT, ORIGIN

INACTIVE = {"attr": "swi-------", "device_number": ""}
INACTIVE_ORIGIN = replace(ORIGIN, attr="owi-------", device_number="")
# LVM brings an origin up with all its snapshots: with one active both are.
ACTIVE_ORIGIN = replace(ORIGIN, attr="owi-aos---")
PLAIN = samples.target(lent_pv=None)


@pytest.fixture(autouse=True)
def no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "names", lambda: ())


def group(*, origin: LogicalVolume = INACTIVE_ORIGIN, **fields: Any) -> Facts:
    made = samples.vg(samples.snapshot_lv(**INACTIVE), **fields)
    return samples.facts(replace(made, lvs=(origin, *(lv for lv in made.lvs if lv.name != ORIGIN.name))))


@pytest.mark.parametrize("written", [samples.record(EARLIER_BOOT), None], ids=["earlier boot", "no record"])
def test_a_snapshot_whose_origin_this_boot_never_activated_may_be_in_use_elsewhere(written: Record | None) -> None:
    with pytest.raises(RefusedError, match="vg0/system has not been active on this host since it booted"):
        history.refuse_inactive(PLAIN, written, group())


@pytest.mark.parametrize(
    ("boot_id", "system"),
    [
        (BOOT, group()),
        (EARLIER_BOOT, group(origin=ACTIVE_ORIGIN)),
        (EARLIER_BOOT, group(missing_pv_count=1)),
        (EARLIER_BOOT, samples.facts()),
    ],
    ids=["deactivated in this boot", "active here", "no host can activate it", "no snapshot"],
)
def test_what_only_this_host_can_have_in_use_may_be_taken_down(boot_id: str, system: Facts) -> None:
    history.refuse_inactive(PLAIN, samples.record(boot_id), system)


@pytest.mark.parametrize(
    ("target", "held"), [(PLAIN, "the snapshot"), (samples.TARGET, "our PV")], ids=["plain", "with a lent PV"]
)
def test_what_is_in_a_group_that_is_not_to_be_seen_is_not_forgotten(target: Target, held: str) -> None:
    elsewhere = samples.facts(samples.vg(uuid="another", pvs=(DISK,)))

    with pytest.raises(RefusedError, match=f"may still hold {held}"):
        history.refuse_unsafe(target, elsewhere)
