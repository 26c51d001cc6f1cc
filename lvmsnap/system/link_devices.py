"""Finds the devices that links in /proc lead to, with a time limit: a dead network filesystem never answers."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from lvmsnap.system import block_devices, link_probe, within_bounds

BOUND_SECONDS = 5.0
AT_ONCE_SECONDS = 1.0

# A link that did not answer is not queried again: the process that asked may still be stuck in the kernel.
_silent: set[tuple[str, str]] = set()


def device_numbers(links: Sequence[tuple[str, str]], known: Collection[int]) -> dict[str, str | None]:
    """Return the number of the device that each link leads to; `links` are (where it leads, the link itself).

    Links into one of the `known` mounts are left out; None if nothing answered in time.
    """
    asked = [pair for pair in links if pair not in _silent]
    answers = _ask([link for _, link in asked], known) if asked else {}
    if answers:
        _silent.update(pair for number, pair in enumerate(asked) if number not in answers)
    found = {asked[number][1]: device for number, device in answers.items() if device}
    return {**found, **{pair[1]: None for pair in links if pair in _silent}}


def are_elsewhere(links: Sequence[tuple[str, str]], device_number: str) -> bool:
    """Whether all existing links answer at once, and lead to other devices: usually nothing more is needed.

    stat(1) does it, in a process of its own: that starts faster than a copy of this process, whatever threads it has.
    """
    if not _silent.isdisjoint(links):
        return False
    if not links:
        return True
    devices = _devices_at_once(links)
    return devices is not None and _device(device_number) not in devices


def are_all_elsewhere(links: Sequence[tuple[str, str]], device_number: str) -> bool:
    """Whether all links exist, answer at once, and lead to other devices."""
    devices = _devices_at_once(links) if _silent.isdisjoint(links) else None
    return devices is not None and len(devices) == len(links) and _device(device_number) not in devices


def _devices_at_once(links: Sequence[tuple[str, str]]) -> list[str] | None:
    """Return the devices (st_dev) that the existing links lead to, None if not all answer at once."""
    # It reports an error for a link that is gone, so the root comes first to show that it works at all.
    argv = ("stat", "-L", "-c", "%d", "--", "/", *(link for _, link in links))
    root, *devices = (within_bounds.read(argv, AT_ONCE_SECONDS) or "").split("\n")
    return devices[:-1] if root == str(os.stat("/").st_dev) else None


def _device(number: str) -> str:
    return str(os.makedev(*map(int, number.split(":"))))


def _ask(links: list[str], known: Collection[int]) -> dict[int, str]:
    """Return the answers by index in `links`, "" for one into a known mount or nowhere; no entry without an answer.

    Not in a thread: one that waits for such a server keeps its process, even a killed one, from ending (fuse(4)).
    """
    said = within_bounds.ask(lambda output: link_probe.answer_all(links, known, output), BOUND_SECONDS).decode()
    pairs = (line.split() for line in said.split("\n")[:-1])
    return {int(number): "" if device == "-" else block_devices.device_number(int(device)) for number, device in pairs}
