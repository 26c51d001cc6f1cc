"""Reads what a superblock says about its filesystem's journal: ext2, ext3, ext4, XFS, F2FS, FAT. Only reads."""

from __future__ import annotations

import struct
from pathlib import Path

from lvmsnap.model.looked import Superblock

EXT_OFFSET, EXT_MAGIC = 1024, b"\x53\xef"
# ext4.h, struct ext4_super_block: offsets of its fields, all little-endian.
EXT_STATE, EXT_COMPAT, EXT_INCOMPAT, EXT_JOURNAL_INODE, EXT_JOURNAL_SIZE = 0x3A, 0x5C, 0x60, 0xE0, 0x148
VALID_FS, HAS_JOURNAL, NEEDS_RECOVERY = 1, 4, 4
# xfs_format.h, struct xfs_dsb: offsets of its fields, all big-endian.
XFS_BLOCK_SIZE, XFS_REALTIME_BLOCKS, XFS_LOG_START, XFS_LOG_BLOCKS = 4, 16, 48, 96
# f2fs_fs.h, struct f2fs_super_block: the path of the second device, "" if there is only one.
F2FS_MAGIC, F2FS_SECOND_DEVICE = b"\x10\x20\xf5\xf2", 2201 + 68
# linux/msdos_fs.h, struct fat_boot_sector: offsets of the type's name and of the state byte; bit 0: in use.
FAT_KINDS = {b"FAT12": (54, 37), b"FAT16": (54, 37), b"FAT32": (82, 65)}
READ_BYTES = 4096


def read(device: str) -> Superblock | None:
    """Return the superblock on a device, None if there is no known one or it cannot be read."""
    try:
        with Path(device).open("rb", buffering=0) as file:
            return parse(file.read(READ_BYTES))
    except OSError:
        return None


def parse(head: bytes) -> Superblock | None:
    """Parse a device's first 4096 bytes, None if they are not of a known filesystem."""
    if len(head) < READ_BYTES:
        return None
    if head.startswith(b"XFSB"):
        return _xfs(head)
    below = head[EXT_OFFSET:]
    if below.startswith(F2FS_MAGIC):
        # Its superblock does not say whether its log is clean.
        return Superblock(0, needs_other_device=bool(below[F2FS_SECOND_DEVICE]), has_journal=True, is_clean=False)
    if below[0x38:0x3A] == EXT_MAGIC:
        return _ext(below)
    states = [head[state] for kind, (place, state) in FAT_KINDS.items() if head.startswith(kind, place)]
    return Superblock(0, needs_other_device=False, has_journal=False, is_clean=not states[0] & 1) if states else None


def _ext(raw: bytes) -> Superblock:
    state = int(struct.unpack_from("<H", raw, EXT_STATE)[0])
    compat, incompat = struct.unpack_from("<II", raw, EXT_COMPAT)
    (journal_inode,) = struct.unpack_from("<I", raw, EXT_JOURNAL_INODE)
    # A backup of the journal inode's blocks; its last two words are the inode's size.
    size_high, size_low = struct.unpack_from("<II", raw, EXT_JOURNAL_SIZE)
    journaled = bool(compat & HAS_JOURNAL)
    return Superblock(
        journal_bytes=size_high << 32 | size_low if journaled and journal_inode else 0,
        needs_other_device=journaled and not journal_inode,
        has_journal=journaled,
        is_clean=not incompat & NEEDS_RECOVERY if journaled else bool(state & VALID_FS),
    )


def _xfs(raw: bytes) -> Superblock:
    (block_bytes,) = struct.unpack_from(">I", raw, XFS_BLOCK_SIZE)
    (realtime_blocks,) = struct.unpack_from(">Q", raw, XFS_REALTIME_BLOCKS)
    (log_start,) = struct.unpack_from(">Q", raw, XFS_LOG_START)
    (log_blocks,) = struct.unpack_from(">I", raw, XFS_LOG_BLOCKS)
    external = not log_start
    return Superblock(
        journal_bytes=0 if external else log_blocks * block_bytes,
        needs_other_device=external or bool(realtime_blocks),
        has_journal=True,
        is_clean=False,  # its superblock does not say
    )
