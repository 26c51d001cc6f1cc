"""How large the snapshots of a first profile are, and where their space comes from, best way first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, product

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import Facts, LogicalVolume, Mount, VolumeGroup, mount_of, top_mount
from lvmsnap.model.looked import OriginFacts
from lvmsnap.model.paths import PLAIN_PATH, RUN_DIR, is_within
from lvmsnap.model.profile import Allocation, BackingFile
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning.held_blocks import largest_file_bytes
from lvmsnap.planning.lent_pvs import available_extents
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, ceil, largest_useful_bytes, rounded

# Share of the origin, for changes during a backup: the guard gives more later, if there is room. Never less than LVM's
# own metadata and a busy minute need, never more than anybody would set aside unasked.
SHARE_PERCENT = 20
LEAST_BYTES, MOST_BYTES = 16 * MIB, 100 * GIB
# A journal that is replayed into the snapshot must leave room for the changes too.
JOURNAL_PERCENT = 125
# The group's free space is used if it has at least GOOD_PERCENT of what is wanted; POOR_PERCENT if no file can be lent.
GOOD_PERCENT, POOR_PERCENT = 50, 10

FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs")
NO_PLACE = ("/boot", RUN_DIR)
# Only root can write to it. On any other filesystem the file goes into the top directory.
SYSTEM_FOLDER = "/var/lib"
MOST_PLACES, MOST_ROOMS = 12, 200

Place = tuple[str, str]  # VG and LV


@dataclass(frozen=True, slots=True)
class Room:
    """One way to give the snapshots space: the size of each that needs one, and what is lent to which groups."""

    sizes: Mapping[Place, int]
    files: tuple[BackingFile, ...] = ()


def wanted_bytes(origin: LogicalVolume, looked: OriginFacts) -> int:
    """Return how many bytes the snapshot of an origin should have: a round number, and no more than it can use."""
    inside = looked.inside or looked
    is_replayed = inside.superblock and (looked.luks or not inside.is_mounted)
    journal_bytes = inside.superblock.journal_bytes if inside.superblock and is_replayed else 0
    share = min(origin.size_bytes * SHARE_PERCENT // 100, MOST_BYTES)
    useful = ceil(largest_useful_bytes(origin.size_bytes, DEFAULT_CHUNK_BYTES), MIB) * MIB
    return min(rounded(max(share, LEAST_BYTES, journal_bytes * JOURNAL_PERCENT // 100), up=True), useful)


def folders(mounts: tuple[Mount, ...]) -> tuple[str, ...]:
    """Return where a backing file could lie: one directory on each mounted ext2, ext3, ext4 and XFS filesystem."""
    found: dict[str, str] = {}
    for mount in mounts:
        if _is_possible(mount) and (top := top_mount(mounts, mount.mountpoint)) and top.mount_id == mount.mount_id:
            system = mount_of(SYSTEM_FOLDER, mounts)
            is_system = system is not None and system.mount_id == mount.mount_id
            found.setdefault(mount.device_number, SYSTEM_FOLDER if is_system else mount.mountpoint)
    return tuple(islice(found.values(), MOST_PLACES))


def _is_possible(mount: Mount) -> bool:
    return (
        mount.filesystem in FILE_SYSTEMS
        and mount.root == "/"
        and "ro" not in (*mount.options, *mount.filesystem_options)
        and re.fullmatch(PLAIN_PATH, mount.mountpoint) is not None
        and not any(is_within(mount.mountpoint, path) for path in NO_PLACE)
    )


def file_path(folder: str, name: str, vg: str, groups: tuple[str, ...]) -> str:
    """Return the path of a profile's backing file in a directory; with several groups each has its own file."""
    suffix = f"-{vg}" if len(groups) > 1 else ""
    return f"{folder.rstrip('/')}/lvmsnap-{name}{suffix}.tmp"


