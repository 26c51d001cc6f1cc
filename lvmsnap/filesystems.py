"""What a filesystem needs for its snapshot to be mounted beside its origin; one not here is refused. Pure."""

from __future__ import annotations

# noload: the snapshot of a mounted ext3 or ext4 is clean, LVM froze it, and its journal cannot be replayed
# read-only. nouuid: XFS refuses a second filesystem with the UUID of a mounted one (mount(8), xfs(5)).
MOUNT_OPTIONS = {"ext2": ("ro",), "ext3": ("ro", "noload"), "ext4": ("ro", "noload"), "xfs": ("ro", "nouuid")}

# XFS writes its log even for a read-only mount, so its snapshot must take writes; they go to the CoW space.
WRITABLE_SNAPSHOT = ("xfs",)

WHY_NOT = {
    "btrfs": "btrfs refuses two filesystems with one fsid, and may mix them up",
    "swap": "swap holds no files",
    "LVM2_member": "it holds a volume group of its own",
    "crypto_LUKS": "it is encrypted, and its files are on another device",
}
