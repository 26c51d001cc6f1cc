"""Makers of what pure tests need: a good system, profiles, targets. A test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from lvmsnap.model.facts import DmDevice, Facts, LogicalVolume, Loop, Mount, PhysicalVolume, VolumeGroup
from lvmsnap.model.looked import (
    DirectoryFacts,
    FileFacts,
    Gate,
    GroupFacts,
    KeyFileFacts,
    Looked,
    LuksHeader,
    MountpointFacts,
    OriginFacts,
)
from lvmsnap.model.luks_names import mapping_uuid
from lvmsnap.model.profile import Allocation, Profile
from lvmsnap.model.target import CowSpace, Loan, MountTarget, Permission, PoolSpace, Record, Snapshot, Target
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning.identify import Found, FoundLoan, FoundSnapshot
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

LUKS_UUID = "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"
MAPPING_UUID = mapping_uuid(2, LUKS_UUID, "lvmsnap-nightly")
KEY_FILE = "/root/system.key"

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
LENT = Loan(
    vg="vg0",
    vg_uuid=VG_UUID,
    path=FILE,
    size_bytes=65 * MIB,
    allocation=Allocation.FALLOCATE,
    pv_uuid=PV_UUID,
    sector_size_bytes=512,
    direct_io=True,
    inode=FILE_FACTS.inode,
    device=FILE_FACTS.device,
)
TAKEN = Snapshot(
    vg="vg0",
    vg_uuid=VG_UUID,
    origin="system",
    origin_uuid=ORIGIN_UUID,
    name=SNAPSHOT,
    cow=CowSpace(extents=16, extent_size_bytes=EXTENT, chunk_size_bytes=None),
    permission=Permission.READ_WRITE,
    mount=MountTarget(
        MOUNTPOINT, "ext4", ("ro", "errors=continue", "nosuid", "nodev"), make_directory=True, remove_directory=True
    ),
)
TARGET = Target(name="nightly", loans=(LENT,), snapshots=(TAKEN,), host=HOST)
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
    host=HOST,
    crypt_target=True,
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
    """Make profile nightly's snapshot as it is after `up`."""
    standing: dict[str, Any] = {
        "uuid": SNAPSHOT_UUID,
        "attr": "swi-a-s---",
        "size_bytes": 64 * MIB,
        "tags": (f"lvmsnap2.{HOST}.nightly",),
    }
    standing |= {"name": SNAPSHOT, "origin": "system", "device_number": "254:3", "data_percent": 1.5}
    return replace(ORIGIN, **standing | fields)


def thin_vg(*lvs: LogicalVolume, pool: dict[str, Any] | None = None, **fields: Any) -> VolumeGroup:
    """Make group vg0 whose origin lies in a thin pool of 10 GiB, a fifth of it used; `pool` are fields of that."""
    standing: dict[str, Any] = {"attr": "twi-aotz--", "segment_types": ("thin-pool",), "uuid": OTHER_UUID}
    standing |= {"size_bytes": 10 * GIB, "data_percent": 20.0, "metadata_percent": 3.0, "metadata_bytes": 12 * MIB}
    origin = replace(ORIGIN, attr="Vwi-aotz--", segment_types=("thin",), pool="pool", data_percent=20.0, devices=())
    made = replace(ORIGIN, **{**standing, "name": "pool", "device_number": "254:8", **(pool or {})})
    return replace(GROUP, **{"lvs": (origin, made, *lvs), **fields})


def thin_lv(**fields: Any) -> LogicalVolume:
    """Make profile nightly's thin snapshot as it is after `up`."""
    standing: dict[str, Any] = {"attr": "Vwi-aotz-k", "size_bytes": 10 * GIB, "segment_types": ("thin",)}
    return snapshot_lv(**{**standing, "pool": "pool", "data_percent": 20.0, "devices": (), **fields})


def thin_target(**fields: Any) -> Target:
    """Make profile nightly's target where its snapshot is a thin one."""
    return target(lent_pv=None, cow=PoolSpace("pool"), **fields)


def thin_facts(*lvs: LogicalVolume, pool: dict[str, Any] | None = None, **fields: Any) -> Facts:
    """Make the system while nightly, with a thin snapshot, is up."""
    at = MountpointFacts("mounted", MOUNTPOINT, "")
    return facts(thin_vg(*(lvs or (thin_lv(),)), pool=pool), **{"mountpoint": at, "mounts": (mounted(),), **fields})


