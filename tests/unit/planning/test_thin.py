"""A thin snapshot: made where the origin lies in a pool and no size is given; what of it is checked, found and lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.model.facts import LogicalVolume
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Action, Check, Plan, Thing
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import PoolSpace
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import lost_record, offline, planner, pools, state
from lvmsnap.planning.identify import find
from lvmsnap.planning.left_alone import other_snapshots
from lvmsnap.planning.state import State
from lvmsnap.planning.volume_state import Past
from tests import samples
from tests.samples import PV_UUID, SNAPSHOT_UUID, VG_UUID

UUID = dm_uuid(VG_UUID, SNAPSHOT_UUID)
THIN = samples.thin_target(dm_uuid=UUID)


def of(volume: str = "", more: str = "") -> Profile:
    return samples.profile(f"volumes:\n  - origin: vg0/system\n    {volume}\n{more}")


def planned(profile: Profile | None = None, **pool: Any) -> Plan:
    profile = profile or of()
    return planner.plan_up(profile, samples.facts(samples.thin_vg(pool=pool)), (PV_UUID,) * len(profile.backing_files))


def taking(plan: Plan) -> Action:
    return next(action for action in plan.actions if action.thing is Thing.SNAPSHOT)


def failed(plan: Plan) -> list[str]:
    return [check.sentence for check in plan.checks if not check.passed]


def warned(plan: Plan) -> list[Check]:
    return [check for check in plan.checks if check.warning]


# --- what is made -----------------------------------------------------------------------------------------------------


def test_an_origin_in_a_pool_gets_a_thin_snapshot_where_no_size_is_given() -> None:
    plan = planned()

    assert plan.target is not None
    assert plan.target.snapshots[0].cow == PoolSpace("pool")
    assert " ".join(taking(plan).do[0]).endswith(
        f"--setactivationskip y --ignoreactivationskip --ignoremonitoring --addtag {THIN.tag} vg0/system"
    )
    assert "--extents" not in taking(plan).do[0]
    assert failed(plan) == []
    said = {fact.name: fact.value for fact in plan.facts}["snapshot"]
    assert said == "thin; pool vg0/pool: 10 GiB, 20 % used, 3 % of its metadata; its volumes total 10 GiB"


@pytest.mark.parametrize(("size", "extents"), [("64MiB", 16), ("50%FREE", 1000), ("1%ORIGIN", 37)])
def test_with_a_size_it_gets_a_space_of_its_own(size: str, extents: int) -> None:
    plan = planned(of(f"size: {size}"))

    assert plan.target is not None
    own = plan.target.snapshots[0].own_space
    assert own is not None
    assert own.extents == extents
    assert "--extents" in taking(plan).do[0]


def test_an_origin_in_no_pool_gets_4_gib_where_no_size_is_given() -> None:
    plan = planner.plan_up(of(), samples.facts(), ())

    assert {fact.name: fact.value for fact in plan.facts}["snapshot"] == "4 GiB for changes (1024 extents)"


def test_a_thin_snapshot_needs_no_room_in_the_group_and_no_dm_snapshot() -> None:
    full = replace(samples.thin_vg(), free_extents=0, pvs=(replace(samples.DISK, allocated_extents=5000),))

    plan = planner.plan_up(of(), samples.facts(full, snapshot_target=False), ())

    assert failed(plan) == []


def test_no_boot_can_take_a_thin_snapshot_for_its_origin() -> None:
    at_boot = {"origin_tags": ("UUID=1",), "boot_tags": ("UUID=1",)}

    assert warned(planner.plan_up(of(), samples.facts(samples.thin_vg(), **at_boot), ())) == []
    assert warned(planner.plan_up(of("size: 64MiB"), samples.facts(samples.thin_vg(), **at_boot), ())) != []


def test_an_offline_plan_says_that_the_kind_depends_on_the_origin() -> None:
    told = {fact.name: fact.value for fact in offline.plan(of()).facts}

    assert "thin snapshot" in told["depends on the origin"]
    assert "depends on the origin" not in {fact.name for fact in offline.plan(of("size: 4GiB")).facts}


# --- checks -----------------------------------------------------------------------------------------------------------


def test_what_makes_no_sense_in_a_pool_is_refused_and_names_size_as_the_way_out() -> None:
    plan = planned(of("chunk_size: 64KiB", f"backing_file: {{path: {samples.FILE}}}\n"))

    assert [line.partition(":")[0] for line in failed(plan)] == [
        "a file lends space beside vg0/pool",
        "chunk_size is given for the snapshot of vg0/system",
    ]
    assert all("give `size`" in check.hint for check in plan.checks if not check.passed)


def test_a_pool_in_which_lvm_makes_no_more_volumes_is_refused() -> None:
    def full(percent: float) -> list[str]:
        group = samples.thin_vg(pool={"data_percent": percent})
        return failed(planner.plan_up(of(), samples.facts(group, autoextend_percent=60), ()))

    assert full(60.0) == []
    assert full(60.4) == [
        "thin pool vg0/pool accepts no new volumes: 60 % of its data used, more than "
        "thin_pool_autoextend_threshold in lvm.conf, 60 %"
    ]


def test_among_several_volumes_it_is_refused_unless_each_may_be_of_an_instant_of_its_own() -> None:
    def of_two(volume: str = "", more: str = "") -> list[str]:
        text = f"volumes:\n  - origin: vg0/system\n    {volume}\n  - {{origin: vg0/home, size: 64MiB}}\n{more}"
        plan = planner.plan_up(samples.profile(text), samples.facts(samples.thin_vg(samples.lv("home"))), ())
        return [line for line in failed(plan) if "same instant" in line]

    (found,) = of_two()

    assert found.startswith(
        "the snapshot of vg0/system cannot be taken at the same instant as the others: thin snapshots of several"
    )
    assert of_two("size: 64MiB") == of_two(more="consistent: false\n") == []


@pytest.mark.parametrize(
    ("attr", "said"),
    [
        ("twi-aotzD-", "it has no space left for data"),
        ("twi-aotzM-", "its metadata is full or damaged"),
        ("twi-aotzF-", "it failed"),
        ("twi-cotz--", "its metadata must be checked"),
        ("twi-CotzM-", "its metadata is full or damaged"),
    ],
)
def test_a_pool_that_takes_no_writes_is_refused(attr: str, said: str) -> None:
    (found,) = failed(planned(attr=attr))

    assert found.startswith(f"thin pool vg0/pool is not writable: {said}")


@pytest.mark.parametrize(
    ("pool", "part"),
    [({"data_percent": 70.0}, "70 % of its data"), ({"metadata_percent": 71.2}, "71 % of its metadata")],
)
def test_a_pool_as_full_as_warn_at_is_warned_of_by_the_fuller_of_its_two(pool: dict[str, Any], part: str) -> None:
    (warning,) = warned(planned(**pool))

    assert warning.found.startswith(part)
    assert warned(planned(of("", "overflow: {warn_at: 75%}\n"), **pool)) == []


def test_beside_a_snapshot_with_a_space_of_its_own_it_is_refused_and_beside_thin_ones_not() -> None:
    theirs = {"name": "theirs", "tags": (), "uuid": samples.OTHER_UUID}

    def beside(lv: LogicalVolume, volume: str = "") -> list[str]:
        return failed(planner.plan_up(of(volume), samples.facts(samples.thin_vg(lv)), ()))

    (found,) = beside(samples.snapshot_lv(**theirs))

    assert found.startswith("vg0/system has a snapshot that is not thin: vg0/theirs has its own CoW space")
    assert beside(samples.snapshot_lv(**theirs), "size: 64MiB") == beside(samples.thin_lv(**theirs)) == []


def test_what_the_pool_has_promised_is_reported() -> None:
    group = samples.thin_vg(samples.thin_lv(name="a", tags=()), samples.thin_lv(name="b", tags=(), pool="pool2"))
    pool = group.lv("pool")

    assert pool is not None
    assert "its volumes total 20 GiB, " not in pools.describe(pool, group)
    assert pools.describe(pool, group).endswith("its volumes total 20 GiB")


# --- what is found ----------------------------------------------------------------------------------------------------


def one(*lvs: LogicalVolume) -> Any:
    return find(THIN, samples.thin_facts(*lvs), samples.record()).snapshots[0]


def test_it_is_found_by_tag_and_origin_as_every_snapshot_is() -> None:
    assert one().lv == samples.thin_lv()
    assert one(samples.thin_lv(tags=())).lv is None
    assert one(samples.thin_lv(origin="other", uuid=samples.OTHER_UUID)).lv is None


def test_it_is_ours_once_its_origin_was_removed_by_its_uuid_or_its_name() -> None:
    assert one(samples.thin_lv(origin="", name="other")).lv is not None
    assert one(samples.thin_lv(origin="", uuid=samples.OTHER_UUID)).lv is not None
    assert one(samples.thin_lv(origin="", name="other", uuid=samples.OTHER_UUID)).lv is None


def test_thin_snapshots_do_not_stand_between_an_origin_and_its_real_device() -> None:
    real = samples.dm("vg0-system-real", dm_uuid(VG_UUID, samples.ORIGIN_UUID) + "-real")
    theirs = samples.thin_lv(name="theirs", tags=(), uuid=samples.OTHER_UUID)
    own = replace(samples.target(lent_pv=None), name="nightly")

    found = find(own, samples.facts(samples.thin_vg(theirs), dm_devices=(real,))).snapshots[0]

    assert not found.origin_has_snapshots
    assert found.leftovers == ("vg0-system-real",)


def test_what_dmeventd_watches_of_a_pool_stays_watched() -> None:
    weekly = {"tags": (f"lvmsnap2.{samples.HOST}.weekly",), "uuid": samples.OTHER_UUID}
    thin = samples.thin_lv(name="thin", **weekly)
    own = samples.snapshot_lv(name="own", **weekly)

    at_cow = find(samples.target(lent_pv=None), samples.facts(samples.thin_vg(samples.snapshot_lv(), thin, own)))
    at_thin = find(THIN, samples.facts(samples.thin_vg(samples.thin_lv(), thin, own)))

    assert other_snapshots(THIN, at_cow.snapshots[0]) == ("vg0/own",)
    assert other_snapshots(THIN, at_thin.snapshots[0]) == ()


def test_it_is_removed_by_uuid_tag_and_origin() -> None:
    plan = planner.plan_down(THIN, samples.thin_facts(), samples.record())

    (undo,) = next(action.undo for action in plan.actions if action.thing is Thing.SNAPSHOT)
    assert undo[-2] == f"lv_uuid={SNAPSHOT_UUID} && lv_tags={THIN.tag} && origin=system"


def test_where_the_record_is_lost_its_mark_tells_of_it() -> None:
    target = lost_record.target_from_marks("nightly", of(), samples.thin_facts(), samples.HOST)

    assert target is not None
    assert [(snapshot.name, snapshot.cow) for snapshot in target.snapshots] == [(samples.SNAPSHOT, None)]


# --- its state --------------------------------------------------------------------------------------------------------


def state_of(*lvs: LogicalVolume, pool: dict[str, Any] | None = None) -> state.Status:
    record = replace(samples.record(), target=THIN)
    return state.of_target(THIN, samples.thin_facts(*lvs, pool=pool), record, Past(up_seconds=100.0))


def test_its_status_tells_of_the_fuller_part_of_its_pool() -> None:
    data, metadata = state_of(), state_of(pool={"metadata_percent": 30.0})

    assert (data.state, data.pool, data.size_bytes, data.fill_percent) == (State.UP, "vg0/pool", 10 * GIB, 20.0)
    assert (metadata.size_bytes, metadata.fill_percent) == (12 * MIB, 30.0)
    # How much of the pool was used when it was taken is not known.
    assert data.rate_bytes_per_second is None


@pytest.mark.parametrize("attr", ["twi-aotzD-", "twi-aotzM-", "twi-aotzF-", "twi-cotz--"])
def test_it_is_lost_once_its_pool_takes_no_writes(attr: str) -> None:
    found = state_of(pool={"attr": attr})

    assert (found.state, found.problem) == (State.LOST, state.POOL_FAILED)


def test_it_is_lost_once_it_failed_itself() -> None:
    assert state_of(samples.thin_lv(attr="Vwi-aotzFk")).state is State.LOST


def test_one_that_is_inactive_shows_nothing() -> None:
    found = state_of(samples.thin_lv(attr="Vwi---tz-k", device_number=""))

    assert (found.state, found.problem) == (State.PARTIAL, "missing: snapshot, mount")


def test_one_whose_origin_was_removed_is_up() -> None:
    assert state_of(samples.thin_lv(origin="")).state is State.UP
