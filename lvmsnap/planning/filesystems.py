"""What a filesystem needs for its snapshot to be mounted beside its origin; unlisted ones are refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lvmsnap.model.facts import Mount
from lvmsnap.model.looked import OriginFacts, Superblock
from lvmsnap.model.plan import Check
from lvmsnap.model.target import Permission
from lvmsnap.planning.sizing import human

# errors=continue: an overflowed snapshot gives I/O errors, and the superblock's own errors=panic would then bring the
# whole server down (ext4(5)). XFS has no such option: it shuts down only the filesystem concerned.
# nouuid: XFS refuses a second filesystem with the UUID of a mounted one (xfs(5)).
MOUNT_OPTIONS = {
    "ext2": ("ro", "errors=continue"),
    "ext3": ("ro", "errors=continue"),
    "ext4": ("ro", "errors=continue"),
    "xfs": ("ro", "nouuid"),
    "f2fs": ("ro",),
    "vfat": ("ro",),
}

KNOWN = ", ".join(MOUNT_OPTIONS)
# vfat stores neither owners nor permissions: mount options set them, and the encoding of names (vfat in mount(8)). The
# snapshot is mounted with the origin's.
KEPT_OPTIONS = {
    "vfat": r"(?:uid|gid|[df]?mask|umask|codepage|iocharset|shortname|tz|time_offset|utf8|uni_xlate)(?:=|$)",
}
# If the origin is not mounted, nothing says who owns the files: only root may read them.
ROOTS_ALONE = {"vfat": ("umask=0077",)}
CHECKERS = {"vfat": "fsck.fat"}

# Even a read-only mount replays the journal, into the CoW space. LVM freezes an origin that is mounted on this host, so
# that nothing is left to replay; the disk of a virtual machine would look half-written without a replay.
JOURNALED = ("ext3", "ext4", "xfs", "f2fs")
# These cannot be mounted at all without the part on another device.
WHOLE = ("xfs", "f2fs")

# Protective mount options, each with the option by which a profile turns it off.
OPPOSITES = {"nosuid": "suid", "nodev": "dev", "noexec": "exec"}

WHY_NOT = {
    "btrfs": "btrfs refuses two filesystems with one fsid, and may mix them up",
    "swap": "swap holds no files",
    "LVM2_member": "it holds a volume group of its own",
    "crypto_LUKS": "it is encrypted: `luks` with a `key_file`, or with `prompt: true`, opens it",
}

DEVICE_ALONE = "write `mountpoint: null` to get the device alone"


# With one of these a mount replays no journal. ext4 also shows noload as norecovery (ext4(5), xfs(5)).
NO_REPLAY = {"noload", "norecovery"}


def _is_settled(looked: OriginFacts) -> bool:
    """Whether the origin's mount on this host and LVM's freeze leave it consistent, with nothing to replay.

    A read-only mount does not repair ext2, and a mount without replay leaves the journal as it was. The freeze does not
    reach a filesystem inside LUKS.
    """
    superblock, options = looked.superblock, looked.mount_options
    if looked.is_in_luks:
        return False
    if not looked.is_mounted or superblock is None:
        return looked.is_mounted
    if superblock.has_journal:
        return superblock.is_clean or not NO_REPLAY.intersection(options)
    return "ro" not in options


def permission(filesystem: str, *, is_opened: bool = False) -> Permission:
    """Return the permission of such a filesystem's snapshot: read-write if a journal may be replayed into it.

    `is_opened`: it is a LUKS container that is opened; the filesystem inside may have a journal.
    """
    return Permission.READ_WRITE if filesystem in JOURNALED or is_opened else Permission.READ_ONLY


def mount_options(
    device_number: str, looked: OriginFacts, mounts: tuple[Mount, ...], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the mount options of the snapshot: what the filesystem needs, what protects the host, what is `wanted`.

    `device_number` is the device through which the origin's files are mounted: the origin, or its LUKS mapping.
    """
    needed = MOUNT_OPTIONS.get(looked.filesystem, ("ro",))
    superblock = looked.superblock
    if superblock and superblock.needs_other_device and looked.filesystem not in WHOLE:
        # The origin is using that journal, and its freeze left nothing in it to replay.
        needed = ("ro", "noload", *needed[1:])
    own = {option for mount in mounts if mount.device_number == device_number for option in mount.options}
    kept = ["nosuid", "nodev", *(["noexec"] if "noexec" in own else [])]
    protecting = [option for option in kept if OPPOSITES[option] not in wanted]
    return tuple(dict.fromkeys((*needed, *_owners(looked), *protecting, *wanted)))


