"""The UUIDs and LABELs by which the boot finds filesystems, and those of an LV; a snapshot has its origin's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lvmsnap.system.mount_table import unescape_octal

FSTAB = "/etc/fstab"
CRYPTTAB = "/etc/crypttab"
COMMAND_LINE = "/proc/cmdline"
UDEV_DATABASE = "/run/udev/data"

_LINK = r"/dev/disk/by-(uuid|label)/(.+)"
# What the boot reads from the kernel's command line: dracut.cmdline(7), kernel-command-line(7), initramfs-tools(7).
_ARGUMENT = r"(?:root|resume|mount\.usr|systemd\.swap|cryptdevice)=(.+)"
_LUKS = r"(?:rd\.)?luks\.(?:uuid|name)=(?:luks-)?([^=]+)"
_UDEV_TAG = r"E:ID_FS_(UUID|LABEL)_ENC=(.+)"


def boot_tags(root: str = "") -> tuple[str, ...]:
    """Return what the boot looks for, as "UUID=..." and "LABEL=...": in fstab, crypttab and the kernel's command line.

    `root` is prefixed to each path.
    """
    found = (*_of_fstab(root + FSTAB), *_of_crypttab(root + CRYPTTAB), *_of_command_line(root + COMMAND_LINE))
    return tuple(dict.fromkeys(tag for tag in found if tag))


def lv_tags(device_number: str, root: str = "") -> tuple[str, ...]:
    """Return the UUID and the LABEL of the device "MAJOR:MINOR" from udev's database, () if it has none."""
    lines = _lines(f"{root}{UDEV_DATABASE}/b{device_number}")
    return tuple(_tag(match[1], _undo_udev(match[2])) for line in lines if (match := re.fullmatch(_UDEV_TAG, line)))


def _of_fstab(path: str) -> Iterator[str]:
    for fields in _fields(path):
        if len(fields) > 3 and "noauto" not in fields[3].split(","):
            yield _of_source(unescape_octal(fields[0]))


def _of_crypttab(path: str) -> Iterator[str]:
    for fields in _fields(path):
        if len(fields) > 1 and not (len(fields) > 3 and "noauto" in fields[3].split(",")):
            yield _of_source(fields[1])


def _of_command_line(path: str) -> Iterator[str]:
    for word in " ".join(_lines(path)).split(" "):
        if match := re.fullmatch(_ARGUMENT, word.strip('"')):
            yield _of_source(match[1])
        elif match := re.fullmatch(_LUKS, word.strip('"')):
            yield _tag("UUID", match[1])


def _of_source(source: str) -> str:
    """Return the tag in a device as mount(8) accepts it, "" if it is neither a UUID nor a LABEL."""
    if match := re.fullmatch(_LINK, source):
        return _tag(match[1].upper(), _undo_udev(match[2]))
    name, _, value = source.partition("=")
    return _tag(name, value.strip("\"'").split(":")[0] if name == "UUID" else value.strip("\"'")) if value else ""


def _tag(name: str, value: str) -> str:
    if name not in ("UUID", "LABEL"):
        return ""
    return f"UUID={value.lower()}" if name == "UUID" else f"LABEL={value}"


def _undo_udev(text: str) -> str:
    r"""Undo the \x20 escapes in udev's names."""
    raw = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode(errors="surrogateescape"))
    return raw.decode(errors="surrogateescape")


def _fields(path: str) -> Iterator[list[str]]:
    for line in _lines(path):
        fields = re.split(r"[ \t]+", line.strip(" \t"))
        if not fields[0].startswith("#"):
            yield fields


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_bytes().decode(errors="surrogateescape").split("\n")
    except OSError:
        return []
