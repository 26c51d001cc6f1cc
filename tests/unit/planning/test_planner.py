"""Plans as golden files: what a profile on a system becomes, command for command.

`LVMSNAP_WRITE_GOLDEN=1 pytest tests/unit/planning/test_planner.py` writes them anew; read the diff before you commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from lvmsnap.cli import views
from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import MountpointFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Direction, Fact, Plan, Thing
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import offline, plan_facts, planner
from lvmsnap.planning.sizing import human
from lvmsnap.planning.wording import in_words
from tests import TOP, samples
from tests.samples import DIRECTORY, PV_UUID, TARGET

GOLDEN = TOP / "tests/unit/golden"
THERE = MountpointFacts("empty", "/media/snap", "")


def plain(volume: str, more: str = "") -> Profile:
    return samples.profile(f"volumes:\n  - origin: vg0/system\n    {volume}\n{more}")


@dataclass(frozen=True)
class Case:
    """A profile on a system."""

    profile: Profile
    facts: Facts


CASES = {
    "plain": Case(samples.profile(), samples.facts()),
    "backing-file": Case(samples.with_file(), samples.facts(samples.vg(free_extents=0))),
    "xfs": Case(samples.with_file(), samples.facts(origin_filesystem="xfs")),
    "lent-and-free-space": Case(samples.with_file("size: 33MiB"), samples.facts()),
    "zero-fill": Case(samples.with_file("allocation: zero-fill"), samples.facts()),
    "given-loop-device": Case(samples.with_file("loop_device: /dev/loop5"), samples.facts()),
    "chunk-size": Case(plain("chunk_size: 64KiB"), samples.facts()),
    "no-mountpoint": Case(plain("mountpoint: null"), samples.facts()),
    "mountpoint-there": Case(plain("mountpoint: /media/snap"), samples.facts(mountpoint=THERE)),
    "mountpoint-there-removed": Case(
        plain("mountpoint: /media/snap", "remove_mountpoint: true\n"), samples.facts(mountpoint=THERE)
    ),
    "mount-options": Case(plain("mount_options: [noexec, nodev]"), samples.facts()),
    "hooks": Case(
        plain(
            "size: 64MiB",
            "hooks: {before_snapshot: [lock, the database], after_snapshot: unlock && echo done, after_down: [tell]}\n",
        ),
        samples.facts(),
    ),
    "thin": Case(samples.profile(), samples.facts(samples.thin_vg())),
    "thin-with-a-size": Case(plain("size: 64MiB"), samples.facts(samples.thin_vg())),
    "4k-disks": Case(samples.with_file(), samples.facts(pv_logical_block_bytes=4096)),
    "no-direct-io": Case(samples.with_file(), samples.facts(directory=replace(DIRECTORY, logical_block_bytes=4096))),
    "devices-file": Case(samples.with_file(), samples.facts(devices_file="/etc/lvm/devices/system.devices")),
    "odd-names": Case(
        samples.profile(
            "volumes:\n  - origin: a-b+c/sys.tem_1\n    snapshot: x--y\n"
            + '    mountpoint: "/media/it\'s $HOME; a \\"snap\\"/ä"\n    size: 64MiB\n'
            + "backing_file:\n  path: /srv/-rf *\n",
            name="odd_na-me",
        ),
        samples.facts(samples.vg(name="a-b+c", lvs=(samples.lv("sys.tem_1", vg="a-b+c", origin=""),))),
    ),
}


def two(profile: Profile, *, vg: str) -> Profile:
    """Make a profile of two volumes: what a set will be; the second one is vg/home."""
    (first,), files = profile.volumes, profile.backing_files
    second = replace(first, vg=vg, origin="home", snapshot="home-snap", mountpoint=f"{first.mountpoint}/home")
    far = [replace(file, vg=vg, path=f"{file.path}-{vg}") for file in files if file.vg != vg]
    return replace(profile, volumes=(first, second), backing_files=(*files, *far))


def with_home(vg: str) -> Facts:
    """A system with vg/home beside vg0/system."""
    home = samples.lv("home", vg=vg)
    if vg == "vg0":
        return samples.facts(samples.vg(home))
    far = replace(samples.GROUP, name=vg, uuid="far", lvs=(home,))
    return replace(samples.facts(), vgs=(samples.GROUP, far))


KEY = f"luks: {{key_file: {samples.KEY_FILE}}}"
CASES |= {
    "luks": Case(plain(KEY), samples.luks_facts()),
    "luks-xfs-asked": Case(plain("luks: {prompt: true}"), samples.luks_facts("xfs", has_terminal=True)),
    "luks-closed": Case(plain(f"{KEY}\n    mount_options: [noexec]"), samples.luks_facts(None)),
    "luks-no-mountpoint": Case(plain(f"{KEY}\n    mountpoint: null"), samples.luks_facts()),
}
CASES |= {
    "two-volumes": Case(two(samples.with_file(), vg="vg0"), with_home("vg0")),
    "two-groups": Case(two(samples.with_file(), vg="vg1"), with_home("vg1")),
    "two-volumes-plain": Case(two(samples.profile(), vg="vg1"), with_home("vg1")),
}


def made(case: Case) -> Plan:
    return planner.plan_up(case.profile, case.facts, (PV_UUID, "other-pv")[: len(case.profile.backing_files)])


@pytest.mark.parametrize(("is_shared", "is_refused"), [(True, True), (False, False)], ids=["one disk", "two disks"])
def test_two_backing_files_on_one_filesystem_must_fit_there_together(is_shared: bool, is_refused: bool) -> None:
    case = CASES["two-groups"]
    target = made(case).target
    needed = [one.size_bytes for one in target.loans] if target else []
    first, second = (file.path for file in case.profile.backing_files)
    narrow = replace(DIRECTORY, available_bytes=max(needed) * 3 // 2)
    elsewhere = narrow if is_shared else replace(narrow, block_devices=("8:99",))
    looked = replace(case.facts.looked, directories={first: narrow, second: elsewhere})

    plan = made(replace(case, facts=replace(case.facts, looked=looked)))

    refused = [check for check in plan.checks if check.title.startswith("room for") and not check.passed]
    assert len(refused) == is_refused
    assert all(human(sum(needed)) in check.found for check in refused)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_as_it_is_written_down(name: str) -> None:
    plan = made(CASES[name])
    path = GOLDEN / f"{name}.json"
    data = json.loads(views.to_json(plan))
    # Checks have a test of their own, and are no part of what is done.
    del data["checks"]

    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("LVMSNAP_WRITE_GOLDEN"):
        path.write_text(text)

    assert text.splitlines() == path.read_text().splitlines()


def test_every_golden_file_has_its_case() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_way_down_undoes_what_the_way_up_does(name: str) -> None:
    for action in made(CASES[name]).actions:
        assert action.undo or action.thing in (Thing.SPACE, Thing.BEFORE_SNAPSHOT, Thing.AFTER_SNAPSHOT, Thing.CUT), (
            action.summary
        )
        assert action.summary
        assert in_words(action.condition)


@pytest.mark.parametrize("more", ["", "hooks: {before_snapshot: [lock], after_snapshot: [unlock]}\n"])
def test_nothing_comes_between_the_lending_of_space_and_the_snapshot_on_it(more: str) -> None:
    text = f"volumes:\n  - origin: vg0/system\n    size: 64MiB\nbacking_file:\n  path: {samples.FILE}\n{more}"
    plan = planner.plan_up(samples.profile(text), samples.facts(), (PV_UUID,))

    things = [action.thing for action in plan.actions]
    assert things[things.index(Thing.VG_MEMBER) + 1] is Thing.SNAPSHOT
    assert not more or things.index(Thing.BEFORE_SNAPSHOT) == things.index(Thing.PV) + 1


def test_lent_space_that_the_snapshot_leaves_free_is_closed_to_others() -> None:
    for line, is_closed in (("size: 200MiB", True), ("", False)):
        plan = planner.plan_up(samples.with_file(line), samples.facts(), (PV_UUID,))
        snapshot = next(action for action in plan.actions if action.thing is Thing.SNAPSHOT)

        assert ("pvchange" in [argv[0] for argv in snapshot.do]) is is_closed


def test_a_lent_pv_with_extents_of_others_says_whose_and_how_to_free_it() -> None:
    pool = samples.lv("[pool_tdata]", devices=("/dev/sda2", "/dev/loop7"))
    group = samples.vg(samples.snapshot_lv(), pool, pvs=(samples.DISK, samples.lent_pv()))

    member = next(
        action
        for action in planner.plan_down(TARGET, samples.up_facts(group), None).actions
        if action.thing is Thing.VG_MEMBER
    )

    assert member.blocked == "extents of vg0/pool_tdata"
    assert member.by_hand == (("pvmove", "/dev/loop7"),)
    assert "vg0/pool_tdata" in member.undo_summary


def test_where_its_device_is_gone_the_file_is_attached_first_to_free_it() -> None:
    pool = samples.lv("[pool_tdata]", devices=("/dev/sda2", "[unknown]"))
    missing = samples.lent_pv(device="[unknown]", missing=True)
    group = samples.vg(pool, pvs=(samples.DISK, missing), missing_pv_count=1)

    plan = planner.plan_down(TARGET, samples.facts(group, file=samples.FILE_FACTS), None)

    member = next(action for action in plan.actions if action.thing is Thing.VG_MEMBER)
    attach = ("losetup", "--nooverlap", "--direct-io=on", "/dev/loop7", samples.FILE)
    assert member.by_hand == (attach, ("pvmove", "/dev/loop7"))


# --- what `up` decides ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.profile.backing_files])
def test_the_file_has_the_lent_extents_and_one_mebibyte_more(name: str) -> None:
    target = made(CASES[name]).target

    assert target is not None
    for loan in target.loans if name != "lent-and-free-space" else ():
        cows = [one.own_space.size_bytes for one in target.snapshots if one.vg == loan.vg and one.own_space]
        assert loan.size_bytes == MIB + sum(cows)


def test_a_file_that_is_too_small_takes_the_groups_own_disks_to_help() -> None:
    target = samples.first(made(CASES["lent-and-free-space"]).target)

    assert (target.lent_pv.size_bytes, target.extents) == (33 * MIB, 16)
    assert target.lent_pv.allocate_on == ("/dev/sda2",)


def test_disks_that_are_closed_to_allocation_are_neither_room_nor_help() -> None:
    closed = replace(samples.DISK, device="/dev/sdb1", uuid=samples.OTHER_UUID, allocatable=False)
    case = CASES["lent-and-free-space"]
    facts = samples.facts(samples.vg(pvs=(samples.DISK, closed), free_extents=4000))
    target = made(replace(case, facts=facts)).target

    assert target is not None
    assert samples.first(target).lent_pv.allocate_on == ("/dev/sda2",)
    assert plan_facts.describe(case.profile, target, facts)[0] == Fact("volume group", "7.812 GiB free", "vg0")


def test_without_group_or_origin_nothing_is_decided_and_the_checks_say_why() -> None:
    for facts in (samples.facts(samples.vg(name="other")), samples.facts(samples.vg(lvs=()))):
        plan = planner.plan_up(samples.profile(), facts, ())

        assert (plan.target, plan.actions) == (None, ())
        assert not all(check.passed for check in plan.checks)


@pytest.mark.parametrize(
    ("there", "bound", "chosen"),
    [
        (range(8), (), "/dev/loop7"),
        (range(8), (7, 6), "/dev/loop5"),
        (range(8), range(8), "/dev/loop8"),
        ((), (), "/dev/loop0"),
        ((0, 100), (100,), "/dev/loop0"),
    ],
)
def test_the_highest_free_loop_device_is_chosen(there: range, bound: range, chosen: str) -> None:
    loops = tuple(replace(samples.LOOP, device=f"/dev/loop{number}") for number in bound)
    facts = samples.facts(loop_numbers=tuple(there), loops=loops)

    assert planner.choose_loop_devices(samples.with_file(), facts) == {"vg0": chosen}


def test_a_given_loop_device_is_taken_as_it_is() -> None:
    given = samples.with_file("loop_device: /dev/loop2")

    assert planner.choose_loop_devices(given, samples.facts()) == {"vg0": "/dev/loop2"}
    assert planner.choose_loop_devices(samples.profile(), samples.facts()) == {}


# --- down -------------------------------------------------------------------------------------------------------------


def things(plan: Plan) -> list[Thing]:
    return [action.thing for action in plan.actions]


def test_down_takes_what_exists_in_the_opposite_order() -> None:
    plan = planner.plan_down(TARGET, samples.up_facts(), samples.record())

    assert plan.direction is Direction.DOWN
    assert things(plan) == [
        *(Thing.MOUNT, Thing.DIRECTORY, Thing.SNAPSHOT),
        *(Thing.VG_MEMBER, Thing.PV, Thing.LOOP, Thing.FILE),
    ]


def test_down_leaves_alone_what_is_not_ours() -> None:
    foreign = samples.vg(samples.snapshot_lv(tags=()), pvs=(samples.DISK,))
    facts = samples.up_facts(foreign, file=replace(samples.FILE_FACTS, pv_uuid=samples.OTHER_UUID), loops=())

    assert things(planner.plan_down(TARGET, facts, samples.record())) == []  # the mount is of the foreign snapshot
    assert planner.plan_down(TARGET, samples.facts(), samples.record()).actions == ()


def test_a_plan_of_down_has_the_names_of_now_throughout() -> None:
    plan = planner.plan_down(TARGET, samples.up_facts(samples.renamed()), samples.record())

    text = str(plan)
    assert "vg1/other" in text
    assert [name for name in ("vg0", samples.SNAPSHOT, "'system'") if name in text] == []


def test_a_missing_lent_pv_is_taken_out_without_force() -> None:
    group = samples.vg(pvs=(samples.DISK, samples.lent_pv(device="[unknown]", missing=True)))

    plan = planner.plan_down(TARGET, samples.facts(group), samples.record())

    assert [action.undo for action in plan.actions] == [
        (("vgreduce", "--removemissing", "vg0"), ("vgchange", "--activate", "ay", "vg0"))
    ]


def test_a_suspended_origin_goes_on_by_lvm_where_it_has_a_snapshot_else_by_hand() -> None:
    suspended = samples.dm("vg0-system", dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID), suspended=True)
    real = replace(suspended, name="vg0-system-real", uuid=f"{suspended.uuid}-real")

    with_snapshot = planner.plan_down(TARGET, samples.up_facts(dm_devices=(suspended,)), None)
    without = planner.plan_down(TARGET, samples.facts(dm_devices=(suspended,)), None)
    beneath = planner.plan_down(TARGET, samples.up_facts(dm_devices=(real,)), None)

    (by_lvm,) = [a.undo for a in with_snapshot.actions if a.thing is Thing.SUSPENDED_ORIGIN]
    assert by_lvm == (("lvchange", "--refresh", "vg0/system"),)
    assert without.actions[0].undo == (("dmsetup", "clear", "vg0-system"), ("dmsetup", "resume", "vg0-system"))
    (by_hand,) = [a.undo for a in beneath.actions if a.thing is Thing.SUSPENDED_ORIGIN]
    assert by_hand == (("dmsetup", "clear", "vg0-system-real"), ("dmsetup", "resume", "vg0-system-real"))


# --- offline ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_an_offline_plan_has_the_same_steps_as_one_on_a_clean_system(name: str) -> None:
    case = CASES[name]

    plan = offline.plan(case.profile)

    assert plan.target is not None
    # Only the assumed system differs: its mountpoint is absent, so it is made and removed.
    expected = {Thing.DIRECTORY} if case.profile.volumes[0].mountpoint else set()
    assert set(things(plan)) == set(things(made(case))) | expected
    assert plan.checks == ()
    assert plan.facts[0].name == "assumed"


def test_an_offline_plan_assumes_an_origin_of_100_gib() -> None:
    plan = offline.plan(plain("size: 20%ORIGIN"))

    assert plan.target is not None
    # A fifth of 100 GiB, and what lists all of its chunks of 4 KiB, as lvcreate makes it.
    cow = plan.target.snapshots[0].own_space
    assert cow is not None
    assert 20.3 * GIB < cow.size_bytes < 20.4 * GIB


@pytest.mark.parametrize(
    ("volume", "more", "snapshot", "fate"),
    [
        ("", "", "10.04 GiB for changes (40 GiB asked; more can never be used)", "it never does"),
        ("size: 64MiB", "", "64 MiB for changes (16 extents)", "50 % more room at 80 % from the free space of vg0"),
        ("size: 10%ORIGIN", "", "1.043 GiB for changes (10%ORIGIN asked; 267 extents)", "a warning at 70 %"),
        ("size: 1GiB", "overflow: {extend_at: 100%}", "(256 extents)", "no more room, as `extend_at` says"),
        ("size: 1GiB", f"backing_file: {{path: {samples.FILE}}}", "(256", "without a `backing_file.max_size`"),
        (
            "size: 1GiB",
            f"backing_file: {{path: {samples.FILE}, max_size: 9GiB}}",
            "(256 extents)",
            "by a larger backing file, up to 9 GiB",
        ),
    ],
)
def test_the_facts_say_how_large_a_snapshot_is_and_why_and_what_becomes_of_it(
    volume: str, more: str, snapshot: str, fate: str
) -> None:
    volume = volume or "size: 40GiB"
    profile = samples.profile(f"volumes:\n  - origin: vg0/system\n    {volume}\n{more}\n")

    uuids = (samples.PV_UUID,) * len(profile.backing_files)
    told = {fact.name: fact.value for fact in planner.plan_up(profile, samples.facts(), uuids).facts}

    assert snapshot in told["snapshot"]
    assert fate in told["when it fills"]


@pytest.mark.parametrize("facts", [samples.facts, samples.up_facts])
def test_while_lvm_merges_the_snapshot_the_way_down_has_no_command(facts: Callable[..., Facts]) -> None:
    plan = planner.plan_down(TARGET, facts(samples.merging()), samples.record())

    assert [(action.thing, action.do, action.undo) for action in plan.actions] == [(Thing.SNAPSHOT, (), ())]
    assert [check.passed for check in plan.checks] == [False]
    assert plan.checks[0].sentence.startswith(f"LVM is merging vg0/{samples.SNAPSHOT} into vg0/system: nothing")


def test_a_snapshot_goes_without_dmeventd_watching_another_profiles_one() -> None:
    weekly = samples.snapshot_lv(name="weekly", uuid=samples.OTHER_UUID, tags=(samples.TARGET.tag[:-7] + "weekly",))
    theirs = samples.snapshot_lv(name="theirs", uuid=samples.DISK_UUID, tags=("backup",))
    group = samples.vg(samples.snapshot_lv(), weekly, theirs, pvs=(samples.DISK, samples.lent_pv()))

    plan = planner.plan_down(TARGET, samples.up_facts(group), None)

    (remove,) = [action for action in plan.actions if action.thing is Thing.SNAPSHOT]
    assert [argv[0] for argv in remove.undo] == ["lvremove", "lvchange"]
    assert remove.undo[1] == ("lvchange", "--monitor", "n", "--select", "lv_name=weekly", "vg0")
