"""A plan without the machine: facts of an assumed clean system, for review without root or LVM. Pure."""

from __future__ import annotations

from dataclasses import replace

from lvmsnap.model.facts import SECTOR_BYTES, DirectoryFacts, Facts, LogicalVolume, MountpointFacts, VolumeGroup
from lvmsnap.model.plan import Plan
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import planner

EXTENT_BYTES = 4 * MIB
ORIGIN_BYTES = 100 * GIB
FREE_BYTES = 1024 * GIB
ASSUMED = "ext4, 100 GiB, in a group with 1 TiB free and 4 MiB extents"
HOST = "HOSTHOST"
PV_UUID = "lvmsn2-HOST-HOST-NAME-NAME-RAND-RANDOM"


def plan(profile: Profile) -> Plan:
    """Return the plan of `up` on a system where nothing is in the way. Checks are left out: nothing was looked at."""
    made = planner.plan_up(profile, _facts(profile), PV_UUID)
    assumed = (("assumed", f"the origin is {ASSUMED}"),)
    sure = tuple(fact for fact in made.facts if fact[0] in ("snapshot", "before_down", "after_down"))
    return replace(made, checks=(), facts=assumed + sure)


def _facts(profile: Profile) -> Facts:
    path = profile.backing_file.path if profile.backing_file else ""
    directory = path.rpartition("/")[0] or "/"
    mountpoint = profile.volume.mountpoint
    return Facts(
        is_root=True,
        boot_id="",
        snapshot_target=True,
        loop_driver=True,
        vgs=(_group(profile),),
        orphan_pvs=(),
        mounts=(),
        loops=(),
        loop_numbers=tuple(range(8)),
        dm_devices=(),
        lvm_filters=(),
        devices_file="",
        host=HOST,
        origin_filesystem="ext4",
        directory=DirectoryFacts(True, directory, "ext4", FREE_BYTES, (), SECTOR_BYTES) if path else None,
        mountpoint=MountpointFacts("absent", mountpoint, "") if mountpoint else None,
    )


def _group(profile: Profile) -> VolumeGroup:
    volume = profile.volume
    origin = LogicalVolume(
        vg=volume.vg,
        name=volume.origin,
        uuid="origin",
        attr="-wi-ao----",
        size_bytes=ORIGIN_BYTES,
        tags=(),
        origin="",
        segment_types=("linear",),
        chunk_size_bytes=0,
        data_percent=None,
        device_number="253:0",
        devices=(),
    )
    return VolumeGroup(volume.vg, "group", EXTENT_BYTES, FREE_BYTES // EXTENT_BYTES, 0, False, False, (), (origin,))
