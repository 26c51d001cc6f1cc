"""How plans, states and errors look: in pipes, on narrow terminals, in pictures."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from lvmsnap import facts, offline, profile, render
from lvmsnap.record import RUN_DIR

TOP = Path(__file__).parent.parent
FULL = profile.load(TOP / "profiles/system-full-vg.yaml", require_root_owned=False)


def plan() -> list[render.Line]:
    return list(render.plan_lines(FULL.name, offline.plan(FULL)))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_output_has_no_escape_codes_and_no_trailing_blanks() -> None:
    stream = io.StringIO()

    render.show(plan(), stream)

    assert "\033" not in stream.getvalue()
    assert not [line for line in stream.getvalue().splitlines() if line != line.rstrip()]


def test_no_color_is_honoured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured, plain = Terminal(), Terminal()

    render.show([((render.GOOD, "ok"),)], coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    render.show([((render.GOOD, "ok"),)], plain)

    assert coloured.getvalue() == "\033[32mok\033[0m\n"
    assert plain.getvalue() == "ok\n"


def test_a_command_stays_in_one_line_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()

    render.show(plan(), stream)

    shown = re.sub(r"\033\[[0-9;]*m", "", stream.getvalue())
    longest = max((render.text(line) for line in plan()), key=len)
    assert len(longest) > 120
    assert longest in shown.splitlines()


def test_a_long_line_breaks_after_a_comma_and_goes_on_indented() -> None:
    line = ((render.BAD, "  NO  "), ("", "a first part of the sentence, and a second one (/some/path)"))

    folded = [render.text(row) for row in render.fold(line, 45)]

    assert folded == ["  NO  a first part of the sentence,", "      and a second one (/some/path)"]


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_a_picture_shows_every_word_of_the_plan(term: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    picture = tmp_path / "plan.svg"

    render.export(plan(), str(picture), "lvmsnap plan system-full-vg")

    words = re.sub(r"<[^>]*>", " ", picture.read_text()).replace("&#160;", " ").replace("&quot;", '"')
    words = words.replace("&gt;", ">").replace("&#x27;", "'").replace("&amp;", "&")
    missing = [word for line in plan() for word in render.text(line).split() if word not in words]
    assert not missing


def test_a_mountpoint_below_run_can_be_planned_before_the_first_up_of_a_boot() -> None:
    assert not Path(f"{RUN_DIR}-nowhere").exists()

    below_run, elsewhere = facts._kind(f"{RUN_DIR}/never-made"), facts._kind(f"{RUN_DIR}-nowhere/never-made")

    assert (below_run, elsewhere) == ("absent", "no parent")
