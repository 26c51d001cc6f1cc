"""What is ours and what is not: every distinction between a thing lvmsnap made and one that looks like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import MountpointFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Thing
from lvmsnap.model.target import Record, Target
from lvmsnap.planning import identify, planner
from lvmsnap.planning.left_alone import left_alone
from lvmsnap.planning.lent_pvs import own_pvs
from tests import samples
from tests.samples import DISK, EARLIER_BOOT, FILE_FACTS, LOOP, ORIGIN_UUID, PV_UUID, SNAPSHOT_UUID, TARGET, VG_UUID

ORIGIN_DM = dm_uuid(VG_UUID, ORIGIN_UUID)
SNAPSHOT_DM = dm_uuid(VG_UUID, SNAPSHOT_UUID)


def find(target: Target, facts: Facts, record: Record | None = None) -> Any:
    """Find the target's one snapshot and its loan."""
    return samples.first(identify.find(target, facts, record))


def test_everything_of_a_profile_that_is_up_is_found() -> None:
    found = find(TARGET, samples.up_facts(), samples.record())

    assert found.file == FILE_FACTS
    assert found.loop == LOOP
    assert found.pv == samples.lent_pv()
    assert found.is_member
    assert found.snapshot == samples.snapshot_lv()
    assert found.is_mounted
    assert found.has_directory
    assert found.origin_has_snapshots
    assert (found.suspended, found.leftovers) == ((), ())


def test_nothing_is_found_on_a_clean_system() -> None:
    found = find(TARGET, samples.facts(), samples.record())

    assert (found.file, found.loop, found.pv, found.snapshot) == (None, None, None, None)
    assert (found.is_mounted, found.has_directory, found.is_member) == (False, False, False)


# --- the group --------------------------------------------------------------------------------------------------------


def test_a_group_renamed_since_is_found_by_its_uuid() -> None:
    group = samples.vg(samples.snapshot_lv(), name="renamed")

    assert find(TARGET, samples.facts(group)).vg == group


def test_another_group_of_the_same_name_is_not_ours() -> None:
    group = samples.vg(samples.snapshot_lv(), uuid=samples.OTHER_UUID)

    found = find(TARGET, samples.facts(group))

    assert (found.vg, found.snapshot) == (None, None)


# --- the snapshot -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({}, True),
        ({"name": "renamed"}, True),
        ({"tags": ("backup", samples.TARGET.tag)}, True),
        ({"tags": ()}, False),
        ({"tags": (f"lvmsnap2.{samples.HOST}.weekly",)}, False),
        ({"tags": (f"lvmsnap2.{samples.HOST}.nightly2",)}, False),
        ({"tags": (f"lvmsnap2.{samples.OTHER_HOST}.nightly",)}, False),
        ({"tags": ("lvmsnap.nightly",)}, False),
        ({"origin": "other"}, False),
        ({"origin": "", "attr": "-wi-a-----"}, True),  # what a killed lvcreate leaves: plain, tagged, of our name
        ({"origin": "", "name": "renamed"}, False),
        ({"origin": "", "segment_types": ("striped",)}, False),
        ({"origin": "", "tags": ()}, False),
    ],
)
def test_a_snapshot_is_ours_by_tag_and_origin(fields: dict[str, Any], ours: bool) -> None:
    lv = samples.snapshot_lv(**fields)

    assert find(TARGET, samples.facts(samples.vg(lv))).snapshot == (lv if ours else None)


RECORDED = samples.target(dm_uuid=SNAPSHOT_DM)


def test_a_target_has_the_names_that_its_group_origin_and_snapshot_have_by_now() -> None:
    facts = samples.up_facts(samples.renamed())

    for target in (RECORDED, TARGET):
        named = identify.as_named_now(target, facts)

        assert [(one.path, one.origin) for one in named.snapshots] == [("vg1/other", "sysnew")]
        assert named.groups == ("vg1",)
        assert identify.as_named_now(named, facts) == named


def test_of_two_snapshots_with_our_tag_the_one_with_the_recorded_uuid_is_ours() -> None:
    ours = samples.snapshot_lv(name="other")
    theirs = samples.snapshot_lv(uuid=samples.OTHER_UUID, device_number="254:7")
    facts = samples.facts(samples.vg(theirs, ours))

    assert find(RECORDED, facts).snapshot == ours
    assert find(TARGET, facts).snapshot == theirs


