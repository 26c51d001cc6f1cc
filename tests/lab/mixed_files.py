"""Runs in the guest: makes a tree of 1,000 files of mixed kinds, changes it, and tells all there is to compare of one.

`python mixed_files.py make|a_day|change|manifest DIRECTORY`. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from typing import Any

FILES = 1000
KiB, MiB = 1 << 10, 1 << 20
BIG_HOLE = 24 * MiB
SIZES = (0, 1, 511, 512, 513, 4095, 4096, 4097, 8191, 8193, 65535, 65537, MiB - 1, MiB, MiB + 1, 3 * MiB + 7)
NAMES = (
    b"with space", b" leading and trailing ", b"new\nline", b"tab\tand\rreturn", b"-rf", b"--help", b"'", b'"', b"\\",
    b"back\\slash\\n", b"*", b"?[a-z]", b"$(touch x)", b"`id`", b"$HOME", b"~", b"#comment", b"!history", b"a;b&c|d",
    b"trailing.", b"...", b".hidden", b"%s%n", b"=", b"a=b", b"+plus", b"@at", b":colon::colon", b"{a,b}", b"(x)",
    b"\x01\x02\x7f\x1b[31m", b"\xff\xfe\x80", b"latin-\xe4\xf6\xfc", b"half-\xc3", "NFC-\u00e9".encode(),
    "NFD-e\u0301".encode(), "\u65e5\u672c\u8a9e".encode(), "\U0001f4be".encode(), b"n" * 255, b"\xe4" * 255,
    "\u00e4".encode() * 127, b"CON", b"UPPER", b"upper",
)  # fmt: skip
OLD, ODD, FAR = -86400 * 365 * 10**9 - 1, 1_234_567_890_123_456_789, 4_444_444_444_000_000_001
ACL_TAGS = {"owner": 1, "user": 2, "owner's group": 4, "group": 8, "mask": 16, "others": 32}
NOBODY_IN_PARTICULAR = 0xFFFFFFFF


def make(top: str) -> None:
    """Make the tree: 1,000 files and the directories they are in."""
    chance = random.Random(1)
    os.chdir(top)
    for maker in (_make_sizes, _make_holes, _make_links, _make_specials, _make_attributes, _make_owners, _make_names):
        folder = maker.__name__.removeprefix("_make_")
        os.mkdir(folder)
        maker(folder, chance)
    _make_times("times")
    os.makedirs("empty/directories/within")
    os.makedirs(b"/".join([b"d" * 255] * 5))
    _write(b"/".join([b"d" * 255] * 5 + [b"deep"]), b"deep down")
    _fill_up(chance)
    folders = sorted((folder for folder, _, _ in os.walk(b".")), reverse=True)
    for count, each in enumerate(folders):
        os.utime(each, ns=(ODD, ODD + count * 1_000_000_007))
    os.chmod(".", 0o3751)
    os.chown(".", 12, 34)
    os.setxattr(".", "user.top", b"yes")
    os.utime(".", ns=(ODD, ODD))
    os.sync()


def a_day(top: str) -> None:
    """Do to the tree what happens between two nights: ten files each are new, gone, changed and renamed."""
    os.chdir(top)
    for count in range(10):
        os.unlink(f"more/{count % 7}/{count % 5}/file-{count}")
        os.rename(f"more/{(count + 70) % 7}/{count % 5}/file-{count + 70}", f"more/renamed-{count}")
        _write(f"more/new-{count}", b"new" * count)
        with open(f"more/{(count + 35) % 7}/{count % 5}/file-{count + 35}", "ab") as file:
            file.write(b"grown")
    os.sync()


def change(top: str) -> None:
    """Do to the tree the worst that can happen while a backup runs: every file up to 1 MiB is other than it was."""
    paths = sorted(path for path, state in _walk(top) if stat.S_ISREG(state.st_mode))
    for count, path in enumerate(paths):
        if count % 10 == 0:
            os.unlink(path)
        elif count % 10 == 1:
            os.rename(path, os.path.join(os.fsencode(top), b"renamed-%d" % count))
        elif os.path.getsize(path) < MiB:
            with open(path, "r+b") as file:
                file.write(b"changed")
    for count in range(100):
        _write(os.path.join(top, f"new-{count}"), b"new" * count)
    os.chown(top, 1, 1)
    os.chmod(top, 0o700)
    os.sync()


def manifest(top: str) -> dict[str, dict[str, Any]]:
    """Give all there is to compare of each file and directory, by its path."""
    groups: dict[tuple[int, int], list[str]] = {}
    found = {}
    for path, state in _walk(top):
        name = os.path.relpath(path, os.fsencode(top)).decode("utf-8", "surrogateescape")
        groups.setdefault((state.st_dev, state.st_ino), []).append(name)
        found[name] = _describe(path, state)
    for names in groups.values():
        for name in names:
            found[name]["links"] = sorted(names)
    return found


def _describe(path: bytes, state: os.stat_result) -> dict[str, Any]:
    is_file = stat.S_ISREG(state.st_mode)
    is_device = stat.S_ISBLK(state.st_mode) or stat.S_ISCHR(state.st_mode)
    return {
        "type": stat.filemode(state.st_mode)[0],
        "mode": oct(stat.S_IMODE(state.st_mode)),
        "owner": [state.st_uid, state.st_gid],
        "mtime": state.st_mtime_ns,
        "size": state.st_size if is_file else 0,
        "sha256": _digest(path) if is_file else "",
        "target": os.readlink(path).hex() if stat.S_ISLNK(state.st_mode) else "",
        "device": [os.major(state.st_rdev), os.minor(state.st_rdev)] if is_device else [],
        "xattrs": {
            name: os.getxattr(path, name, follow_symlinks=False).hex()
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        },
        "allocated": state.st_blocks * 512 if is_file else 0,
    }


def _digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(top: str) -> Iterator[tuple[bytes, os.stat_result]]:
    for folder, folders, files in os.walk(os.fsencode(top)):
        if os.path.basename(folder) == b"lost+found":
            continue
        yield folder, os.lstat(folder)
        # A link to a directory is among the folders.
        inside = [os.path.join(folder, name) for name in folders + files]
        yield from ((path, state) for path in inside if not stat.S_ISDIR((state := os.lstat(path)).st_mode))


def _write(path: str | bytes, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)


def _make_sizes(folder: str, chance: random.Random) -> None:
    for size in SIZES:
        _write(f"{folder}/{size}", chance.randbytes(size))
    _write(f"{folder}/zeros", bytes(256 * KiB))


def _make_holes(folder: str, chance: random.Random) -> None:
    plans = {
        "nothing-but": ((), BIG_HOLE),
        "in-front": ((BIG_HOLE,), BIG_HOLE + 4096),
        "trailing": ((0,), BIG_HOLE),
        "between": ((0, BIG_HOLE), BIG_HOLE + 4096),
        "small": ((0, 64 * KiB, 128 * KiB), 256 * KiB),
        "unaligned": ((5000, 100_001), 123_457),
        "many": (tuple(range(0, 2 * MiB, 64 * KiB)), 2 * MiB + 1),
    }
    for name, (places, size) in plans.items():
        with open(f"{folder}/{name}", "xb") as file:
            for place in places:
                file.seek(place)
                file.write(chance.randbytes(4096))
            file.truncate(size)


def _make_links(folder: str, chance: random.Random) -> None:
    os.makedirs(f"{folder}/far/away")
    for count in range(20):
        _write(f"{folder}/first-{count}", chance.randbytes(count * 1000))
        os.link(f"{folder}/first-{count}", f"{folder}/second-{count}")
        os.link(f"{folder}/first-{count}", f"{folder}/far/away/third-{count}")
    os.link("holes/between", f"{folder}/to-holes")
    targets = ("first-1", "../sizes/1", "/", "/nowhere/at/all", "dangling", ".", "far", "x" * 255, "y/" * 1000, " \n")
    for count, target in enumerate(targets):
        os.symlink(target, f"{folder}/symbolic-{count}")
        os.lchown(f"{folder}/symbolic-{count}", count, 70_000 + count)
        os.utime(f"{folder}/symbolic-{count}", ns=(ODD, ODD + count), follow_symlinks=False)
    os.symlink(b"\xff\xfe", f"{folder}/symbolic-bytes")


def _make_specials(folder: str, _chance: random.Random) -> None:
    os.mkfifo(f"{folder}/fifo", 0o640)
    os.mknod(f"{folder}/character", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(f"{folder}/block", stat.S_IFBLK | 0o660, os.makedev(259, 70_000))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")


def _make_attributes(folder: str, chance: random.Random) -> None:
    named = [("owner", 6), ("user", 7), ("owner's group", 5), ("group", 4), ("mask", 7), ("others", 0)]
    access = _acl(named)
    for name in ("file", "script", "program", "big", "user", "trusted"):
        _write(f"{folder}/{name}", name.encode())
    os.mkdir(f"{folder}/directory")
    os.setxattr(f"{folder}/file", "system.posix_acl_access", access)
    os.setxattr(f"{folder}/script", "system.posix_acl_access", access)
    os.chmod(f"{folder}/script", 0o750)
    os.setxattr(f"{folder}/directory", "system.posix_acl_access", access)
    os.setxattr(f"{folder}/directory", "system.posix_acl_default", access)
    os.setxattr(f"{folder}/directory", "user.of directory", b"yes")
    _write(f"{folder}/directory/inherits", b"")
    # cap_net_raw and cap_net_bind_service, permitted and effective (struct vfs_cap_data of capability.h).
    os.setxattr(f"{folder}/program", "security.capability", struct.pack("<5I", 0x02000001, 0x2400, 0, 0, 0))
    os.setxattr(f"{folder}/big", "user.big", chance.randbytes(3000))
    os.setxattr(f"{folder}/user", "user.empty", b"")
    os.setxattr(f"{folder}/user", "user.bytes\u00e4", bytes(range(256)))
    os.setxattr(f"{folder}/user", "user.text", b"text")
    os.setxattr(f"{folder}/trusted", "trusted.overlay.opaque", b"y")


def _acl(entries: list[tuple[str, int]]) -> bytes:
    """Give an ACL as the kernel keeps it in an xattr (linux/posix_acl_xattr.h); user and group are 12345."""
    packed = b"".join(
        struct.pack("<HHI", ACL_TAGS[tag], rights, 12345 if tag in ("user", "group") else NOBODY_IN_PARTICULAR)
        for tag, rights in entries
    )
    return struct.pack("<I", 2) + packed


def _make_owners(folder: str, _chance: random.Random) -> None:
    for owner in (1, 12345, 65534, 3_000_000_000):
        _write(f"{folder}/{owner}", b"mine")
        os.chown(f"{folder}/{owner}", owner, owner + 1)
    for mode in (0, 0o111, 0o444, 0o777, 0o4755, 0o2755, 0o6711, 0o1644):
        _write(f"{folder}/mode-{mode:o}", b"mode")
        os.chown(f"{folder}/mode-{mode:o}", 33, 33)
        os.chmod(f"{folder}/mode-{mode:o}", mode)
        os.mkdir(f"{folder}/directory-{mode:o}")
        os.chmod(f"{folder}/directory-{mode:o}", mode)
    os.chmod(folder, 0o3777)


def _make_names(folder: str, _chance: random.Random) -> None:
    for name in NAMES:
        _write(os.fsencode(folder) + b"/" + name, name)
        os.makedirs(os.fsencode(folder) + b"/directories/" + name)


def _make_times(folder: str) -> None:
    os.mkdir(folder)
    for moment in (0, 1, 999_999_999, OLD, ODD, FAR):
        _write(f"{folder}/{moment}", b"time")
        os.utime(f"{folder}/{moment}", ns=(ODD, moment))


def _fill_up(chance: random.Random) -> None:
    there = sum(not stat.S_ISDIR(state.st_mode) for _, state in _walk("."))
    for count in range(FILES - there):
        folder = f"more/{count % 7}/{count % 5}"
        os.makedirs(folder, exist_ok=True)
        _write(f"{folder}/file-{count}", chance.randbytes(int(4 ** chance.uniform(0, 7))))
        os.utime(f"{folder}/file-{count}", ns=(ODD, ODD + count))


if __name__ == "__main__":
    if sys.argv[1] == "manifest":
        json.dump(manifest(sys.argv[2]), sys.stdout)
    else:
        {"make": make, "a_day": a_day, "change": change}[sys.argv[1]](sys.argv[2])
