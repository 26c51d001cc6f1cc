"""A plan without the machine: facts of an assumed clean system, for review without root or LVM. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import DmDevice, Facts, LogicalVolume, Mount, VolumeGroup
from lvmsnap.model.looked import (
    DirectoryFacts,
    GroupFacts,
    KeyFileFacts,
    Looked,
    LuksHeader,
    MountpointFacts,
    OriginFacts,
)
from lvmsnap.model.luks_names import mapping_uuid
from lvmsnap.model.plan import Fact, Plan
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.model.units import GIB, MIB, SECTOR_BYTES
from lvmsnap.planning import planner

EXTENT_BYTES = 4 * MIB
ORIGIN_BYTES = 100 * GIB
FREE_BYTES = 1024 * GIB
ASSUMED = "ext4, 100 GiB, in a group with 1 TiB free and 4 MiB extents"
DEPENDS = "where it lies in a thin pool it gets a thin snapshot instead, which needs no space; a `size` prevents that"
# The facts that do not depend on the machine.
SURE = ("snapshot", "when it fills", "LUKS", "tree", "before_down", "after_down")
HOST = "HOSTHOST"
LUKS_UUID = "LUKS-UUID"
PV_UUID = "lvmsn2-HOST-HOST-NAME-NAME-RAND-RANDOM"


def plan(profile: Profile) -> Plan:
    """Return the plan of `up` on a system where nothing is in the way. Checks are left out: nothing was examined."""
    made = planner.plan_up(profile, _facts(profile), _pv_uuids(len(profile.backing_files)))
    origins = "the origin is" if len(profile.volumes) == 1 else "each origin is"
    assumed = (Fact("assumed", f"{origins} {ASSUMED}"),)
    sure = tuple(fact for fact in made.facts if fact.name in SURE)
    depends = (Fact("depends on the origin", DEPENDS),) if any(one.size is None for one in profile.volumes) else ()
    return replace(made, checks=(), facts=(*assumed, *sure, *depends))


def _pv_uuids(count: int) -> tuple[str, ...]:
    return tuple(PV_UUID if number == 0 else f"{PV_UUID[:-1]}{number}" for number in range(count))


def _facts(profile: Profile) -> Facts:
    return Facts(
        is_root=True,
        boot_id="",
        snapshot_target=True,
        loop_driver=True,
        vgs=tuple(_group(profile, name) for name in profile.groups),
        orphan_pvs=(),
        mounts=tuple(_mounts(profile)),
        loops=(),
        loop_numbers=tuple(range(8)),
        dm_devices=tuple(_mapping(volume, profile) for volume in profile.volumes if volume.luks),
        lvm_filters=(),
        devices_file="",
        host=HOST,
        looked=_looked(profile),
    )


def _looked(profile: Profile) -> Looked:
    folders = {file.path: file.path.rpartition("/")[0] or "/" for file in profile.backing_files}
    mountpoints = [profile.tree, *(volume.mountpoint for volume in profile.volumes if volume.mountpoint)]
    return Looked(
        files=dict.fromkeys(folders),
        directories={
            path: DirectoryFacts(True, folder, "ext4", FREE_BYTES, (), SECTOR_BYTES) for path, folder in folders.items()
        },
        mountpoints={path: MountpointFacts("absent", path, "") for path in mountpoints},
        groups={name: GroupFacts() for name in profile.groups},
        origins={(volume.vg, volume.origin): _content(volume, profile) for volume in profile.volumes},
        key_files={
            one.luks.key_file: KeyFileFacts("regular") for one in profile.volumes if one.luks and one.luks.key_file
        },
    )


def _content(volume: Volume, profile: Profile) -> OriginFacts:
    if volume.luks is None:
        return OriginFacts("ext4")
    inside = OriginFacts("ext4", is_in_luks=True, device_number=_mapping(volume, profile).device_number)
    return OriginFacts("crypto_LUKS", luks=LuksHeader(2, LUKS_UUID), inside=inside)


def _mapping(volume: Volume, profile: Profile) -> DmDevice:
    """Return the mapping through which an origin's LUKS is open."""
    number = profile.volumes.index(volume)
    uuid = mapping_uuid(2, f"{number:032x}", volume.origin)
    return DmDevice(f"253:{1000 + number}", volume.origin, uuid, False, (_device_number(volume, profile),))


def _group(profile: Profile, name: str) -> VolumeGroup:
    origins = tuple(_origin(volume, profile) for volume in profile.volumes_in(name))
    return VolumeGroup(name, "group", EXTENT_BYTES, FREE_BYTES // EXTENT_BYTES, 0, False, False, (), origins)


def _mounts(profile: Profile) -> Iterator[Mount]:
    """Yield the mounts of a server on which each origin of the tree is mounted somewhere, and the includes."""
    for volume in profile.volumes:
        if volume.is_in_tree:
            own = _mapping(volume, profile).device_number if volume.luks else _device_number(volume, profile)
            yield _mount(own, f"/MOUNTPOINT-OF-{volume.vg}-{volume.origin}")
    for number, path in enumerate(profile.includes):
        yield _mount(f"8:{number}", path)


def _mount(device_number: str, path: str) -> Mount:
    return Mount(device_number, "/", path, "ext4", "", mount_id=0)


def _device_number(volume: Volume, profile: Profile) -> str:
    return f"253:{profile.volumes.index(volume)}"


def _origin(volume: Volume, profile: Profile) -> LogicalVolume:
    return LogicalVolume(
        vg=volume.vg,
        name=volume.origin,
        uuid=f"origin{profile.volumes.index(volume) or ''}",
        attr="-wi-ao----",
        size_bytes=ORIGIN_BYTES,
        tags=(),
        origin="",
        segment_types=("linear",),
        chunk_size_bytes=0,
        data_percent=None,
        device_number=_device_number(volume, profile),
        devices=(),
    )
