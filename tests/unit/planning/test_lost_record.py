"""What the system's own marks tell where the record is lost."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lvmsnap.model import lvm_names
from lvmsnap.planning import lost_record, planner, state
from lvmsnap.planning.state import State
from tests import samples
from tests.samples import DISK, FILE, FILE_FACTS, HOST, LOOP, OTHER_HOST, PV_UUID


def test_a_pv_uuid_has_lvms_form_and_names_host_and_profile() -> None:
    uuid = lost_record.pv_uuid("nightly", HOST, "0123456789abcd")

    assert re.fullmatch(r"lvmsn2-[0-9a-f]{4}(-[0-9a-f]{4}){4}-[0-9a-f]{6}", uuid)
    assert uuid == "lvmsn2-0a1b-2c3d-2a3b-62b5-0123-456789"
    assert uuid.startswith(lost_record.pv_uuid_prefix("nightly", HOST))
    assert not uuid.startswith(lost_record.pv_uuid_prefix("weekly", HOST))
    assert not uuid.startswith(lost_record.pv_uuid_prefix("nightly", OTHER_HOST))


def test_tagged_names_are_those_of_our_tags_alone() -> None:
    ours, theirs = f"lvmsnap2.{HOST}.", f"lvmsnap2.{OTHER_HOST}."
    no_names = tuple(ours + name for name in ("../../evil", "", "lock", "A"))
    tags = ((f"{ours}b", "x"), (f"{ours}a", "lvmsnapper"), (f"{theirs}c",), ("lvmsnap.d",), no_names)
    facts = samples.facts(samples.vg(*(samples.lv(str(number), tags=each) for number, each in enumerate(tags))))

    assert lost_record.tagged_names(facts, HOST) == ("a", "b")
    assert lost_record.tagged_names(facts, OTHER_HOST) == ("c",)
    assert lost_record.tagged_names(facts, "") == ("d",)


def test_a_lent_pv_that_another_profiles_record_names_is_not_this_ones() -> None:
    facts = samples.facts(samples.vg(pvs=(DISK, samples.lent_pv())))

    assert lost_record.target_from_marks("nightly", None, facts, HOST) is not None
    assert lost_record.target_from_marks("nightly", None, facts, HOST, claimed={PV_UUID}) is None


def test_names_whose_hashes_begin_alike_have_pvs_of_their_own() -> None:
    # The first four hex digits of their SHA-256 are the same.
    assert not lost_record.pv_uuid("web", HOST, "0" * 10).startswith(lost_record.pv_uuid_prefix("backup-web", HOST))


def test_a_clean_system_tells_of_nothing() -> None:
    assert lost_record.target_from_marks("nightly", samples.with_file(), samples.facts(), HOST) is None
    assert lost_record.tagged_names(samples.facts(), HOST) == ()


def test_everything_that_is_up_is_known_again_without_record_and_profile() -> None:
    target = lost_record.target_from_marks("nightly", None, samples.up_facts(), HOST)

    assert target is not None
    first = samples.first(target)
    assert (
        first.vg,
        first.vg_uuid,
        first.origin,
        first.snapshot,
    ) == (*("vg0", samples.VG_UUID, "system", samples.SNAPSHOT),)
    assert (
        first.lent_pv.path,
        first.lent_pv.pv_uuid,
        first.lent_pv.inode,
    ) == (FILE, PV_UUID, FILE_FACTS.inode)
    assert first.mount.mountpoint == samples.MOUNTPOINT
    assert first.mount.remove_directory
    assert state.of_target(target, samples.up_facts(), None).state is State.UP


def test_a_snapshot_with_our_tag_is_ours_though_its_origin_was_renamed_or_the_profile_edited() -> None:
    renamed = replace(samples.ORIGIN, name="sysnew")
    group = replace(samples.vg(), lvs=(renamed, samples.snapshot_lv(origin="sysnew")))

    target = lost_record.target_from_marks("nightly", samples.with_file(), samples.facts(group), HOST)

    assert target is not None
    first = samples.first(target)
    assert (first.origin, first.origin_uuid, first.snapshot) == (
        "sysnew",
        samples.ORIGIN_UUID,
        samples.SNAPSHOT,
    )
    assert state.of_target(target, samples.facts(group), None).state is State.PARTIAL
    assert lost_record.target_from_marks("nightly", samples.with_file(), samples.facts(group), OTHER_HOST) is None


def test_all_snapshots_with_the_profiles_tag_are_found_its_own_first() -> None:
    tags = (lvm_names.snapshot_tag("nightly", HOST),)
    odd = samples.lv("odd", tags=tags, segment_types=("raid1",))
    old = samples.lv("data-lvmsnap-nightly", tags=tags, origin="data", uuid="one")
    here = samples.snapshot_lv()
    far = replace(samples.vg(uuid="far"), name="vg1", lvs=(replace(old, vg="vg1"),))
    facts = replace(samples.facts(samples.vg(odd, old, here)), vgs=(far, samples.vg(odd, old, here)))

    target = lost_record.target_from_marks("nightly", samples.with_file(), facts, HOST)

    assert target is not None
    assert [one.path for one in target.snapshots] == [
        *(f"vg0/{samples.SNAPSHOT}", "vg1/data-lvmsnap-nightly", "vg0/data-lvmsnap-nightly"),
    ]
    rest = lost_record.target_from_marks("nightly", samples.with_file(), lost_record.without(facts, target), HOST)
    assert [one.path for one in rest.snapshots] == ["vg0/odd"] if rest else False


def test_a_pv_that_was_lent_to_another_group_than_the_snapshots_is_found_with_it() -> None:
    other = replace(samples.vg(uuid="far"), name="vg1", lvs=(), pvs=(samples.lent_pv(vg="vg1"),))
    facts = replace(samples.facts(), vgs=(samples.vg(samples.snapshot_lv()), other))

    target = lost_record.target_from_marks("nightly", samples.with_file(), facts, HOST)

    assert target is not None
    assert [one.path for one in target.snapshots] == [f"vg0/{samples.SNAPSHOT}"]
    assert [(loan.vg, loan.pv_uuid) for loan in target.loans] == [("vg1", PV_UUID)]
    assert lost_record.without(facts, target).vg("vg1") == replace(other, pvs=())


def test_a_loop_over_a_deleted_file_still_tells_its_path() -> None:
    facts = samples.up_facts(loops=(replace(LOOP, file_path=f"{FILE} (deleted)"),))

    target = lost_record.target_from_marks("nightly", None, facts, HOST)

    assert target is not None
    first = samples.first(target)
    assert first.lent_pv.path == FILE


def test_where_the_lent_pv_is_missing_the_profile_tells_the_path_of_its_file() -> None:
    group = samples.vg(pvs=(DISK, samples.lent_pv(device="[unknown]", missing=True)))

    target = lost_record.target_from_marks("nightly", samples.with_file(), samples.facts(group), HOST)

    assert target is not None
    first = samples.first(target)
    assert (first.lent_pv.path, first.lent_pv.inode) == (FILE, 0)
    assert first.snapshot == samples.SNAPSHOT


def test_a_mountpoint_that_lvmsnap_cannot_have_made_is_left_there() -> None:
    facts = samples.up_facts(mounts=(samples.mounted("/media/snapshot"),))

    target = lost_record.target_from_marks("nightly", None, facts, HOST)

    assert target is not None
    first = samples.first(target)
    assert first.mount.mountpoint == "/media/snapshot"
    assert not first.mount.remove_directory


def test_another_profiles_pv_and_snapshot_are_not_taken_for_ours() -> None:
    facts = samples.up_facts()

    assert lost_record.target_from_marks("weekly", None, facts, HOST) is None
    assert lost_record.target_from_marks("night", None, facts, HOST) is None


def test_a_lent_pv_that_no_profile_claims_gets_a_target_of_its_own() -> None:
    facts = samples.up_facts()

    assert lost_record.unclaimed_targets(facts, {PV_UUID}, HOST) == ()
    (target,) = lost_record.unclaimed_targets(facts, set(), HOST)
    first = samples.first(target)
    assert first.lent_pv.pv_uuid == PV_UUID
    assert first.vg == "vg0"


def test_a_file_that_has_our_label_is_known_when_all_else_is_gone() -> None:
    profile = samples.with_file()

    target = lost_record.target_from_files(profile, samples.facts(), {FILE: samples.FILE_FACTS}, HOST)

    assert target is not None
    first = samples.first(target)
    assert (first.lent_pv.path, first.lent_pv.pv_uuid) == (
        samples.FILE,
        samples.PV_UUID,
    )
    plan = planner.plan_down(target, samples.facts(file=samples.FILE_FACTS), None)
    assert [action.undo for action in plan.actions] == [(("rm", "--", samples.FILE),)]


@pytest.mark.parametrize(
    "pv_uuid",
    [
        "",
        "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg",
        "lvmsn2-0a1b-2c3d-0000-aaaa-bbbb-cccccc",
        "lvmsn2-4e5f-6071-2a3b-62b5-bbbb-cccccc",
        samples.OLD_PV_UUID,
    ],
)
def test_a_file_without_our_label_is_nobodys_mark(pv_uuid: str) -> None:
    file = replace(samples.FILE_FACTS, pv_uuid=pv_uuid)

    assert lost_record.target_from_files(samples.with_file(), samples.facts(), {FILE: file}, HOST) is None
