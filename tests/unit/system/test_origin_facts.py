"""What the origin's mount says of its filesystem."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.looked import OriginFacts
from lvmsnap.system import block_devices, mount_table, origin_facts
from lvmsnap.system.processes import Runner
from lvmsnap.system.reading import Interest
from tests import samples


def test_the_options_of_the_filesystem_count_not_those_of_one_of_its_mounts() -> None:
    line = b"36 25 254:0 / /srv/system ro,nosuid shared:1 - ext4 /dev/mapper/vg0-system rw,errors=continue\n"
    facts = samples.facts(mounts=mount_table.parse_mounts(line))

    assert origin_facts._mount_options(facts, samples.ORIGIN) == ("rw", "errors=continue")
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

    assert origin_facts._mount_options(facts, samples.ORIGIN) == ("ro", "norecovery", "errors=continue")
    inactive = replace(samples.ORIGIN, attr="-wi-------")
    without = replace(facts, vgs=(replace(samples.GROUP, lvs=(inactive,)),))
    looked = origin_facts.add(Runner(), without, Interest.of_profile(samples.profile()), lambda _: ()).looked
    assert looked.origins == {("vg0", "system"): OriginFacts()}
