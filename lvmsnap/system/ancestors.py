"""Resolves a path as the kernel does, a component at a time, and notes the directories on the way. Only reads.

A filesystem is looked up in the mount table before it is touched: a dead server would block any access.
"""

from __future__ import annotations

import os
import stat

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import Mount, mount_of
from lvmsnap.model.looked import Gate

MOST_SYMLINKS = 40  # path_resolution(7)


@dataclass(frozen=True, slots=True)
class Way:
    """How far the walk to a directory got.

    `gates` are the directories traversed, including the last one; `stalling` is the network or user-space filesystem
    at which it stopped, "" if none is on the way; `exists`: the path leads to a directory. `real_path` is the path
    with symlinks resolved, as far as that is known.
    """

    real_path: str
    gates: tuple[Gate, ...]
    exists: bool
    stalling: str = ""


def walk(path: str, mounts: tuple[Mount, ...]) -> Way:
    """Walk to an absolute path, through symlinks."""
    here, gates, symlinks = "/", [gate("/")], 0
    names = [name for name in path.split("/") if name]
    while names:
        name = names.pop(0)
        there = os.path.normpath(os.path.join(here, name))
        rest = "/".join((there.rstrip("/"), *names))
        mount = mount_of(there, mounts)
        if there != "/" and mount and mount.may_stall:
            return Way(rest, tuple(gates), exists=False, stalling=mount.filesystem)
        try:
            mode = os.lstat(there).st_mode
            if stat.S_ISLNK(mode) and (symlinks := symlinks + 1) <= MOST_SYMLINKS:
                target = os.readlink(there)
                names = [part for part in target.split("/") if part] + names
                here = "/" if target.startswith("/") else here
                continue
            if not stat.S_ISDIR(mode):
                return Way(rest, tuple(gates), exists=False)
            here = there
            gates.append(gate(there))
        except OSError:
            return Way(rest, tuple(gates), exists=False)
    return Way(here, tuple(dict.fromkeys(gates)), exists=True)


def gate(path: str) -> Gate:
    """Return a directory's owner, mode and whether it has an ACL. Raises OSError."""
    status = os.lstat(path)
    return Gate(path, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), _has_acl(path))


def _has_acl(path: str) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False  # a filesystem without extended attributes
