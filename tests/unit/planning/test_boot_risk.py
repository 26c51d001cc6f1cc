"""Whether a power cut while a file is lent could keep the machine from booting, by mounts and fstab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile
from lvmsnap.planning import boot_risk
from tests import samples

ROOT = Mount("254:0", "/", "/", "ext4", "/dev/mapper/vg0-system")
HOME = replace(ROOT, mountpoint="/home", device_number="254:7")
GROUP = samples.vg(samples.lv("home"))
RISKED = samples.with_file("accept_boot_risk: true")


def checked(facts: Facts, profile: Profile | None = None) -> list[Check]:
    asked = profile or samples.with_file()
    return list(boot_risk.check(asked.backing_files[0], facts))


@pytest.mark.parametrize("root", ["254:0", "254:7"], ids=["the origin", "another volume of its group"])
def test_a_root_filesystem_in_the_group_refuses_without_boot_recovery(root: str) -> None:
    (check,) = checked(samples.facts(GROUP, mounts=(replace(ROOT, device_number=root),)))

    assert (check.passed, check.warning) == (False, False)
    assert "root filesystem" in check.found
    assert "install-boot" in check.hint
    assert "accept_boot_risk" in check.hint


def test_a_taken_risk_on_the_root_filesystem_is_a_warning() -> None:
    (check,) = checked(samples.facts(GROUP, mounts=(ROOT,)), RISKED)

    assert (check.passed, check.warning) == (True, True)


def test_a_filesystem_of_fstab_in_the_group_is_a_warning_that_names_it() -> None:
    (check,) = checked(samples.facts(GROUP, mounts=(HOME,), boot_mountpoints=("/", "/home")))

    assert (check.passed, check.warning) == (True, True)
    assert "/home would not be mounted" in check.found


def test_with_boot_recovery_there_is_nothing_to_warn_of() -> None:
    (check,) = checked(samples.facts(GROUP, mounts=(ROOT,), boot_recovery=True))

    assert (check.passed, check.warning) == (True, False)


@pytest.mark.parametrize(
    "mounts",
    [
        pytest.param((), id="nothing mounted"),
        pytest.param((HOME,), id="mounted, but not from fstab"),
        pytest.param((replace(ROOT, device_number="254:99"),), id="the root filesystem is in no group"),
    ],
)
def test_a_group_that_the_boot_does_not_need_is_not_spoken_of(mounts: tuple[Mount, ...]) -> None:
    assert checked(samples.facts(GROUP, mounts=mounts)) == []


def test_a_boot_that_looks_for_the_origin_by_uuid_is_a_warning_without_boot_recovery_also_where_no_file_is_lent() -> (
    None
):
    tags = ("UUID=ab-cd", "LABEL=data")
    facts = samples.facts(GROUP, origin_tags=tags, boot_tags=("UUID=12-34", "UUID=ab-cd"))
    (volume,) = samples.profile().volumes
    (check,) = boot_risk.check_origin(volume, facts)
    (installed,) = boot_risk.check_origin(volume, samples.changed(facts, boot_recovery=True))

    assert (check.passed, check.warning) == (True, True)
    assert "the boot looks for UUID=ab-cd" in check.found
    assert "install-boot" in check.hint
    assert (installed.passed, installed.warning) == (True, False)
    assert list(boot_risk.check_origin(volume, samples.changed(facts, boot_tags=("LABEL=other",)))) == []


def test_another_group_of_the_boot_is_none_of_the_profiles_business() -> None:
    root = samples.vg(samples.lv("root", device_number="254:20"), name="vg9", lvs=(samples.lv("root"),))
    facts = replace(samples.facts(GROUP, mounts=(HOME,)), vgs=(samples.GROUP, root))

    assert checked(facts) == []
