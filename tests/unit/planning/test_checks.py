"""Every check passes on a good system, fails on a bad one, and says what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lvmsnap.model.facts import Facts, Mount
from lvmsnap.model.looked import Copy, Gate, Layer, MountpointFacts, Superblock
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import checks, planner
from tests import samples
from tests.samples import DIRECTORY, FILE_FACTS, LOOP, ORIGIN_UUID, OTHER_UUID, PV_UUID, SNAPSHOT_UUID, VG_UUID


def run(profile: Profile, facts: Facts) -> tuple[Check, ...]:
    return planner.plan_up(profile, facts, (PV_UUID,) * len(profile.backing_files)).checks


def failed(profile: Profile, facts: Facts) -> list[str]:
    return [f"{check.title}: {check.found}" for check in run(profile, facts) if not check.passed]


WITH_FILE = samples.with_file()


@dataclass(frozen=True)
class Bad:
    """A system with one thing wrong, the only check that refuses it, and words of its hint."""

    facts: Facts
    says: str
    do: str
    profile: Profile = WITH_FILE


def group(*lvs: Any, **fields: Any) -> Facts:
    return samples.facts(samples.vg(*lvs, **fields))


def origin(**fields: Any) -> Facts:
    return samples.facts(samples.vg(lvs=(samples.lv("system", uuid=ORIGIN_UUID, **fields),)))


def directory(**fields: Any) -> Facts:
    return samples.facts(directory=replace(DIRECTORY, **fields))


def mountpoint(kind: str, real_path: str = samples.MOUNTPOINT, claimed_by: str = "") -> Facts:
    return samples.facts(mountpoint=MountpointFacts(kind, real_path, claimed_by))


def beneath(uuid: str) -> Facts:
    """The backing file's directory lies on a device-mapper device with this UUID."""
    return samples.facts(
        directory=replace(DIRECTORY, block_devices=("254:9",), own_devices=("254:9",)),
        dm_devices=(samples.dm("vg0-below", uuid),),
    )


def ring() -> Facts:
    """The file lies on vg1/store, and another profile's snapshot of that lends its space from the origin."""
    store = samples.lv("store", vg="vg1", uuid=OTHER_UUID, device_number="254:20")
    tag = (f"lvmsnap2.{samples.HOST}.weekly",)
    taken = samples.snapshot_lv(vg="vg1", name="taken", uuid="t", origin="store", tags=tag, device_number="254:21")
    far = replace(samples.GROUP, name="vg1", uuid=FAR_UUID, pvs=(), lvs=(store, taken))
    below = (
        replace(samples.dm("vg1-store", dm_uuid(FAR_UUID, OTHER_UUID)), device_number="254:20"),
        replace(samples.dm("vg1-taken-cow", f"{dm_uuid(FAR_UUID, 't')}-cow"), device_number="254:22"),
        replace(samples.dm("vg0-system", dm_uuid(VG_UUID, ORIGIN_UUID)), device_number="254:0"),
    )
    copies = (Copy("254:20", "254:22", ("254:22", "254:0")),)
    devices = ("254:20", "254:22", "254:0")
    directory = replace(DIRECTORY, block_devices=devices, own_devices=("254:20",), copies=copies)
    return replace(samples.facts(directory=directory, dm_devices=below), vgs=(samples.GROUP, far))


FAR_UUID = "ffffff-ffff-ffff-ffff-ffff-ffff-ffffff"
AT = samples.MOUNTPOINT
SNAP = "system-lvmsnap-nightly"
DM_SNAP = "vg0-system--lvmsnap--nightly"
SUSPENDED = samples.dm("vg0-system", dm_uuid(VG_UUID, ORIGIN_UUID), suspended=True)
FILTERED = samples.facts(lvm_filters=(("global_filter", ("a|^/dev/sd|", "r|.*|")),))
ALLOWED = samples.with_file("allow_same_vg: true")

POOL = Layer("thin pool vg1-pool-tpool", free_bytes=50 * MIB)


def over(*layers: Layer) -> Facts:
    return samples.facts(directory=replace(samples.DIRECTORY, layers=layers))


