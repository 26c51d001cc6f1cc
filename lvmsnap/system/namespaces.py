"""Reads the mount table of a mount namespace, perhaps without processes, through an nsfs file. Changes nothing."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress

# linux/sched.h. Python has os.setns and os.unshare only since 3.12.
CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000

# The path to the file may lead through a filesystem whose server is silent.
BOUND_SECONDS = 5.0


def mount_table(path: str, inode: int) -> bytes:
    """Return the mountinfo (proc(5)) of the namespace that the file at `path` refers to; `inode` is the namespace's.

    Raises OSError if the file refers to no mount namespace, or to another one, or this process may not enter it.
    """
    read: list[bytes] = []
    # A thread that unshares its root and working directory may enter another mount namespace while the other threads
    # stay (setns(2)). It ends here, and its view with it.
    thread = threading.Thread(target=_read_into, args=(read, path, inode), daemon=True)
    thread.start()
    thread.join(BOUND_SECONDS)
    if not read:
        raise OSError(f"the mount namespace at {path} cannot be read")
    return read[0]


def _read_into(read: list[bytes], path: str, inode: int) -> None:
    with suppress(OSError):
        read.append(_read_in_it(path, inode))


def _read_in_it(path: str, inode: int) -> bytes:
    # Something mounted over the file would be opened in its place, and opening a device may have side effects.
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    own = os.open("/proc/thread-self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(found).st_ino != inode:
            raise OSError(f"{path} is another file now")
        namespace = os.open(f"/proc/thread-self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(CLONE_FS) or libc.setns(namespace, CLONE_NEWNS):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(namespace)
        # `own` was opened before, so no /proc is needed in that namespace.
        with open("mountinfo", "rb", opener=lambda name, flags: os.open(name, flags, dir_fd=own)) as table:
            return table.read()
    finally:
        os.close(own)
        os.close(found)