def test_two_snapshots_whose_names_were_swapped_are_told_apart_by_their_uuids() -> None:
    one, two = samples.snapshot_lv(name="b"), samples.snapshot_lv(uuid=samples.OTHER_UUID, name="a")
    facts = samples.facts(samples.vg(one, two))
    known = (replace(samples.TAKEN, name="a", dm_uuid=SNAPSHOT_DM), replace(samples.TAKEN, name="b"))
    other = replace(known[1], dm_uuid=dm_uuid(VG_UUID, samples.OTHER_UUID))

    for pair in ((known[0], other), known):
        named = identify.as_named_now(replace(TARGET, snapshots=pair), facts)
        assert [snapshot.name for snapshot in named.snapshots] == ["b", "a"]
        assert [found.lv for found in identify.find(named, facts).snapshots] == [one, two]


def test_what_a_killed_lvremove_leaves_of_a_renamed_snapshot_is_found_by_its_uuid() -> None:
    plain = samples.snapshot_lv(name="other", origin="", attr="-wi-a-----")
    devices = (samples.dm("vg0-other", SNAPSHOT_DM), samples.dm("vg0-other-cow", f"{SNAPSHOT_DM}-cow"))

    assert find(RECORDED, samples.facts(samples.vg(plain))).snapshot == plain
    assert find(RECORDED, samples.facts(dm_devices=devices)).leftovers == ("vg0-other", "vg0-other-cow")
    assert find(TARGET, samples.facts(dm_devices=devices)).leftovers == ()


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "lent", "boot", "ours"),
    [
        ({}, {}, samples.BOOT, True),
        ({"inode": 1}, {}, samples.BOOT, True),  # our label in it goes before its inode
        ({"pv_uuid": samples.OTHER_UUID}, {}, samples.BOOT, False),
        ({"pv_uuid": ""}, {}, samples.BOOT, True),
        ({"pv_uuid": "", "inode": 1}, {}, samples.BOOT, False),
        ({"pv_uuid": "", "device": 1}, {}, samples.BOOT, False),
        ({"pv_uuid": "", "device": 1}, {}, EARLIER_BOOT, True),  # device numbers hold for one boot only
        ({"pv_uuid": "", "inode": 1}, {}, EARLIER_BOOT, False),
        ({"is_regular": False}, {}, samples.BOOT, False),
        ({"pv_uuid": "", "is_empty_private": True}, {"inode": None, "device": None}, samples.BOOT, True),
        ({"pv_uuid": "", "is_empty_private": False}, {"inode": None, "device": None}, samples.BOOT, False),
    ],
)
def test_the_file_is_ours_by_label_or_inode(file: dict[str, Any], lent: dict[str, Any], boot: str, ours: bool) -> None:
    here = replace(FILE_FACTS, **file)
    record = samples.record(boot, lent_pv=samples.lent(**lent))

    assert find(record.target, samples.facts(file=here), record).file == (here if ours else None)


# --- the loop device --------------------------------------------------------------------------------------------------


def test_the_same_loop_number_over_another_file_is_not_ours() -> None:
    foreign = replace(LOOP, file_inode=1)

    assert find(TARGET, samples.up_facts(loops=(foreign,))).loop is None


def test_another_loop_number_over_our_file_is_ours() -> None:
    moved = replace(LOOP, device="/dev/loop0")

    assert find(TARGET, samples.up_facts(loops=(replace(LOOP, file_inode=1), moved))).loop == moved


def test_the_loop_over_our_deleted_file_is_still_ours_in_the_same_boot() -> None:
    deleted = replace(LOOP, file_path=f"{LOOP.file_path} (deleted)")
    facts = samples.up_facts(file=None, loops=(deleted,))

    assert find(TARGET, facts, samples.record()).loop == deleted
    assert find(TARGET, facts, samples.record(EARLIER_BOOT)).loop is None


def test_a_loop_over_the_same_inode_of_another_filesystem_is_not_ours() -> None:
    assert find(TARGET, samples.up_facts(loops=(replace(LOOP, file_device=1),))).loop is None


# --- the PV -----------------------------------------------------------------------------------------------------------


