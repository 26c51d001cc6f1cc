"""A first profile for this machine: each candidate is planned as `up` would, and the first that passes wins. Pure.

There are no rules here for what is safe: that is what the plan's checks are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lvmsnap.model.dataclass import dataclass, field, replace
from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.first_profile import FileNotes, Proposal, VolumeNotes
from lvmsnap.model.looked import OriginFacts
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Luks, Profile, Size, Volume
from lvmsnap.planning import boot_risk, filesystems, first_origins, first_room, luks, planner, tree
from lvmsnap.planning.first_room import Room
from lvmsnap.planning.held_blocks import largest_file_bytes
from lvmsnap.planning.lent_pvs import available_extents
from lvmsnap.planning.sizing import human, rounded

ROOM = "Room for changes while the snapshot exists"
ANY_PV_UUID = "lvmsn2-HOST-HOST-NAME-NAME-RAND-RANDOM"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a first profile: its name, its file's path, and the volumes to snapshot.

    `keys` has the key files with which this machine opens LUKS containers, by "UUID=..." or the device's path.
    """

    name: str
    path: str
    origins: tuple[LogicalVolume, ...]
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the origins' volume groups, each once."""
        return tuple(dict.fromkeys(origin.vg for origin in self.origins))

    @property
    def mountpoints(self) -> tuple[str, ...]:
        """Where the profile may mount something."""
        return (f"{RUN_DIR}/{self.name}",)


def files(wish: Wish, facts: Facts) -> tuple[str, ...]:
    """Return the candidate paths of the profile's backing files: they must be examined before one is proposed."""
    places = first_room.folders(facts.mounts)
    return tuple(first_room.file_path(one, wish.name, vg, wish.groups) for one in places for vg in wish.groups)


def propose(wish: Wish, facts: Facts) -> Proposal:
    """Return the first candidate whose plan fails no checks, or only those that every candidate fails.

    A boot that needs `lvmsnap install-boot` first does not rule a candidate out. If there is none, return the one
    without a backing file that fails the fewest checks: no file is proposed where none may lie.
    """
    # A passphrase needs a terminal when the profile is used; that there is none now does not matter.
    facts = replace(facts, looked=replace(facts.looked, has_terminal=True))
    tried: list[tuple[Profile, bool, list[Check]]] = []
    for same_group in (False, True):
        for profile in _candidates(wish, facts):
            failed = _failed(profile, facts, same_group=same_group)
            if not failed:
                return _proposal(wish, profile, facts, in_same_group=same_group)
            tried.append((profile, same_group, failed))
    always = set.intersection(*({check.title for check in failed} for *_, failed in tried))
    for profile, same_group, failed in tried:
        if all(check.title in always for check in failed):
            return _proposal(wish, profile, facts, in_same_group=same_group)
    without_file = (one for one in tried if not one[0].backing_files)
    return _proposal(wish, min(without_file, key=lambda one: len(one[2]))[0], facts)


def _failed(profile: Profile, facts: Facts, *, same_group: bool = False) -> list[Check]:
    lent = (replace(file, accept_boot_risk=True, allow_same_vg=same_group) for file in profile.backing_files)
    judged = replace(profile, backing_files=tuple(lent))
    uuids = tuple(f"{ANY_PV_UUID[:-1]}{number}" for number in range(len(judged.backing_files)))
    return [check for check in planner.plan_up(judged, facts, uuids).checks if not check.passed]


def _candidates(wish: Wish, facts: Facts) -> Iterator[Profile]:
    """Yield the candidates: first those of one instant, each with every way to give its snapshots space."""
    for is_consistent in (True, False) if len(wish.origins) > 1 else (True,):
        is_cut = is_consistent and len(wish.origins) > 1
        sized = [origin for origin in wish.origins if is_cut or not origin.is_thin]
        wanted = {(one.vg, one.name): first_room.wanted_bytes(one, _looked(one, facts)) for one in sized}
        for room in first_room.rooms(wish.name, wanted, wish.groups, facts):
            yield _profile(wish, room, facts, is_consistent=is_consistent)


def _looked(origin: LogicalVolume, facts: Facts) -> OriginFacts:
    return facts.looked.origins[origin.vg, origin.name]


def _profile(wish: Wish, room: Room, facts: Facts, *, is_consistent: bool) -> Profile:
    description = f"Snapshot of {', '.join(f'{one.vg}/{one.name}' for one in wish.origins)} for the backup"
    volumes = tuple(_volume(wish, origin, room, facts) for origin in wish.origins)
    profile = Profile(
        name=wish.name,
        path=wish.path,
        description=description,
        volumes=volumes,
        backing_files=room.files,
        remove_mountpoint=False,
        is_consistent=is_consistent,
    )
    return replace(profile, includes=tree.parents_outside(profile, facts))


