"""What is mounted below an origin is not in its snapshot: the plan says so."""

from __future__ import annotations

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.planning import planner
from lvmsnap.planning.left_out import left_out
from tests import samples
from tests.samples import ORIGIN


def mount(mountpoint: str, number: str = "8:1", filesystem: str = "ext4", root: str = "/") -> Mount:
    return Mount(number, root, mountpoint, filesystem, f"/dev/{number}")


def on(*mounts: Mount, at: str = "/srv/system") -> tuple[Mount, ...]:
    return (mount("/", "8:9"), mount(at, ORIGIN.device_number), *mounts)


def places(*mounts: Mount, at: str = "/srv/system") -> list[str]:
    return [mount.mountpoint for mount in left_out(ORIGIN.device_number, on(*mounts, at=at))]


def test_other_filesystems_below_the_origin_are_left_out_at_any_depth() -> None:
    below = (mount("/srv/system/home"), mount("/srv/system/home/bob", "8:2", "xfs"))

    assert places(*below, mount("/srv/systematic"), mount("/srv/other")) == ["/srv/system/home", "/srv/system/home/bob"]


def test_a_root_origin_leaves_out_boot_and_not_what_the_kernel_makes_up() -> None:
    system = [mount(path, "0:5", kind) for path, kind in (("/proc", "proc"), ("/run", "tmpfs"), ("/sys", "sysfs"))]
    mounts = (mount("/", ORIGIN.device_number), *system, mount("/boot"), mount("/boot/efi", "8:2", "vfat"))

    assert [one.mountpoint for one in left_out(ORIGIN.device_number, mounts)] == ["/boot", "/boot/efi"]


@pytest.mark.parametrize(
    "harmless",
    [
        mount("/srv/system/self", ORIGIN.device_number, root="/data"),
        mount("/srv/system/snap/core/1", "7:1", "squashfs"),
        mount("/srv/system/nfs", "0:50", "nfs4"),
        mount("/run/lvmsnap/other"),
    ],
    ids=["a bind mount of its own", "an image", "a network filesystem", "a snapshot of lvmsnap's"],
)
def test_what_can_lose_nothing_is_not_named(harmless: Mount) -> None:
    at = "/" if harmless.mountpoint.startswith("/run") else "/srv/system"

    assert harmless.mountpoint not in places(harmless, at=at)


def test_btrfs_has_no_device_number_of_its_own_and_is_named() -> None:
    assert places(mount("/srv/system/data", "0:44", "btrfs")) == ["/srv/system/data"]


def test_a_filesystem_that_is_mounted_twice_is_named_at_each_place_once() -> None:
    both = (mount("/srv/system/a"), mount("/srv/system/a"), mount("/srv/system/b"))

    assert places(*both) == ["/srv/system/a", "/srv/system/b"]


def test_an_origin_that_is_mounted_nowhere_leaves_out_nothing() -> None:
    assert left_out(ORIGIN.device_number, (mount("/"), mount("/boot"))) == ()


def planned(facts: Facts) -> dict[str, str]:
    return {fact.name: fact.value for fact in planner.plan_up(samples.profile(), facts, ()).facts}


def test_the_plan_says_what_is_left_out_and_nothing_where_nothing_is() -> None:
    facts = samples.facts(mounts=on(mount("/srv/system/home"), mount("/srv/system/mail", "8:2")))

    said = planned(facts)["left out"]

    assert said == (
        "/srv/system/home (/dev/8:1), /srv/system/mail (/dev/8:2): "
        "mounted below it, so the snapshot has an empty directory there; "
        "to include it: `include: [/srv/system/home, /srv/system/mail]`"
    )
    assert "left out" not in planned(samples.facts())


def test_a_volume_that_is_left_out_is_taken_in_as_a_volume() -> None:
    group = samples.vg(samples.lv("home", device_number="254:1"))
    facts = samples.facts(group, mounts=on(mount("/srv/system/home", "254:1")))

    assert planned(facts)["left out"].endswith("; to include it: `- origin: vg0/home` under `volumes`")