def test_our_pv_is_found_in_no_group_and_while_it_is_missing() -> None:
    orphan = samples.lent_pv(vg="")
    missing = samples.lent_pv(device="[unknown]", missing=True)

    alone = find(TARGET, samples.facts(orphan_pvs=(orphan,)))
    lost = find(TARGET, samples.facts(samples.vg(pvs=(DISK, missing))))

    assert (alone.pv, alone.is_member) == (orphan, False)
    assert (lost.pv, lost.is_member) == (missing, True)


def test_a_pv_lent_by_another_profile_is_neither_ours_nor_the_groups_own() -> None:
    other = samples.lent_pv(uuid="lvmsn2-0a1b-2c3d-9999-aaaa-bbbb-cccccc")
    group = samples.vg(pvs=(DISK, other))

    assert find(TARGET, samples.facts(group)).pv is None
    assert own_pvs(group) == (DISK,)


# --- mount and directory ----------------------------------------------------------------------------------------------


def test_only_the_top_mount_of_the_snapshots_own_device_is_ours() -> None:
    ours, foreign = samples.mounted(), samples.mounted(device_number="8:1")

    def is_mounted(*mounts: Any) -> bool:
        return bool(find(TARGET, samples.up_facts(mounts=mounts)).is_mounted)

    assert is_mounted(ours)
    assert is_mounted(foreign, ours)
    assert not is_mounted(ours, foreign)
    assert not is_mounted(samples.mounted("/elsewhere"))
    assert not find(TARGET, samples.up_facts(samples.vg(), mounts=(ours,))).is_mounted


@pytest.mark.parametrize(
    ("kind", "found"),
    [("empty", True), ("mounted", False), ("absent", False), ("not empty", False), ("symlink", False)],
)
def test_a_directory_is_taken_back_only_while_nothing_else_is_in_it(kind: str, found: bool) -> None:
    facts = samples.facts(mountpoint=MountpointFacts(kind, samples.MOUNTPOINT, ""))

    assert find(TARGET, facts).has_directory is found
    assert find(TARGET, samples.up_facts()).has_directory


def test_of_two_loop_devices_on_the_file_ours_is_the_one_that_lvm_uses() -> None:
    theirs = replace(LOOP, device="/dev/loop1", device_number="7:1")
    facts = samples.up_facts(loops=(theirs, LOOP))

    found = find(TARGET, facts)

    assert found.loop == LOOP
    assert left_alone(TARGET, identify.find(TARGET, facts), facts) == (
        "/dev/loop1: it is attached to the backing file too, and LVM sees a duplicate PV",
    )


def test_what_is_in_our_places_and_is_not_ours_is_named() -> None:
    untagged = samples.vg(samples.snapshot_lv(tags=()), pvs=(DISK, samples.lent_pv()))
    moved = replace(LOOP, file_path="/elsewhere/lent")
    replaced = replace(FILE_FACTS, pv_uuid="", inode=FILE_FACTS.inode + 1)
    facts = samples.up_facts(untagged, file=replaced, loops=(moved,), mountpoint=_at("not empty"), mounts=())

    lines = left_alone(TARGET, identify.find(TARGET, facts, samples.record()), facts)

    assert [line.partition(": ")[0] for line in lines] == [
        *(f"vg0/{samples.SNAPSHOT}", samples.MOUNTPOINT, samples.FILE, "/elsewhere/lent"),
    ]
    assert left_alone(TARGET, identify.find(TARGET, samples.up_facts()), samples.up_facts()) == ()
    assert left_alone(TARGET, identify.find(TARGET, samples.facts()), samples.facts()) == ()


def _at(kind: str) -> MountpointFacts:
    return MountpointFacts(kind, samples.MOUNTPOINT, "")


def test_a_directory_that_the_profile_keeps_is_not_taken_back() -> None:
    mount = TARGET.mounts[0]
    kept = samples.target(mount=replace(mount, make_directory=False, remove_directory=False))

    assert not find(kept, samples.up_facts()).has_directory


# --- what a killed command left ---------------------------------------------------------------------------------------


