"""The line on a terminal that shows what is going on: it is overwritten again and again, and leaves no trace."""

from __future__ import annotations

import os
import sys
import threading
import unicodedata
from contextlib import suppress

from lvmsnap.model.printable import NEXT_LINE, escaped
from lvmsnap.system import streams
from lvmsnap.system.unread_output import is_unread

FRAMES = ("|", "/", "-", "\\")
FRAME_SECONDS = 0.2
# Go to the first column and erase the line (ECMA-48: CR, EL). The cursor stays visible all the time.
ERASE = "\r\x1b[K"

_lock = threading.Lock()
_is_shown = False
_stop_spinning: threading.Event | None = None


def is_wanted() -> bool:
    """Whether stderr is a terminal that can overwrite a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def show(text: str) -> None:
    """Show a text in place of the previous one, if stderr is such a terminal."""
    with _lock:
        _end_spinning()
    _draw(text)


def spin(text: str) -> None:
    """Show a text with a spinner, until the next text, or until it is cleared."""
    global _stop_spinning  # noqa: PLW0603  # there is one terminal
    clear()
    if is_wanted():
        stop = _stop_spinning = threading.Event()
        threading.Thread(target=_spin, args=(text, stop), daemon=True).start()


def clear() -> None:
    """Erase the line: the next output starts in the first column."""
    global _is_shown  # noqa: PLW0603  # there is one terminal
    with _lock:
        _end_spinning()
        if _is_shown:
            _write(ERASE)
            _is_shown = False


def _end_spinning() -> None:
    global _stop_spinning  # noqa: PLW0603  # there is one terminal
    if _stop_spinning is not None:
        _stop_spinning.set()
        _stop_spinning = None


def _spin(text: str, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        _draw(f"{FRAMES[number % len(FRAMES)]} {text}", stop)
        number += 1
        stop.wait(FRAME_SECONDS)


def _draw(text: str, stop: threading.Event | None = None) -> None:
    global _is_shown  # noqa: PLW0603  # there is one terminal
    with _lock:
        if is_wanted() and not (stop and stop.is_set()):
            _write(f"{ERASE}{cut(escaped(text).replace(NEXT_LINE, ' '), streams.terminal_columns(sys.stderr) - 1)}")
            _is_shown = True


def _write(text: str) -> None:
    if is_unread(sys.stderr):
        return  # by the time anybody reads it, the line would be outdated
    with suppress(OSError, ValueError):  # the terminal is gone
        sys.stderr.write(text)
        sys.stderr.flush()


def cut(text: str, columns: int) -> str:
    """Return as much of a text as fits into so many columns: a text that wraps could not be erased."""
    used = 0
    for position, character in enumerate(text):
        used += 0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        if used > columns:
            return f"{text[: max(0, position - 3)]}..."[:columns]
    return text