BAD = {
    "a file over a thin pool": Bad(
        over(POOL),
        f"the blocks of {samples.FILE} are held by what lies beneath it: thin pool vg1-pool-tpool allocates blocks "
        "only when they are written, and may be full by then",
        "`allocation: zero-fill`",
        samples.with_file(volume="size: 32MiB"),
    ),
    "a file over VDO, filled with zeros": Bad(
        over(Layer("VDO volume vg1-vdo", None)),
        f"the blocks of {samples.FILE} are held by what lies beneath it: VDO volume vg1-vdo may run full whatever is "
        "written first",
        "a `path` on another disk",
        samples.with_file("allocation: zero-fill"),
    ),
    "a file over a loop device whose file was deleted, filled with zeros": Bad(
        over(Layer("/a (deleted), the file of /dev/loop3,", None, is_unknown=True)),
        f"the blocks of {samples.FILE} are held by what lies beneath it: /a (deleted), the file of /dev/loop3, cannot "
        "be examined: deleted, moved, covered by a mount, or attached in another mount namespace; it may "
        "have holes, and run full",
        "attach the loop device to a file that is at its path",
        samples.with_file("allocation: zero-fill"),
    ),
    "a file larger than what a thin pool has left": Bad(
        over(POOL),
        "room for the backing file: 65 MiB of 45 MiB (90 % of what is available)",
        "smaller `size`",
        samples.with_file("allocation: zero-fill"),
    ),
    "not root": Bad(samples.facts(is_root=False), "run by root: you are not root", "sudo"),
    "a tool missing": Bad(
        samples.facts(missing_tools=("losetup", "fallocate")),
        "programs installed: losetup, fallocate missing",
        "install mount or util-linux, util-linux",
    ),
    "no machine-id": Bad(
        samples.facts(host=""), "this machine has an identity: /etc/machine-id holds no ID", "systemd-machine-id-setup"
    ),
    "no dm-snapshot": Bad(samples.facts(snapshot_target=False), "kernel has dm-snapshot: missing", "modprobe"),
    "no loop driver": Bad(samples.facts(loop_driver=False), "kernel has loop devices: missing", "modprobe loop"),
    "no such group": Bad(group(name="vg1"), "volume group vg0 exists: known are: vg1", "/etc/lvmsnap/nightly.yaml"),
    "no group": Bad(replace(samples.facts(), vgs=()), "volume group vg0 exists: there are none", "vgs --foreign"),
    "group incomplete": Bad(group(missing_pv_count=1), "vg0 is whole: 1 PV missing", "lvmsnap recover"),
    "group exported": Bad(group(is_exported=True), "vg0 is not exported: it is exported", "vgimport vg0"),
    "group shared": Bad(group(is_shared=True), "vg0 is not shared: it is shared", "--lock-type none"),
    "group locked": Bad(
        samples.facts(vg_lock_holder="pid 7 (lvcreate)"), "vg0 is not locked: locked by pid 7 (lvcreate)", "wait"
    ),
    "no such origin": Bad(group(lvs=(samples.lv("other"),)), "origin vg0/system exists: vg0 has: other", "`origin`"),
    "origin inactive": Bad(
        origin(attr="-wi-------"), "vg0/system is active: it is inactive", "lvchange --activate y vg0/system"
    ),
    "origin a snapshot": Bad(
        origin(attr="swi-a-s---"), "vg0/system can be snapshotted: it is a snapshot itself", "another origin"
    ),
    "origin a cache pool": Bad(
        origin(attr="Cwi-aoC---", segment_types=("cache-pool",)),
        "vg0/system can be snapshotted: it is a cache pool",
        "another origin",
    ),
    "origin a VDO pool": Bad(
        origin(attr="dwi-ao----", segment_types=("vdo-pool",)),
        "vg0/system can be snapshotted: it is a VDO pool",
        "another origin",
    ),
    "origin a part of another volume": Bad(
        origin(attr="owi-aoC---", is_hidden=True),
        "vg0/system can be snapshotted: it is a part of another volume",
        "another origin",
    ),
    "origin locked by pvmove": Bad(
        origin(attr="-wI-ao----"), "vg0/system can be snapshotted: LVM has locked it, as pvmove does", "pvmove --abort"
    ),
    "origin RAID with integrity": Bad(
        samples.facts(samples.vg(samples.lv("system_rimage_0", segment_types=("integrity",), is_hidden=True))),
        "vg0/system can be snapshotted: it is RAID with integrity",
        "another origin",
    ),
    "origin a thin pool": Bad(
        origin(attr="twi-aotz--", segment_types=("thin-pool",)),
        "vg0/system can be snapshotted: it is a thin pool",
        "another origin",
    ),
    "origin merging": Bad(
        origin(attr="Owi-aos---", is_merging=True),
        "vg0/system can be snapshotted: a snapshot is being merged into it",
        "wait until the merge is done",
    ),
    # As LVM reports it, only the snapshot is merging then.
    "origin merging, thin": Bad(
        samples.facts(samples.thin_vg(samples.thin_lv(name="old", tags=(), is_hidden=True, is_merging=True))),
        "vg0/system can be snapshotted: a snapshot is being merged into it",
        "wait until the merge is done",
    ),
    "origin an external one": Bad(
        origin(attr="ori-a-----", is_external_origin=True),
        "vg0/system can be snapshotted: it is the external origin of thin volumes",
        "back it up as it is",
    ),
    "origin RAID that was reshaped": Bad(
        origin(attr="rwi-a-r---", segment_types=("raid5",), reshape_bytes=16 * MIB),
        "vg0/system can be snapshotted: it is RAID that is being reshaped, or was: lvcreate would leave it suspended",
        "lvconvert --stripes",
    ),
    "origin cached RAID that was reshaped": Bad(
        samples.facts(samples.vg(samples.lv("system_corig", is_hidden=True, reshape_bytes=16 * MIB))),
        "vg0/system can be snapshotted: it is RAID that is being reshaped, or was: lvcreate would leave it suspended",
        "lvconvert --stripes",
    ),
    "origin being converted": Bad(
        origin(attr="cwi-aom---"), "vg0/system can be snapshotted: it is being converted", "wait until it is done"
    ),
    "origin suspended": Bad(
        samples.facts(dm_devices=(SUSPENDED,)), "vg0/system is not suspended: vg0-system suspended", "lvmsnap recover"
    ),
    "btrfs": Bad(
        samples.facts(origin_filesystem="btrfs"),
        "vg0/system's filesystem can be mounted beside it: btrfs: btrfs refuses two filesystems with one fsid, "
        "and may mix them up",
        "mountpoint: null",
    ),
    "no filesystem": Bad(
        samples.facts(origin_filesystem=""),
        "vg0/system's filesystem can be mounted beside it: no filesystem found: only ext2, ext3, ext4, xfs, f2fs, "
        "vfat are known to work",
        "mountpoint: null",
    ),
    "a journal on another device": Bad(
        samples.facts(origin_superblock=Superblock(0, needs_other_device=True, has_journal=True, is_clean=True)),
        "vg0/system's filesystem is all on vg0/system: its journal, or other data, is on another device, which has no "
        "snapshot",
        "mountpoint: null",
    ),
    "no journal and not clean": Bad(
        samples.facts(origin_superblock=Superblock(0, needs_other_device=False, has_journal=False, is_clean=False)),
        "vg0/system's filesystem is whole: it has no journal, and was not cleanly unmounted, or is mounted elsewhere",
        "e2fsck",
    ),
    "mountpoint below a user's directory": Bad(
        samples.facts(mountpoint=MountpointFacts("absent", AT, "", (Gate("/srv/bob", 1000, 1000, 0o755),))),
        f"{AT} and all above it are root's alone: /srv/bob belongs to user 1000",
        "make it root's",
    ),
    "mountpoint more open than the origin": Bad(
        samples.facts(origin_ways=((*samples.WAY, Gate("/srv/secret", 0, 0, 0o700)),)),
        f"{AT} is no more open than vg0/system: /srv/secret keeps others from it, but nothing keeps them from {AT}",
        "`allow_wider_access: true`",
    ),
    "origin mounted nowhere": Bad(
        samples.facts(origin_ways=()),
        f"{AT} is no more open than vg0/system: vg0/system is mounted nowhere for others, but nothing keeps them from "
        f"{AT}",
        "chmod 0700 a directory above",
    ),
    "mountpoint on a network filesystem": Bad(
        samples.facts(mountpoint=MountpointFacts("unreachable", AT, "", stalling="nfs4")),
        f"mountpoint {AT} is empty or absent: nfs4 is on the way, which may stall, and is not root's alone",
        "local filesystem",
    ),
    "name taken": Bad(
        group(samples.snapshot_lv(tags=())),
        f"name vg0/{SNAP} is free: vg0/{SNAP} exists and does not belong to this profile",
        f"lvs -o+tags,origin vg0/{SNAP}",
    ),
    "device name taken": Bad(
        samples.facts(dm_devices=(samples.dm(f"{DM_SNAP}-cow", "x"),)),
        f"device name {DM_SNAP} is free: {DM_SNAP}-cow exists",
        f"dmsetup info {DM_SNAP}",
    ),
    "fewer than three chunks": Bad(
        group(extent_size_bytes=MIB),
        "the snapshot has room for three chunks: 1 MiB of at least 1.5 MiB",
        "a smaller `chunk_size`",
        samples.profile("volumes: [{origin: vg0/system, size: 1MiB, chunk_size: 512KiB}]"),
    ),
    "no space": Bad(
        group(free_extents=3),
        "space for the snapshot: 64 MiB wanted, 12 MiB there",
        "a `backing_file`",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "only lent space of another profile": Bad(
        group(
            free_extents=16, pvs=(replace(samples.DISK, allocated_extents=5000), samples.lent_pv(allocated_extents=0))
        ),
        "space for the snapshot: 64 MiB wanted, 0 B there",
        "a `backing_file`",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "only space that is closed to allocation": Bad(
        group(pvs=(replace(samples.DISK, allocatable=False),)),
        "space for the snapshot: 64 MiB wanted, 0 B there; 7.812 GiB more on /dev/sda2, closed to allocation",
        "or open what is closed: pvchange --allocatable y /dev/sda2",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "only space that is missing": Bad(
        group(pvs=(replace(samples.DISK, missing=True),)),
        "space for the snapshot: 64 MiB wanted, 0 B there",
        "a `backing_file`",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "file and group too small": Bad(
        group(free_extents=1),
        "space for the snapshot: 64 MiB wanted, 36 MiB there",
        "a larger `backing_file.size`",
        samples.with_file("size: 33MiB"),
    ),
    "file too large": Bad(
        samples.facts(),
        "nobody else can allocate on the lent space: 64 MiB of the lent space stay unused",
        "leave it out",
        samples.with_file("size: 129MiB"),
    ),
    "file there": Bad(samples.facts(file=FILE_FACTS), "/srv/space/lent does not exist: something is there", "ls -l"),
    "no directory": Bad(directory(exists=False), "directory /srv/space exists: it does not", "make it"),
    "tmpfs": Bad(
        directory(filesystem="tmpfs"), "filesystem of /srv/space can hold a backing file: tmpfs", "ext4 or xfs"
    ),
    "nfs": Bad(directory(filesystem="nfs4"), "filesystem of /srv/space can hold a backing file: nfs4", "network"),
    "btrfs below": Bad(
        directory(filesystem="btrfs"), "filesystem of /srv/space can hold a backing file: btrfs", "copy-on-write"
    ),
    "writable by others": Bad(
        directory(gates=(Gate("/srv", 1000, 0, 0o755),)),
        "directory /srv/space and all above it are root's alone: /srv belongs to user 1000",
        "make it root's",
    ),
    "disk too full": Bad(
        directory(available_bytes=70 * 1024**2),
        "room for the backing file: 65 MiB of 63 MiB (90 % of what is available)",
        "smaller `size`",
    ),
    "file on its own origin": Bad(
        beneath(dm_uuid(VG_UUID, ORIGIN_UUID)),
        "/srv/space/lent does not lie on the origin: it lies on vg0-below",
        "another disk",
    ),
    "file on its own origin, through -real": Bad(
        beneath(f"{dm_uuid(VG_UUID, ORIGIN_UUID)}-real"),
        "/srv/space/lent does not lie on the origin: it lies on vg0-below",
        "another disk",
        ALLOWED,
    ),
    "file whose own disk's snapshot lies on the origin": Bad(
        ring(),
        "/srv/space/lent does not lie on the origin: it lies on vg0-system, by way of vg1/taken (profile weekly)",
        "take vg1/taken (profile weekly) down first",
        ALLOWED,
    ),
    "file in the same group": Bad(
        beneath(dm_uuid(VG_UUID, OTHER_UUID)),
        "/srv/space/lent does not lie in vg0: it lies on vg0-below",
        "allow_same_vg",
    ),
    "loop device taken": Bad(
        samples.facts(loops=(replace(LOOP, device="/dev/loop5", file_path="/x"),)),
        "/dev/loop5 is free: bound to /x",
        "loop_device: auto",
        samples.with_file("loop_device: /dev/loop5"),
    ),
    "filtered": Bad(FILTERED, "LVM's global_filter takes loop devices: rejected by r|.*|", "global_filter = ["),
    "mountpoint mounted": Bad(
        mountpoint("mounted"), f"mountpoint {AT} is empty or absent: something is mounted there", f"findmnt {AT}"
    ),
    "mountpoint a symlink": Bad(
        mountpoint("symlink"), f"mountpoint {AT} is empty or absent: it is a symlink", "the directory itself"
    ),
    "mountpoint a file": Bad(
        mountpoint("no directory"), f"mountpoint {AT} is empty or absent: it is a file, not a directory", "another"
    ),
    "mountpoint not empty": Bad(
        mountpoint("not empty"),
        f"mountpoint {AT} is empty or absent: the directory is not empty, or cannot be read",
        "empty it",
    ),
    "mountpoint without parent": Bad(
        mountpoint("no parent"), f"mountpoint {AT} is empty or absent: its parent directory does not exist", "make it"
    ),
    "mountpoint behind a symlink": Bad(
        mountpoint("absent", "/media/x"), f"no symlink leads to {AT}: it is /media/x", "write /media/x"
    ),
    "mountpoint in fstab": Bad(
        mountpoint("empty", claimed_by="/etc/fstab"), f"nothing else mounts on {AT}: /etc/fstab does", "another"
    ),
}


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


def test_all_that_is_wrong_is_told_at_once() -> None:
    bad = samples.facts(is_root=False, file=FILE_FACTS, mountpoint=MountpointFacts("symlink", AT, ""))

    assert [line.partition(":")[0] for line in failed(samples.with_file(), bad)] == [
        *("run by root", "/srv/space/lent does not exist", f"mountpoint {AT} is empty or absent")
    ]


def test_an_illegal_snapshot_name_is_refused_before_lvm_could_leave_it_half_made() -> None:
    profile = samples.profile()
    long = replace(profile, volumes=(replace(profile.volumes[0], snapshot="x" * 121),))

    (line,) = failed(long, samples.facts())

    assert "is too long: device-mapper's name" in line


@pytest.mark.parametrize("name", [*BAD, *GOOD])
def test_no_title_is_told_twice(name: str) -> None:
    profile, facts = (BAD[name].profile, BAD[name].facts) if name in BAD else GOOD[name]

    titles = [check.title for check in run(profile, facts)]

    assert len(titles) == len(set(titles))


def test_every_failing_check_of_the_table_is_one_of_a_kind() -> None:
    """Every check there is has a system in the table that it refuses."""
    every = {_kind(check) for case in BAD.values() for check in run(case.profile, case.facts)}
    refusing = set(_refusing())

    assert every - refusing == set()


def _kind(check: Check) -> str:
    return check.title.replace("/dev/loop5", "loop")


def _refusing() -> Iterator[str]:
    for case in BAD.values():
        yield from (_kind(check) for check in run(case.profile, case.facts) if not check.passed)
    yield f"name {SNAP} is legal"  # test_an_illegal_snapshot_name_...


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
