"""What a filesystem needs for its snapshot to be mounted beside its origin; one not here is refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import LogicalVolume, Mount
from lvmsnap.model.looked import OriginFacts
from lvmsnap.model.plan import Check
from lvmsnap.model.target import Permission
from lvmsnap.planning.sizing import human

# errors=continue: an overflowed snapshot gives I/O errors, and the superblock's own errors=panic would then bring the
# whole server down (ext4(5)). XFS has no such option: it shuts the one filesystem down.
# nouuid: XFS refuses a second filesystem with the UUID of a mounted one (xfs(5)).
MOUNT_OPTIONS = {
    "ext2": ("ro", "errors=continue"),
    "ext3": ("ro", "errors=continue"),
    "ext4": ("ro", "errors=continue"),
    "xfs": ("ro", "nouuid"),
}

# A journal is replayed even for a read-only mount, into the CoW space. Where LVM froze the origin, as it does with one
# that is mounted on this host, there is nothing to replay; a virtual machine's disk would be shown half-written.
JOURNALED = ("ext3", "ext4", "xfs")

# What every mount gets unless the profile's mount options say the opposite.
OPPOSITES = {"nosuid": "suid", "nodev": "dev", "noexec": "exec"}

WHY_NOT = {
    "btrfs": "btrfs refuses two filesystems with one fsid, and may mix them up",
    "swap": "swap holds no files",
    "LVM2_member": "it holds a volume group of its own",
    "crypto_LUKS": "it is encrypted, and its files are on another device",
}

DEVICE_ALONE = "write `mountpoint: null` to get the device alone"


# A mount with it replays no journal. ext4 shows noload as norecovery too (ext4(5), xfs(5)).
NO_REPLAY = {"noload", "norecovery"}


def _is_settled(looked: OriginFacts) -> bool:
    """Whether the origin's mount on this host and LVM's freeze leave it whole, with nothing to replay.

    A read-only mount repairs nothing of an ext2, and one that replays no journal leaves it as full as it was.
    """
    superblock, options = looked.superblock, looked.mount_options
    if not looked.is_mounted or superblock is None:
        return looked.is_mounted
    if superblock.has_journal:
        return superblock.is_clean or not NO_REPLAY.intersection(options)
    return "ro" not in options


def permission(filesystem: str) -> Permission:
    """Return whether the snapshot of such a filesystem must take writes: a journal is replayed into it."""
    return Permission.READ_WRITE if filesystem in JOURNALED else Permission.READ_ONLY


def mount_options(
    origin: LogicalVolume, looked: OriginFacts, mounts: tuple[Mount, ...], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the options for the snapshot's mount: what the filesystem needs, what protects others, what is wanted."""
    needed = MOUNT_OPTIONS.get(looked.filesystem, ("ro",))
    superblock = looked.superblock
    if superblock and superblock.needs_other_device and looked.filesystem != "xfs":
        # Its journal is in use by the origin, whose freeze left nothing in it to replay.
        needed = ("ro", "noload", *needed[1:])
    own = {option for mount in mounts if mount.device_number == origin.device_number for option in mount.options}
    kept = ["nosuid", "nodev", *(["noexec"] if "noexec" in own else [])]
    protecting = [option for option in kept if OPPOSITES[option] not in wanted]
    return tuple(dict.fromkeys((*needed, *protecting, *wanted)))


def checks(name: str, looked: OriginFacts, cow_bytes: int | None) -> Iterator[Check]:
    """Yield the checks that the snapshot of origin `name` can be mounted, and shows nothing that is not whole.

    `cow_bytes` is the snapshot's space for changes, None where it is not known.
    """
    filesystem, superblock = looked.filesystem, looked.superblock
    mountable = filesystem in MOUNT_OPTIONS
    why = WHY_NOT.get(filesystem, f"only {', '.join(MOUNT_OPTIONS)} are known to work")
    found = filesystem or "no filesystem found"
    title = f"{name}'s filesystem can be mounted beside it"
    yield Check(title, mountable, found if mountable else f"{found}: {why}", DEVICE_ALONE)
    if superblock is None or not mountable:
        return
    elsewhere = superblock.needs_other_device and (filesystem == "xfs" or not _is_settled(looked))
    found = "its journal, or other data, is on another device, which has no snapshot" if elsewhere else ""
    yield Check(f"{name}'s filesystem is all on {name}", not elsewhere, found, DEVICE_ALONE)
    broken = not superblock.has_journal and not superblock.is_clean and not _is_settled(looked)
    where = "and is mounted read-only" if looked.is_mounted else "or is mounted elsewhere"
    found = f"it has no journal, and was not cleanly unmounted, {where}" if broken else ""
    hint = f"e2fsck it while nobody uses it; or {DEVICE_ALONE}"
    yield Check(f"{name}'s filesystem is whole", not broken, found, hint)
    if cow_bytes is not None and cow_bytes < superblock.journal_bytes and not _is_settled(looked):
        found = f"{human(cow_bytes)}, less than its journal of {human(superblock.journal_bytes)}"
        why = "its mount here replays none" if looked.is_mounted else "it is not mounted on this host"
        hint = f"the journal is replayed into that space, since {why}: give a larger `size`"
        yield Check(f"the snapshot has room for {name}'s journal", True, found, hint, warning=True)
