"""Systems with one thing wrong with a disk, a group or an origin, and what makes such systems."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import Copy, Gate, Layer, MountpointFacts, Superblock
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import MIB
from lvmsnap.planning import planner
from tests import samples
from tests.samples import DIRECTORY, ORIGIN_UUID, OTHER_UUID, PV_UUID, VG_UUID


def run(profile: Profile, facts: Facts) -> tuple[Check, ...]:
    return planner.plan_up(profile, facts, (PV_UUID,) * len(profile.backing_files)).checks


def failed(profile: Profile, facts: Facts) -> list[str]:
    return [check.sentence for check in run(profile, facts) if not check.passed]


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


BAD_VOLUMES = {
    "a file over a thin pool": Bad(
        over(POOL),
        f"the blocks of {samples.FILE} are not backed by real space: thin pool vg1-pool-tpool allocates blocks "
        "only when they are written, and may be full by then",
        "`allocation: zero-fill`",
        samples.with_file(volume="size: 32MiB"),
    ),
    "a file over VDO, filled with zeros": Bad(
        over(Layer("VDO volume vg1-vdo", None)),
        f"the blocks of {samples.FILE} are not backed by real space: VDO volume vg1-vdo may run full even "
        "if its blocks are written beforehand",
        "a `path` on another disk",
        samples.with_file("allocation: zero-fill"),
    ),
    "a file over a loop device whose file was deleted, filled with zeros": Bad(
        over(Layer("/a (deleted), the file of /dev/loop3,", None, is_unknown=True)),
        f"the blocks of {samples.FILE} are not backed by real space: /a (deleted), the file of /dev/loop3, "
        "cannot be examined: deleted, moved, covered by a mount, or attached in another mount namespace; it may "
        "have holes, and run full",
        "attach the loop device to a file that is at its path",
        samples.with_file("allocation: zero-fill"),
    ),
    "a file larger than what a thin pool has left": Bad(
        over(POOL),
        "no room for the backing file: 65 MiB needed, 45 MiB (90 % of what is available) may be used",
        "smaller `size`",
        samples.with_file("allocation: zero-fill"),
    ),
    "not root": Bad(samples.facts(is_root=False), "not run by root", "sudo"),
    "a tool missing": Bad(
        samples.facts(missing_tools=("losetup", "fallocate")),
        "programs are missing: losetup, fallocate",
        "install mount or util-linux, util-linux",
    ),
    "a hook that is not executable": Bad(
        samples.facts(missing_tools=("/usr/local/sbin/lock",)),
        "programs are missing: /usr/local/sbin/lock",
        "`hooks` start /usr/local/sbin/lock: make it executable, or give the path where it is",
        samples.with_file("\nhooks: {before_snapshot: [/usr/local/sbin/lock]}"),
    ),
    "no machine-id": Bad(
        samples.facts(host=""), "this machine has no identity: /etc/machine-id holds no ID", "systemd-machine-id-setup"
    ),
    "no dm-snapshot": Bad(samples.facts(snapshot_target=False), "the kernel has no dm-snapshot", "modprobe"),
    "no loop driver": Bad(samples.facts(loop_driver=False), "the kernel has no loop devices", "modprobe loop"),
    "no such group": Bad(
        group(name="vg1"), "there is no volume group vg0: known are: vg1", "/etc/lvmsnap/nightly.yaml"
    ),
    "group misspelt": Bad(
        group(name="vg-0"),
        "there is no volume group vg0: known are: vg-0",
        "correct `origin` in /etc/lvmsnap/nightly.yaml (did you mean vg-0/system?); a group of another host's",
    ),
    "group and volume the wrong way round": Bad(
        group(name="system", lvs=(samples.lv("vg0"),)),
        "there is no volume group vg0: known are: system",
        "correct `origin` in /etc/lvmsnap/nightly.yaml (the group comes first: system/vg0)",
    ),
    "no group": Bad(
        replace(samples.facts(), vgs=()), "there is no volume group vg0: LVM knows of none", "vgs --foreign"
    ),
    "group incomplete": Bad(group(missing_pv_count=1), "vg0 is incomplete: 1 PV missing", "lvmsnap recover"),
    "group exported": Bad(group(is_exported=True), "vg0 is exported", "vgimport vg0"),
    "group shared": Bad(group(is_shared=True), "vg0 is shared between hosts", "--lock-type none vg0"),
    "group locked": Bad(samples.facts(vg_lock_holder="pid 7 (lvcreate)"), "vg0 is locked by pid 7 (lvcreate)", "wait"),
    "no such origin": Bad(
        group(lvs=(samples.lv("other"),)), "there is no origin vg0/system: vg0 has: other", "`origin`"
    ),
    "origin misspelt": Bad(
        group(lvs=(samples.lv("systems"), samples.lv("home", uuid="h"))),
        "there is no origin vg0/system: vg0 has: systems, home",
        "correct `origin` in /etc/lvmsnap/nightly.yaml: did you mean vg0/systems?",
    ),
    "origin in another group": Bad(
        replace(
            samples.facts(samples.vg(lvs=(samples.lv("home"),))),
            vgs=(
                samples.vg(lvs=(samples.lv("home"),)),
                replace(samples.GROUP, name="vg1", uuid=FAR_UUID, lvs=(samples.lv("system", vg="vg1"),)),
            ),
        ),
        "there is no origin vg0/system: vg0 has: home",
        "correct `origin` in /etc/lvmsnap/nightly.yaml: did you mean vg1/system?",
    ),
    "origin somebody else's snapshot": Bad(
        origin(attr="swi-a-s---", origin="root"),
        "vg0/system cannot be snapshotted: it is a snapshot itself, of vg0/root",
        "name vg0/root as `origin`",
    ),
    "origin inactive": Bad(origin(attr="-wi-------"), "vg0/system is inactive", "lvchange --activate y vg0/system"),
    "origin a snapshot": Bad(
        origin(attr="swi-a-s---"), "vg0/system cannot be snapshotted: it is a snapshot itself", "another origin"
    ),
    "origin a cache pool": Bad(
        origin(attr="Cwi-aoC---", segment_types=("cache-pool",)),
        "vg0/system cannot be snapshotted: it is a cache pool",
        "name a volume in it",
    ),
    "origin a VDO pool": Bad(
        origin(attr="dwi-ao----", segment_types=("vdo-pool",)),
        "vg0/system cannot be snapshotted: it is a VDO pool",
        "name a volume in it",
    ),
    "origin a part of another volume": Bad(
        origin(attr="owi-aoC---", is_hidden=True),
        "vg0/system cannot be snapshotted: it is a part of another volume",
        "name the volume that it is part of",
    ),
    "origin locked by pvmove": Bad(
        origin(attr="-wI-ao----"),
        "vg0/system cannot be snapshotted: LVM has locked it, as pvmove does",
        "pvmove --abort",
    ),
    "origin RAID with integrity": Bad(
        samples.facts(samples.vg(samples.lv("system_rimage_0", segment_types=("integrity",), is_hidden=True))),
        "vg0/system cannot be snapshotted: it is RAID with integrity",
        "lvconvert --raidintegrity n vg0/system",
    ),
    "origin a thin pool": Bad(
        origin(attr="twi-aotz--", segment_types=("thin-pool",)),
        "vg0/system cannot be snapshotted: it is a thin pool",
        "name a volume in it",
    ),
    "origin merging": Bad(
        origin(attr="Owi-aos---", is_merging=True),
        "vg0/system cannot be snapshotted: a snapshot is being merged into it",
        "wait until the merge is done",
    ),
    # As LVM reports it, only the snapshot is merging then.
    "origin merging, thin": Bad(
        samples.facts(samples.thin_vg(samples.thin_lv(name="old", tags=(), is_hidden=True, is_merging=True))),
        "vg0/system cannot be snapshotted: a snapshot is being merged into it",
        "wait until the merge is done",
    ),
    "origin an external one": Bad(
        origin(attr="ori-a-----", is_external_origin=True),
        "vg0/system cannot be snapshotted: it is the external origin of thin volumes",
        "back it up as it is",
    ),
    "origin RAID that was reshaped": Bad(
        origin(attr="rwi-a-r---", segment_types=("raid5",), reshape_bytes=16 * MIB),
        "vg0/system cannot be snapshotted: it is RAID that is being reshaped, or was: lvcreate would "
        "leave it suspended",
        "lvconvert --stripes",
    ),
    "origin cached RAID that was reshaped": Bad(
        samples.facts(samples.vg(samples.lv("system_corig", is_hidden=True, reshape_bytes=16 * MIB))),
        "vg0/system cannot be snapshotted: it is RAID that is being reshaped, or was: lvcreate would "
        "leave it suspended",
        "lvconvert --stripes",
    ),
    "origin being converted": Bad(
        origin(attr="cwi-aom---"), "vg0/system cannot be snapshotted: it is being converted", "wait until it is done"
    ),
    "origin suspended": Bad(
        samples.facts(dm_devices=(SUSPENDED,)), "vg0/system is suspended: vg0-system", "lvmsnap recover"
    ),
    "btrfs": Bad(
        samples.facts(origin_filesystem="btrfs"),
        "vg0/system's filesystem cannot be mounted from a snapshot: btrfs: btrfs refuses two filesystems with one "
        "fsid, and may mix them up",
        "mountpoint: null",
    ),
    "no filesystem": Bad(
        samples.facts(origin_filesystem=""),
        "vg0/system's filesystem cannot be mounted from a snapshot: no filesystem found: only ext2, ext3, ext4, "
        "xfs, f2fs, vfat are known to work",
        "mountpoint: null",
    ),
    "a journal on another device": Bad(
        samples.facts(origin_superblock=Superblock(0, needs_other_device=True, has_journal=True, is_clean=True)),
        "vg0/system's filesystem does not lie entirely on vg0/system: its journal, or other data, is on another "
        "device, which has no snapshot",
        "mountpoint: null",
    ),
    "no journal and not clean": Bad(
        samples.facts(origin_superblock=Superblock(0, needs_other_device=False, has_journal=False, is_clean=False)),
        "vg0/system's filesystem is not consistent: it has no journal, and was not cleanly unmounted, or is mounted "
        "elsewhere",
        "e2fsck",
    ),
    "mountpoint below a user's directory": Bad(
        samples.facts(mountpoint=MountpointFacts("absent", AT, "", (Gate("/srv/bob", 1000, 1000, 0o755),))),
        f"mountpoint {AT} can be changed by others: /srv/bob belongs to user 1000",
        "make it root's",
    ),
    "mountpoint more open than the origin": Bad(
        samples.facts(origin_ways=((*samples.WAY, Gate("/srv/secret", 0, 0, 0o700)),)),
        f"{AT} is more open than vg0/system: /srv/secret keeps others from it, but nothing keeps them from {AT}",
        "`allow_wider_access: true`",
    ),
    "origin mounted nowhere": Bad(
        samples.facts(origin_ways=()),
        f"{AT} is more open than vg0/system: vg0/system is mounted nowhere for others, but nothing keeps them from "
        f"{AT}",
        "chmod 0700 a directory above",
    ),
    "mountpoint on a network filesystem": Bad(
        samples.facts(mountpoint=MountpointFacts("unreachable", AT, "", stalling="nfs4")),
        f"mountpoint {AT} cannot be used: its path crosses nfs4, which may stall and is not controlled by root alone",
        "local filesystem",
    ),
    "name taken": Bad(
        group(samples.snapshot_lv(tags=())),
        f"name vg0/{SNAP} is taken: by a snapshot of vg0/system that is not this profile's",
        f"give `snapshot` another name, or see what it is: lvs -o+tags,origin vg0/{SNAP}; if a script left it "
        f"there, lvremove vg0/{SNAP} removes it",
    ),
    "device name taken": Bad(
        samples.facts(dm_devices=(samples.dm(f"{DM_SNAP}-cow", "x"),)),
        f"device name {DM_SNAP} is taken: {DM_SNAP}-cow exists",
        f"dmsetup info {DM_SNAP}",
    ),
}
