"""A program of its own: says which mount and device links in /proc lead to. A server that is silent stops only it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

# What a process list shows of it, where it is never let go.
NAME = "lvmsnap-probe"


def answer(number: int, link: bytes, known: Collection[int]) -> None:
    """Print the link's number and, of what is in none of the `known` mounts, its device (st_dev); "-" of all else."""
    said = "-"
    with suppress(OSError, ValueError):
        descriptor = os.open(link, os.O_PATH | os.O_CLOEXEC)
        try:
            if mount_id(Path("/proc/self/fdinfo", str(descriptor)).read_bytes()) not in known:
                said = str(os.fstat(descriptor).st_dev)
        finally:
            os.close(descriptor)
    os.write(1, f"{number} {said}\n".encode())


def mount_id(fdinfo: bytes) -> int:
    """Return the id of the mount that a descriptor is in (proc(5), fdinfo). Raises ValueError where it has none."""
    line = next((line for line in fdinfo.split(b"\n") if line.startswith(b"mnt_id:")), b"")
    return int(line.removeprefix(b"mnt_id:"))


def main() -> None:
    """Answer for each link: the input is the ids of the known mounts with blanks between them, NUL, links with NULs."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    ids, *links = sys.stdin.buffer.read().split(b"\0")
    known = frozenset(map(int, ids.split()))
    # Each in a thread, so that those which are answered do not wait for those which are not.
    threads = [threading.Thread(target=answer, args=(number, link, known)) for number, link in enumerate(links)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
