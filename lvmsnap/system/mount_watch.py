"""Notices changes of the mount table as they happen: poll(2) on /proc/self/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def changes() -> Iterator[int]:
    """Yield a descriptor that has an exceptional condition (select(2)) after each change of the mount table."""
    descriptor = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
