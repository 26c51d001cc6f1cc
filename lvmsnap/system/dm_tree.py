"""What LVM suspends together with an origin: the devices that it lies on, and those beside it. Only reads."""

from __future__ import annotations

import os

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import DmDevice

SYS_DEV_BLOCK = "/sys/dev/block"
OF_LVM = "LVM-"


@dataclass(frozen=True, slots=True)
class Tree:
    """An origin by its UUID in device-mapper, and what goes with it.

    `real` is the layer beneath it while it has snapshots, `below` all that must go on before it does, what is lowest
    first: what it lies on, and where it has snapshots already, these and what they lie on.
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
    """Add a device, after all that it lies on."""
    if number in seen:
        return
    for slave in _linked(number, "slaves"):
        _collect(slave, seen)
    seen[number] = None


def _linked(number: str, what: str) -> list[str]:
    """Return the devices that are a device's "slaves" or "holders", as MAJOR:MINOR."""
    folder, found = f"{SYS_DEV_BLOCK}/{number}/{what}", []
    try:
        for name in sorted(os.listdir(folder)):
            with open(f"{folder}/{name}/dev", encoding="ascii") as file:
                found.append(file.read().strip())
    except OSError:
        return found  # It is gone.
    return found
