"""Every check passes on a good system, fails on a bad one, and says what is wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.model.looked import MountpointFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import GIB
from lvmsnap.planning import checks
from tests import samples
from tests.samples import FILE_FACTS, LOOP, OTHER_UUID, SNAPSHOT_UUID, VG_UUID
from tests.unit.planning.bad_places import BAD_PLACES
from tests.unit.planning.bad_systems import (
    ALLOWED,
    AT,
    BAD_VOLUMES,
    POOL,
    beneath,
    directory,
    failed,
    group,
    mountpoint,
    origin,
    over,
    run,
)

BAD = BAD_VOLUMES | BAD_PLACES


@pytest.mark.parametrize("name", BAD)
def test_a_bad_system_is_refused_by_the_one_check_that_is_meant(name: str) -> None:
    case = BAD[name]

    assert failed(case.profile, case.facts) == [case.says]
    (check,) = (check for check in run(case.profile, case.facts) if not check.passed)
    assert case.do in check.hint


GOOD = {
    "a file over a thin pool that is written first": (
        samples.with_file("allocation: zero-fill", "size: 32MiB"),
        over(POOL),
    ),
    "nothing special": (samples.profile(), samples.facts()),
    "a backing file in a full group": (samples.with_file(), group(free_extents=0)),
    "a device alone of btrfs": (
        samples.profile("volumes: [{origin: vg0/system, mountpoint: null}]"),
        samples.facts(origin_filesystem="btrfs"),
    ),
    "an existing empty mountpoint": (samples.profile(), mountpoint("empty")),
    "another volume of the group beneath, as the profile allows": (ALLOWED, beneath(dm_uuid(VG_UUID, OTHER_UUID))),
    "another group beneath": (samples.with_file(), beneath(dm_uuid(OTHER_UUID, SNAPSHOT_UUID))),
    "a crypt device beneath": (samples.with_file(), beneath("CRYPT-LUKS2-" + "0" * 32)),
    "another origin suspended": (
        samples.profile(),
        samples.facts(dm_devices=(samples.dm("vg0-other", dm_uuid(VG_UUID, OTHER_UUID), suspended=True),)),
    ),
    "a filter that takes loop devices": (
        samples.with_file(),
        samples.facts(lvm_filters=(("filter", ("a|^/dev/loop|", "r|.*|")),)),
    ),
    "another loop device taken": (samples.with_file("loop_device: /dev/loop5"), samples.facts(loops=(LOOP,))),
    "a thin volume as origin": (samples.profile(), origin(attr="Vwi-aotz--", segment_types=("thin",))),
    "a cached volume as origin": (samples.profile(), origin(attr="Cwi-aoC---", segment_types=("cache",))),
    "a volume with a write cache as origin": (
        samples.profile(),
        origin(attr="Cwi-aoC---", segment_types=("writecache",)),
    ),
    "a VDO volume as origin": (samples.profile(), origin(attr="vwi-aov---", segment_types=("vdo",))),
    "a volume on RAID as origin": (samples.profile(), origin(attr="rwi-aor---", segment_types=("raid1",))),
    "exactly as much space as wanted": (
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
        group(free_extents=16),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_system_is_refused_by_no_check(name: str) -> None:
    assert failed(*GOOD[name]) == []


def test_all_that_is_wrong_is_reported_at_once() -> None:
    bad = samples.facts(is_root=False, file=FILE_FACTS, mountpoint=MountpointFacts("symlink", AT, ""))

    assert [line.partition(":")[0] for line in failed(samples.with_file(), bad)] == [
        *("not run by root", "/srv/space/lent exists already", f"mountpoint {AT} cannot be used")
    ]


def test_an_illegal_snapshot_name_is_refused_before_lvm_could_leave_it_half_made() -> None:
    profile = samples.profile()
    long = replace(profile, volumes=(replace(profile.volumes[0], snapshot="x" * 121),))

    (line,) = failed(long, samples.facts())

    assert "is too long: device-mapper's name" in line


@pytest.mark.parametrize("name", [*BAD, *GOOD])
def test_no_check_is_reported_twice(name: str) -> None:
    profile, facts = (BAD[name].profile, BAD[name].facts) if name in BAD else GOOD[name]

    found = run(profile, facts)

    for told in ([check.title for check in found], [(check.id, check.of) for check in found]):
        assert len(told) == len(set(told))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", check.id) for check in found)


def test_every_failing_check_of_the_table_is_one_of_a_kind() -> None:
    """Every check there is has a system in the table that it refuses."""
    every = {_kind(check) for case in BAD.values() for check in run(case.profile, case.facts)}
    refusing = set(_refusing())

    assert every - refusing == set()


def _kind(check: Check) -> str:
    return check.id


def _refusing() -> Iterator[str]:
    for case in BAD.values():
        yield from (_kind(check) for check in run(case.profile, case.facts) if not check.passed)
    yield "snapshot-name-legal"  # test_an_illegal_snapshot_name_...


# --- the risk of a boot -----------------------------------------------------------------------------------------------

ROOT = Mount("254:0", "/", "/", "ext4", "/dev/mapper/vg0-system")


def boot_check(facts: Facts, profile: Profile | None = None) -> Check | None:
    return next(
        (c for c in run(profile or samples.with_file(), facts) if c.title.startswith("the boot survives")), None
    )


def test_lending_to_the_group_of_the_root_filesystem_is_refused_without_boot_recovery() -> None:
    check = boot_check(samples.facts(mounts=(ROOT,)))

    assert check is not None
    assert not check.passed
    assert "install-boot" in check.hint


def test_it_is_allowed_with_boot_recovery_or_where_the_profile_takes_the_risk() -> None:
    installed = boot_check(samples.facts(mounts=(ROOT,), boot_recovery=True))
    risked = boot_check(samples.facts(mounts=(ROOT,)), samples.with_file("accept_boot_risk: true"))

    assert installed is not None
    assert (installed.passed, installed.warning) == (True, False)
    assert risked is not None
    assert (risked.passed, risked.warning) == (True, True)


def test_another_volume_of_the_group_that_the_boot_needs_is_a_warning() -> None:
    home = replace(ROOT, mountpoint="/home", device_number="254:7")
    facts = samples.facts(samples.vg(samples.lv("home")), mounts=(home,), boot_mountpoints=("/", "/home"))

    check = boot_check(facts)

    assert check is not None
    assert (check.passed, check.warning) == (True, True)


def test_a_group_that_the_boot_does_not_need_is_not_spoken_of() -> None:
    assert boot_check(samples.facts()) is None


# --- programs ---------------------------------------------------------------------------------------------------------


def test_only_the_programs_that_the_profile_needs_are_asked_for() -> None:
    assert checks.tools(samples.profile("volumes: [{origin: vg0/system, mountpoint: null}]")) == ("lvm", "dmsetup")
    assert {"fallocate", "losetup", "mount", "umount"} <= set(checks.tools(samples.with_file()))
    assert "dd" in checks.tools(samples.with_file("allocation: zero-fill"))
    assert "fallocate" not in checks.tools(samples.with_file("allocation: zero-fill"))


def test_a_filesystem_of_a_terabyte_has_room() -> None:
    assert failed(samples.with_file(), directory(available_bytes=1024 * GIB)) == []
