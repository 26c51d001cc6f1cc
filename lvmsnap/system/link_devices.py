"""Finds the devices that links in /proc lead to, within bounds: a dead network filesystem never answers."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from lvmsnap.system import block_devices, link_probe, within_bounds

BOUND_SECONDS = 5.0
AT_ONCE_SECONDS = 1.0

# A link that did not answer is not asked again: the process that asked may have been left behind, in the kernel.
_silent: set[tuple[str, str]] = set()


def device_numbers(links: Sequence[tuple[str, str]], known: Collection[int]) -> dict[str, str | None]:
    """Return for each link, of the (where it leads, the link itself), the number of the device that it leads to.

    Only those that lead into none of the `known` mounts are among them; with None where nothing answered in time.
    """
    asked = [pair for pair in links if pair not in _silent]
    answers = _ask([link for _, link in asked], known) if asked else {}
    if answers:
        _silent.update(pair for number, pair in enumerate(asked) if number not in answers)
    found = {asked[number][1]: device for number, device in answers.items() if device}
    return {**found, **{pair[1]: None for pair in links if pair in _silent}}


def are_elsewhere(links: Sequence[tuple[str, str]], device_number: str) -> bool:
    """Whether all links that are there answer at once, and lead to other devices: mostly that is all one has to know.

    A program of its own asks, stat(1): it is started sooner than a copy of this process, and whatever threads that has.
    """
    if not _silent.isdisjoint(links):
        return False
    if not links:
        return True
    # A link that is gone is an error to it: that the root comes first shows that it works at all.
    root, device = os.stat("/").st_dev, os.makedev(*map(int, device_number.split(":")))
    argv = ("stat", "-L", "-c", "%d", "--", "/", *(link for _, link in links))
    said = (within_bounds.read(argv, AT_ONCE_SECONDS) or "").split("\n")
    return said[0] == str(root) and str(device) not in said[1:]


def _ask(links: list[str], known: Collection[int]) -> dict[int, str]:
    """Return by their place in `links` what was answered, "" for what is none of ours; nothing where nobody answered.

    Not in a thread: one that waits for such a server keeps its process, even a killed one, from ending (fuse(4)).
    """
    said = within_bounds.ask(lambda output: link_probe.answer_all(links, known, output), BOUND_SECONDS).decode()
    pairs = (line.split() for line in said.split("\n")[:-1])
    return {int(number): "" if device == "-" else block_devices.device_number(int(device)) for number, device in pairs}
