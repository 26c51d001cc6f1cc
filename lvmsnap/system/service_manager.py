"""Reports this service's state to systemd: sd_notify(3). Does nothing if nobody listens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

# A systemd that does not read must not keep a snapshot up.
LONGEST_SECONDS = 5.0


def tell(state: str) -> None:
    """Send a state, `READY=1` for example, to the socket that NOTIFY_SOCKET names. It raises nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # An address in the abstract namespace begins with a NUL byte, which no environment variable can hold.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        sending.settimeout(LONGEST_SECONDS)
        sending.sendto(state.encode("utf-8", "backslashreplace"), name)
