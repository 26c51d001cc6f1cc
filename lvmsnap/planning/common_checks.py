"""Checks that several modules share. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lvmsnap.model.plan import Check

PACKAGES = {"lvm": "lvm2", "dmsetup": "dmsetup", "fallocate": "util-linux", "losetup": "mount or util-linux"}
PACKAGES |= {"mount": "mount or util-linux", "umount": "mount or util-linux", "dd": "coreutils", "wipefs": "util-linux"}
PACKAGES |= {"cryptsetup": "cryptsetup", "blkid": "util-linux"}


def in_kernel(module: str, what: str, is_there: bool) -> Check:
    """Return the check that the kernel has a feature, which `module` provides."""
    hint = f"modprobe {module}, or boot a kernel that has it"
    return Check(f"kernel-{module}", "", f"kernel has {what}", f"the kernel has no {what}", is_there, hint=hint)


def free_device(device: str, taken: Sequence[str], hint: str) -> Check:
    """Return the check that a device-mapper name is free; `taken` are the names of existing devices in its way."""
    title, problem = f"device name {device} is free", f"device name {device} is taken"
    found = f"{', '.join(taken)} exists" if taken else ""
    return Check("device-name-free", device, title, problem, not taken, found, hint)


def missing_programs_hint(missing: Sequence[str], of_hooks: Collection[str]) -> str:
    """Return what to do about missing programs; `of_hooks` are the programs that the profile's hooks start."""
    own = [tool for tool in missing if tool in of_hooks and tool not in PACKAGES]
    packages = sorted({PACKAGES.get(tool, tool) for tool in missing if tool not in own})
    hints = [f"install {', '.join(packages)}"] if packages else []
    hints += [f"`hooks` start {tool}: make it executable, or give the path where it is" for tool in own]
    return "; ".join(hints)
