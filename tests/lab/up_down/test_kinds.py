"""Each kind of volume that LVM has on real LVM: what can be snapshotted is, what cannot is refused with the reason."""

from __future__ import annotations

import pytest

from tests.lab import looking
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

CACHED = """lvcreate -q -y -L 32M -n cached vg0 /dev/ubda
lvcreate -q -y --type cache-pool -L 8M -n fast vg0
lvconvert -q -y --type cache --cachepool fast vg0/cached"""
WRITTEN = """lvcreate -q -y -L 32M -n written vg0 /dev/ubda
lvcreate -q -y -an -L 8M -n faster vg0
lvconvert -q -y --type writecache --cachevol faster vg0/written"""
# How a volume of each kind is made, and a part of it that is a volume of its own. The lab's kernel has no VDO.
KINDS = {
    "linear": ("lvcreate -q -y -L 32M -n linear vg0", ""),
    "striped": ("lvcreate -q -y -i 3 -L 33M -n striped vg0", ""),
    "raid1": ("lvcreate -q -y --type raid1 -m 1 -L 32M -n raid1 vg0", "raid1_rimage_0"),
    "raid5": ("lvcreate -q -y --type raid5 -i 2 -L 32M -n raid5 vg0", "raid5_rmeta_0"),
    "raid10": ("lvcreate -q -y --type raid10 -i 2 -m 1 -L 32M -n raid10 vg0", "raid10_rimage_3"),
    "mirror": ("lvcreate -q -y --type mirror -m 1 --mirrorlog core -L 32M -n mirror vg0", "mirror_mimage_0"),
    "cached": (CACHED, "cached_corig"),
    "written": (WRITTEN, "written_wcorig"),
    "thin": ("lvcreate -q -y -L 48M -T vg0/pool\nlvcreate -q -y -V 32M -T vg0/pool -n thin", "pool_tdata"),
}
FILES = """set -e
mkfs.ext4 -q /dev/vg0/{0}; mkdir -p /mnt/d; mount /dev/vg0/{0} /mnt/d
mkdir -p /mnt/d/a/b; head -c 3M /dev/urandom > /mnt/d/a/file; echo old > /mnt/d/a/b/file; ln -s a /mnt/d/link; sync
lvcreate -q -y -s -l 2 -n theirs vg0/{0}; head -c 1M /dev/urandom > /mnt/d/late"""
SUMS = "cd {} && find . | sort | xargs stat -c '%n %f %u %g %s %Y' && find . -type f | sort | xargs sha256sum"
LOOK = "lvs -a --noheadings -o lv_name,lv_uuid,lv_attr,origin vg0; dmsetup table | sort"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_volume_is_shown_as_it_was_file_by_file(lab: Machine, kind: str) -> None:
    make, part = KINDS[kind]
    lab.run(f"vgcreate -q -y vg0 /dev/ubda /dev/ubdb /dev/ubdc /dev/ubdd\n{make}\n{FILES.format(kind)}", timeout=120)
    write_profile(lab, "p", profile_text(f"vg0/{kind}", size="16MiB"))
    write_profile(lab, "part", profile_text(f"vg0/{part or 'none'}", snapshot="part", size="4MiB", mountpoint=None))
    before, files = lab.run(LOOK).stdout, lab.run(SUMS.format("/mnt/d")).stdout

    lvmsnap(lab, "up p")
    lab.run("echo new > /mnt/d/a/file; rm /mnt/d/late; chmod 0 /mnt/d/a/b; sync")
    seen = lab.run(SUMS.format("/run/lvmsnap/p")).stdout
    lvmsnap(lab, "down p")

    assert seen == files
    assert lab.run(LOOK).stdout == before
    lab.run("mkdir /run/kept; mount -o ro,noload /dev/vg0/theirs /run/kept; cat /run/kept/a/b/file; umount /run/kept")
    said = "it is a part of another volume" if part else f"there is no origin vg0/none: vg0 has: {kind}"
    assert said in lvmsnap(lab, "up part", code=3).stderr