def _volume(wish: Wish, origin: LogicalVolume, room: Room, facts: Facts) -> Volume:
    size = room.sizes.get((origin.vg, origin.name))
    alone = Volume(
        vg=origin.vg,
        origin=origin.name,
        snapshot=f"{origin.name}-lvmsnap-{wish.name}",
        size=Size(size) if size else None,
        chunk_size_bytes=None,
        mountpoint=f"{RUN_DIR}/{wish.name}",
        mount_options=(),
    )
    ways = (*(replace(alone, luks=opened) for opened in _luks(wish, origin, facts)), alone)
    found = next((one for one in ways if origin.is_active and not _obstacles(one, wish, facts)), None)
    if not origin.is_active and len(wish.origins) == 1:
        return alone
    if found is None:
        return replace(alone, mountpoint=None)
    if len(wish.origins) == 1:
        return found
    is_in_tree = len(tree.origin_mounts(found, facts)) == 1
    return replace(found, mountpoint=None, is_in_tree=is_in_tree)


def _luks(wish: Wish, origin: LogicalVolume, facts: Facts) -> tuple[Luks, ...]:
    """Return the ways to open a container in the volume, best first: a key file needs nobody at night."""
    looked = _looked(origin, facts)
    if looked.filesystem != luks.LUKS_FILESYSTEM:
        return ()
    mapped = f"/dev/mapper/{dm_name(origin.vg, origin.name)}"
    names = (f"UUID={looked.luks.uuid.lower()}" if looked.luks else "", f"/dev/{origin.vg}/{origin.name}", mapped)
    keys = dict.fromkeys(wish.keys[name] for name in names if name in wish.keys)
    return (*map(Luks, keys), Luks())


def _obstacles(volume: Volume, wish: Wish, facts: Facts) -> list[Check]:
    """Return the failed checks that keep a volume's snapshot from being mounted because of its content."""
    looked = facts.looked.origins[volume.vg, volume.origin]
    alone = Profile(wish.name, wish.path, "", (volume,), (), remove_mountpoint=False)
    checks = (
        *luks.checks(alone, volume, looked, facts),
        *filesystems.checks(volume.path, luks.content(volume, looked), None),
    )
    return [check for check in checks if not check.passed]


# --- notes ------------------------------------------------------------------------------------------------------------


def _proposal(wish: Wish, profile: Profile, facts: Facts, *, in_same_group: bool = False) -> Proposal:
    cut = _failed(replace(profile, is_consistent=True), facts, same_group=True) if not profile.is_consistent else []
    risks = [check for file in profile.backing_files for check in boot_risk.check(file, facts)]
    risks += [check for one in profile.volumes if one.size for check in boot_risk.check_origin(one, facts)]
    return Proposal(
        profile=profile,
        volumes=tuple(
            _notes(wish, profile, volume, origin, facts)
            for volume, origin in zip(profile.volumes, wish.origins, strict=True)
        ),
        files=tuple(_file_notes(profile, number, facts) for number in range(len(profile.backing_files))),
        failed=tuple(_failed(profile, facts)),
        is_risky=any(check.warning or not check.passed for check in risks),
        in_same_group=in_same_group,
        one_by_one=cut[0].sentence if cut else "",
    )


def _notes(wish: Wish, profile: Profile, volume: Volume, origin: LogicalVolume, facts: Facts) -> VolumeNotes:
    looked = _looked(origin, facts)
    places = first_origins.mountpoints(origin, facts)
    where = f"mounted at {' and '.join(places)}" if places else "not mounted"
    holds = luks.described(volume, looked) if origin.is_active else "inactive"
    left_out = tree.describe_left_out(profile, volume, luks.as_mounted(volume, origin, facts), facts)
    return VolumeNotes(
        what=", ".join((human(origin.size_bytes), holds, *([where] if origin.is_active else []))),
        size=_size_note(profile, volume, origin, facts),
        mount=_mount_note(wish, volume, origin, facts),
        left_out=next((fact.value for fact in left_out), ""),
    )


def _size_note(profile: Profile, volume: Volume, origin: LogicalVolume, facts: Facts) -> str:
    if volume.size is None:
        return f"No size: it lies in the thin pool {origin.vg}/{origin.pool}, and its snapshot does too."
    vg = facts.vg(volume.vg)
    if vg is None or profile.backing_file(volume.vg):
        return ROOM
    free = human(available_extents(vg) * vg.extent_size_bytes)
    return f"{ROOM}; {vg.name} has {free} free"


def _mount_note(wish: Wish, volume: Volume, origin: LogicalVolume, facts: Facts) -> str:
    """Say why a volume is not mounted, "" if it is."""
    if volume.mountpoint or volume.is_in_tree:
        return ""
    if not origin.is_active:
        return "Only the device is made: the origin is inactive, so its content is unknown."
    obstacles = _obstacles(volume, wish, facts)
    if obstacles:
        return f"Only the device is made: {obstacles[0].found or obstacles[0].problem}."
    where = f"at {len(places)} places" if (places := tree.origin_mounts(volume, facts)) else "nowhere"
    why = f"it is mounted {where}, and in a set each snapshot is shown where its origin is mounted"
    return f"Only the device is made: {why}. Or give it a mountpoint of its own."


def _file_notes(profile: Profile, number: int, facts: Facts) -> FileNotes:
    file = profile.backing_files[number]
    vg, directory = facts.vg(file.vg), facts.looked.directories[file.path]
    free = human(available_extents(vg) * vg.extent_size_bytes) if vg else ""
    there = f"on {directory.filesystem} with {human(directory.available_bytes)} available"
    why = f"Since {file.vg} has {free} free, this file lends it room while the snapshot exists, {there}."
    return FileNotes(why, rounded(largest_file_bytes(directory), up=False))
