"""What must hold before the first change. Pure: the checks look only at the facts, and each says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lvmsnap.model import lvm_names
from lvmsnap.model.facts import Facts, LogicalVolume, VolumeGroup
from lvmsnap.model.looked import DirectoryFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import FILLERS, BackingFile, Profile, Volume
from lvmsnap.model.target import PoolSpace, Snapshot, Target
from lvmsnap.planning import (
    access,
    boot_risk,
    cut_checks,
    filesystems,
    held_blocks,
    hook_actions,
    luks,
    mountpoint_checks,
    near_names,
    origin_kinds,
    rings,
    space_checks,
    thin_checks,
)
from lvmsnap.planning.common_checks import free_device, in_kernel, missing_programs_hint
from lvmsnap.planning.device_filters import rejecting_pattern
from lvmsnap.planning.identify import Found, FoundSnapshot
from lvmsnap.planning.lent_pvs import host_of_pv, is_lent
from lvmsnap.planning.sizing import LARGEST_SHARE_PERCENT, human, is_thin_snapshot
from lvmsnap.planning.state import from_host, merging_hint

NO_FILE_ON = r"(tmpfs|ramfs|nfs.*|cifs|smb.*|fuse.*|ceph|9p|afs|glusterfs|btrfs|zfs|bcachefs|overlay|squashfs|iso9660)$"
MAKE_IT = "make it, or mount its filesystem"
LVM_PART = r"LVM-(\w{32})(\w{32})"


def tools(profile: Profile) -> tuple[str, ...]:
    """Return the programs that `up` and `down` of this profile start."""
    fill = {FILLERS[file.allocation] for file in profile.backing_files}
    file_tools = ("sh", "readlink", "stat", *sorted(fill), "losetup", "rm") if fill else ()
    set_tools = ("sh",) if profile.is_cut else ()
    own = (argv[0] for argv in hook_actions.commands(profile.hooks))
    is_mounted = bool(profile.tree) or any(volume.mountpoint for volume in profile.volumes)
    to_open = ("sh", "cryptsetup", "rm") if any(volume.luks for volume in profile.volumes) else ()
    tools = (
        "lvm",
        "dmsetup",
        *set_tools,
        *file_tools,
        *to_open,
        *own,
        *(("mount", "umount", "rmdir") if is_mounted else ()),
    )
    return tuple(dict.fromkeys(tools))


def run(profile: Profile, target: Target | None, facts: Facts, loop_devices: Mapping[str, str]) -> tuple[Check, ...]:
    """Return every check with its outcome; `target` is None if a group or an origin does not exist.

    `loop_devices` maps each volume group to the loop device that will be bound for it.
    """
    found = [*_system(profile, target, facts), *cut_checks.run(profile, facts)]
    for name in profile.groups:
        found += [*_volume_group(profile, name, facts), *_volumes(profile, name, target, facts)]
    for backing in profile.backing_files:
        found += [
            *_backing_file(backing, target, facts),
            *_loop(backing, loop_devices.get(backing.vg, ""), facts),
            *boot_risk.check(backing, facts),
        ]
    for volume in profile.volumes:
        origin = _lv(volume, facts)
        # LVM does not activate thin snapshots at boot.
        if origin is None or not is_thin_snapshot(volume, origin):
            found += boot_risk.check_origin(volume, facts)
        if volume.mountpoint and not volume.is_in_tree:
            found += mountpoint_checks.run(volume, volume.mountpoint, facts)
    found += mountpoint_checks.run_tree(profile, facts)
    return tuple(found)


def _volumes(profile: Profile, group: str, target: Target | None, facts: Facts) -> Iterator[Check]:
    vg = facts.vg(group)
    if vg is None:
        return
    for volume in profile.volumes_in(group):
        snapshots = target.snapshots if target else ()
        made = next((one for one in snapshots if (one.vg, one.name) == (vg.name, volume.snapshot)), None)
        yield from _origin(profile, volume, vg, made, facts)
        yield from _snapshot_name(volume, vg, facts)
        if made and isinstance(made.cow, PoolSpace):
            yield from thin_checks.run(profile, volume, made.cow, vg, facts.autoextend_percent)
    if target is not None:
        yield from space_checks.run(target, vg)


def _lv(volume: Volume, facts: Facts) -> LogicalVolume | None:
    vg = facts.vg(volume.vg)
    return vg.lv(volume.origin) if vg else None


def already(name: str, state: str, meaning: str, replacing: str) -> Check:
    """Return the failed check of a profile that is not down: its old snapshot must never pass for a fresh one.

    `replacing` is the command that takes the old one down first.
    """
    hint = f"lvmsnap down {name}, or {replacing}; lvmsnap status {name} shows it"
    found = "an old snapshot must never pass for a new one" if state == "up" else meaning
    problem = f"profile {name} is {'up already' if state == 'up' else state}"
    return Check("profile-down", name, f"profile {name} is down", problem, False, found, hint)


def not_merging(target: Target, one: FoundSnapshot, found: Found) -> Check:
    """Return the check that LVM is not merging our snapshot into its origin: everything it needs must stay then."""
    hint = f"{merging_hint(one, found.loan_to(one.snapshot.vg))}; afterwards lvmsnap recover {target.name}"
    said = "nothing of it was touched" if one.is_merging else ""
    problem = f"LVM is merging {one.name} into {one.snapshot.vg}/{one.snapshot.origin}"
    title = f"{one.name} is not being merged"
    return Check("snapshot-not-merging", one.name, title, problem, not one.is_merging, said, hint)


def _system(profile: Profile, target: Target | None, facts: Facts) -> Iterator[Check]:
    hint = "run it as root, or with sudo"
    yield Check("root", "", "run by root", "not run by root", facts.is_root, hint=hint)
    missing = facts.looked.missing_tools
    hint = missing_programs_hint(missing, {argv[0] for argv in hook_actions.commands(profile.hooks)})
    found = ", ".join(missing)
    yield Check("programs-installed", "", "programs installed", "programs are missing", not missing, found, hint)
    hint = "systemd-machine-id-setup, or dbus-uuidgen --ensure=/etc/machine-id: other hosts may see the same disks"
    found = "" if facts.host else "/etc/machine-id holds no ID"
    title, problem = "this machine has an identity", "this machine has no identity"
    yield Check("host-identity", "", title, problem, bool(facts.host), found, hint)
    # Thin snapshots do not need dm-snapshot; an active pool shows that the kernel has what they need.
    if target is None or any(not isinstance(one.cow, PoolSpace) for one in target.snapshots):
        yield in_kernel("dm-snapshot", "dm-snapshot", facts.snapshot_target)
    if profile.backing_files:
        yield in_kernel("loop", "loop devices", facts.loop_driver)


def _volume_group(profile: Profile, name: str, facts: Facts) -> Iterator[Check]:
    vg = facts.vg(name)
    there = "known are: " + ", ".join(group.name for group in facts.vgs) if facts.vgs else "LVM knows of none"
    near = near_names.of_group(name, tuple(volume.origin for volume in profile.volumes_in(name)), facts)
    where = f"correct `origin` in {profile.path}"
    hint = f"{where}{f' ({near})' * bool(near)}; a group of another host's system id shows only in `vgs --foreign`"
    title, problem = f"volume group {name} exists", f"there is no volume group {name}"
    yield Check("vg-exists", name, title, problem, vg is not None, "" if vg else there, hint)
    if vg is None:
        return
    whole = not vg.missing_pv_count
    theirs = [host_of_pv(pv.uuid) for pv in vg.pvs if pv.missing and is_lent(pv.uuid)]
    theirs = [host for host in theirs if host != facts.host]
    hint = "lvmsnap recover, if lvmsnap lent it; else bring the disk back before anything changes the group"
    hint = f"lent to it by lvmsnap, {from_host(theirs[0])}" if theirs else hint
    found = "" if whole else f"{vg.missing_pv_count} PV missing"
    yield Check("vg-whole", name, f"{name} is complete", f"{name} is incomplete", whole, found, hint)
    title, problem, hint = f"{name} is not exported", f"{name} is exported", f"vgimport {name}"
    yield Check("vg-not-exported", name, title, problem, not vg.is_exported, hint=hint)
    hint = f"snapshots with lvmsnap need a group of one host: vgchange --lock-type none {name}"
    title, problem = f"{name} is not shared", f"{name} is shared between hosts"
    yield Check("vg-not-shared", name, title, problem, not vg.is_shared, hint=hint)
    yield unlocked(name, facts.looked.groups[name].lock_holder)


def unlocked(vg: str, holder: str) -> Check:
    """Return the check that nobody holds the lock of the volume group; `holder` says who does, "" for nobody."""
    hint = "wait for it to end, then try again"
    return Check("vg-not-locked", vg, f"{vg} is not locked", f"{vg} is locked by {holder}", not holder, hint=hint)


def _origin(profile: Profile, volume: Volume, vg: VolumeGroup, made: Snapshot | None, facts: Facts) -> Iterator[Check]:
    name, origin = f"{vg.name}/{volume.origin}", vg.lv(volume.origin)
    near = "" if origin else near_names.of_volume(volume.origin, vg, facts)
    hint = f"correct `origin` in {profile.path}{f': {near}' if near else ''}"
    found = "" if origin else f"{vg.name} has: {near_names.listed(vg)}"
    title, problem = f"origin {name} exists", f"there is no origin {name}"
    yield Check("origin-exists", name, title, problem, origin is not None, found, hint)
    if origin is None:
        return
    active, hint = origin.is_active, f"lvchange --activate y {name}"
    yield Check("origin-active", name, f"{name} is active", f"{name} is inactive", active, hint=hint)
    yield origin_kinds.check(origin, vg)
    prefix = dm_uuid(vg.uuid, origin.uuid)
    suspended = [device.name for device in facts.dm_devices if device.suspended and device.uuid.startswith(prefix)]
    hint = f"a killed command may have left it so: lvmsnap recover; else dmsetup resume {' '.join(suspended)}"
    title, problem, found = f"{name} is not suspended", f"{name} is suspended", ", ".join(suspended)
    yield Check("origin-not-suspended", name, title, problem, not suspended, found, hint)
    looked = facts.looked.origins[vg.name, origin.name]
    if active:
        yield from luks.checks(profile, volume, looked, facts)
    if (volume.mountpoint or volume.is_in_tree) and active:
        cow_bytes = made.own_space.size_bytes if made and made.own_space else None
        yield from filesystems.checks(name, luks.content(volume, looked), cow_bytes)


def _snapshot_name(volume: Volume, vg: VolumeGroup, facts: Facts) -> Iterator[Check]:
    name, path = volume.snapshot, f"{vg.name}/{volume.snapshot}"
    found, hint = lvm_names.name_problem(vg.name, name) or "", "give `snapshot` another name"
    title, problem = f"name {name} is valid", f"name {name} is not valid"
    yield Check("snapshot-name-legal", path, title, problem, not found, found, hint)
    other = vg.lv(name)
    hint = f"{hint}, or see what it is: lvs -o+tags,origin {path}"
    # Never suggest removing a volume that is not a snapshot, or the snapshot of another profile.
    if other and other.origin and not any(tag.startswith("lvmsnap") for tag in other.tags):
        hint += f"; if a script left it there, lvremove {path} removes it"
    kind = f"a snapshot of {vg.name}/{other.origin}" if other and other.origin else "a volume"
    found = "" if other is None else f"by {kind} that is not this profile's"
    title, problem = f"name {path} is free", f"name {path} is taken"
    yield Check("snapshot-name-free", path, title, problem, other is None, found, hint)
    device = lvm_names.dm_name(vg.name, name)
    taken = [dm.name for dm in facts.dm_devices if other is None and dm.name in (device, f"{device}-cow")]
    yield free_device(device, taken, f"see what it is: dmsetup info {device}")


def _backing_file(backing: BackingFile, target: Target | None, facts: Facts) -> Iterator[Check]:
    path, vg, parent = backing.path, facts.vg(backing.vg), backing.path.rpartition("/")[0] or "/"
    directory, absent = facts.looked.directories.get(path), facts.looked.files[path] is None
    hint = f"lvmsnap overwrites no file: remove it if it is not needed, or name another `path`: ls -l {path}"
    bound = next((loop.device for loop in facts.loops if loop.file_path == path), "")
    if bound:
        hint = f"see who uses it: pvs {bound}; if nobody does: losetup --detach {bound}, and remove it"
    title, problem = f"{path} does not exist", f"{path} exists already"
    found = f"attached to {bound}" if bound else ""
    yield Check("backing-file-absent", path, title, problem, absent, "" if absent else found, hint)
    if directory is None or not directory.exists:
        title, problem, hint = f"directory {parent} exists", f"there is no directory {parent}", MAKE_IT
        yield Check("backing-file-directory", path, title, problem, passed=False, hint=hint)
        return
    is_able, found = not re.match(NO_FILE_ON, directory.filesystem), directory.filesystem or "unknown"
    hint = "name a path on ext4 or xfs: tmpfs is memory, a network may stall, copy-on-write may run full later"
    title, problem = f"filesystem of {parent} can hold a backing file", f"{parent} cannot hold a backing file"
    yield Check("backing-file-filesystem", path, title, problem, is_able, found, hint)
    hint = "anyone who can change one of them can put another file there: make it root's, or name another `path`"
    title, problem = f"only root can change directory {parent} and those above it", f"{parent} can be changed by others"
    exposed = access.exposed(directory.gates)
    yield Check("backing-file-roots-alone", path, title, problem, not exposed, exposed, hint)
    yield held_blocks.check(backing, directory)
    if target is not None:
        yield from _room(path, directory, target, facts)
    if vg is not None:
        yield from _layers(backing, directory, vg, target, facts)


def _room(path: str, directory: DirectoryFacts, target: Target, facts: Facts) -> Iterator[Check]:
    """Yield the check that all backing files on one filesystem fit there together, once: for the first of them."""
    looked = ((loan, facts.looked.directories.get(loan.path)) for loan in target.loans)
    there = [loan for loan, where in looked if where and where.is_on_filesystem_of(directory)]
    if not there or there[0].path != path:
        return
    most, size_bytes = held_blocks.largest_file_bytes(directory), sum(loan.size_bytes for loan in there)
    what = "the backing file" if len(there) == 1 else f"the {len(there)} backing files there"
    fits, allowed = size_bytes <= most, f"{human(most)} ({LARGEST_SHARE_PERCENT} % of what is available)"
    found = f"{human(size_bytes)} of {allowed}" if fits else f"{human(size_bytes)} needed, {allowed} may be used"
    hint = "free some space there, or give a smaller `size`"
    yield Check("backing-file-room", path, f"room for {what}", f"no room for {what}", fits, found, hint)


def _layers(
    backing: BackingFile, directory: DirectoryFacts, vg: VolumeGroup, target: Target | None, facts: Facts
) -> Iterator[Check]:
    yield rings.check(backing.path, directory, target, facts)
    by_number = {device.device_number: device for device in facts.dm_devices}
    below = [by_number[number] for number in directory.block_devices if number in by_number]
    parts = [(match[1], match[2], device.name) for device in below if (match := re.match(LVM_PART, device.uuid))]
    origins = {one.origin_uuid.replace("-", "") for one in target.snapshots} if target else set()
    in_group = [name for group, lv, name in parts if group == vg.uuid.replace("-", "") and lv not in origins]
    hint = "name a `path` on another disk: after a power cut the group could not be activated to reach the file; "
    hint += "`allow_same_vg: true` accepts that risk"
    allowed = not in_group or backing.allow_same_vg
    title, problem = f"{backing.path} does not lie in {vg.name}", f"backing file {backing.path} lies in {vg.name}"
    found = f"on {in_group[0]}{', as the profile allows' * allowed}" if in_group else ""
    yield Check("backing-file-not-in-vg", backing.path, title, problem, allowed, found, hint)


def _loop(backing: BackingFile, loop_device: str, facts: Facts) -> Iterator[Check]:
    if backing.loop_device:
        bound = next((loop for loop in facts.loops if loop.device == backing.loop_device), None)
        found = f"attached to {bound.file_path}" if bound else ""
        title, problem = f"{backing.loop_device} is free", f"{backing.loop_device} is in use"
        hint = "name another, or write `loop_device: auto`"
        yield Check("loop-device-free", backing.loop_device, title, problem, bound is None, found, hint)
    for name, patterns in facts.lvm_filters:
        rejected = rejecting_pattern(patterns, loop_device or "/dev/loop0")
        hint = f'allow loop devices in lvm.conf: {name} = [ "a|^/dev/loop|", ... ]'
        title, problem = f"LVM's {name} accepts loop devices", f"LVM's {name} rejects loop devices"
        found = f"by {rejected}" if rejected else ""
        yield Check(f"lvm-{name.replace('_', '-')}", backing.path, title, problem, not rejected, found, hint)