def found_devices(*devices: Any, lvs: tuple[Any, ...] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = find(TARGET, samples.facts(samples.vg(*lvs), dm_devices=devices))
    return found.suspended, found.leftovers


def test_a_suspended_origin_is_reported_by_its_uuid_whichever_layer() -> None:
    devices = [
        samples.dm("vg0-system", ORIGIN_DM, suspended=True),
        samples.dm("vg0-system-real", f"{ORIGIN_DM}-real", suspended=True),
        samples.dm("vg0-other", dm_uuid(VG_UUID, samples.OTHER_UUID), suspended=True),
    ]

    assert found_devices(*devices, lvs=(samples.snapshot_lv(),))[0] == ("vg0-system", "vg0-system-real")


def test_devices_that_lvm_no_longer_knows_are_leftovers() -> None:
    name = "vg0-system--lvmsnap--nightly"
    left = [samples.dm(name, SNAPSHOT_DM), samples.dm(f"{name}-cow", f"{SNAPSHOT_DM}-cow")]
    real = samples.dm("vg0-system-real", f"{ORIGIN_DM}-real")

    assert found_devices(*left, real)[1] == (name, f"{name}-cow", "vg0-system-real")


def test_devices_of_a_snapshot_that_lvm_knows_are_no_leftovers() -> None:
    name = "vg0-system--lvmsnap--nightly"
    devices = [samples.dm(name, SNAPSHOT_DM), samples.dm("vg0-system-real", f"{ORIGIN_DM}-real")]

    assert found_devices(*devices, lvs=(samples.snapshot_lv(),))[1] == ()
    assert found_devices(*devices, lvs=(samples.snapshot_lv(tags=()),))[1] == ()


def test_nothing_of_an_origin_is_repaired_while_lvm_merges_a_snapshot_into_it() -> None:
    name = "vg0-system--lvmsnap--nightly"
    devices = (
        samples.dm(name, f"{dm_uuid(VG_UUID, 'ffffff-ffff')}"),
        samples.dm("vg0-system-real", f"{ORIGIN_DM}-real", suspended=True),
    )
    theirs = samples.lv("theirs", attr="Swi-a-s---", origin="system", is_hidden=True, is_merging=True)

    assert found_devices(*devices)[1] == (name, "vg0-system-real")
    assert found_devices(*devices, lvs=(theirs,)) == ((), ())


def test_an_origins_real_device_is_no_leftover_while_it_has_another_snapshot() -> None:
    real = samples.dm("vg0-system-real", f"{ORIGIN_DM}-real")

    assert found_devices(real, lvs=(samples.lv("foreign", origin="system"),))[1] == ()


def test_a_device_of_our_name_that_lvm_did_not_make_is_no_leftover() -> None:
    assert found_devices(samples.dm("vg0-system--lvmsnap--nightly", "CRYPT-LUKS2-x"))[1] == ()


def test_the_lent_pv_of_the_samples_is_recognised_by_its_uuid() -> None:
    assert samples.lent_pv().uuid == PV_UUID
    assert find(samples.target(lent_pv=None), samples.up_facts()).pv is None


def test_facts_are_not_changed_by_looking_at_them() -> None:
    before: Facts = samples.up_facts()

    find(TARGET, before)

    assert before == samples.up_facts()


# --- a file whose filesystem is not mounted ---------------------------------------------------------------------------


def out_of_reach(**fields: Any) -> Any:
    lent = replace(samples.LENT, mounted_at="/srv/space")
    unmounted = replace(samples.DIRECTORY, mountpoint="/")
    found = samples.facts(file=None, directory=unmounted)
    return find(samples.target(lent_pv=lent), samples.changed(found, **fields))


def test_a_file_whose_filesystem_is_not_mounted_is_out_of_reach_not_gone() -> None:
    assert out_of_reach().is_file_out_of_reach
    assert out_of_reach(directory=None).is_file_out_of_reach


def test_a_file_that_is_missing_on_its_mounted_filesystem_is_gone() -> None:
    mounted = replace(samples.DIRECTORY, mountpoint="/srv/space")

    assert not out_of_reach(directory=mounted).is_file_out_of_reach


def test_down_does_not_end_before_a_file_out_of_reach_is_removed() -> None:
    lent = replace(samples.LENT, mounted_at="/srv/space")
    target = samples.target(lent_pv=lent)
    unmounted = replace(samples.DIRECTORY, mountpoint="/")

    plan = planner.plan_down(target, samples.facts(file=None, directory=unmounted), samples.record(lent_pv=lent))

    assert [action.thing for action in plan.actions] == [Thing.FILE]
    assert "/srv/space is not mounted" in plan.actions[0].undo_summary
