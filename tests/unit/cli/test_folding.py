"""Lines that are too long for the terminal."""

from __future__ import annotations

import sys

import pytest

from lvmsnap.cli import layout, parser
from lvmsnap.cli.folding import COMMAND, Line, fold, text
from tests.unit.cli.seen import Terminal

TEXT: Line = (("", "what to do: "), ("", "name another group; a group of another host's system id shows elsewhere"))
COMMAND_LINE: Line = (("", "  $ "), (COMMAND, "lvcreate --yes --snapshot --extents 64 --name snap1 vg0/system"))


@pytest.mark.parametrize("columns", ["0", "1", "99999999"])
def test_a_terminal_that_gives_no_sensible_width_shows_everything_all_the_same(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", out := Terminal())

    layout.show([TEXT], out)
    assert "name another group" in " ".join(out.getvalue().split())
    assert parser.main(["help", "monitoring"]) == 0
    assert 5000 < len(out.getvalue()) < 100_000


def test_blanks_at_the_end_of_a_table_begin_no_row_of_their_own() -> None:
    cells: Line = (("bold", "PROFILE  "), ("", "STATE    "), ("", "        "))

    (row,) = fold(cells, 14)

    assert row == (("bold", "PROFILE  "), ("", "STATE"))


def test_on_a_narrow_terminal_what_goes_on_keeps_half_of_it() -> None:
    line: Line = (("", "  depends on the origin  "), ("", "where it is thin it gets a thin snapshot"))

    assert list(map(text, fold(line, 30)))[1:] == [
        *(" " * 15 + words for words in ("it is thin it", "gets a thin", "snapshot")),
    ]


@pytest.mark.parametrize("line", [TEXT, COMMAND_LINE], ids=["text", "command"])
@pytest.mark.parametrize("width", range(24, 90))
def test_no_row_is_wider_than_the_terminal_though_only_by_a_blank(line: Line, width: int) -> None:
    rows = ["".join(part for _, part in row) for row in fold(line, width)]

    assert [row for row in rows if len(row) > width] == []
    assert [row for row in rows[:-1] if row.endswith(" ")] == []
