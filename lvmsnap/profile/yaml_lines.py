"""What is wrong with a line of YAML, for somebody who has never read YAML's grammar. Pure."""

from __future__ import annotations

import re
from typing import TypeAlias

from lvmsnap.model.dataclass import dataclass

MAX_SHOWN = 40
LONGEST_GUESSED = 80


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the text; both count from 1."""

    line: int
    column: int


Explanation: TypeAlias = tuple[Mark, str, str]


def explained(lines: list[str], complaint: str, mark: Mark, began: Mark) -> Explanation:
    """Return the place to look at, what is wrong there, and what to do, from the parser's own `complaint`.

    `mark` is where the parser could not continue, `began` where the construct that it was reading begins.
    """
    if "expected <block end>" in complaint:
        return _misplaced(lines, mark)
    if "mapping values are not allowed" in complaint:
        return _second_colon(lines, mark)
    if "could not find expected ':'" in complaint:
        return _no_colon(lines, began)
    if "expected ',' or" in complaint:
        opens = f"the bracket {_at(lines, began)[:1]} that opens in line {began.line}, column {began.column}"
        return mark, f"{opens}, is not closed before this, or a comma is missing", "close it, or put a comma in between"
    return _sign(lines, complaint, mark)


def _misplaced(lines: list[str], mark: Mark) -> Explanation:
    """Explain a line that belongs to nothing above it, or text after a complete value."""
    line = _line(lines, mark.line)
    if before := line[: mark.column - 1].strip():
        what = f"{_shown(line[mark.column - 1 :])} follows a value that is complete: {_shown(_value(before))}"
        return mark, what, "put quotes around the whole value, or remove what follows it"
    here, columns = f"line {mark.line}, {_shown(line)}, begins in column {mark.column}", _columns(lines, mark.line)
    is_entry = re.match(r"\s*-(?:\s|$)", line) is not None
    what = f"{here}, which matches no line above it"
    if mark.column in columns:
        other = "a list entry" if columns[mark.column] == "-" else f"the key {columns[mark.column]}"
        what = f"{here}, as {other} above it does, but it is {'a list entry' if is_entry else 'a key'}"
    if re.match(r"\s*-\w", line):
        return mark, what, "put a space after the -"
    fitting = [column for column, word in columns.items() if (word == "-") == is_entry]
    if not fitting:
        return mark, what, "remove the -, or begin it further to the right, below a key without a value"
    places = [f"{column} (with {columns[column]})" for column in fitting]
    return mark, what, f"begin it in column {' or '.join(filter(None, (', '.join(places[:-1]), places[-1])))}"


def _second_colon(lines: list[str], mark: Mark) -> Explanation:
    """Explain a colon after a complete value: a second one in its line, or a line that continues the previous one."""
    line = _line(lines, mark.line)
    before = line[: mark.column - 1]
    if colon := re.match(r"\s*(?:- +)*[^\s:]+:\s+(?=\S)", before):
        place = Mark(mark.line, colon.end() + 1)
        return place, f'{_shown(line[colon.end() :])} has a ":" in it, which begins a value', "put it into quotes"
    above = next((number for number in range(mark.line - 1, 0, -1) if _is_content(_line(lines, number))), 0)
    first = Mark(mark.line, len(line) - len(line.lstrip()) + 1)
    if not above:
        return first, "this is not KEY: VALUE", "each line is KEY: VALUE"
    over = _line(lines, above)
    if not re.search(r":(\s|$)", over):
        word = over.strip()
        return Mark(above, len(over) - len(over.lstrip()) + 1), f"{_shown(word)} has no colon", f"write {word}:"
    column = max(_columns(lines, above + 1), default=1)
    what = f"line {mark.line} is indented deeper than line {above}, which has its value already: {_shown(over)}"
    return first, what, f"begin it in column {column}, with the key above it"


def _no_colon(lines: list[str], began: Mark) -> Explanation:
    text = _at(lines, began)[:LONGEST_GUESSED]
    above = next((_line(lines, number) for number in range(began.line - 1, 0, -1) if _line(lines, number).strip()), "")
    if re.search(r":\s+[|>][+-]?\s*$", above):
        return began, f"the text of {_shown(above)} is not indented", "indent it further than the key above it"
    if glued := re.match(r"([\w-]+):(\S.*)", text):
        return began, f"{_shown(text)} has no space after its colon", f"write {glued[1]}: {glued[2].strip()}"
    if pair := re.match(r"([\w-]+)\s*[\s=]\s*(\S+)\s*$", text):
        return began, f"{_shown(text)} has no colon after its key", f"write {pair[1]}: {pair[2]}"
    return began, f"{_shown(text)} is not KEY: VALUE", "each line is KEY: VALUE, with a colon and a space after the key"


def _sign(lines: list[str], complaint: str, mark: Mark) -> Explanation:
    """Explain a character with a special meaning in YAML, at the beginning of a text or within it."""
    text = _at(lines, mark)
    if "cannot start any token" in complaint or "expected alphabetic or numeric character" in complaint:
        sign = text[:1] if "cannot start" in complaint else "& or *"
        return mark, f"a text cannot begin with {sign} without quotes", "put it into quotes"
    if "expected a comment or a line break" in complaint:
        hint = "put it there, or put a text that has this sign into quotes"
        return mark, "after | or > the text begins in the next line", hint
    if "unknown escape character" in complaint:
        return mark, f"\\{text[:1]} has no meaning in double quotes", "put the text into single quotes"
    if "expected the node content" in complaint:
        return mark, f"a value cannot begin with {text[:1]}", "open the bracket first, or put the text into quotes"
    if lines and lines[0].startswith("%"):
        return Mark(1, 1), "a line cannot begin with %", "remove it, or put the text into quotes"
    return mark, f"this is not YAML: {complaint}", ""


def _columns(lines: list[str], number: int) -> dict[int, str]:
    """The columns in which something begins that line `number` can belong to, and what: a key, or a list entry's -."""
    found: dict[int, str] = {}
    for line in filter(_is_content, lines[: number - 1]):
        lead = re.match(r"\s*(?:-(?:\s+|$))*", line)
        assert lead
        begins = len(line) - len(line.lstrip())
        found = {column: word for column, word in found.items() if column <= begins}
        found |= {dash.start() + 1: "-" for dash in re.finditer("-", lead[0])}
        if key := re.match(r"[^\s:]+(?=:(?:\s|$))", line[lead.end() :]):
            found[lead.end() + 1] = key[0]
    return found


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


def _at(lines: list[str], mark: Mark) -> str:
    return _line(lines, mark.line)[mark.column - 1 :]


def _value(text: str) -> str:
    return re.sub(r"^(?:- +)*[^\s:]+:\s+", "", text)


def _shown(text: str) -> str:
    word = text.strip()
    return repr(word if len(word) <= MAX_SHOWN else f"{word[:MAX_SHOWN]}...")
