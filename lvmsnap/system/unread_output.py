"""An output stream that never blocks its writer: unread output is kept until it is read, or until exit.

A write to a waiting pager, a terminal stopped with Ctrl-S or a lost connection blocks. Meanwhile origins would stay
held, a database in backup mode, or a snapshot would fill up without being extended.
"""

from __future__ import annotations

import io
import os
import select
import stat
import time
from typing import Any, TextIO

# Each write waits this long for a slow reader; not while earlier output is still unread.
PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.01
LARGEST_BYTES = 256 << 10
# A pipe that polls as writable has room for this many bytes (PIPE_BUF, pipe(7)).
PIECE_BYTES = 4096


class PatientWriter(io.RawIOBase):
    """Writes to a pipe, socket or terminal what it takes without blocking, and keeps the rest."""

    def __init__(self, descriptor: int) -> None:
        """Write to the file behind `descriptor`, whose flags stay as they are: other processes share them."""
        self._descriptor, self._own = descriptor, _opened_anew(descriptor)
        self._unread, self._left_out = bytearray(), 0
        self.is_unread = False

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any, /) -> int:
        """Write, keep or (if too much is kept) drop the data; return its length. Raises OSError if writing fails."""
        piece = bytes(data)
        if len(self._unread) + len(piece) > LARGEST_BYTES:
            self._left_out += len(piece)
        else:
            self._unread += piece
        self._pass_on(0.0 if self.is_unread else PATIENCE_SECONDS)
        return len(piece)

    def drain(self) -> None:
        """Block until all kept output is written. Raises OSError if writing fails."""
        self._pass_on(None)
        if self._left_out:
            self._unread += b"(%d bytes of output are left out here: nobody read them)\n" % self._left_out
            self._left_out = 0
            self._pass_on(None)

    def give_up(self) -> None:
        """Discard what is kept, and close our own descriptor but not the one that was passed in."""
        self._unread.clear()
        self._left_out = 0
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def _pass_on(self, seconds: float | None) -> None:
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while self._unread:
                if written := self._written_at_once():
                    del self._unread[:written]
                elif not self._has_room(None if until is None else max(0.0, until - time.monotonic())):
                    break
                else:
                    time.sleep(PAUSE_SECONDS)  # it may have room for less than a terminal writes at once
        except OSError:
            self._unread.clear()
            raise
        self.is_unread = bool(self._unread)

    def _written_at_once(self) -> int:
        if self._own is None:
            return os.write(self._descriptor, bytes(self._unread[:PIECE_BYTES])) if self._has_room(0.0) else 0
        try:
            return os.write(self._own, self._unread)
        except BlockingIOError:
            return 0

    def _has_room(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(None if seconds is None else seconds * 1000))


def made_patient(stream: TextIO) -> TextIO:
    """Return a stream that never blocks in place of this one; or this one if it is a file or no standard stream."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):
        return stream
    if descriptor > 2 or not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)):
        return stream
    writer = io.BufferedWriter(PatientWriter(descriptor))
    return io.TextIOWrapper(writer, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)


def patient_writer(stream: TextIO) -> PatientWriter | None:
    """Return the PatientWriter beneath a stream, None if it has none."""
    writer = getattr(getattr(stream, "buffer", None), "raw", None)
    return writer if isinstance(writer, PatientWriter) else None


def is_unread(stream: TextIO) -> bool:
    """Whether something written to the stream is still unread."""
    writer = patient_writer(stream)
    return writer is not None and writer.is_unread


def _opened_anew(descriptor: int) -> int | None:
    """Open the file behind a descriptor again with O_NONBLOCK; None for a socket, or without /proc."""
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return None
