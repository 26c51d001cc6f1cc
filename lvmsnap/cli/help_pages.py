"""`lvmsnap help`: prints a page of this version's documentation, or a command's help."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

from lvmsnap.model.errors import UsageError
from lvmsnap.model.near import nearest

# In the order in which they are needed.
TOPICS = (
    "first-profile",
    "recipes",
    "programs",
    "profiles",
    "commands",
    "monitoring",
    "reliability",
    "changelog",
    "code",
)

COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^\|.*\|\n\|[-:| ]+\|\n(?:\|.*\|\n)+", re.MULTILINE)
LANGUAGE = re.compile(r"^```\w+$", re.MULTILINE)
CELLS = r"(?<!\\)\|"


def cmd_help(options: argparse.Namespace) -> int:
    """`lvmsnap help [TOPIC]`: the page or a command's help, or the list of pages; exit 2 if there is neither."""
    if options.topic is None:
        print(_list_of_pages(), end="")
        return 0
    if options.topic in options.parser.commands:
        print(options.parser.commands[options.topic].format_help(), end="")
        return 0
    if options.topic not in TOPICS:
        hint = f"{_meant(options.topic, tuple(options.parser.commands))} The pages: {', '.join(TOPICS)}"
        raise UsageError(f"there is no page on {options.topic!r}", hint=hint)
    if sys.stdout.isatty():
        _render(page(options.topic))
    else:
        print(page(options.topic), end="")
    return 0


def page(topic: str) -> str:
    """Return the text of a page, without its comments."""
    from importlib import resources

    text = resources.files("lvmsnap").joinpath("docs", f"{topic}.md").read_text(encoding="utf-8")
    return COMMENT.sub("", text)


def _meant(topic: str, commands: tuple[str, ...]) -> str:
    near = nearest(topic.lower(), (*TOPICS, *commands))
    return f"did you mean {near}?" if near else "lvmsnap help lists what there is."


def _list_of_pages() -> str:
    width = max(map(len, TOPICS))
    lines = [f"  {topic:<{width}}  {page(topic).partition(chr(10))[0].removeprefix('# ')}" for topic in TOPICS]
    first, last = "lvmsnap help TOPIC prints one of these pages:", "lvmsnap help COMMAND explains a command."
    return "\n".join([first, *lines, last]) + "\n"


def _render(text: str) -> None:
    """Print a page rendered for a terminal."""
    from rich.markdown import Markdown
    from rich.theme import Theme

    from lvmsnap.cli import layout

    # Readable on light and dark backgrounds.
    styles = dict.fromkeys(("markdown.code_block", "markdown.item.bullet", "markdown.link"), "default")
    styles |= {"markdown.code": "bold", "markdown.link_url": "dim"}
    terminal = layout.console(sys.stdout, Theme(styles))
    plain_code = LANGUAGE.sub("```", TABLE.sub(_as_list, text))
    terminal.print(Markdown(plain_code, hyperlinks=False, code_theme="ansi_dark"))


def _as_list(table: re.Match[str]) -> str:
    """Return a table as a list: its cells are too long to fit side by side into 80 columns."""
    head, _, *rows = (_cells(line) for line in table[0].splitlines())
    return "\n".join(line for row in rows for line in _item(head, row)) + "\n"


def _item(head: list[str], row: list[str]) -> Iterator[str]:
    yield f"- {row[0]}"
    yield from (f"    - {title}: {cell}" for title, cell in zip(head[1:], row[1:], strict=True) if cell)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(CELLS, line)[1:-1]]
