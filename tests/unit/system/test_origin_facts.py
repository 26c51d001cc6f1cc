"""What the origin's mount says of its filesystem."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.facts import DmDevice
from lvmsnap.model.looked import LuksHeader, OriginFacts
from lvmsnap.system import block_devices, luks_header, mount_table, origin_facts
from lvmsnap.system.processes import Runner
from lvmsnap.system.reading import Interest
from tests import samples


def test_the_options_of_the_filesystem_count_not_those_of_one_of_its_mounts() -> None:
    line = b"36 25 254:0 / /srv/system ro,nosuid shared:1 - ext4 /dev/mapper/vg0-system rw,errors=continue\n"
    facts = samples.facts(mounts=mount_table.parse_mounts(line))

    assert origin_facts._mount_options(facts, samples.ORIGIN.device_number) == ("rw", "errors=continue")
    assert facts.mounts[0].options == ("ro", "nosuid")


def test_of_an_ext4_that_is_mounted_in_another_namespace_alone_its_driver_says_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("sys", "proc/dm-0", "devices/dm-0"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sys/254:0").symlink_to(tmp_path / "devices/dm-0")
    (tmp_path / "proc/dm-0/options").write_text("ro\nnorecovery\nerrors=continue\n")
    monkeypatch.setattr(block_devices, "SYS_DEV_BLOCK", tmp_path / "sys")
    monkeypatch.setattr(origin_facts, "PROC_EXT4", tmp_path / "proc")
    facts = samples.facts(mounts=())

    assert origin_facts._mount_options(facts, samples.ORIGIN.device_number) == ("ro", "norecovery", "errors=continue")
    inactive = replace(samples.ORIGIN, attr="-wi-------")
    without = replace(facts, vgs=(replace(samples.GROUP, lvs=(inactive,)),))
    looked = origin_facts.add(Runner(), without, Interest.of_profile(samples.profile()), lambda _: ()).looked
    assert looked.origins == {("vg0", "system"): OriginFacts()}


def test_what_is_in_an_open_luks_container_is_looked_at_through_its_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    header = LuksHeader(2, "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9")
    monkeypatch.setattr(luks_header, "read", {"/dev/vg0/system": header}.get)
    monkeypatch.setattr(origin_facts, "_from_udev", {samples.ORIGIN.device_number: "crypto_LUKS", "254:8": "xfs"}.get)
    mount = replace(samples.mounted("/srv/data", "254:9"), filesystem_options=("rw",))
    devices = (
        DmDevice("254:7", "other", "CRYPT-LUKS2-00000000000000000000000000000000-other", False, ("254:5",)),
        DmDevice("254:8", "again", "CRYPT-LUKS2-00000000000000000000000000000000-again", False, ("254:0",)),
        DmDevice("254:9", "data", "CRYPT-LUKS2-00000000000000000000000000000000-data", False, ("254:0",)),
    )
    facts = samples.facts(mounts=(mount,), dm_devices=devices)
    interest = Interest.of_profile(samples.profile())

    looked = origin_facts.add(Runner(), facts, interest, lambda _: ("UUID=x",)).looked.origins["vg0", "system"]
    assert (looked.filesystem, looked.luks, looked.is_in_luks, looked.tags) == (
        "crypto_LUKS",
        header,
        False,
        ("UUID=x",),
    )
    assert looked.inside is not None
    assert (looked.inside.filesystem, looked.inside.device_number) == ("ext4", "254:9")
    assert looked.inside.is_in_luks
    assert looked.inside.is_mounted
    assert looked.inside.mount_options == ("rw",)

    unmounted = origin_facts.add(Runner(), replace(facts, mounts=()), interest, lambda _: ()).looked
    inside = unmounted.origins["vg0", "system"].inside
    assert inside is not None
    assert (inside.filesystem, inside.is_mounted) == ("xfs", False)

    closed = origin_facts.add(Runner(), replace(facts, dm_devices=devices[:1]), interest, lambda _: ()).looked
    assert closed.origins["vg0", "system"].inside is None
