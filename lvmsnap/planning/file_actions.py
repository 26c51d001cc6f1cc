"""Every command that makes and fills the backing file: no swapped path leads them to another file. Pure.

Who may change a directory on the way to the file is checked before, but it may change hands. So the directory is
entered and asked where it is, and what is filled is what was opened and looked at.
"""

from __future__ import annotations

from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.profile import Allocation, Argv
from lvmsnap.model.target import LentPV
from lvmsnap.model.units import MIB
from lvmsnap.planning.identify import Found

# The redirection makes the file with O_EXCL under `set -C` (POSIX sh, "noclobber"), so never through a symlink; and
# in a directory that is where its path says.
CLAIM_SCRIPT = (
    'umask 077; set -C; cd -P -- "${1%/*}/" && d=$(pwd -P) && [ "${d%/}/${1##*/}" = "$1" ] && : > "./${1##*/}" '
    '|| { echo "$1 cannot be made there" >&2; exit 1; }'
)
# What is open as 3 is at the path itself, and empty: no content can be lost.
EMPTY_SCRIPT = (
    'exec 3< "$1"; f=/proc/self/fd/3; [ "$(readlink $f)" = "$1" ] && [ -f $f ] && [ ! -s $f ] '
    '|| { echo "$1 is not the new, empty file" >&2; exit 1; }; shift; exec "$@"'
)
# Later it is known by its inode.
SAME_SCRIPT = (
    'exec 3< "$1"; [ "$(stat -L -c %i /proc/self/fd/3)" = "$2" ] '
    '|| { echo "$1 is not the backing file" >&2; exit 1; }; shift 2; exec "$@"'
)
OPENED = "/proc/self/fd/3"


def backing_file(lent: LentPV, found: Found) -> Action:
    """Claim the backing file's path: a new, empty file that only root can read."""
    first = f" ({lent.mounted_at} is not mounted: mount it first)" if found.is_file_out_of_reach else ""
    return Action(
        thing=Thing.FILE,
        object=lent.path,
        summary="create the backing file, readable by root alone",
        undo_summary=f"remove the backing file{first}",
        do=(("sh", "-c", CLAIM_SCRIPT, "sh", lent.path),),
        undo=(("rm", "--", lent.path),),
        condition=f"{lent.path} is the file with the recorded inode",
        stands=found.file is not None or found.is_file_out_of_reach,
        needs_gone=(Thing.LOOP, Thing.VG_MEMBER),
    )


def backing_file_space(lent: LentPV, found: Found) -> Action:
    """Give the backing file all its blocks, so that no write to the snapshot can find the disk full."""
    return Action(
        thing=Thing.SPACE,
        object=lent.path,
        summary="allocate all its blocks",
        undo_summary="",
        do=(("sh", "-c", EMPTY_SCRIPT, "sh", lent.path, *_fill(lent, 0, lent.size_bytes)),),
        undo=(),
        condition=f"{lent.path} has {lent.size_bytes} bytes and no holes",
        stands=found.file is not None and found.file.size_bytes == lent.size_bytes,
    )


def grow_file(lent: LentPV, old_bytes: int, new_bytes: int) -> Argv:
    """Return the command that makes a backing file in use larger."""
    return ("sh", "-c", SAME_SCRIPT, "sh", lent.path, str(lent.inode), *_fill(lent, old_bytes, new_bytes))


def _fill(lent: LentPV, old_bytes: int, new_bytes: int) -> Argv:
    if lent.allocation is Allocation.FALLOCATE:
        return ("fallocate", "--length", str(new_bytes), OPENED)
    seek = (f"seek={old_bytes}",) if old_bytes else ()
    flags = ("iflag=count_bytes,fullblock", *(("oflag=seek_bytes",) if old_bytes else ()))
    count = f"count={new_bytes - old_bytes}"
    return (
        "dd",
        "if=/dev/zero",
        f"of={OPENED}",
        f"bs={MIB}",
        *seek,
        count,
        *flags,
        "conv=notrunc,fsync",
        "status=none",
    )


def unmount_astray(mountpoint: str) -> Argv:
    """Return the command that takes back a mount which a swapped path led elsewhere."""
    return ("umount", "--", mountpoint)
