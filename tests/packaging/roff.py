"""Text as man(7) has it: escaped, in bold, in paragraphs and lists."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

# What roff would take for a sign of its own, or print as another one than can be copied into a shell.
_SIGNS = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
_COMMAND_WORD = re.compile(r"(?<![\w/-])(--?[a-z][a-z-]*)|\b([A-Z]{2,}(?:/[A-Z]+)*)\b|([a-z][\w-]*)")


def text(words: str) -> str:
    """Return words as roff prints them; `what is in backquotes` is bold, as it is typed."""
    return "".join(
        bold(part) if number % 2 else _escaped(part) for number, part in enumerate(re.split(r"`([^`]+)`", words))
    )


def bold(words: str) -> str:
    return rf"\fB{_escaped(words)}\fR"


def italic(words: str) -> str:
    return rf"\fI{_escaped(words)}\fR"


def usage(line: str) -> str:
    """Return a usage line: what is typed as it is in bold, what stands for something else in italics."""
    parts, end = [], 0
    for word in _COMMAND_WORD.finditer(line):
        parts += [_escaped(line[end : word.start()]), italic(word[0]) if word[2] else bold(word[0])]
        end = word.end()
    return "".join([*parts, _escaped(line[end:])])


def paragraph(words: str) -> Iterator[str]:
    yield ".PP"
    yield from filled(text(words))


def item(head: str, words: str) -> Iterator[str]:
    """Give an item of a list; its head is roff already."""
    yield ".TP"
    yield _no_request(head)
    yield from filled(text(words))


def filled(words: str) -> Iterator[str]:
    """Give what is roff already as short lines, each sentence on its own."""
    for sentence in re.split(r"(?<=[.!?]) ", words):
        lines = textwrap.wrap(sentence, 76, break_long_words=False, break_on_hyphens=False)
        yield from (_no_request(line) for line in lines)


def block(lines: Iterable[str]) -> Iterator[str]:
    """Give lines that are printed as they are, indented."""
    yield from (".PP", ".RS 4", ".nf")
    yield from (_no_request(_escaped(line)) for line in lines)
    yield from (".fi", ".RE")


def page(lines: Iterable[str]) -> str:
    """Return the text of a page: the first paragraph below a heading needs no request."""
    made: list[str] = []
    for line in lines:
        if line != ".PP" or not made[-1].startswith((".SH", ".SS")):
            made.append(line)
    return "\n".join(made) + "\n"


def _escaped(words: str) -> str:
    plain = "".join(_SIGNS.get(sign, sign) for sign in words)
    return re.sub(r"[^\x00-\x7f]", lambda found: rf"\[u{ord(found[0]):04X}]", plain)


def _no_request(line: str) -> str:
    """Return a line whose first sign makes it none of roff's requests."""
    return rf"\&{line}" if line.startswith((".", "'")) else line