def lent_pv(**fields: Any) -> PhysicalVolume:
    """Make the PV lent by profile nightly, part of vg0."""
    return replace(DISK, **{"device": "/dev/loop7", "uuid": PV_UUID, "extents": 16, "allocated_extents": 16, **fields})


def vg(*lvs: LogicalVolume, **fields: Any) -> VolumeGroup:
    """Make group vg0 with its origin and further LVs; 2000 extents of 4 MiB are free."""
    return replace(GROUP, **{"lvs": (ORIGIN, *lvs), **fields})


def renamed() -> VolumeGroup:
    """Make the group while nightly is up after all of it was renamed: vg1, its origin sysnew, its snapshot other."""
    origin = replace(ORIGIN, vg="vg1", name="sysnew")
    taken = snapshot_lv(vg="vg1", name="other", origin="sysnew")
    return replace(GROUP, name="vg1", lvs=(origin, taken), pvs=(replace(DISK, vg="vg1"), lent_pv(vg="vg1")))


def merging(**fields: Any) -> VolumeGroup:
    """Make group vg0 while LVM merges nightly's snapshot into its origin."""
    origin = replace(ORIGIN, attr="Owi-aos---", is_merging=True)
    snapshot = snapshot_lv(attr="Swi-a-s---", is_hidden=True, is_merging=True)
    return replace(GROUP, **{"lvs": (origin, snapshot), "pvs": (DISK, lent_pv()), **fields})


def dm(name: str, uuid: str, *, suspended: bool = False) -> DmDevice:
    """Make a device-mapper device; `uuid` as `names.dm_uuid` gives it, and perhaps a layer."""
    return DmDevice("254:9", name, uuid, suspended)


def mapping(uuid: str = MAPPING_UUID, name: str = "lvmsnap-nightly", **fields: Any) -> DmDevice:
    """Make a LUKS mapping, nightly's on its snapshot by default."""
    standing = {"device_number": "254:20", "suspended": False, "beneath": ("254:3",)}
    return DmDevice(**{"name": name, "uuid": uuid, **standing, **fields})


def luks_facts(inside: str | None = "ext4", group: VolumeGroup = GROUP, **fields: Any) -> Facts:
    """Make a good system whose origin holds LUKS2, open here by the mapping `data`; closed where `inside` is None."""
    opened = mapping("CRYPT-LUKS2-0a1b2c3d4e5f40718293a4b5c6d7e8f9-data", "data", beneath=("254:0",))
    opened = replace(opened, device_number="254:10")
    content = OriginFacts(inside or "", ways=(WAY,), is_mounted=True, is_in_luks=True, device_number="254:10")
    devices = (opened,) if inside is not None else ()
    own: dict[str, Any] = {
        "origin_filesystem": "crypto_LUKS",
        "origin_luks": LuksHeader(2, LUKS_UUID),
        "origin_inside": content if inside is not None else None,
        "origin_ways": (),
        "dm_devices": (*devices, *fields.pop("more_devices", ())),
        "mounts": (mounted("/srv/system", "254:10"),) if inside is not None else (),
    }
    return facts(group, **{**own, **fields})


def mounted(mountpoint: str = MOUNTPOINT, device_number: str = "254:3") -> Mount:
    """Make a mount, of nightly's snapshot by default."""
    return Mount(device_number, "/", mountpoint, "ext4", "/dev/mapper/x")


