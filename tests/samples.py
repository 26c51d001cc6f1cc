"""Makers of what pure tests need: a good system, profiles, targets. A test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lvmsnap.model.facts import (
    DirectoryFacts,
    DmDevice,
    Facts,
    FileFacts,
    Gate,
    LogicalVolume,
    Loop,
    Mount,
    MountpointFacts,
    PhysicalVolume,
    VolumeGroup,
)
from lvmsnap.model.profile import Allocation, Profile
from lvmsnap.model.target import LentPV, MountTarget, Permission, Record, Target
from lvmsnap.model.units import GIB, MIB
from lvmsnap.profile import loading as profiles

EXTENT = 4 * MIB
BOOT = "b0010001-0000-4000-8000-000000000000"
EARLIER_BOOT = "b0000000-0000-4000-8000-000000000000"
TIME = "2024-05-04T03:00:00+00:00"

VG_UUID = "vvvvvv-vvvv-vvvv-vvvv-vvvv-vvvv-vvvvvv"
ORIGIN_UUID = "oooooo-oooo-oooo-oooo-oooo-oooo-oooooo"
SNAPSHOT_UUID = "ssssss-ssss-ssss-ssss-ssss-ssss-ssssss"
OTHER_UUID = "xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx"
DISK_UUID = "dddddd-dddd-dddd-dddd-dddd-dddd-dddddd"
HOST = "0a1b2c3d"
OTHER_HOST = "4e5f6071"
# lvmsn2-, the host, and the beginning of sha256("nightly"), as marks.pv_uuid makes it.
PV_UUID = "lvmsn2-0a1b-2c3d-2a3b-62b5-bbbb-cccccc"
# An older lvmsnap's, without the host.
OLD_PV_UUID = "lvmsnp-2a3b-aaaa-bbbb-cccc-dddd-eeeeee"

FILE = "/srv/space/lent"
MOUNTPOINT = "/run/lvmsnap/nightly"
SNAPSHOT = "system-lvmsnap-nightly"

ORIGIN = LogicalVolume(
    vg="vg0",
    name="system",
    uuid=ORIGIN_UUID,
    attr="-wi-ao----",
    size_bytes=10 * GIB,
    tags=(),
    origin="",
    segment_types=("linear",),
    chunk_size_bytes=0,
    data_percent=None,
    device_number="254:0",
    devices=("/dev/sda2",),
)
DISK = PhysicalVolume("/dev/sda2", DISK_UUID, "vg0", extents=5000, allocated_extents=3000, missing=False)
GROUP = VolumeGroup("vg0", VG_UUID, EXTENT, 2000, 0, is_exported=False, is_shared=False, pvs=(DISK,), lvs=(ORIGIN,))
DIRECTORY = DirectoryFacts(
    exists=True,
    real_path="/srv/space",
    filesystem="ext4",
    available_bytes=100 * GIB,
    block_devices=("98:48",),
    logical_block_bytes=512,
)
FILE_FACTS = FileFacts(
    device=0x6230,
    inode=4711,
    is_regular=True,
    size_bytes=65 * MIB,
    allocated_bytes=65 * MIB,
    is_empty_private=False,
    pv_uuid=PV_UUID,
)
LOOP = Loop("/dev/loop7", "7:7", FILE_FACTS.device, FILE_FACTS.inode, FILE)
LENT = LentPV(
    path=FILE,
    size_bytes=65 * MIB,
    allocation=Allocation.FALLOCATE,
    pv_uuid=PV_UUID,
    sector_size_bytes=512,
    direct_io=True,
    inode=FILE_FACTS.inode,
    device=FILE_FACTS.device,
)
TARGET = Target(
    name="nightly",
    vg="vg0",
    vg_uuid=VG_UUID,
    origin="system",
    origin_uuid=ORIGIN_UUID,
    snapshot=SNAPSHOT,
    extents=16,
    extent_size_bytes=EXTENT,
    chunk_size_bytes=None,
    permission=Permission.READ_WRITE,
    lent_pv=LENT,
    mount=MountTarget(
        MOUNTPOINT, "ext4", ("ro", "errors=continue", "nosuid", "nodev"), make_directory=True, remove_directory=True
    ),
    host=HOST,
)
WAY = (Gate("/", 0, 0, 0o755), Gate("/srv", 0, 0, 0o755))
# A system on which `up nightly` has nothing in its way.
GOOD = Facts(
    is_root=True,
    boot_id=BOOT,
    snapshot_target=True,
    loop_driver=True,
    vgs=(GROUP,),
    orphan_pvs=(),
    mounts=(Mount("254:0", "/", "/srv/system", "ext4", "/dev/mapper/vg0-system"),),
    loops=(),
    loop_numbers=tuple(range(8)),
    dm_devices=(),
    lvm_filters=(),
    devices_file="",
    origin_filesystem="ext4",
    host=HOST,
    directory=DIRECTORY,
    mountpoint=MountpointFacts("absent", MOUNTPOINT, ""),
    ways_to_origin=(WAY,),
)


def profile(text: str = "volumes: [{origin: vg0/system}]", name: str = "nightly") -> Profile:
    """Read a profile as the loader does."""
    return profiles.parse(text, name=name, file=f"/etc/lvmsnap/{name}.yaml")


def with_file(line: str = "", volume: str = "size: 64MiB") -> Profile:
    """Make a profile with a backing file; `line` is one more key of it, `volume` one more of the volume."""
    text = f"volumes:\n  - origin: vg0/system\n    {volume}\nbacking_file:\n  path: {FILE}\n  {line}\n"
    return profile(text)


def lv(name: str = "other", **fields: Any) -> LogicalVolume:
    """Make an active, plain LV of vg0."""
    return replace(ORIGIN, **{"name": name, "uuid": OTHER_UUID, "device_number": "254:7", **fields})


def snapshot_lv(**fields: Any) -> LogicalVolume:
    """Make profile nightly's snapshot as it stands after `up`."""
    standing: dict[str, Any] = {
        "uuid": SNAPSHOT_UUID,
        "attr": "swi-a-s---",
        "size_bytes": 64 * MIB,
        "tags": (f"lvmsnap2.{HOST}.nightly",),
    }
    standing |= {"name": SNAPSHOT, "origin": "system", "device_number": "254:3", "data_percent": 1.5}
    return replace(ORIGIN, **standing | fields)


