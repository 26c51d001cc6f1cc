"""Finds the devices that links in /proc lead to, within bounds: a dead network filesystem never answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lvmsnap.system import block_devices, link_probe, processes

BOUND_SECONDS = 5.0

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


def _ask(links: list[str], known: Collection[int]) -> dict[int, str]:
    """Return by their place in `links` what was answered, "" for what is none of ours; nothing where nobody answered.

    Not in a thread: one that waits for such a server keeps its process, even a killed one, from ending (fuse(4)).
    """
    said = processes.ask(lambda output: link_probe.answer_all(links, known, output), BOUND_SECONDS).decode()
    pairs = (line.split() for line in said.split("\n")[:-1])
    return {int(number): "" if device == "-" else block_devices.device_number(int(device)) for number, device in pairs}
