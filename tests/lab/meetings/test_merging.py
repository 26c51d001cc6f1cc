"""A snapshot that LVM merges into its origin is LVM's: lvmsnap says so and touches nothing, and no data is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.lab.helpers import MachineFactory, fingerprint, make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

FILES = range(8)
LENT = "/media/space/lent"
KEPT = ("/etc/lvmsnap", "/var/lib/lvmsnap", "/media")


@dataclass(frozen=True)
class Volume:
    """An origin that is mounted, and its profile of the same name."""

    vg: str

    @property
    def folder(self) -> str:
        return f"/mnt/{self.vg}"

    @property
    def origin(self) -> str:
        return f"{self.vg}/system"

    @property
    def snapshot(self) -> str:
        return f"{self.vg}/snap"


# Of the second one the snapshot lies on a lent file, and is mounted.
PLAIN, LENDING = Volume("vg0"), Volume("vg1")


def sums(m: Machine, volume: Volume) -> str:
    return m.run(f"cd {volume.folder} && sha256sum *[0-9]").stdout


def overwrite(m: Machine, volume: Volume, files: range) -> None:
    names = " ".join(str(number) for number in files)
    m.run(f"for i in {names}; do dd if=/dev/urandom of={volume.folder}/$i bs=1M count=2 conv=fsync status=none; done")


def states(m: Machine) -> dict[str, str]:
    return {told["name"]: told["state"] for told in json.loads(lvmsnap(m, "status --json").stdout)["profiles"]}


def prepare(m: Machine) -> None:
    m.run("mkfs.ext4 -q /dev/ubdc; mkdir -p /media/space; mount /dev/ubdc /media/space")
    for volume, disk in ((PLAIN, "ubda"), (LENDING, "ubdb")):
        make_vg(m, volume.vg, (disk,), volumes={"system": "40M"}, filesystems={"system": "ext4"})
        m.run(f"mkdir {volume.folder}; mount /dev/{volume.origin} {volume.folder}")
        overwrite(m, volume, FILES)
    write_profiles(m)


def write_profiles(m: Machine) -> None:
    write_profile(m, "vg0", profile_text(PLAIN.origin, snapshot="snap", size="44MiB", mountpoint=None))
    lending = {"snapshot": "snap", "size": "44MiB", "backing_file": {"path": LENT}}
    write_profile(m, "vg1", profile_text(LENDING.origin, **lending))


def boot_again(m: Machine) -> None:
    """Reboot in an orderly way; the record and the profiles, which a server keeps, are kept."""
    records = {name: m.read_bytes(f"/var/lib/lvmsnap/{name}.json") for name in ("vg0", "vg1")}
    m.reboot()
    write_profiles(m)
    for name, content in records.items():
        m.write_file(f"/var/lib/lvmsnap/{name}.json", content, mode=0o600)
    m.run("chmod 700 /var/lib/lvmsnap; mkdir -p /media/space; mount /dev/ubdc /media/space")


def end_of_merge(m: Machine, volume: Volume) -> str:
    """Activate as a boot does, wait for the merge, check the filesystem and mount it; give the sums of its files."""
    merging = f"lvs -a --noheadings -o lv_name -S lv_merging=1 {volume.vg}"
    m.run(f"vgchange -q -ay {volume.vg}; while [ -n '$({merging})' ]; do sleep 1; done".replace("'", '"'))
    m.run(f"e2fsck -fn /dev/{volume.origin}; mkdir -p {volume.folder}; mount /dev/{volume.origin} {volume.folder}")
    return sums(m, volume)


def test_a_merge_that_waits_for_the_next_boot_gives_back_every_file(fresh_machine: MachineFactory) -> None:
    m = fresh_machine({"ubda": 128 * MiB, "ubdb": 48 * MiB, "ubdc": 128 * MiB})
    m.boot()
    prepare(m)
    before = {volume: sums(m, volume) for volume in (PLAIN, LENDING)}
    for volume in before:
        lvmsnap(m, f"up {volume.vg}")
        overwrite(m, volume, range(4))
        m.run(f"lvconvert -q -y --merge {volume.snapshot}")
    seen = fingerprint(m, KEPT)

    assert states(m) == {"vg0": "merging", "vg1": "merging"}
    for volume in before:
        refused = lvmsnap(m, f"down {volume.vg}", code=3)
        assert f"LVM is merging {volume.snapshot} into {volume.origin}" in refused.stderr
        lvmsnap(m, f"down {volume.vg} --force", code=3)
        lvmsnap(m, f"up {volume.vg} --replace", code=3)
        planned = lvmsnap(m, f"plan {volume.vg} --down", code=3)
        assert "nothing of it was touched" in planned.stdout
    recovered = lvmsnap(m, "recover")
    said = [line.split()[:3] for line in recovered.stdout.splitlines()]
    assert said == [["left", "alone", "vg0:"], ["left", "alone", "vg1:"]]
    assert fingerprint(m, KEPT) == seen

    # What is written from here on is in the CoW only while its devices are there.
    for volume in before:
        overwrite(m, volume, range(2, 6))
    boot_again(m)
    assert end_of_merge(m, PLAIN) == before[PLAIN]

    # The lent disk is not there yet: nothing is removed, and what status advises completes the merge.
    seen = fingerprint(m, KEPT)
    assert states(m)["vg1"] == "merging"
    lvmsnap(m, "recover vg1")
    assert fingerprint(m, KEPT) == seen
    (told,) = json.loads(lvmsnap(m, "status vg1 --json").stdout)["profiles"]
    m.run(told["problem"].removeprefix("the merge needs the backing file: "))
    assert end_of_merge(m, LENDING) == before[LENDING]

    recovered = lvmsnap(m, "recover")
    assert recovered.stdout.count("now it is down") == 2
    left = m.run(f"ls /var/lib/lvmsnap {LENT}; losetup; pvs --noheadings -o pv_name -S vg_name=vg1", check=False)
    assert left.stdout.split() == ["/var/lib/lvmsnap:", "/dev/ubdb"]
