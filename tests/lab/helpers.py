"""What tests do with a guest again and again: volume groups, filesystems, a clean slate, a look at everything.

Each helper is one script in the guest, because starting processes is what costs time there.
"""

import shlex
from collections.abc import Mapping, Sequence

from .machine import Machine

# Takes down everything that stands on the disks, then checks; a second round for what only then comes free.
WIPE = r"""
exec 2>&1
busy() {
    [ -n "$(findmnt -rno TARGET -t ext2,ext3,ext4,xfs,btrfs,vfat)" ] || [ -n "$(ls /sys/block/dm-0 /sys/block/dm-* 2>/dev/null)" ] ||
        [ -n "$(cat /sys/block/loop*/loop/backing_file 2>/dev/null)" ]
}
"""


def wipe(m: Machine) -> None:
    """Bring the guest back to its first state: nothing mounted, mapped or looped, disks blank, no state of lvmsnap."""
    m.write_file("/run/lab-wipe", WIPE)
    m.run(["/bin/sh", "/run/lab-wipe"], timeout=120)
