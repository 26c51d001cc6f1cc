"""What must hold before the first change. Pure: all checks look at the facts alone, and each says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lvmsnap.model import lvm_names
from lvmsnap.model.facts import DirectoryFacts, Facts, LogicalVolume, VolumeGroup
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Allocation, BackingFile, Profile
from lvmsnap.model.target import Target
from lvmsnap.planning import access, boot_risk, filesystems, held_blocks, hook_actions, mountpoint_checks
from lvmsnap.planning.device_filters import rejecting_pattern
from lvmsnap.planning.identify import Found, host_of_pv, is_lent, own_pvs
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, LARGEST_SHARE_PERCENT, PV_HEADER_BYTES, SMALLEST_CHUNKS, human
from lvmsnap.planning.state import from_host, merging_hint

PACKAGES = {"lvm": "lvm2", "dmsetup": "dmsetup", "fallocate": "util-linux", "losetup": "mount or util-linux"}
PACKAGES |= {"mount": "mount or util-linux", "umount": "mount or util-linux", "dd": "coreutils", "blkid": "util-linux"}
NO_FILE_ON = re.compile(
    r"(tmpfs|ramfs|nfs.*|cifs|smb.*|fuse.*|ceph|9p|afs|glusterfs|btrfs|zfs|bcachefs|overlay|squashfs|iso9660)$"
)
LVM_PART = re.compile(r"LVM-(\w{32})(\w{32})")


def tools(profile: Profile) -> tuple[str, ...]:
    """Return the programs that `up` and `down` of this profile start."""
    backing = profile.backing_file
    allocate = "dd" if backing and backing.allocation is Allocation.ZERO_FILL else "fallocate"
    file_tools = ("sh", "readlink", "stat", allocate, "losetup", "rm") if backing else ()
    own = (argv[0] for argv in hook_actions.commands(profile.hooks))
    return ("lvm", "dmsetup", *file_tools, *own, *(("mount", "umount", "rmdir") if profile.volume.mountpoint else ()))


def run(profile: Profile, target: Target | None, facts: Facts, loop_device: str = "") -> tuple[Check, ...]:
    """Return every check with its outcome; the target is None where the group or the origin is not there."""
    vg = facts.vg(profile.volume.vg)
    found = [*_system(profile, facts), *_volume_group(profile, vg, facts)]
    if vg is not None:
        origin = vg.lv(profile.volume.origin)
        found += [*_origin(profile, vg, origin, target, facts), *_snapshot_name(profile, vg, facts)]
        if target is not None:
            found += _space(target, vg)
    if profile.backing_file is not None:
        found += [
            *_backing_file(profile.backing_file, target, vg, facts),
            *_loop(profile.backing_file, loop_device, facts),
            *boot_risk.check(profile, profile.backing_file, facts),
        ]
    found += boot_risk.check_origin(profile, facts)
    if profile.volume.mountpoint:
        found += mountpoint_checks.run(profile.volume, profile.volume.mountpoint, facts)
    return tuple(found)


def already(name: str, state: str, meaning: str) -> Check:
    """Return the check that fails because something of the profile is there: it must never be taken for fresh."""
    hint = f"lvmsnap down {name}, or lvmsnap up {name} --replace; lvmsnap status {name} shows it"
    found = "up already; an old snapshot must never pass for a new one" if state == "up" else f"{state}: {meaning}"
    return Check(f"state of profile {name}", False, found, hint)


def not_merging(target: Target, found: Found) -> Check:
    """Return the check that LVM does not merge our snapshot into its origin: everything of it must stay then."""
    name = f"{target.vg}/{found.snapshot.name if found.snapshot else target.snapshot}"
    hint = f"{merging_hint(target, found)}; afterwards lvmsnap recover {target.name}"
    into = f"LVM is merging it into {target.vg}/{target.origin}, so nothing of it was touched"
    return Check(f"{name} is not being merged", not found.is_merging, into if found.is_merging else "", hint)


def _system(profile: Profile, facts: Facts) -> Iterator[Check]:
    yield Check(
        "run by root", facts.is_root, "" if facts.is_root else "you are not root", "run it as root, or with sudo"
    )
    missing = facts.missing_tools
    packages = ", ".join(sorted({PACKAGES.get(tool, tool) for tool in missing}))
    yield Check(
        "programs installed", not missing, ", ".join(missing) + " missing" if missing else "", f"install {packages}"
    )
    hint = "systemd-machine-id-setup, or dbus-uuidgen --ensure=/etc/machine-id: other hosts may see the same disks"
    found = "" if facts.host else "/etc/machine-id holds no ID"
    yield Check("this machine has an identity", bool(facts.host), found, hint)
    target = "dm-snapshot"
    found = "" if facts.snapshot_target else "missing"
    yield Check(
        f"kernel has {target}", facts.snapshot_target, found, f"modprobe {target}, or boot a kernel that has it"
    )
    if profile.backing_file:
        found = "" if facts.loop_driver else "missing"
        yield Check("kernel has loop devices", facts.loop_driver, found, "modprobe loop, or boot a kernel that has it")


def _volume_group(profile: Profile, vg: VolumeGroup | None, facts: Facts) -> Iterator[Check]:
    name = profile.volume.vg
    there = "known are: " + ", ".join(group.name for group in facts.vgs) if facts.vgs else "there are none"
    hint = f"mend `origin` in {profile.path}; a group of another host's system id shows only in `vgs --foreign`"
    yield Check(f"volume group {name} exists", vg is not None, "" if vg else there, hint)
    if vg is None:
        return
    whole = not vg.missing_pv_count
    theirs = [host_of_pv(pv.uuid) for pv in vg.pvs if pv.missing and is_lent(pv.uuid)]
    theirs = [host for host in theirs if host != facts.host]
    hint = "lvmsnap recover, if lvmsnap lent it; else bring the disk back before anything changes the group"
    hint = f"lent to it by lvmsnap, {from_host(theirs[0])}" if theirs else hint
    yield Check(f"{name} is whole", whole, "" if whole else f"{vg.missing_pv_count} PV missing", hint)
    yield Check(
        f"{name} is not exported", not vg.is_exported, "it is exported" if vg.is_exported else "", f"vgimport {name}"
    )
    hint = "snapshots with lvmsnap need a group of one host: vgchange --lock-type none"
    yield Check(f"{name} is not shared", not vg.is_shared, "it is shared" if vg.is_shared else "", hint)
    yield unlocked(name, facts.vg_lock_holder)


def unlocked(vg: str, holder: str) -> Check:
    """Return the check that nobody holds the lock of the volume group; `holder` does, where it is not ""."""
    found = f"locked by {holder}" if holder else ""
    return Check(f"{vg} is not locked", not holder, found, "wait for it to end, then try again")


def _origin(
    profile: Profile, vg: VolumeGroup, origin: LogicalVolume | None, target: Target | None, facts: Facts
) -> Iterator[Check]:
    name = f"{vg.name}/{profile.volume.origin}"
    known = ", ".join(lv.name for lv in vg.lvs) or "none"
    hint = f"mend `origin` in {profile.path}"
    yield Check(f"origin {name} exists", origin is not None, "" if origin else f"{vg.name} has: {known}", hint)
    if origin is None:
        return
    active = origin.is_active
    yield Check(f"{name} is active", active, "" if active else "it is inactive", f"lvchange --activate y {name}")
    why_not = "a snapshot is being merged into it" if origin.is_merging else _no_snapshot_of(origin, vg)
    yield Check(f"{name} can be snapshotted", not why_not, why_not, "name another origin")
    prefix = dm_uuid(vg.uuid, origin.uuid)
    suspended = [device.name for device in facts.dm_devices if device.suspended and device.uuid.startswith(prefix)]
    hint = "a killed command may have left it so: lvmsnap recover; else dmsetup resume"
    found = ", ".join(suspended) + " suspended" if suspended else ""
    yield Check(f"{name} is not suspended", not suspended, found, hint)
    if profile.volume.mountpoint and active:
        cow_bytes = target.extents * vg.extent_size_bytes if target else None
        yield from filesystems.checks(name, facts, cow_bytes)


def _no_snapshot_of(origin: LogicalVolume, vg: VolumeGroup) -> str:
    """Say why LVM would take no snapshot of it, "" where it would (lvm2's tools/lvcreate.c; tried in the lab).

    Segment types decide: lv_attr shows a cache pool and a volume that is cached alike as C, a VDO volume as virtual.
    """
    if origin.is_hidden:
        return "it is a part of another volume"
    for kind in origin.segment_types:
        if kind in ("thin-pool", "cache-pool", "vdo-pool"):
            return f"it is a {kind.replace('vdo', 'VDO').replace('-', ' ')}"
    if any(lv.segment_types == ("integrity",) and lv.name.startswith(f"{origin.name}_rimage_") for lv in vg.lvs):
        return "it is RAID with integrity"
    if origin.attr[2:3].isupper():
        return "LVM has locked it, as pvmove does"
    return {"s": "it is a snapshot itself", "c": "it is being converted"}.get(origin.attr[:1], "")


def _snapshot_name(profile: Profile, vg: VolumeGroup, facts: Facts) -> Iterator[Check]:
    name = profile.volume.snapshot
    problem = lvm_names.name_problem(vg.name, name)
    yield Check(f"name {name} is legal", not problem, problem or "", "give `snapshot` another name")
    other = vg.lv(name)
    hint = f"give `snapshot` another name, or see what it is: lvs -o+tags,origin {vg.name}/{name}"
    found = "" if other is None else f"{vg.name}/{name} exists and is not of this profile"
    yield Check(f"name {vg.name}/{name} is free", other is None, found, hint)
    device = lvm_names.dm_name(vg.name, name)
    taken = [dm.name for dm in facts.dm_devices if other is None and dm.name in (device, f"{device}-cow")]
    hint = f"see what it is: dmsetup info {device}"
    yield Check(f"device name {device} is free", not taken, ", ".join(taken) + " exists" if taken else "", hint)


def _space(target: Target, vg: VolumeGroup) -> Iterator[Check]:
    size_bytes, least_bytes = (
        target.extents * vg.extent_size_bytes,
        SMALLEST_CHUNKS * (target.chunk_size_bytes or DEFAULT_CHUNK_BYTES),
    )
    found = f"{human(size_bytes)} of at least {human(least_bytes)}"
    hint = "give a larger `size`, or a smaller `chunk_size`"
    yield Check("the snapshot has room for three chunks", size_bytes >= least_bytes, found, hint)
    lent = target.lent_pv
    lent_extents = (lent.size_bytes - PV_HEADER_BYTES) // vg.extent_size_bytes if lent else 0
    with_group = lent is None or bool(lent.allocate_on)
    # Extents of another profile's lent PV are not ours to use: they go when that profile goes down.
    free = min(vg.free_extents, sum(pv.extents - pv.allocated_extents for pv in own_pvs(vg))) if with_group else 0
    enough = target.extents <= free + lent_extents
    wanted = human(target.extents * vg.extent_size_bytes)
    have = human((free + lent_extents) * vg.extent_size_bytes)
    hint = (
        "give a smaller `size`, or a larger `backing_file.size`"
        if lent
        else "give a smaller `size`, or a `backing_file`"
    )
    found = f"{wanted} of {have}" if enough else f"{wanted} wanted, {have} there"
    yield Check("space for the snapshot", enough, found, hint)
    if lent is not None:
        spare = lent_extents - target.extents
        found = (
            f"{human(spare * vg.extent_size_bytes)} of the lent space stay unused" if spare > 0 else "all of it used"
        )
        hint = "give a smaller `backing_file.size`, or leave it out: others could allocate on what is left over"
        yield Check("nobody else can allocate on the lent space", spare <= 0, found, hint)


def _backing_file(backing: BackingFile, target: Target | None, vg: VolumeGroup | None, facts: Facts) -> Iterator[Check]:
    path, directory, parent = backing.path, facts.directory, backing.path.rpartition("/")[0] or "/"
    absent = facts.file is None
    hint = f"lvmsnap overwrites no file: remove it if it is of no use, or name another `path`: ls -l {path}"
    yield Check(f"{path} does not exist", absent, "" if absent else "something is there", hint)
    if directory is None or not directory.exists:
        yield Check(f"directory {parent} exists", False, "it does not", "make it, or mount its filesystem")
        return
    refused = NO_FILE_ON.match(directory.filesystem)
    hint = "name a path on ext4 or xfs: tmpfs is memory, a network may stall, copy-on-write may run full later"
    yield Check(f"filesystem of {parent} can hold a backing file", not refused, directory.filesystem or "unknown", hint)
    hint = "whoever may change one of them can put another file there: make it root's, or name another"
    title = f"directory {parent} and all above it are root's alone"
    exposed = access.exposed(directory.gates)
    yield Check(title, not exposed, exposed, f"{hint} `path`")
    yield held_blocks.check(backing, directory)
    if target is not None and target.lent_pv is not None:
        yield _room(target.lent_pv.size_bytes, directory)
    if vg is not None:
        yield from _layers(backing, directory, vg, target, facts)


def _room(size_bytes: int, directory: DirectoryFacts) -> Check:
    most = held_blocks.largest_file_bytes(directory)
    found = f"{human(size_bytes)} of {human(most)} ({LARGEST_SHARE_PERCENT} % of what is available)"
    return Check(
        "room for the backing file", size_bytes <= most, found, "free some space there, or give a smaller `size`"
    )


def _layers(
    backing: BackingFile, directory: DirectoryFacts, vg: VolumeGroup, target: Target | None, facts: Facts
) -> Iterator[Check]:
    by_number = {device.device_number: device for device in facts.dm_devices}
    below = [by_number[number] for number in directory.block_devices if number in by_number]
    parts = [(match[1], match[2], device.name) for device in below if (match := LVM_PART.match(device.uuid))]
    origin = target.origin_uuid.replace("-", "") if target else ""
    on_origin = [name for _, lv, name in parts if lv == origin]
    hint = "name a path on another disk: every write to the origin would wait for itself, and the server would freeze"
    found = f"it lies on {on_origin[0]}" if on_origin else ""
    yield Check(f"{backing.path} does not lie on the origin", not on_origin, found, hint)
    in_group = [name for group, lv, name in parts if group == vg.uuid.replace("-", "") and lv != origin]
    hint = "after a power cut the group could not come up to give the file back; `allow_same_vg: true` takes that risk"
    allowed = not in_group or backing.allow_same_vg
    found = f"it lies on {in_group[0]}" if in_group else ""
    yield Check(f"{backing.path} does not lie in {vg.name}", allowed, found, hint)


def _loop(backing: BackingFile, loop_device: str, facts: Facts) -> Iterator[Check]:
    if backing.loop_device:
        bound = next((loop for loop in facts.loops if loop.device == backing.loop_device), None)
        found = f"bound to {bound.file_path}" if bound else ""
        yield Check(
            f"{backing.loop_device} is free", bound is None, found, "name another, or write `loop_device: auto`"
        )
    for name, patterns in facts.lvm_filters:
        rejected = rejecting_pattern(patterns, loop_device or "/dev/loop0")
        hint = f'allow loop devices in lvm.conf: {name} = [ "a|^/dev/loop|", ... ]'
        yield Check(
            f"LVM's {name} takes loop devices", not rejected, f"rejected by {rejected}" if rejected else "", hint
        )