def lent_pv(**fields: Any) -> PhysicalVolume:
    """Make the PV lent by profile nightly, part of vg0."""
    return replace(DISK, **{"device": "/dev/loop7", "uuid": PV_UUID, "extents": 16, "allocated_extents": 16, **fields})


def vg(*lvs: LogicalVolume, **fields: Any) -> VolumeGroup:
    """Make group vg0 with its origin and further LVs; 2000 extents of 4 MiB are free."""
    return replace(GROUP, **{"lvs": (ORIGIN, *lvs), **fields})


def merging(**fields: Any) -> VolumeGroup:
    """Make group vg0 while LVM merges nightly's snapshot into its origin."""
    origin = replace(ORIGIN, attr="Owi-aos---", is_merging=True)
    snapshot = snapshot_lv(attr="Swi-a-s---", is_hidden=True, is_merging=True)
    return replace(GROUP, **{"lvs": (origin, snapshot), "pvs": (DISK, lent_pv()), **fields})


def dm(name: str, uuid: str, *, suspended: bool = False) -> DmDevice:
    """Make a device-mapper device; `uuid` as `names.dm_uuid` gives it, and perhaps a layer."""
    return DmDevice("254:9", name, uuid, suspended)


def mounted(mountpoint: str = MOUNTPOINT, device_number: str = "254:3") -> Mount:
    """Make a mount, of nightly's snapshot unless told otherwise."""
    return Mount(device_number, "/", mountpoint, "ext4", "/dev/mapper/x")


def facts(group: VolumeGroup = GROUP, **fields: Any) -> Facts:
    """Make a good system, but for what the arguments say."""
    return replace(GOOD, vgs=(group,), **fields)


def up_facts(group: VolumeGroup | None = None, **fields: Any) -> Facts:
    """Make the system while nightly is up in every layer, but for what the arguments say."""
    standing = {"file": FILE_FACTS, "loops": (LOOP,), "mounts": (mounted(),)}
    at = MountpointFacts("mounted", MOUNTPOINT, "")
    return facts(group or vg(snapshot_lv(), pvs=(DISK, lent_pv())), **{"mountpoint": at, **standing, **fields})


def target(**fields: Any) -> Target:
    """Make profile nightly's target, with a backing file and a mount."""
    return replace(TARGET, **fields)


def lent(**fields: Any) -> LentPV:
    """Make the backing file of profile nightly as the record keeps it."""
    return replace(LENT, **fields)


def record(boot_id: str = BOOT, **fields: Any) -> Record:
    """Make the record of an `up nightly`; keyword arguments are the target's."""
    return Record(target(**fields), "volumes: []\n", "/etc/lvmsnap/nightly.yaml", boot_id, TIME)
