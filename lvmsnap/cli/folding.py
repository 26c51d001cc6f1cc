"""Breaks long lines: text after commas and the like, commands as in a shell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from lvmsnap.system.processes import shell_line

# A line is a row of (style, text); the styles are rich's, and empty for plain text.
Line = tuple[tuple[str, str], ...]
# A part of a line that may begin a new row: its style, its text, and what the row before ends with then.
Piece = tuple[str, str, str]

DIM, COMMAND, UNDO_COMMAND = "dim", "default", "dim default"
MARK = "\\"
# Where to break text: not at every blank, so that a command in it stays in one piece, unless a clause is too long.
CLAUSE_END = r"(?<=[,;:.] )|(?<= )(?=\()"
BLANK = r"(?<=\S )(?=\S)"
# The word after these is broken too, at the ends of its clauses: there the shell and LVM take a newline for a blank.
SCRIPTS = (["sh", "-c"], ["--yes", "--select"])
SCRIPT_END = r"(?<=; )|(?<=&& )|(?<=\|\| )|(?<=\{ )"
# Breaking could damage comments, here-documents and quoted text: none of lvmsnap's own scripts has them.
UNSURE = r"[\n'`]|(?:^|[\s;])#|<<"


def text(line: Line) -> str:
    """Return the line without its styles."""
    return "".join(part for _, part in line).rstrip()


def fold(line: Line, width: int) -> Iterator[Line]:
    """Yield the rows of a line, all but the first indented; one that fits, or has newlines already, stays whole."""
    whole = text(line)
    is_command = bool(line) and line[-1][0] in (COMMAND, UNDO_COMMAND)
    if len(whole) <= width or "\n" in whole or (is_command and "$'" in whole):
        yield _without_end(line)
        return
    indent = min(_indent(line), width // 2)
    if is_command:
        style, command = line[-1]
        pieces = [*((*part, "") for part in line[:-1]), *_command_pieces(style, shlex.split(command))]
        yield from _fill(pieces, indent + 2, width - len(f" {MARK}"))
        return
    clauses = ((style, clause) for style, part in line for clause in re.split(CLAUSE_END, part))
    yield from _fill(
        [piece for style, clause in clauses for piece in _words(style, clause, width - indent)], indent, width
    )


def _words(style: str, clause: str, room: int) -> Iterator[Piece]:
    """Yield a clause in one piece, or word by word if it is longer than a row."""
    parts = [clause] if len(clause.rstrip()) <= room else re.split(BLANK, clause)
    yield from ((style, part, "") for part in parts)


def _command_pieces(style: str, words: list[str]) -> Iterator[Piece]:
    """Yield the words of a command, an option with its value in one piece."""
    number = 0
    while number < len(words):
        word, value = words[number], words[number + 1 : number + 2]
        if words[max(0, number - 2) : number] in SCRIPTS and not re.search(UNSURE, word):
            yield from _script_pieces(style, f"{shell_line((word,))} ")
        elif word.startswith("--") and word != "--" and value and not value[0].startswith("-") and word != "--select":
            yield (style, f"{shell_line((word, *value))} ", MARK)
            number += 1
        else:
            yield (style, f"{shell_line((word,))} ", MARK)
        number += 1


def _script_pieces(style: str, script: str) -> Iterator[Piece]:
    """Yield the clauses of a script; one that would end inside quotes is joined with the next."""
    part, mark = "", MARK
    for clause in re.split(SCRIPT_END, script):
        part += clause
        if part.count('"') % 2 == 0:
            yield (style, part, mark)
            part, mark = "", ""
    if part:
        yield (style, part, mark)


def _fill(pieces: Iterable[Piece], indent: int, width: int) -> Iterator[Line]:
    row: list[tuple[str, str]] = []
    used = 0
    for style, piece, mark in pieces:
        if used > indent and used + len(piece.rstrip()) > width:
            # A blank beyond the last column would start a new row on a terminal.
            yield (*row, (DIM, mark)) if mark else (*row[:-1], (row[-1][0], row[-1][1].rstrip()))
            row, used, piece = [("", " " * indent)], indent, piece.lstrip()  # noqa: PLW2901
        if row and row[-1][0] == style:
            row[-1] = (style, row[-1][1] + piece)
        else:
            row.append((style, piece))
        used += len(piece)
    yield tuple(row)


def _without_end(line: Line) -> Line:
    """Return the line without trailing blanks: beyond the last column they would start a new row."""
    while line and not line[-1][1].strip(" "):
        line = line[:-1]
    return (*line[:-1], (line[-1][0], line[-1][1].rstrip(" "))) if line else line


def _indent(line: Line) -> int:
    """Return the indent of the further rows: below the second part, if the first one ends with a blank."""
    first = line[0][1]
    return len(first) if len(line) > 1 and first.endswith(" ") else len(first) - len(first.lstrip()) + 2
