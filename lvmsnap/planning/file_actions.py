"""Every command that makes and fills the backing file: no swapped path leads them to another file. Pure.

Who may change a directory on the way to the file is checked before, but it may change hands. So the directory is
entered and asked where it is, and what is filled is what was opened and looked at.
"""

from __future__ import annotations

from lvmsnap.model.condition import FileFilled, FileMade
from lvmsnap.model.plan import Action, Key, Thing
from lvmsnap.model.profile import FILLERS, Allocation, Argv
from lvmsnap.model.target import Loan
from lvmsnap.model.units import MIB
from lvmsnap.planning.identify import FoundLoan

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


def backing_file(found: FoundLoan, loop_device: str) -> Action:
    """Claim the backing file's path: a new, empty file that only root can read."""
    loan = found.loan
    first = f" ({loan.mounted_at} is not mounted: mount it first)" if found.is_file_out_of_reach else ""
    return Action(
        thing=Thing.FILE,
        object=loan.path,
        summary="create the backing file, readable by root alone",
        undo_summary=f"remove the backing file{first}",
        do=(("sh", "-c", CLAIM_SCRIPT, "sh", loan.path),),
        undo=(("rm", "--", loan.path),),
        condition=FileMade(loan.path),
        exists=found.file is not None or found.is_file_out_of_reach,
        needs_gone=(Key(Thing.LOOP, loop_device), Key(Thing.VG_MEMBER, loan.vg)),
    )


def backing_file_space(found: FoundLoan) -> Action:
    """Give the backing file all its blocks, so that no write to the snapshot can find the disk full."""
    loan = found.loan
    return Action(
        thing=Thing.SPACE,
        object=loan.path,
        summary="allocate all its blocks",
        undo_summary="",
        do=(("sh", "-c", EMPTY_SCRIPT, "sh", loan.path, *_fill(loan, 0, loan.size_bytes)),),
        undo=(),
        condition=FileFilled(loan.path, loan.size_bytes),
        exists=found.file is not None and found.file.size_bytes == loan.size_bytes,
    )


def grow_file(loan: Loan, old_bytes: int, new_bytes: int) -> Argv:
    """Return the command that makes a backing file in use larger."""
    return ("sh", "-c", SAME_SCRIPT, "sh", loan.path, str(loan.inode), *_fill(loan, old_bytes, new_bytes))


def _fill(loan: Loan, old_bytes: int, new_bytes: int) -> Argv:
    program = FILLERS[loan.allocation]
    if loan.allocation is Allocation.FALLOCATE:
        return (program, "--length", str(new_bytes), OPENED)
    seek = (f"seek={old_bytes}",) if old_bytes else ()
    flags = ("iflag=count_bytes,fullblock", *(("oflag=seek_bytes",) if old_bytes else ()))
    count = f"count={new_bytes - old_bytes}"
    return (
        program,
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
