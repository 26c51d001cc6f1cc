"""Several snapshots of one instant: what is held, in which order it goes on, and what refuses it beforehand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import GroupFacts, LvmPart
from lvmsnap.model.plan import Action, Check, Phase, Plan, Thing
from lvmsnap.model.target import Permission, Target
from lvmsnap.planning import checks, cut_actions, planner, state
from lvmsnap.planning.identify import nothing_found
from tests import samples

HOME_UUID = "hhhhhh-hhhh-hhhh-hhhh-hhhh-hhhh-hhhhhh"
VOLUMES = """volumes:
- {origin: vg0/system, snapshot: s1, mountpoint: /run/s1, size: 64MiB}
- {origin: vg0/home, snapshot: s2, mountpoint: /run/s2, size: 64MiB, chunk_size: 64KiB}
"""


def facts(**fields: Any) -> Facts:
    home = samples.lv("home", uuid=HOME_UUID, device_number="254:1")
    return samples.facts(samples.vg(home), **fields)


def plan(more: str = "", **fields: Any) -> Plan:
    return planner.plan_up(samples.profile(VOLUMES + more), facts(**fields), ())


def action(thing: Thing, more: str = "", **fields: Any) -> Action:
    (found,) = (one for one in plan(more, **fields).actions if one.thing is thing)
    return found


def failed(**fields: Any) -> list[Check]:
    return [check for check in plan(**fields).checks if not check.passed and check.title.startswith(TITLES)]


TITLES = ("LVM can", "the dead man's", "snapshots are kept")


def lines(script: str) -> list[str]:
    return re.findall(r'"(lv[^"]*)"', script)


def test_all_that_is_slow_comes_before_and_one_command_holds_all_and_has_each_go_on() -> None:
    prepared, cut = action(Thing.PREPARED), action(Thing.CUT)

    (sh, _, script), synced = prepared.do
    assert sh == "sh"
    # What is dirty would be written while writers are held.
    assert synced == ("sync", "--file-system", "/srv/system")
    assert [line.split()[0] for line in lines(script)] == ["lvcreate"] * 2 + ["lvchange"] + ["lvconvert"] * 2
    assert "lvchange --activate n vg0/s1 vg0/s2" in script
    assert "--driverloaded n vg0/system vg0/s1" in script
    assert "--chunksize 65536b --zero n --driverloaded n vg0/home vg0/s2" in script
    assert (prepared.phase, cut.phase, prepared.holds) == (Phase.PREPARE, Phase.CUT, ())
    ((_, _, script),) = cut.do
    assert "dmsetup suspend vg0-system vg0-home && " in script
    assert "case $n in *,vg0-s1|*,vg0-s2) " in script
    (line,) = lines(script)
    config = "devices{filter=['a|^/dev/sda2$|','r|.*|']}"
    assert line == f"lvchange --refresh --config {config} --ignoremonitoring vg0/system vg0/home"
    assert len(cut.holds) == 2
    assert not [one for one in plan().actions if one.thing is Thing.SNAPSHOT]


def test_one_after_the_other_where_the_profile_says_so() -> None:
    taken = [one for one in plan("consistent: false\n").actions if one.thing in (Thing.SNAPSHOT, Thing.CUT)]

    assert [one.do[0][0] for one in taken] == ["lvcreate", "lvcreate"]


def test_the_origin_that_lvm_lies_on_is_held_by_lvm_itself_and_goes_on_first() -> None:
    parts = (LvmPart("/usr/sbin/lvm", ("254:1", "8:2")), LvmPart("/run", ()))

    ((_, _, script),) = action(Thing.CUT, looked=samples.looked(lvm_parts=parts)).do

    assert "dmsetup suspend vg0-system && " in script
    first, second = lines(script)
    assert first.endswith("--noudevsync vg0/home")
    # LVM 2.03.16 dies of the second --devices that one process is given.
    assert "--devices" not in script
    assert second.endswith("--ignoremonitoring vg0/system")


def test_what_would_have_to_wait_for_what_is_held_refuses_the_cut() -> None:
    split = (LvmPart("/usr/sbin/lvm", ("254:0",)), LvmPart("/etc", ("254:1",)))
    on_origin = samples.Everywhere(GroupFacts(beneath_pvs=("7:3", "254:1")))
    bound = "/system.slice/backup.service"

    assert failed() == []
    assert [one.found for one in failed(looked=samples.looked(lvm_parts=split))] == [
        "/usr/sbin/lvm lies on system, /etc lies on home"
    ]
    (pv,) = failed(looked=replace(samples.looked(), groups=on_origin))
    assert pv.found == "a PV of vg0 lies on vg0/home"
    (group,) = failed(looked=samples.looked(bound_to_group=bound))
    assert bound in group.found
    assert all("consistent: false" in one.hint for one in (pv, group))


def test_a_read_only_snapshot_is_zeroed_before_it_is_closed() -> None:
    target = made()
    closed = replace(target.snapshots[0], permission=Permission.READ_ONLY)
    target = replace(target, snapshots=(closed, *target.snapshots[1:]))

    (_, _, script), _ = cut_actions.prepared(target, nothing_found(target, facts()), {}).do

    commands = lines(script)
    assert "lvchange --permission r vg0/s1" in commands
    assert "--permission" not in "".join(commands[:2])


def made() -> Target:
    target = plan().target
    assert target is not None
    return target


def test_lines_that_lvm_would_not_read_are_commands_of_their_own() -> None:
    target = made()
    long = [replace(one, name=f"{number}" * 120) for number, one in enumerate(target.snapshots)]
    target = replace(target, snapshots=tuple(long), name="n" * 60)

    commands = cut_actions.prepared(target, nothing_found(target, facts()), {}).do

    assert [argv[0] for argv in commands] == [
        "lvcreate",
        "lvcreate",
        "lvchange",
        "lvchange",
        "lvconvert",
        "lvconvert",
        "sync",
    ]


def test_many_origins_are_refreshed_by_as_many_lines_as_it_takes_and_only_the_last_waits_for_udev() -> None:
    target = made()
    many = tuple(replace(target.snapshots[0], origin=f"{number}{'x' * 60}") for number in range(6))
    target = replace(target, snapshots=many)

    ((_, _, script),) = cut_actions.cut(target, nothing_found(target, facts()), {}).do

    assert len(lines(script)) == 3
    assert all(len(line) <= cut_actions.LONGEST_LINE for line in lines(script))
    assert ["--noudevsync" in line for line in lines(script)] == [True, True, False]


def test_no_line_is_longer_than_lvm_reads_whatever_the_names_and_the_devices_are() -> None:
    target, (disk, *_) = made(), samples.vg().pvs
    disks = tuple(replace(disk, device=f"/dev/mapper/multipath-of-array-{number}") for number in range(2))
    for letters in (1, 60, 117):
        many = tuple(
            replace(one, vg=f"v{'g' * (letters // 2)}", origin="x" * (letters // 2)) for one in target.snapshots
        )
        longer = replace(target, snapshots=many)
        found = nothing_found(target, facts())
        group = replace(samples.vg(), name=many[0].vg, pvs=disks)
        parts = tuple(replace(one, snapshot=new, vg=group) for one, new in zip(found.snapshots, many, strict=True))

        ((_, _, script),) = cut_actions.cut(longer, replace(found, snapshots=parts), {}).do

        assert all(len(line) <= cut_actions.LONGEST_LINE for line in lines(script)), lines(script)


def test_an_origin_that_somebody_resumes_before_all_are_held_fails_the_cut() -> None:
    ((_, _, script),) = action(Thing.CUT).do

    assert "dmsetup info -c --noheadings --separator , -o suspended,name" in script
    assert '[!S]*,vg0-system|[!S]*,vg0-home) echo "${n#*,} is resumed before all are suspended" >&2; exit 1' in script


def test_a_set_whose_cut_was_not_seen_to_the_end_is_not_up() -> None:
    target = made()
    taken = [samples.snapshot_lv(name="s1"), samples.snapshot_lv(name="s2", origin="home", uuid=samples.OTHER_UUID)]
    bare = tuple(replace(one, mount=None) for one in target.snapshots)
    record = replace(samples.record(), target=replace(target, snapshots=bare))
    group = samples.vg(samples.lv("home", uuid=HOME_UUID), *taken)
    seen = samples.up_facts(group)
    known = tuple(replace(one, dm_uuid=f"LVM-{number}") for number, one in enumerate(bare))

    assert state.of_target(record.target, seen, record).problem == "missing: end of the cut"
    whole = replace(record, target=replace(target, snapshots=known))
    assert "end of the cut" not in state.of_target(whole.target, seen, whole).problem


def test_a_shell_is_needed_for_a_cut_alone() -> None:
    assert "sh" in checks.tools(samples.profile(VOLUMES))
    assert "sh" not in checks.tools(samples.profile(VOLUMES + "consistent: false\n"))
