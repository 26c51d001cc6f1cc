"""Resource limits of this process: those that could end an LVM command at work are lifted, but not for the user's own.

One on the size of files kills LVM as it writes its backup of the metadata (SIGXFSZ), one on processor time whenever.
"""

from __future__ import annotations

import resource
from contextlib import suppress

INFINITY = resource.RLIM_INFINITY
# As much as lvmsnap and LVM need at least. LVM closes every descriptor that it could have: more would take long.
NEEDED = {
    resource.RLIMIT_FSIZE: INFINITY,
    resource.RLIMIT_CPU: INFINITY,
    resource.RLIMIT_AS: INFINITY,
    resource.RLIMIT_DATA: INFINITY,
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_STACK: 8 << 20,
}

_before: dict[int, tuple[int, int]] = {}


def lift() -> None:
    """Lift the limits, as far as that is allowed."""
    for kind, needed in NEEDED.items():
        soft, hard = resource.getrlimit(kind)
        if _is_enough(soft, needed):
            continue
        _before.setdefault(kind, (soft, hard))
        for highest in (hard if _is_enough(hard, needed) else needed, hard):
            with suppress(OSError, ValueError):  # it takes CAP_SYS_RESOURCE to go above the hard limit
                resource.setrlimit(kind, (needed if _is_enough(highest, needed) else highest, highest))
                break


def are_lifted() -> bool:
    """Whether a limit was lifted."""
    return bool(_before)


def give_back() -> None:
    """Set the limits as they were; for a child that is about to become the user's own command."""
    for kind, limits in _before.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, limits)


def _is_enough(limit: int, needed: int) -> bool:
    return limit == INFINITY or (needed != INFINITY and limit >= needed)
