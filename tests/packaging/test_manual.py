"""The man pages: complete, the program's own words, and read by man, groff and mandoc without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lvmsnap.cli import help_texts, parser
from tests import TOP
from tests.packaging import manual, roff
from tests.unit.profile.test_schema import keys

PAGES = manual.pages()
every_page = pytest.mark.parametrize("name", sorted(PAGES))


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed (tests/lab/setup)")


def called(tmp_path: Path, name: str, text: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Call a program with a page as its last argument."""
    (tmp_path / name).write_text(text)
    given = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MAN_KEEP_FORMATTING": "", "GROFF_NO_SGR": "1"}
    return subprocess.run([*command, str(tmp_path / name)], env=given, capture_output=True, text=True, check=True)


def shown(tmp_path: Path, name: str, text: str) -> str:
    return called(tmp_path, name, text, "man", "-l", "--warnings=w").stdout


def flat(text: str) -> str:
    return " ".join(text.split())


# --- what is in them --------------------------------------------------------------------------------------------------


def test_they_are_written_into_a_folder_under_the_names_that_man_looks_for(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "tests.packaging.manual", str(tmp_path / "new/folder")]

    subprocess.run(run, cwd=TOP, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "86400"})

    written = {path.name: path.read_text() for path in (tmp_path / "new/folder").iterdir()}
    assert sorted(written) == ["lvmsnap-profile.5", "lvmsnap.8"]
    for text in written.values():
        assert re.search(r"^\.TH LVMSNAP\S* [58] 1970-01-02 ", text, re.MULTILINE)


@needs("man")
def test_the_programs_page_has_every_command_option_and_exit_code(tmp_path: Path) -> None:
    page = flat(shown(tmp_path, "lvmsnap.8", PAGES["lvmsnap.8"]))

    for name, command in parser.build_parser().commands.items():
        told = help_texts.COMMANDS[name]
        assert command.one_line() in page
        assert flat(told.about).replace("`", "") in page
        assert all(flat(example) in page for example in told.examples)
        assert all(f"{codes} {flat(meaning)}." in page for codes, meaning in told.exits)
        assert all(f"{action.help}."[1:] in page for action in command._actions)
        assert all(re.search(rf" {option}[ ,]", page) for option in command._option_string_actions)
    assert all(f"{codes} {meaning}." in page for codes, meaning in help_texts.EXITS)


@needs("man")
def test_the_profiles_page_has_every_key_with_its_meaning_default_and_examples(tmp_path: Path) -> None:
    page = flat(shown(tmp_path, "lvmsnap-profile.5", PAGES["lvmsnap-profile.5"]))

    for place, schema, required in keys():
        _, found, text = page.partition(f" {place.replace('[0]', '[]')}, {manual._kind(schema)} ")
        assert found, place
        text = text[: text.index("For example: ") + 200]
        assert schema["description"].replace("`", "") in text
        assert required == (" Required." in text[: text.index("For example: ")])
        assert schema.get("patternErrorMessage", "") in text
        assert "default" not in schema or f" Default: {manual._yaml(schema['default'])}." in text
        assert f"For example: {manual._yaml(schema['examples'][0])}"[:200] in text


def test_each_date_is_the_one_of_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")

    first, second = manual.pages(), manual.pages()

    assert first == second
    assert all(" 1970-01-01 " in page for page in first.values())


# --- how they are read ------------------------------------------------------------------------------------------------


@every_page
@needs("man")
def test_man_has_no_warning_and_a_page_fits_into_80_columns(name: str, tmp_path: Path) -> None:
    done = called(tmp_path, name, PAGES[name], "man", "-l", "--warnings=w")

    assert done.stderr == ""
    wide = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert all(line.startswith("           ") for line in wide)  # an example, which nothing may part
    assert "\N{HYPHEN}" not in done.stdout


@every_page
@needs("groff")
def test_groff_has_no_warning(name: str, tmp_path: Path) -> None:
    done = called(tmp_path, name, PAGES[name], "groff", "-man", "-ww", "-z")

    assert (done.stdout, done.stderr) == ("", "")


@every_page
@needs("mandoc")
def test_mandoc_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(PAGES[name])

    done = subprocess.run(["mandoc", "-Tlint", "-Wstyle", tmp_path / name], capture_output=True, text=True, check=False)

    assert done.stdout == ""


ODD = ".lead 'lead \\e \\fB - -- ~ ^ ` \" $HOME/%s @{x} caf\xe9 \u2026 \\(aq"


@needs("man")
def test_what_roff_would_take_for_its_own_is_printed_as_it_is(tmp_path: Path) -> None:
    lines = [*manual._head("X", 8, "x"), ".SH Y", *roff.paragraph(ODD), *roff.block([ODD, "'x", ".x", "\\"])]

    page = shown(tmp_path, "x.8", roff.page(lines))

    assert flat(ODD) in flat(page)
    assert re.search(rf"^ +{re.escape(ODD)}\n +'x\n +\.x\n +\\\n", page, re.MULTILINE)


def test_a_line_that_is_wrapped_never_begins_with_a_request() -> None:
    lines = [line for _ in (roff.paragraph("word " * n + ". or .. in it") for n in range(10, 20)) for line in _]

    assert {line[0] for line in lines if "or" in line and not line.startswith("word")} <= {"\\", "o"}


def test_signs_that_some_roffs_print_as_others_are_named() -> None:
    assert roff.text("a^b~c'd`e-f\\g\xe9") == r"a\(hab\(tic\(aqd\(gae\-f\eg\[u00E9]"
