"""What LVM suspends together with an origin: the devices below it, and its snapshots. Only reads."""

from __future__ import annotations

import os

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import DmDevice

SYS_DEV_BLOCK = "/sys/dev/block"
OF_LVM = "LVM-"


@dataclass(frozen=True, slots=True)
class Tree:
    """An origin by its device-mapper UUID, and the devices suspended with it.

    `real` is the layer below it while it has snapshots. `below` is all that must be resumed before it, the lowest
    first: the devices below it, and, if it has snapshots already, these and the devices below them.
    """

    origin: str
    real: str
    below: tuple[str, ...]


def tree(origin: str, devices: tuple[DmDevice, ...]) -> Tree:
    """Return the tree of an origin."""
    uuids = {device.device_number: device.uuid for device in devices if device.uuid.startswith(OF_LVM)}
    numbers = {uuid: number for number, uuid in uuids.items()}
    real, seen = f"{origin}-real", dict[str, None]()
    if origin in numbers:
        _collect(numbers[origin], seen)
    for holder in _linked(numbers[real], "holders") if real in numbers else ():
        _collect(holder, seen)
    return Tree(origin, real, tuple(uuids[number] for number in seen if uuids.get(number, origin) != origin))


def _collect(number: str, seen: dict[str, None]) -> None:
    """Add a device, after all devices below it."""
    if number in seen:
        return
    for slave in _linked(number, "slaves"):
        _collect(slave, seen)
    seen[number] = None


def _linked(number: str, what: str) -> list[str]:
    """Return a device's "slaves" or "holders", as MAJOR:MINOR."""
    folder, found = f"{SYS_DEV_BLOCK}/{number}/{what}", []
    try:
        for name in sorted(os.listdir(folder)):
            with open(f"{folder}/{name}/dev", encoding="ascii") as file:
                found.append(file.read().strip())
    except OSError:
        return found  # It is gone.
    return found
