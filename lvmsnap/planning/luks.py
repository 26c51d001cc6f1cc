"""LUKS in an origin: its content, how the snapshot is opened, what must hold for that, which mapping is ours. Pure.

A mapping is ours if its UUID, which cryptsetup forms from the container's UUID and the name, and its device match.
"""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import DmDevice, Facts, LogicalVolume
from lvmsnap.model.looked import KeyFileFacts, LuksHeader, OriginFacts
from lvmsnap.model.luks_names import is_luks, is_temporary, mapping_name, mapping_uuid, name_in
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.model.target import LuksMapping, Snapshot
from lvmsnap.model.units import MIB
from lvmsnap.planning import access
from lvmsnap.planning.common_checks import free_device, in_kernel

LUKS_FILESYSTEM = "crypto_LUKS"
OTHERS_BITS = 0o077
# cryptsetup reads no more than this (--help: default compiled-in maximum keyfile size).
LARGEST_KEY_BYTES = 8 * MIB
UNOPENED = "leave out `luks`, and write `mountpoint: null` to get the device alone"
NOT_FROZEN = "LVM's freeze does not reach into it: the snapshot has what was synced, and replays its journal"


@dataclass(frozen=True, slots=True)
class FoundLuks:
    """What exists of a snapshot's mapping and is ours: `own` is the mapping, whatever its current name.

    `left` is what a killed cryptsetup left on the snapshot. `has_udev_rule`: the rule that keeps udev off it exists.
    """

    own: tuple[DmDevice, ...] = ()
    left: tuple[DmDevice, ...] = ()
    has_udev_rule: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the mapping can be used."""
        return any(one.beneath and one.has_table for one in self.own)

    @property
    def numbers(self) -> set[str]:
        """The mapping's device number, empty if there is no mapping."""
        return {one.device_number for one in self.own}


NOTHING_OPEN = FoundLuks()


def content(volume: Volume, looked: OriginFacts) -> OriginFacts:
    """Return what the snapshot's mount will show: for LUKS that is opened, its content as far as that is known."""
    if volume.luks is None or looked.luks is None:
        return looked
    return looked.inside or OriginFacts(is_in_luks=True)


def as_mounted(volume: Volume, origin: LogicalVolume, facts: Facts) -> str:
    """Return the number of the device through which the origin's files are mounted: the origin, or its mapping.

    It is "" if the origin's LUKS is not open on this host.
    """
    if volume.luks is None or not origin.device_number:
        return origin.device_number
    mapping = facts.luks_mapping_of(origin.device_number)
    return mapping.device_number if mapping else ""


def mapping(profile: Profile, volume: Volume, looked: OriginFacts) -> LuksMapping | None:
    """Return the mapping that opens the snapshot, None if the profile opens none."""
    if volume.luks is None:
        return None
    name, header = _name(profile, volume), looked.luks or LuksHeader(0, "")
    return LuksMapping(name, mapping_uuid(header.version, header.uuid, name), volume.luks.key_file or "")


def _name(profile: Profile, volume: Volume) -> str:
    places = [(one.vg, one.origin) for one in profile.volumes]
    return mapping_name(profile.name, places.index((volume.vg, volume.origin)) + 1)


def marked_mapping(
    name: str, profile: Profile | None, volume: Volume | None, lv: LogicalVolume, facts: Facts
) -> LuksMapping | None:
    """Return the mapping of a snapshot without a record: from its device, which has our name, else from the profile."""
    for device in facts.dm_devices if lv.device_number else ():
        if device.beneath in ((), (lv.device_number,)) and (own := name_in(device.uuid, name)):
            return LuksMapping(own, device.uuid)
    return LuksMapping(_name(profile, volume), "") if profile and volume and volume.luks else None


def numbers(opened: LuksMapping | None, lv: LogicalVolume, facts: Facts) -> set[str]:
    """Return the number of the device through which a snapshot is mounted: its mapping's, if it has one."""
    if opened is None:
        return {lv.device_number}
    return {one.device_number for one in facts.dm_devices if opened.dm_uuid and one.uuid == opened.dm_uuid}


def find_luks(snapshot: Snapshot, lv: LogicalVolume | None, facts: Facts) -> FoundLuks:
    """Return what exists of a snapshot's mapping; `lv` is the snapshot.

    A mapping to which a killed cryptsetup gave no table has no device below. Anything else on the snapshot is not ours.
    """
    if snapshot.luks is None:
        return NOTHING_OPEN
    uuid, on_it = snapshot.luks.dm_uuid, (lv.device_number,) if lv and lv.device_number else None
    devices = facts.dm_devices if on_it else ()
    own = tuple(one for one in devices if is_luks(uuid) and one.uuid == uuid and one.beneath in ((), on_it))
    left = tuple(one for one in devices if is_temporary(one.uuid) and one.beneath == on_it)
    return FoundLuks(own, left, facts.looked.udev_rules[snapshot.luks.udev_rule])


