"""Tells systemd how the service that this process is fares: sd_notify(3). Where nobody listens nothing is said."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

# systemd that does not read must keep nobody's snapshot up.
LONGEST_SECONDS = 5.0


def tell(state: str) -> None:
    """Send a state, `READY=1` for example, to the socket that NOTIFY_SOCKET names. It raises nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # One in the abstract namespace begins with a zero byte, which no variable can hold.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        sending.settimeout(LONGEST_SECONDS)
        sending.sendto(state.encode("utf-8", "backslashreplace"), name)
