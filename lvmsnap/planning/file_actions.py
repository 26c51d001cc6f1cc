"""The commands that create and fill the backing file; a swapped path cannot lead them to another file. Pure.

The checks make sure that only root can change the directories on the path, but that may change later. So a command
enters the directory and verifies where it is, and fills only the file that it has opened and verified.
"""

from __future__ import annotations

from lvmsnap.model.condition import FileFilled, FileMade
from lvmsnap.model.plan import Action, Key, Thing
from lvmsnap.model.profile import FILLERS, Allocation, Argv
from lvmsnap.model.target import Loan
from lvmsnap.model.units import MIB
from lvmsnap.planning.identify import FoundLoan

# Under `set -C` (POSIX sh, "noclobber") the redirection creates the file with O_EXCL, so never through a symlink; and
# `pwd -P` verifies the directory.
CLAIM_SCRIPT = (
    'umask 077; set -C; cd -P -- "${1%/*}/" && d=$(pwd -P) && [ "${d%/}/${1##*/}" = "$1" ] && : > "./${1##*/}" '
    '|| { echo "$1 cannot be made there" >&2; exit 1; }'
)
# File descriptor 3 is the file at that very path, and empty: no content can be lost.
EMPTY_SCRIPT = (
    'exec 3< "$1"; f=/proc/self/fd/3; [ "$(readlink $f)" = "$1" ] && [ -f $f ] && [ ! -s $f ] '
    '|| { echo "$1 is not the new, empty file" >&2; exit 1; }; shift; exec "$@"'
)
# Later the file is recognised by its inode.
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
    """Allocate all blocks of the backing file, so that no write to the snapshot can fail with a full disk."""
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
    """Return the command that enlarges a backing file in use."""
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
    """Return the command that undoes a mount that a swapped path led elsewhere."""
    return ("umount", "--", mountpoint)
