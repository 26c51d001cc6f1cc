"""Which snapshots lead the writes to a backing file back to the origin, and which are named to be taken down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import Copy
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.planning import rings
from tests import samples
from tests.samples import DIRECTORY, FILE, HOST, ORIGIN_UUID, TARGET, VG_UUID

# What the file lies on, what may lie between, and the origin's device -real.
STORE, MIDDLE, ORIGIN = "254:20", "254:40", "254:0"
DISK, OTHER_DISK = "8:0", "8:16"
NUMBERS = {"a": "254:31", "b": "254:32", "c": "254:33", "own": "254:34"}


def snapshot(name: str, of: str, *beneath: str) -> Copy:
    return Copy(of, NUMBERS[name], (NUMBERS[name], *beneath))


def check(*copies: Copy, own: tuple[str, ...] = (STORE, DISK)) -> Check:
    """Return the check of a file that lies on devices `own`, of which there are these snapshots."""
    devices = tuple(dict.fromkeys((*own, *(number for copy in copies for number in copy.beneath))))
    directory = replace(DIRECTORY, block_devices=devices, own_devices=own, copies=copies)
    return rings.check(FILE, directory, TARGET, system())


def system() -> Facts:
    """Return a system whose origin has a layer -real, and snapshots a, b and c in the group; c is of a profile."""
    real = replace(samples.dm("vg0-system-real", f"{dm_uuid(VG_UUID, ORIGIN_UUID)}-real"), device_number=ORIGIN)
    cows = [(name, f"{dm_uuid(VG_UUID, name)}-cow", number) for name, number in NUMBERS.items()]
    devices = [replace(samples.dm(f"vg0-{name}-cow", uuid), device_number=number) for name, uuid, number in cows]
    tags = {"c": (f"lvmsnap2.{HOST}.weekly",)}
    lvs = [samples.lv(name, uuid=name, tags=tags.get(name, ())) for name in NUMBERS]
    return samples.facts(samples.vg(*lvs), dm_devices=(real, *devices))


def test_a_file_on_the_origin_itself_is_refused_whatever_snapshots_there_are() -> None:
    found = check(snapshot("own", ORIGIN, DISK), snapshot("a", STORE, ORIGIN), own=(STORE, ORIGIN, DISK))

    assert (found.passed, found.found) == (False, "vg0-system-real")
    assert found.hint == rings.HINT


def test_snapshots_whose_space_does_not_lead_to_the_origin_are_no_ring_though_it_is_on_the_same_disk() -> None:
    assert check(snapshot("a", STORE, DISK, OTHER_DISK)).passed


@pytest.mark.parametrize(
    ("copies", "by_way_of", "down"),
    [
        ((snapshot("c", STORE, ORIGIN),), "vg0/c (profile weekly)", "vg0/c (profile weekly)"),
        ((snapshot("a", STORE, ORIGIN), snapshot("b", STORE, OTHER_DISK)), "vg0/a", "vg0/a"),
        ((snapshot("a", STORE, ORIGIN), snapshot("own", ORIGIN, OTHER_DISK)), "vg0/a", "vg0/a"),
        ((snapshot("a", STORE, ORIGIN), snapshot("b", STORE, ORIGIN)), "vg0/a, vg0/b", "vg0/a and vg0/b"),
        ((snapshot("a", STORE, MIDDLE), snapshot("b", MIDDLE, ORIGIN)), "vg0/a, vg0/b", "one of vg0/a and vg0/b"),
        (
            (snapshot("a", STORE, MIDDLE), snapshot("b", STORE, MIDDLE), snapshot("c", MIDDLE, ORIGIN)),
            *("vg0/a, vg0/b, vg0/c (profile weekly)", "vg0/c (profile weekly)"),
        ),
        (
            (snapshot("a", STORE, ORIGIN), snapshot("b", STORE, MIDDLE), snapshot("c", MIDDLE, ORIGIN)),
            *("vg0/a, vg0/b, vg0/c (profile weekly)", "vg0/a and vg0/b"),
        ),
    ],
    ids=[
        *("one", "another elsewhere", "the origin's own", "two beside each other", "one after the other"),
        *("two that meet", "a short and a long way"),
    ],
)
def test_only_snapshots_that_lead_to_the_origin_are_named_and_no_more_of_them_than_are_to_go(
    copies: tuple[Copy, ...], by_way_of: str, down: str
) -> None:
    found = check(*copies)

    assert (found.passed, found.found) == (False, f"vg0-system-real, by way of {by_way_of}")
    assert found.hint == f"{rings.HINT}; or take {down} down first"
