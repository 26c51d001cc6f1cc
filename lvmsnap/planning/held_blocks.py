"""Whether a backing file's blocks are really there when the snapshot writes to them, and how many it may have. Pure."""

from __future__ import annotations

from lvmsnap.model.looked import DirectoryFacts
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Allocation, BackingFile
from lvmsnap.planning.sizing import LARGEST_SHARE_PERCENT

ELSEWHERE = "name a `path` on another disk"
# From here, a deleted file, one hidden by a mount, and one in another mount namespace look the same.
UNKNOWN = "cannot be examined: deleted, moved, covered by a mount, or attached in another mount namespace"


def largest_file_bytes(directory: DirectoryFacts) -> int:
    """Return how large a file may become there: a share of the least that its filesystem and the layers below have."""
    free = [layer.free_bytes for layer in directory.layers if layer.free_bytes is not None]
    return min([directory.available_bytes, *free]) * LARGEST_SHARE_PERCENT // 100


def check(backing: BackingFile, directory: DirectoryFacts) -> Check:
    """Return the check that no layer below the file allocates blocks only when they are written, and may be full then.

    A full thin pool blocks every write to it for a minute, and with it every write to the snapshot's origin. It keeps
    blocks that were written once, so `zero-fill` is allowed.
    """
    unknown = [layer.name for layer in directory.layers if layer.is_unknown]
    never = [layer.name for layer in directory.layers if layer.free_bytes is None and not layer.is_unknown]
    later = [layer.name for layer in directory.layers if layer.free_bytes is not None]
    of, title = backing.path, f"the blocks of {backing.path} are backed by real space"
    what = ("backing-file-blocks", of, title, f"the blocks of {of} are not backed by real space")
    if never:
        found = f"{never[0]} may run full even if its blocks are written beforehand"
        return Check(*what, passed=False, found=found, hint=ELSEWHERE)
    if unknown:
        hint = f"look with `losetup -l`, and attach the loop device to a file that is at its path; or {ELSEWHERE}"
        found = f"{unknown[0]} {UNKNOWN}; it may have holes, and run full"
        return Check(*what, passed=False, found=found, hint=hint)
    if later and backing.allocation is not Allocation.ZERO_FILL:
        found = f"{later[0]} allocates blocks only when they are written, and may be full by then"
        return Check(*what, passed=False, found=found, hint=f"write `allocation: zero-fill`, or {ELSEWHERE}")
    return Check(*what, passed=True, found=f"{later[0]} keeps blocks once they are written" if later else "")
