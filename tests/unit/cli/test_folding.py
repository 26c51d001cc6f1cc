"""Lines that are too long for the terminal."""

from __future__ import annotations

import pytest

from lvmsnap.cli.folding import COMMAND, Line, fold

TEXT: Line = (("", "what to do: "), ("", "name another group; a group of another host's system id shows elsewhere"))
COMMAND_LINE: Line = (("", "  $ "), (COMMAND, "lvcreate --yes --snapshot --extents 64 --name snap1 vg0/system"))


@pytest.mark.parametrize("line", [TEXT, COMMAND_LINE], ids=["text", "command"])
@pytest.mark.parametrize("width", range(24, 90))
def test_no_row_is_wider_than_the_terminal_though_only_by_a_blank(line: Line, width: int) -> None:
    rows = ["".join(part for _, part in row) for row in fold(line, width)]

    assert [row for row in rows if len(row) > width] == []
    assert [row for row in rows[:-1] if row.endswith(" ")] == []