# A PV to which everything is written slowly.
SLOW = """set -e
modprobe dm-delay; dmsetup create slow --table "0 2000000 delay /dev/ubdb 4096 0 /dev/ubdb 4096 100"
pvcreate -q /dev/mapper/slow; vgcreate -q vg0 /dev/ubda /dev/mapper/slow /dev/ubdc /dev/ubdd"""
# A thin volume that is to become again what its snapshot is, once it is closed.
MERGING = """set -e
vgcreate -q vg0 /dev/ubda; lvcreate -q -y -L 48M -T vg0/pool; lvcreate -q -y -V 32M -T vg0/pool -n thin
mkfs.ext4 -q /dev/vg0/thin; mkdir -p /mnt/d; mount /dev/vg0/thin /mnt/d
lvcreate -q -y -s -n old vg0/thin; lvconvert -q -y --merge vg0/old"""
# A thin volume that shows what another one holds, but for what was written to itself.
EXTERNAL = """set -e
lvcreate -q -y -L 32M -n base vg0; mkfs.ext4 -q /dev/vg0/base; lvchange -q -an vg0/base; lvchange -q -pr vg0/base
lvcreate -q -y -s --thinpool vg0/pool -n clone vg0/base; lvchange -q -ay vg0/base"""


NOW = "lvs -a --noheadings -o lv_name,lv_uuid,origin vg0; dmsetup info -c --noheadings -o name,uuid,suspended"
UNTIL = "until lvs --noheadings -o raid_sync_action vg0/raid | grep -q {}; do sleep 0.5; done"


def refused(lab: Machine, origin: str, **settings: str) -> str:
    """Return why `up` refuses an origin; nothing may have changed by that."""
    write_profile(lab, "middle", profile_text(f"vg0/{origin}", snapshot="middle", mountpoint=None, **settings))
    before = lab.run(NOW).stdout
    said = lvmsnap(lab, "up middle", code=3).stderr
    assert lab.run(NOW).stdout == before
    return said


def test_an_origin_that_is_merged_or_an_external_one_is_refused(lab: Machine) -> None:
    lab.run(MERGING, timeout=120)
    assert "a snapshot is being merged into it" in refused(lab, "thin")
    assert "a snapshot is being merged into it" in refused(lab, "thin", size="8MiB")

    lab.run(EXTERNAL, timeout=120)
    assert "it is the external origin of thin volumes" in refused(lab, "base", size="8MiB")
    # What it is the origin of can be snapshotted either way.
    for size in ("", "8MiB"):
        write_profile(lab, "clone", profile_text("vg0/clone", **({"size": size} if size else {})))
        lvmsnap(lab, "up clone")
        assert looking.lv(lab, "vg0/clone-lvmsnap-clone", "origin,pool_lv") == ["clone", "" if size else "pool"]
        lab.run("ls /run/lvmsnap/clone/lost+found")
        lvmsnap(lab, "down clone")


def test_an_origin_that_is_moved_is_refused_until_that_is_over(lab: Machine) -> None:
    lab.run(SLOW, timeout=120)
    lab.run("lvcreate -q -y -L 200M -n moved vg0 /dev/ubda; pvmove -q -b -i 1 -n vg0/moved /dev/ubda /dev/mapper/slow")

    said = refused(lab, "moved", size="8MiB")
    lab.run("pvmove -q --abort", timeout=120)
    lvmsnap(lab, "up middle")
    lvmsnap(lab, "down middle")

    assert "LVM has locked it, as pvmove does" in said


def test_raid_that_is_or_was_reshaped_is_refused_until_its_space_for_that_is_freed(lab: Machine) -> None:
    lab.run(SLOW, timeout=120)
    lab.run(f"lvcreate -q -y --type raid5 -i 2 -L 16M -n raid vg0; {UNTIL.format('idle')}", timeout=120)
    lab.run("lvconvert -q -y --stripes 3 vg0/raid", timeout=120)

    for state in ("reshape", "idle"):
        lab.run(UNTIL.format(state), timeout=120)
        said = refused(lab, "raid", size="8MiB")
        assert "it is RAID that is being reshaped, or was" in said
        assert "lvconvert --stripes" in said
    lab.run("lvconvert -q -y --stripes 3 vg0/raid", timeout=120)
    lvmsnap(lab, "up middle")
    lvmsnap(lab, "down middle")
    assert "Suspended" not in lab.run("dmsetup info -c --noheadings -o name,suspended").stdout