def _owners(looked: OriginFacts) -> tuple[str, ...]:
    """Return the options that give the snapshot's files the owners, permissions and names of the origin's."""
    kept = KEPT_OPTIONS.get(looked.filesystem)
    if kept is None:
        return ()
    found = tuple(option for option in looked.mount_options if re.match(kept, option))
    return found or ROOTS_ALONE[looked.filesystem]


def checks(name: str, looked: OriginFacts, cow_bytes: int | None) -> Iterator[Check]:
    """Yield the checks that the snapshot of origin `name` can be mounted, and shows a consistent filesystem.

    `cow_bytes` is the size of the snapshot's CoW space, None if it is not known.
    """
    filesystem, superblock = looked.filesystem, looked.superblock
    mountable, its = filesystem in MOUNT_OPTIONS, f"{name}'s filesystem"
    what = (
        "filesystem-mountable",
        name,
        f"{its} can be mounted from a snapshot",
        f"{its} cannot be mounted from a snapshot",
    )
    if looked.is_in_luks and not looked.device_number:
        found = f"its LUKS is closed here: its content is examined once it is open, and must be one of {KNOWN}"
        yield Check(*what, passed=True, found=found)
        return
    why = WHY_NOT.get(filesystem, f"only {KNOWN} are known to work")
    found = filesystem or "no filesystem found"
    yield Check(*what, mountable, found if mountable else f"{found}: {why}", DEVICE_ALONE)
    if superblock is None or not mountable:
        return
    found = _elsewhere(looked, superblock)
    title, problem = f"{its} lies entirely on {name}", f"{its} does not lie entirely on {name}"
    yield Check("filesystem-on-origin", name, title, problem, not found, found, DEVICE_ALONE)
    found = _broken(looked, superblock)
    hint = f"{CHECKERS.get(filesystem, 'e2fsck')} it while nobody uses it; or {DEVICE_ALONE}"
    yield Check("filesystem-whole", name, f"{its} is consistent", f"{its} is not consistent", not found, found, hint)
    if cow_bytes is not None and cow_bytes < superblock.journal_bytes and not _is_settled(looked):
        found = f"{human(cow_bytes)}, less than its journal of {human(superblock.journal_bytes)}"
        why = "its mount here replays none" if looked.is_mounted else "it is not mounted on this host"
        why = "it is in LUKS, and not frozen" if looked.is_in_luks else why
        hint = f"the journal is replayed into that space, since {why}: give a larger `size`"
        title, problem = (f"the snapshot has {room} for {name}'s journal" for room in ("room", "no room"))
        yield Check("journal-room", name, title, problem, passed=True, found=found, hint=hint, warning=True)


def why_not_mounted(superblock: Superblock | None) -> str:
    """Say why the content of a LUKS container that was just opened cannot be mounted, "" if it can."""
    if superblock is None:
        return f"it holds no filesystem that is known to work ({KNOWN})"
    looked = OriginFacts(is_in_luks=True)
    return _elsewhere(looked, superblock) or _broken(looked, superblock)


def _elsewhere(looked: OriginFacts, superblock: Superblock) -> str:
    elsewhere = superblock.needs_other_device and (looked.filesystem in WHOLE or not _is_settled(looked))
    return "its journal, or other data, is on another device, which has no snapshot" if elsewhere else ""


def _broken(looked: OriginFacts, superblock: Superblock) -> str:
    if superblock.has_journal or superblock.is_clean or _is_settled(looked):
        return ""
    where = "and is mounted read-only" if looked.is_mounted else "or is mounted elsewhere"
    where = "or is mounted" if looked.is_in_luks else where
    return f"it has no journal, and was not cleanly unmounted, {where}"
