"""Whether the filters of lvm.conf let LVM use a device. Pure."""

from __future__ import annotations

import re


def rejecting_pattern(patterns: tuple[str, ...], device: str) -> str | None:
    """Return the pattern that rejects the device; the first one that matches decides (lvm.conf(5))."""
    for pattern in patterns:
        verdict, delimiter, rest = pattern[:1], pattern[1:2], pattern[2:]
        closing = {"[": "]", "(": ")", "{": "}"}.get(delimiter, delimiter)
        try:
            matched = re.search(rest.rsplit(closing, 1)[0], device)
        except re.error:
            continue  # LVM's own regular expressions are simpler; what Python cannot read decides nothing here.
        if matched:
            return pattern if verdict == "r" else None
    return None