def shown_by(snapshot: Snapshot, lv: LogicalVolume | None, found: FoundLuks) -> set[str]:
    """Return the number of the device that a snapshot's mount shows, empty if there is none."""
    if snapshot.luks:
        return found.numbers
    return {lv.device_number} if lv else set()


def described(volume: Volume, looked: OriginFacts) -> str:
    """Return in words what is on an origin."""
    if looked.luks is None:
        return looked.filesystem or "no filesystem"
    inside = f"containing {looked.inside.filesystem or 'no filesystem'}" if looked.inside else "closed on this host"
    return f"LUKS{looked.luks.version}, {inside if volume.luks else 'not opened'}"


def checks(profile: Profile, volume: Volume, looked: OriginFacts, facts: Facts) -> Iterator[Check]:
    """Yield the checks that the snapshot of a volume can be opened; the filesystem in it has checks of its own."""
    if volume.luks is None:
        return
    name, header = volume.path, looked.luks
    found = f"LUKS{header.version}" if header else looked.filesystem or "no filesystem found"
    hint = "leave out `luks`, or name the volume that holds it"
    yield Check("luks-held", name, f"{name} holds LUKS", f"{name} holds no LUKS", header is not None, found, hint)
    if header:
        title, problem = (
            f"{name}'s LUKS can be opened from a snapshot",
            f"{name}'s LUKS cannot be opened from a snapshot",
        )
        yield Check("luks-openable", name, title, problem, not header.obstacle, header.obstacle, UNOPENED)
    if volume.mountpoint is None and looked.inside:
        # Once opened, LVM would see the physical volume inside twice, and refuse to change its group.
        is_pv = looked.inside.filesystem == "LVM2_member"
        found = "LVM would see its volume group twice" if is_pv else ""
        title, problem = f"{name}'s LUKS holds no PV", f"{name}'s LUKS holds a PV"
        yield Check("luks-no-pv", name, title, problem, not is_pv, found, UNOPENED)
    yield in_kernel("dm-crypt", "dm-crypt", facts.crypt_target)
    device = _name(profile, volume)
    taken = [one.name for one in facts.dm_devices if one.name == device]
    hint = f"see what it is: dmsetup info {device}; cryptsetup close {device} closes it"
    yield free_device(device, taken, hint)
    yield from _key(volume, facts)


def _key(volume: Volume, facts: Facts) -> Iterator[Check]:
    path = volume.luks.key_file if volume.luks else None
    if path is None:
        title, problem = (f"{one} terminal to ask for the passphrase of {volume.path} on" for one in ("a", "no"))
        hint = "run it on a terminal, or give `luks` a `key_file`"
        yield Check("luks-terminal", volume.path, title, problem, facts.looked.has_terminal, hint=hint)
        return
    found, hint = _wrong_key_file(path, facts.looked.key_files[path])
    title, problem = f"only root can use key file {path}", f"key file {path} cannot be used"
    yield Check("luks-key-file", volume.path, title, problem, not found, found, hint)


def _wrong_key_file(path: str, here: KeyFileFacts) -> tuple[str, str]:
    """Return what is wrong with a key file, "" if nothing is, and what to do."""
    other = "correct `key_file`, or make the file there"
    wrong = {
        "unreachable": (
            f"its path crosses {here.stalling}, which may stall and is not controlled by root alone",
            other,
        ),
        "absent": ("it does not exist", other),
        "symlink": ("it is a symlink", "name the file itself"),
        "other": ("it is not a regular file", other),
    }.get(here.kind)
    if wrong:
        return wrong
    if here.uid:
        return f"it belongs to user {here.uid}", f"chown root:root {path}; and change the key, which they know"
    if here.mode & OTHERS_BITS:
        return (
            f"users other than root can use it (mode {here.mode:04o})",
            f"chmod 0400 {path}; and change the key if they did",
        )
    if not 0 < here.size_bytes <= LARGEST_KEY_BYTES:
        return "it is empty" if not here.size_bytes else "it is larger than a key can be (8 MiB)", other
    exposed = access.exposed(here.gates)
    return exposed, "anyone who can change a directory above it can put another key there: make it root's"