class Everywhere(dict[Any, Any]):
    """What was looked at, and is the same wherever one looks."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, _key: object) -> Any:
        return self.value

    def get(self, _key: object, _default: object = None) -> Any:
        """Return it."""
        return self.value


GOOD_KEY_FILE = KeyFileFacts("regular", 0, 0o400, 32, WAY)
ORIGIN_LOOKED = OriginFacts("ext4", ways=(WAY,))
LOOKED = {"missing_tools", "boot_recovery", "boot_tags", "is_process_gone"}


def looked(**fields: Any) -> Looked:
    """Make what was looked at for any profile: `file`, `directory`, `mountpoint`, `origin_...`; or fields of Looked."""
    origin = {name.removeprefix("origin_"): fields.pop(name) for name in tuple(fields) if name.startswith("origin_")}
    origin = {"mount_options" if name == "options" else name: value for name, value in origin.items()}
    group = {"lock_holder": "vg_lock_holder", "logical_block_bytes": "pv_logical_block_bytes"}
    return Looked(
        files=Everywhere(fields.pop("file", None)),
        directories=Everywhere(fields.pop("directory", DIRECTORY)),
        mountpoints=Everywhere(fields.pop("mountpoint", MountpointFacts("absent", MOUNTPOINT, ""))),
        groups=Everywhere(GroupFacts(**{to: fields.pop(name) for to, name in group.items() if name in fields})),
        origins=Everywhere(replace(ORIGIN_LOOKED, **origin)),
        key_files=Everywhere(fields.pop("key_file", GOOD_KEY_FILE)),
        udev_rules=Everywhere(fields.pop("udev_rule", False)),
        **fields,
    )


def facts(group: VolumeGroup = GROUP, **fields: Any) -> Facts:
    """Make a good system, but for what the arguments say: fields of Facts, or what `looked` takes."""
    own = {name: fields.pop(name) for name in tuple(fields) if name in Facts.__slots__ and name != "looked"}
    return replace(GOOD, vgs=(group,), looked=fields.pop("looked", None) or looked(**fields), **own)


def changed(facts: Facts, **fields: Any) -> Facts:
    """Return the facts with other things looked at on the origins (`origin_...`), or other fields of Looked."""
    looked, places = facts.looked, {"file": "files", "directory": "directories", "mountpoint": "mountpoints"}
    origin = {name.removeprefix("origin_"): fields.pop(name) for name in tuple(fields) if name.startswith("origin_")}
    fields = {places.get(name, name): Everywhere(value) if name in places else value for name, value in fields.items()}
    origins = Everywhere(replace(looked.origins["vg0", "system"], **origin))
    return replace(facts, looked=replace(looked, **{"origins": origins, **fields}))


def up_facts(group: VolumeGroup | None = None, **fields: Any) -> Facts:
    """Make the system while nightly is up in every layer, but for what the arguments say."""
    standing = {"file": FILE_FACTS, "loops": (LOOP,), "mounts": (mounted(),)}
    at = MountpointFacts("mounted", MOUNTPOINT, "")
    return facts(group or vg(snapshot_lv(), pvs=(DISK, lent_pv())), **{"mountpoint": at, **standing, **fields})


def target(**fields: Any) -> Target:
    """Make profile nightly's target, with a backing file and a mount.

    Keyword arguments are fields of the target, of its snapshot (`snapshot` is its name), or of its space for changes;
    `lent_pv` is its loan, None for none.
    """
    groups = {name: fields[name] for name in ("vg", "vg_uuid") if name in fields}
    loan = fields.pop("lent_pv", LENT)
    cow = {name: fields.pop(name) for name in CowSpace.__slots__ if name in fields}
    if "snapshot" in fields:
        fields["name_of_snapshot"] = fields.pop("snapshot")
    own = {name: fields.pop(name) for name in Target.__slots__ if name in fields}
    if "name_of_snapshot" in fields:
        fields["name"] = fields.pop("name_of_snapshot")
    assert TAKEN.own_space is not None
    taken = replace(TAKEN, **{"cow": replace(TAKEN.own_space, **cow), **fields})
    loans = (replace(loan, **groups),) if loan else ()
    return replace(TARGET, **{"loans": loans, "snapshots": (taken,), **own})


def first(found: Found | Target | None) -> Any:
    """Return the first snapshot of a target and its loan, or what was found of them, as one flat object."""
    assert found is not None
    if isinstance(found, Target):
        one = found.snapshots[0] if found.snapshots else replace(TAKEN, vg=found.loans[0].vg, name="")
        made = {name: getattr(one.cow, name, 0) for name in CowSpace.__slots__}
        names = {name: getattr(one, name) for name in ("vg", "vg_uuid", "origin", "origin_uuid", "mount", "dm_uuid")}
        return SimpleNamespace(**names, **made, snapshot=one.name, lent_pv=found.loans[0] if found.loans else None)
    lent, taken = found.loans[0] if found.loans else FoundLoan(LENT), found.snapshots[0]
    loan = {name: getattr(lent, name) for name in (*FoundLoan.__slots__, "is_member", "is_missing") if name != "loan"}
    own = {name: getattr(taken, name) for name in FoundSnapshot.__slots__ if name not in ("snapshot", "lv")}
    mount = taken.snapshot.mount
    own["has_directory"] = mount is not None and mount.mountpoint in found.directories
    return SimpleNamespace(**{**loan, **own}, snapshot=taken.lv, is_merging=taken.is_merging)


def lent(**fields: Any) -> Loan:
    """Make the backing file of profile nightly as the record keeps it."""
    return replace(LENT, **fields)


def record(boot_id: str = BOOT, **fields: Any) -> Record:
    """Make the record of an `up nightly`; keyword arguments are the target's."""
    return Record(target(**fields), "volumes: []\n", "/etc/lvmsnap/nightly.yaml", boot_id, TIME)
