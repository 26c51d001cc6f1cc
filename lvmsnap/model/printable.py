"""Text for a reader: external text, a file name for instance, cannot pass for lvmsnap's own lines."""

from __future__ import annotations

import re

# Control characters, and those that change the writing direction: file names may have them, terminals obey them.
UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"

# Continues a message in a new line that is marked as a part of the one above.
NEXT_LINE = "\n    | "


def on_lines(printed: str) -> str:
    """Return a command's output as a message shows it: line by line, all but the first marked."""
    lines = (line.expandtabs().rstrip() for line in printed.strip().splitlines())
    return NEXT_LINE.join(line for line in lines if line)


def escaped(text: str) -> str:
    """Return the text with an escape such as \\x1b or \\n in place of each character that a terminal would obey.

    Only the lines of `on_lines` stay lines. A forged one is marked all the same.
    """
    lines = text.split(NEXT_LINE)
    return NEXT_LINE.join(line if line.isprintable() else re.sub(UNPRINTABLE, _escape, line) for line in lines)


def _escape(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def shell_word(word: str, quoted: str) -> str:
    """Return a word for a shell on one line: as `quoted`, or as $'...' if it has a control character."""
    if word.isprintable() or not re.search(UNPRINTABLE, word):
        return quoted
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{re.sub(UNPRINTABLE, _bytes, plain)}'"


def _bytes(match: re.Match[str]) -> str:
    return _escape(match) if match[0].isascii() else "".join(f"\\x{byte:02x}" for byte in match[0].encode())
