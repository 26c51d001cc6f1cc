"""A machine with volumes of many kinds, as `lvmsnap init` finds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.model.looked import MountpointFacts
from lvmsnap.model.units import GIB
from lvmsnap.operations import preparation
from lvmsnap.system.reading import Interest
from tests import samples
from tests.unit.cli.calling import Done, lvmsnap
from tests.unit.planning import first

HOME = samples.lv("home", device_number="254:7", size_bytes=20 * GIB)
SWAP = samples.lv("swap", device_number="254:8", uuid=samples.SNAPSHOT_UUID)
OPENED = replace(
    samples.mapping(f"CRYPT-LUKS2-{samples.LUKS_UUID.replace('-', '')}-data", "data", beneath=("254:9",)),
    device_number="254:10",
)
DATA = samples.lv("da-ta", device_number="254:9", uuid=samples.DISK_UUID)
BTRFS = Mount("0:40", "/", "/srv/bt", "btrfs", "/dev/mapper/vg0-home", mount_id=7)
INSIDE = Mount("254:10", "/", "/srv/data", "ext4", "/dev/mapper/data", mount_id=8)
TYPES = {"254:0": "ext4", "254:7": "btrfs", "254:8": "swap", "254:9": "crypto_LUKS", "254:10": "ext4"}


def system() -> Facts:
    pool = samples.lv("pool", segment_types=("thin-pool",), device_number="254:11", uuid="pool")
    hidden = samples.lv("pool_tdata", is_hidden=True, device_number="254:12", uuid="tdata")
    ours = samples.snapshot_lv(name="system-lvmsnap-other")
    mounts = (BTRFS, INSIDE, replace(first.ORIGIN, mountpoint="/run/lvmsnap/other/system", mount_id=9))
    facts = first.machine(samples.vg(HOME, SWAP, DATA, pool, hidden, ours), mounts=mounts)
    return replace(facts, dm_devices=(*facts.dm_devices, OPENED))


def look_at(monkeypatch: pytest.MonkeyPatch, facts: Facts) -> None:
    """Have these facts found wherever a profile looks."""

    def look(_session: object, interest: Interest, *_: object) -> Facts:
        free = {path: MountpointFacts("absent", path, "") for path in interest.mountpoints}
        return replace(facts, looked=replace(facts.looked, mountpoints=free))

    monkeypatch.setattr(preparation, "look", look)


def init(*arguments: str, folder: Path | None = None) -> Done:
    return lvmsnap("init", *arguments, *(("--profile-dir", str(folder)) if folder else ()))