def rooms(name: str, wanted: Mapping[Place, int], groups: tuple[str, ...], facts: Facts) -> Iterator[Room]:
    """Yield every way to give the snapshots what is `wanted`, or as much of it as there is, best first.

    The group's own free space is best, then a file on the filesystem with the most room, then what little the group
    has. The last way gives all that is wanted, although nothing has it.
    """
    by_group = {name: {place: size for place, size in wanted.items() if place[0] == name} for name in groups}
    own = {vg.name: _own(vg, by_group[vg.name], GOOD_PERCENT) for vg in facts.vgs if by_group.get(vg.name)}
    enough = {place: size for sizes in own.values() if sizes for place, size in sizes.items()}
    lacking = [vg for vg in facts.vgs if vg.name in own and own[vg.name] is None]
    if not lacking:
        yield Room(enough)
    ways = tuple(product((Allocation.FALLOCATE, Allocation.ZERO_FILL), _places(facts)))
    for chosen in islice(product(ways, repeat=len(lacking)), MOST_ROOMS) if lacking else ():
        lent = [_Lent(vg, by_group[vg.name], *way) for vg, way in zip(lacking, chosen, strict=True)]
        if room := _with_files(name, enough, lent, groups, facts):
            yield room
    poor = [_own(vg, by_group[vg.name], POOR_PERCENT) for vg in lacking]
    if lacking and all(poor):
        yield Room(enough | {place: size for sizes in poor if sizes for place, size in sizes.items()})
    yield Room(wanted)


def _own(vg: VolumeGroup, wanted: Mapping[Place, int], percent: int) -> dict[Place, int] | None:
    """Return sizes that fit into the group's free space, None if that is less than `percent` of what is wanted."""
    free, extent = available_extents(vg), vg.extent_size_bytes
    if sum(ceil(size, extent) for size in wanted.values()) <= free:
        return dict(wanted)
    return _scaled(wanted, free * extent, extent, percent)


def _scaled(wanted: Mapping[Place, int], have: int, extent: int, percent: int) -> dict[Place, int] | None:
    """Share `have` bytes, in whole extents for each snapshot; None if that is less than `percent` of what is wanted."""
    total = sum(wanted.values())
    if have * 100 < total * percent:
        return None
    sizes = {place: _whole(size * min(have, total) // total, extent) for place, size in wanted.items()}
    return sizes if all(sizes.values()) else None


def _whole(size_bytes: int, extent: int) -> int:
    """Return a round size that takes at most `size_bytes` in whole extents, 0 if there is none."""
    nice = rounded(size_bytes, up=False)
    return nice if ceil(nice, extent) * extent <= size_bytes else size_bytes // extent * extent // MIB * MIB


def _places(facts: Facts) -> list[str]:
    """Return the directories that were examined, the one with the most room first."""
    looked = facts.looked.directories
    free = {path.rpartition("/")[0] or "/": largest_file_bytes(there) for path, there in looked.items()}
    return sorted(free, key=lambda folder: -free[folder])


@dataclass(frozen=True, slots=True)
class _Lent:
    """A group that lacks room for what is wanted in it, and where its backing file would lie."""

    vg: VolumeGroup
    wanted: Mapping[Place, int]
    allocation: Allocation
    folder: str


def _with_files(
    name: str, enough: Mapping[Place, int], lent: list[_Lent], groups: tuple[str, ...], facts: Facts
) -> Room | None:
    """Return the room with a file for each group that lacks space, None if a file's filesystem has too little.

    Half of what may be used there stays free: for the file to grow, and for whatever else is written there.
    """
    sizes, files = dict(enough), []
    for one in lent:
        path = file_path(one.folder, name, one.vg.name, groups)
        directory = facts.looked.directories[path]
        sharing = sum(1 for other in lent if other.folder == one.folder)
        have = largest_file_bytes(directory) // 2 // sharing if directory.exists else 0
        scaled = _scaled(one.wanted, have, one.vg.extent_size_bytes, POOR_PERCENT)
        if scaled is None:
            return None
        sizes |= scaled
        files.append(BackingFile(one.vg.name, path, None, None, one.allocation, allow_same_vg=False))
    return Room(sizes, tuple(files))
