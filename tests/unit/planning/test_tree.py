"""Where in its tree each volume of a profile is mounted, what is made for it, and what refuses a tree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.model.looked import MountpointFacts
from lvmsnap.model.plan import Thing
from lvmsnap.model.profile import Profile
from lvmsnap.planning import lost_record, lost_tree, planner, tree
from lvmsnap.planning.found_mounts import removable_directories
from lvmsnap.planning.hook_actions import variables
from tests import samples

TOP = "/run/lvmsnap/nightly"


def server(*mounts: tuple[str, str], parents: dict[str, str] | None = None) -> Facts:
    """A server with volumes vg0/system, vg0/home, vg0/db (device numbers 254:0, 254:1, 254:2), mounted as given.

    Each mount is (device number, mountpoint); it is mounted on the one that is above it, or on the one in `parents`.
    """
    lvs = [samples.lv("home", uuid="home", device_number="254:1"), samples.lv("db", uuid="db", device_number="254:2")]
    ids = {path: number for number, (_, path) in enumerate((("", ""), *mounts), 1)}
    above = {path: _above(path, ids, parents or {}) for _, path in mounts}
    table = tuple(
        replace(
            Mount(device, "/", path, "ext4", f"/dev/{device}", mount_id=ids[path], parent_id=ids[above[path]]),
            options=("ro",) if path.startswith(TOP) else ("rw",),
        )
        for device, path in mounts
    )
    return samples.facts(samples.vg(*lvs), mounts=table)


def _above(path: str, ids: dict[str, int], parents: dict[str, str]) -> str:
    others = [one for one in ids if one != path and f"{path}/".startswith(f"{one.rstrip('/')}/")]
    return parents.get(path) or max(others, key=len)


def a_set(*origins: str, more: str = "") -> Profile:
    volumes = "".join(f"  - {{origin: vg0/{name}, size: 16MiB}}\n" for name in origins)
    return samples.profile(f"volumes:\n{volumes}consistent: false\n{more}")


WHOLE = (("254:0", "/"), ("254:1", "/home"), ("8:1", "/boot"), ("254:2", "/var/lib/db"))


def mountpoints(profile: Profile, facts: Facts) -> list[str]:
    target = planner.plan_up(profile, facts, ()).target
    assert target is not None
    return [mount.mountpoint for mount in target.mounts]


def failed(profile: Profile, facts: Facts) -> list[tuple[str, str]]:
    return [(check.title, check.found) for check in tree.checks(profile, facts) if not check.passed]


def test_each_snapshot_is_where_its_origin_is_on_the_server() -> None:
    assert mountpoints(a_set("home", "system", "db"), server(*WHOLE)) == [TOP, f"{TOP}/home", f"{TOP}/var/lib/db"]


def test_what_is_included_is_in_the_tree_too_even_with_one_volume() -> None:
    assert mountpoints(a_set("system", more="include: [/boot]\n"), server(*WHOLE)) == [TOP, f"{TOP}/boot"]


def test_one_volume_alone_is_at_the_top_wherever_its_origin_is() -> None:
    assert mountpoints(a_set("home"), server(*WHOLE)) == [TOP]


def test_mounts_go_up_by_path_and_down_in_reverse_with_nothing_between_them() -> None:
    plan = planner.plan_up(a_set("home", "system", "db", more="include: [/boot]\n"), server(*WHOLE), ())

    mounted = [
        action.object for action in plan.actions if action.do and action.thing.value in ("mount", "included mount")
    ]
    assert mounted == [TOP, f"{TOP}/boot", f"{TOP}/home", f"{TOP}/var/lib/db"]
    top = next(action for action in plan.actions if action.object == TOP and action.thing is Thing.MOUNT)
    assert {key.object for key in top.needs_gone} == set(mounted) - {TOP}


def test_directories_are_made_only_where_no_snapshot_has_them() -> None:
    with_root = planner.plan_up(a_set("system", "db"), server(*WHOLE), ()).target
    without = planner.plan_up(a_set("home", "db"), server(*WHOLE), ()).target
    assert with_root
    assert without

    assert [(mount.parents, mount.make_directory) for mount in with_root.mounts] == [((), True), ((), False)]
    assert [(mount.parents, mount.make_directory) for mount in without.mounts] == [
        ((TOP,), True),
        ((TOP, f"{TOP}/var", f"{TOP}/var/lib"), True),
    ]


def test_a_top_that_was_there_before_is_not_removed() -> None:
    facts = server(*WHOLE)
    there = samples.changed(facts, mountpoint=MountpointFacts("empty", TOP, ""))

    made = planner.plan_up(a_set("home", "db"), there, ()).target

    assert made
    assert made.mounts[0].parents == ()


@pytest.mark.parametrize(
    ("origins", "mounts", "title", "found"),
    [
        (("system", "home"), (("254:0", "/"),), "vg0/home has a unique place in the tree", "it is mounted nowhere"),
        (
            ("system", "home"),
            (("254:0", "/"), ("254:1", "/home"), ("254:1", "/srv")),
            "vg0/home has a unique place in the tree",
            "mounted at /home, /srv",
        ),
        (
            ("system", "db"),
            (("254:0", "/"), ("254:1", "/var"), ("254:2", "/var/lib/db")),
            "/var/lib/db can be mounted in the tree",
            "it is mounted on a directory of /var, which is in no snapshot of the profile",
        ),
    ],
)
def test_a_volume_without_a_place_is_refused(
    origins: tuple[str, ...], mounts: tuple[tuple[str, str], ...], title: str, found: str
) -> None:
    assert failed(a_set(*origins), server(*mounts)) == [(title, found)]


def test_a_mount_between_two_volumes_is_good_once_it_is_included() -> None:
    facts = server(("254:0", "/"), ("8:1", "/var"), ("254:2", "/var/lib/db"))

    assert failed(a_set("system", "db", more="include: [/var]\n"), facts) == []
    assert len(failed(a_set("system", "db"), facts)) == 1


def test_only_a_mount_of_its_own_is_included() -> None:
    facts = server(("254:0", "/"), ("254:1", "/home"))
    unseen = replace(facts, mounts=(*facts.mounts, Mount("0:40", "/", "/efi", "autofs", "systemd-1", 9, 2)))

    assert failed(a_set("system", more="include: [/boot]\n"), facts) == [
        ("/boot is a mount point", "it is a directory of /, whose snapshot contains it")
    ]
    assert failed(a_set("system", more="include: [/efi]\n"), unseen) == [
        ("/efi is a mount point", "it is an automount that is not mounted yet")
    ]


def test_a_volume_of_the_tree_is_not_included_since_its_live_files_would_hide_its_snapshot() -> None:
    facts = server(*WHOLE)

    for path, of in (("/home", "vg0/home"), ("/", "vg0/system")):
        assert failed(a_set("system", "home", more=f"include: [/boot, {path}]\n"), facts) == [
            (f"{path} is not a volume of the profile", f"{of} is mounted there: its live files would hide its snapshot")
        ]


@pytest.mark.parametrize(("filesystem", "is_warned"), [("nfs4", True), ("fuse.sshfs", True), ("ext4", False)])
def test_of_an_include_that_may_not_answer_one_is_warned(filesystem: str, is_warned: bool) -> None:
    facts = server(("254:0", "/"))
    facts = replace(facts, mounts=(*facts.mounts, Mount("0:40", "/", "/srv/files", filesystem, "nas:/files", 9, 2)))

    checks = planner.plan_up(a_set("system", more="include: [/srv/files]\n"), facts, ()).checks

    assert [check.of for check in checks if check.id == "include-answers"] == ["/srv/files"] * is_warned
    assert [check.of for check in checks if check.warning] == ["/srv/files"] * is_warned


def test_a_backup_finds_the_tree_and_each_volume_of_it() -> None:
    target = planner.plan_up(a_set("system", "home"), server(*WHOLE), ()).target
    assert target

    assert variables(target) == {
        "LVMSNAP_PROFILE": "nightly",
        "LVMSNAP_MOUNTPOINT": TOP,
        "LVMSNAP_DEVICE_1": "/dev/vg0/system-lvmsnap-nightly",
        "LVMSNAP_MOUNTPOINT_1": TOP,
        "LVMSNAP_DEVICE_2": "/dev/vg0/home-lvmsnap-nightly",
        "LVMSNAP_MOUNTPOINT_2": f"{TOP}/home",
    }


def test_directories_go_only_when_nothing_of_others_is_in_them() -> None:
    target = planner.plan_up(a_set("home", "db"), server(*WHOLE), ()).target
    assert target
    kinds = {TOP: "not empty", f"{TOP}/home": "mounted", f"{TOP}/var": "not empty", f"{TOP}/var/lib": "empty"}
    kinds[f"{TOP}/var/lib/db"] = "absent"
    looked = {path: MountpointFacts(kind, path, "") for path, kind in kinds.items()}
    facts = replace(samples.facts(), looked=replace(samples.looked(), mountpoints=looked))

    assert removable_directories(target, {f"{TOP}/home"}, facts) == (
        TOP,
        f"{TOP}/home",
        f"{TOP}/var",
        f"{TOP}/var/lib",
    )
    assert removable_directories(target, set(), facts) == (TOP, f"{TOP}/var", f"{TOP}/var/lib")


def left_out_of(profile: Profile, facts: Facts) -> dict[str, str]:
    found = planner.plan_up(profile, facts, ()).facts
    return {fact.of: fact.value.partition(": mounted")[0] for fact in found if fact.name == "left out"}


def test_what_is_in_the_tree_is_not_left_out_and_what_is_not_is_named_once() -> None:
    facts = server(*WHOLE, ("8:2", "/boot/efi"), ("8:3", "/home/bob"), ("8:4", "/opt"))

    assert left_out_of(a_set("system", "home", "db", more="include: [/boot]\n"), facts) == {
        "vg0/system": "/boot/efi (/dev/8:2), /opt (/dev/8:4)",
        "vg0/home": "/home/bob (/dev/8:3)",
    }
    assert "/home" in left_out_of(a_set("system"), facts)["vg0/system"]


def test_what_is_mounted_below_an_include_is_named_once_too() -> None:
    facts = server(*WHOLE, ("8:2", "/boot/efi"), ("0:9", "/proc"), ("8:4", "/home/bob"))
    without_root, with_root = a_set("home", more="include: [/]\n"), a_set("system", "home", more="include: [/boot]\n")

    assert left_out_of(without_root, facts) == {
        TOP: "/boot (/dev/8:1), /var/lib/db (/dev/254:2), /boot/efi (/dev/8:2)",
        "vg0/home": "/home/bob (/dev/8:4)",
    }
    (fact,) = (
        one for one in planner.plan_up(without_root, facts, ()).facts if one.of == TOP and one.name == "left out"
    )
    assert fact.value.endswith("`- origin: vg0/db` under `volumes` and `include: [/, /boot, /boot/efi]`")
    assert TOP not in left_out_of(with_root, facts)


def test_a_part_of_a_volume_that_is_mounted_elsewhere_is_to_be_included_and_not_to_be_a_volume_twice() -> None:
    facts = server(("254:0", "/"), ("254:1", "/home"), ("254:1", "/srv/www"), ("254:2", "/srv/db"))
    www, db = (replace(mount, root="/part") for mount in facts.mounts[2:])
    facts = replace(facts, mounts=(*facts.mounts[:2], www, db))

    (fact,) = (one for one in planner.plan_up(a_set("system", "home"), facts, ()).facts if one.name == "left out")

    assert fact.value.endswith("; to include it: `include: [/srv/www, /srv/db]`")


@pytest.mark.parametrize(
    ("origins", "value"),
    [
        (("system", "home", "db"), "vg0/home, vg0/db are below the top, "),
        (("system", "home"), "vg0/home is below the top, "),
        (("home",), ""),
    ],
)
def test_a_plan_says_that_a_volume_which_is_added_moves_the_first_one(origins: tuple[str, ...], value: str) -> None:
    told = [fact for fact in planner.plan_up(a_set(*origins), server(*WHOLE), ()).facts if fact.name == "tree"]

    assert [(fact.of, fact.value.startswith(value)) for fact in told] == ([(TOP, True)] if value else [])


def test_what_is_mounted_in_the_tree_is_found_without_a_record() -> None:
    target = planner.plan_up(a_set("home", "db", more="include: [/boot]\n"), server(*WHOLE), ()).target
    assert target
    mounts = server(*WHOLE, ("254:8", f"{TOP}/home"), ("254:9", f"{TOP}/var/lib/db"), ("8:1", f"{TOP}/boot"))

    found = lost_tree.with_tree(replace(target, tree="", includes=()), mounts)

    assert found.tree == TOP
    assert [(one.source, one.mount.mountpoint) for one in found.includes] == [("/boot", f"{TOP}/boot")]
    assert [mount.parents for mount in found.mounts] == [(TOP,), (TOP,), (TOP, f"{TOP}/var", f"{TOP}/var/lib")]


def test_what_somebody_else_has_mounted_in_the_tree_is_left_to_them() -> None:
    target = planner.plan_up(a_set("home", "db"), server(*WHOLE), ()).target
    assert target
    theirs = (("0:77", f"{TOP}/a-tmpfs"), ("254:8", f"{TOP}/a-snapshot-of-another-profile"))

    found = lost_tree.with_tree(replace(target, tree=""), server(*WHOLE, *theirs))

    assert found.includes == ()


def test_a_tree_of_this_host_is_not_that_of_another_host_which_has_a_profile_of_the_same_name() -> None:
    facts = server(*WHOLE, ("8:1", f"{TOP}/boot"))
    theirs = samples.lv("x", origin="home", tags=("lvmsnap2.deadbeef.nightly",))
    facts = replace(facts, vgs=(replace(facts.vgs[0], lvs=(*facts.vgs[0].lvs, theirs)),))

    found = lost_record.target_from_marks("nightly", None, facts, "deadbeef")

    assert found
    assert (found.tree, found.includes) == ("", ())
