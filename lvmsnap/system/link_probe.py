"""Finds which mount and device links in /proc lead to; a silent server blocks the caller (see `link_devices`)."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from lvmsnap.system import process_table

PATIENCE_SECONDS = 0.01

# What a process list shows for it if it stays stuck.
NAME = "lvmsnap-probe"


def answer_all(links: Sequence[str], known: Collection[int], output: int) -> None:
    """Write one line per link to descriptor `output`: its index and its device, as `_answer` has it."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    left: SimpleQueue[tuple[int, str]] = SimpleQueue()
    for pair in enumerate(links):
        left.put(pair)
    # If one link does not answer, another thread goes on with the rest.
    threads: list[threading.Thread] = []
    while not left.empty():
        threads.append(threading.Thread(target=_answer_those, args=(left, frozenset(known), output)))
        threads[-1].start()
        threads[-1].join(PATIENCE_SECONDS)
    for thread in threads:
        thread.join()


def _answer_those(left: SimpleQueue[tuple[int, str]], known: Collection[int], output: int) -> None:
    with suppress(Empty):
        while True:
            _answer(*left.get_nowait(), known, output)


def _answer(number: int, link: str, known: Collection[int], output: int) -> None:
    """Write the link's index and its device (st_dev) if it is in none of the `known` mounts, "-" otherwise."""
    said = "-"
    with suppress(OSError, ValueError):
        descriptor = os.open(link, os.O_PATH | os.O_CLOEXEC)
        try:
            if mount_id(fdinfo("/proc/self", descriptor)) not in known:
                said = str(os.fstat(descriptor).st_dev)
        finally:
            os.close(descriptor)
    os.write(output, f"{number} {said}\n".encode())


def fdinfo(process: str, descriptor: int | str) -> bytes:
    """Return the fdinfo of a descriptor; `process` is the process's directory in /proc (proc(5))."""
    return process_table.start_of(f"{process}/fdinfo/{descriptor}")


def mount_id(fdinfo: bytes) -> int:
    """Return the ID of the mount that a descriptor is in (proc(5), fdinfo). Raises ValueError if it has none."""
    line = next((line for line in fdinfo.split(b"\n") if line.startswith(b"mnt_id:")), b"")
    return int(line.removeprefix(b"mnt_id:"))
