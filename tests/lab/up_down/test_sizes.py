"""A snapshot's size is LVM's own arithmetic: a table of geometries against what the real lvcreate makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from lvmsnap.model.units import GIB, KIB, MIB
from lvmsnap.planning.sizing import snapshot_extents
from tests import samples
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

# LVM makes the device nodes itself then, and waits for nobody.
FAST = "--config 'activation/udev_sync=0 activation/udev_rules=0 backup/backup=0 backup/archive=0'"


@dataclass(frozen=True)
class Geometry:
    """An origin in group `vg`, and the snapshot that is asked for."""

    vg: str
    origin_bytes: int
    chunk_kib: int
    percent: int


# Origins whose chunks just fill their metadata chunks, one more, one less; on extents of a chunk each, and of 4 MiB.
TABLE = (
    *(Geometry("small", size * 4 * KIB, 4, 100) for size in (1, 255, 256, 257, 512)),
    *(Geometry("small", 256 * 4 * KIB, 4, percent) for percent in (1, 33, 150)),
    *(Geometry("small", 256 * 4 * KIB, chunk, 100) for chunk in (8, 64)),
    *(Geometry("thin", 8 * GIB, 4, percent) for percent in (1, 2)),
    Geometry("thin", 64 * MIB, 512, 100),
)
EXTENT = {"small": 4 * KIB, "thin": 4 * MIB}


def ours(geometry: Geometry) -> int:
    """Return the extents that lvmsnap asks for."""
    text = f"size: {geometry.percent}%ORIGIN\n    chunk_size: {geometry.chunk_kib}KiB"
    profile = samples.profile(f"volumes:\n  - origin: vg0/system\n    {text}\n")
    group = replace(samples.GROUP, extent_size_bytes=EXTENT[geometry.vg])
    return snapshot_extents(profile.volumes[0], None, group, samples.lv("system", size_bytes=geometry.origin_bytes))


def make_groups(lab: Machine) -> None:
    make_vg(lab, "thin", ["ubdb"])
    lab.run("vgcreate -q -y -s 4k small /dev/ubda; lvcreate -q -y --type thin-pool -L 64M -n pool thin")


def test_a_share_of_the_origin_is_what_lvcreate_makes_of_it(lab: Machine) -> None:
    make_groups(lab)
    lines = []
    for number, geometry in enumerate(TABLE):
        thin = "-V" if geometry.vg == "thin" else "-Wn -Zn -L"
        pool = "--thinpool pool" if geometry.vg == "thin" else ""
        lines.append(f"lvcreate -q -y {FAST} {thin} {geometry.origin_bytes}b {pool} -n o{number} {geometry.vg}")
        size = f"-c {geometry.chunk_kib}k -l {geometry.percent}%ORIGIN"
        lines.append(f"lvcreate -q -y {FAST} -s {size} -n s{number} {geometry.vg}/o{number}")
    said = lab.run("lvm <<'END'\n" + "\n".join(lines) + "\nEND", timeout=300)

    rows = lab.run("lvs --noheadings --units b --nosuffix -o lv_name,lv_size -S 'lv_name=~^s[0-9]'").stdout.split()
    # udev knows nothing of what LVM made itself, and leaves it.
    lab.run("dmsetup remove_all --force; rm -rf /dev/small /dev/thin /dev/mapper/small-* /dev/mapper/thin-*")

    made = dict(zip(rows[::2], map(int, rows[1::2]), strict=True))

    assert made == {f"s{number}": ours(geometry) * EXTENT[geometry.vg] for number, geometry in enumerate(TABLE)}, said


def test_a_snapshot_of_all_its_origin_never_overflows_and_one_under_three_chunks_is_refused(lab: Machine) -> None:
    lab.run("vgcreate -q -y -s 4k small /dev/ubda; lvcreate -q -y -Wn -Zn -L 1M -n system small")
    for name, size in (("all", "100%ORIGIN"), ("two", "8KiB")):
        write_profile(lab, name, profile_text("small/system", size=size, mountpoint=None))

    result = lvmsnap(lab, "up two", code=3)
    lvmsnap(lab, "up all")
    lab.run("dd if=/dev/urandom of=/dev/small/system bs=4k count=256 oflag=direct status=none")
    status = lab.run("dmsetup status small-system--lvmsnap--all").stdout
    lvmsnap(lab, "down all")

    assert "the snapshot has no room for three chunks: 8 KiB of at least 12 KiB" in result.stderr
    assert " 2072/2072 " in status, status
