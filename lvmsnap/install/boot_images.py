"""Finds the initramfs images that this machine may boot: in /boot, of the Boot Loader Specification, and UKIs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

BOOT_FOLDER = "/boot"
# Where the EFI system partition or the extended boot loader partition may be mounted (Boot Loader Specification).
LOADER_FOLDERS = ("/boot", "/boot/efi", "/efi")
MACHINE_ID = "/etc/machine-id"

_PATTERNS = (
    # kernel-install's directories MACHINE-ID/VERSION or ENTRY-TOKEN/VERSION, then unified kernel images.
    *("*/*/initrd", "*/*/initrd-*", "*/*/initrd.img-*", "*/*/initramfs-*.img"),
    *("EFI/Linux/*.efi",),
)
_MACHINE_ID = r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"
# A rescue image is for repairing a machine, a kdump image for saving a crash dump; microcode contains no programs.
_OTHER_PURPOSE = r"rescue|kdump|ucode"


def images(root: str = "") -> tuple[str, ...]:
    """Return the images of this system's kernels, sorted; `root` is prefixed to each path.

    If several systems share a partition, images whose path names another machine-id are left out.
    """
    own = _own_machine_id(root)
    # A partition may be mounted in two of the places, or one may be a symlink.
    found = {path.resolve(): path for path in _all_images(root, own) if path.is_file() and _is_ours(path, root, own)}
    return tuple(sorted(str(path) for path in found.values()))


def _all_images(root: str, own: str) -> Iterator[Path]:
    boot = Path(root + BOOT_FOLDER)
    yield from boot.glob("initrd.img-*")
    yield from boot.glob("initramfs-*.img")
    for folder in (Path(root + name) for name in LOADER_FOLDERS):
        for pattern in _PATTERNS:
            yield from folder.glob(pattern)
        for entry in folder.glob("loader/entries/*.conf"):
            yield from _images_of_entry(entry, folder, own)


def _images_of_entry(entry: Path, folder: Path, own: str) -> Iterator[Path]:
    """Yield the images that a boot loader entry of this system names; its paths are relative to its partition."""
    if own and any(found != own for found in re.findall(_MACHINE_ID, entry.name)):
        return
    for line in entry.read_text(encoding="utf-8", errors="replace").split("\n"):
        words = line.split()
        if words[:1] in (["initrd"], ["uki"]):
            # GRUB variables ($tuned_initrd) are not images of this system.
            names = [word.lstrip("/") for word in words[1:] if not word.startswith("$")]
            yield from (folder / name for name in names)


def _is_ours(path: Path, root: str, own: str) -> bool:
    name = str(path).removeprefix(root)
    others = [found for found in re.findall(_MACHINE_ID, name) if found != own]
    return not (own and others) and not re.search(_OTHER_PURPOSE, name)


def _own_machine_id(root: str) -> str:
    try:
        return Path(root + MACHINE_ID).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
