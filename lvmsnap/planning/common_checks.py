"""Checks of one kind that are asked for in several places. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lvmsnap.model.plan import Check


def in_kernel(module: str, what: str, is_there: bool) -> Check:
    """Return the check that the kernel has something, which a module gives it."""
    hint = f"modprobe {module}, or boot a kernel that has it"
    return Check(f"kernel-{module}", "", f"kernel has {what}", f"the kernel has no {what}", is_there, hint=hint)


def free_device(device: str, taken: Sequence[str], hint: str) -> Check:
    """Return the check that a name for a device-mapper device is free; those that are `taken` are in its way."""
    title, problem = f"device name {device} is free", f"device name {device} is taken"
    found = f"{', '.join(taken)} exists" if taken else ""
    return Check("device-name-free", device, title, problem, not taken, found, hint)
