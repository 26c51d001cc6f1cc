"""Plans as golden files: what a profile on a system becomes, command for command.

`LVMSNAP_WRITE_GOLDEN=1 pytest tests/unit/planning/test_planner.py` writes them anew; read the diff before you commit.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace

import pytest

from lvmsnap.cli import views
from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import MountpointFacts
from lvmsnap.model.plan import Fact, Plan, Thing
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import MIB
from lvmsnap.planning import plan_facts, planner
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


def things(plan: Plan) -> list[Thing]:
    return [action.thing for action in plan.actions]


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
