"""Text for a reader: what comes from outside, a file's name for instance, cannot pass for lines of lvmsnap's own."""

from __future__ import annotations

import re

# Control characters, and those that turn the direction of writing: file names may have them, terminals obey them.
UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"

# Where a message goes on in a line of its own, which is seen to be a part of the one above.
NEXT_LINE = "\n    | "


def on_lines(printed: str) -> str:
    """Return what a command printed as a message shows it: its lines one below the other, each but the first marked."""
    lines = (line.expandtabs().rstrip() for line in printed.strip().splitlines())
    return NEXT_LINE.join(line for line in lines if line)


def escaped(text: str) -> str:
    """Return the text with an escape such as \\x1b or \\n for each character that a terminal would obey.

    Only the lines of `on_lines` stay lines. Whoever forges one has it marked all the same.
    """
    lines = text.split(NEXT_LINE)
    return NEXT_LINE.join(line if line.isprintable() else re.sub(UNPRINTABLE, _escape, line) for line in lines)


def _escape(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def shell_word(word: str, quoted: str) -> str:
    """Return a word for a shell on one line: as it is `quoted`, or as $'...' where a control character is in it."""
    if word.isprintable() or not re.search(UNPRINTABLE, word):
        return quoted
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{re.sub(UNPRINTABLE, _bytes, plain)}'"


def _bytes(match: re.Match[str]) -> str:
    return _escape(match) if match[0].isascii() else "".join(f"\\x{byte:02x}" for byte in match[0].encode())
