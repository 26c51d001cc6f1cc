"""Reads the kernel's mount tables (proc(5), mountinfo)."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from lvmsnap.model.facts import Mount


def mounts() -> tuple[Mount, ...]:
    """Return the mount table, lowest mount first (proc(5), mountinfo)."""
    return mounts_of(Path("/proc/self"))


def mounts_of(process: Path) -> tuple[Mount, ...]:
    """Return the mount table that a process (its directory in /proc) sees. Raises OSError if it has ended."""
    return parse_mounts((process / "mountinfo").read_bytes())


def parse_mounts(raw: bytes) -> tuple[Mount, ...]:
    r"""Parse a mountinfo file; a line that cannot be parsed is left out.

    The kernel ends lines only with \n, and escapes only that, blanks, tabs and backslashes: any user can make a
    mountpoint whose name has other characters that Python takes for the end of a line.
    """
    found = []
    for line in lines(raw):
        with suppress(ValueError, IndexError):
            found.append(parse_mount(line))
    return tuple(found)


def lines(raw: bytes) -> list[str]:
    r"""Return the lines of a table as text, split only at \n."""
    return [line for line in raw.decode(errors="surrogateescape").split("\n") if line]


def parse_mount(line: str) -> Mount:
    """Parse one line of mountinfo. Raises ValueError or IndexError if it is not one."""
    before, _, after = line.partition(" - ")
    fields, tail = before.split(" "), after.split(" ")
    groups = dict(field.partition(":")[::2] for field in fields[6:])
    return Mount(
        device_number=fields[2],
        root=unescape_octal(fields[3]),
        mountpoint=unescape_octal(fields[4]),
        filesystem=tail[0],
        source=unescape_octal(tail[1]),
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        shared=groups.get("shared", ""),
        master=groups.get("master", ""),
        options=tuple(fields[5].split(",")),
        filesystem_options=tuple(tail[2].split(",")) if len(tail) > 2 else (),
    )


def unescape_octal(text: str) -> str:
    r"""Undo the \040 escapes of mountinfo and fstab; \777 is not a byte, and stays."""
    if "\\" not in text:
        return text
    raw = re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), os.fsencode(text))
    return os.fsdecode(raw)
