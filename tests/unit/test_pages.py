"""What README and pages say of keys, commands, exit codes and modules is what there is, no more and no less."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.cli import help_texts, parser
from lvmsnap.model import errors
from lvmsnap.planning import offline
from lvmsnap.profile import loading
from tests import TOP
from tests.lab import recipes

README = (TOP / "README.md").read_text()
DOCS = TOP / "lvmsnap/docs"
PAGES = {path.stem: path.read_text() for path in sorted(DOCS.glob("*.md"))}
EVERYTHING = "\n".join([README, *PAGES.values()])
WHOLE_PROFILE = """\
volumes:
  - origin: vg0/system
hooks:
  before_snapshot: [/bin/lock]
  after_snapshot: [/bin/unlock]
backing_file:
  path: /media/other/space.tmp
"""
# Files of other programs begin with their names.
OTHERS = r"# (?:/etc/borgmatic|/etc/resticprofile|lvmsnap\.yml)"
SCHEMA: dict[str, Any] = json.loads(loading.schema_text())
TYPES = {"string": "text", "array": "list", "object": "mapping", "boolean": "true or false", "null": "null"}


def table_rows(schema: dict[str, Any] = SCHEMA, path: str = "") -> Iterator[str]:
    """The reference table as it must be: key, type, default, meaning."""
    for key, inner in schema.get("properties", {}).items():
        place = f"{path}{key}"
        meaning, _, said = inner["description"].partition(" Default: ")
        default = f"`{written(inner['default'])}`" if "default" in inner else said.removesuffix(".") or "none"
        default = "required" if key in schema.get("required", []) else default
        yield f"| `{place}` | {kind(inner)} | {default} | {meaning} |"
        yield from table_rows(inner, f"{place}.")
        yield from table_rows(inner.get("items", {}), f"{place}[].")


def kind(schema: dict[str, Any]) -> str:
    """A key's type in words."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(TYPES[name] for name in types)


def written(value: object) -> str:
    """A default as one writes it in YAML."""
    return value if isinstance(value, str) and value else json.dumps(value)


def module_rows() -> Iterator[str]:
    """The module table as it must be: the first sentence of each module's own description."""
    for path in sorted((TOP / "lvmsnap").glob("*/[!_]*.py")):
        said = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].replace("\n", " ")
        yield f"| `{path.relative_to(TOP / 'lvmsnap')}` | {said} |"


def subparsers() -> dict[str, argparse.ArgumentParser]:
    actions = parser.build_parser()._actions
    return next(dict(action.choices) for action in actions if isinstance(action, argparse._SubParsersAction))


def long_options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings if option.startswith("--")}


def rows_below(heading: str, page: str) -> list[list[str]]:
    """The cells of the table whose head starts with `heading`, its head left out."""
    lines = page[page.index(f"| {heading} |") :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def commands_shown() -> list[str]:
    """Every lvmsnap command in README and pages: in the text, in what a terminal showed, in blocks of shell."""
    text = re.sub(r"^\| `\w+/\w+\.py` .*$", "", EVERYTHING.replace("\\\n", ""), flags=re.MULTILINE)
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    in_text = re.findall(r"`(lvmsnap (?!/)[^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    on_terminal = re.findall(r"^# (lvmsnap [^>\n]+)", text, re.MULTILINE)
    return [*in_text, *on_terminal, *re.findall(r"^(lvmsnap [^#&\n]+)", blocks, re.MULTILINE)]


def test_the_reference_table_is_the_schema() -> None:
    expected = "| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(table_rows()) + "\n"

    assert expected in PAGES["profiles"]


def test_the_module_table_is_the_modules() -> None:
    expected = "| module | owns |\n|---|---|\n" + "\n".join(module_rows()) + "\n"

    assert expected in PAGES["code"]


def test_the_command_table_has_every_command_with_its_own_options_and_no_other() -> None:
    shared = long_options(parser.build_parser())
    actual = {name: long_options(parser) - shared for name, parser in subparsers().items()}

    told = {
        row[0].strip("`").split()[1]: set(re.findall(r"--[a-z-]+", row[1]))
        for row in rows_below("command", PAGES["commands"])
    }

    assert told == actual


def test_options_of_every_command_are_reported() -> None:
    told = re.search(r"^Every command takes .*?\n\n", PAGES["commands"], re.MULTILINE | re.DOTALL)

    assert told
    assert set(re.findall(r"--[a-z-]+", told[0])) == long_options(parser.build_parser())


@pytest.mark.parametrize("command", commands_shown())
def test_every_command_shown_is_understood(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(command)[1:]
    if arguments == ["--version"]:
        with pytest.raises(SystemExit):
            parser.parse(arguments)
        assert capsys.readouterr().out.startswith("lvmsnap ")
        return

    options = parser.parse(arguments)

    assert callable(options.command)


def test_exit_codes_are_those_of_the_program() -> None:
    signals = {129, 130, 141, 143}
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.LvmsnapError)]
    actual = {0, *(item.exit_code for item in kinds)} | signals

    told = {int(code) for row in rows_below("exit code", PAGES["commands"]) for code in row[0].split(",")}

    assert told == actual
    assert told == {int(code) for codes, _ in help_texts.EXITS for code in codes.split(",")}


@pytest.mark.parametrize("name", sorted(path.stem for path in (TOP / "profiles").glob("*.yaml")))
def test_example_profiles_are_valid_and_can_be_planned(name: str) -> None:
    loaded = loading.load(TOP / f"profiles/{name}.yaml", require_root_owned=False)

    plan = offline.plan(loaded)

    assert plan.actions


@pytest.mark.parametrize("text", re.findall(rf"```yaml\n(?!{OTHERS})(.*?)```", EVERYTHING, re.DOTALL))
def test_every_profile_shown_is_valid(text: str) -> None:
    assert loading.parse(text, name="example", file="page.md").volumes


def test_every_recipe_is_carried_out_in_the_lab() -> None:
    assert list(recipes.recipes()) == list(recipes.NOT_KEPT)
    assert all(recipe.night and recipe.restore for recipe in recipes.recipes().values())
    assert set(recipes.profiles()) == {"nightly", "image"}
    assert f"\n## {recipes.EXAMPLES}\n" in recipes.PAGE


def test_the_profile_of_the_whole_server_is_the_one_in_profiles() -> None:
    text = (TOP / "profiles/server.yaml").read_text()

    assert f"```yaml\n{text[text.index('volumes:') :]}```" in PAGES["recipes"]


def test_the_full_group_profile_is_the_one_in_profiles() -> None:
    text = (TOP / "profiles/system-full-vg.yaml").read_text()

    assert f"```yaml\n{text.partition(chr(10))[2]}```" in PAGES["first-profile"]


@pytest.mark.parametrize("path", [TOP / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda path: path.stem)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    for target, _, heading in re.findall(r"\]\(([^)#]*)(#?)([^)]*)\)", path.read_text()):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not heading or heading in anchors(page.read_text()), f"{target}#{heading}"


def anchors(page: str) -> set[str]:
    """The names by which the headings of a page are linked to."""
    return {re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-") for line in headings(page)}


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert 150 <= len(README.splitlines()) <= 200


def test_the_readme_links_to_every_page_and_help_prints_each(capsys: pytest.CaptureFixture[str]) -> None:
    linked = [row[0].split("]")[0].strip("[") for row in rows_below("page", README)]
    assert set(linked) == PAGES.keys()

    assert parser.main(["help"]) == 0
    assert re.findall(r"^  (\S+)  ", capsys.readouterr().out, re.MULTILINE) == linked
    for topic, text in PAGES.items():
        assert parser.main(["help", topic]) == 0
        assert capsys.readouterr().out == re.sub(r"<!--.*-->\n", "", text)


def test_a_topic_without_a_page_is_wrong_usage_that_names_the_nearest_and_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parser.main(["help", "recipe"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert "no page on 'recipe'" in said.err
    assert "did you mean recipes?" in said.err
    assert all(topic in said.err for topic in PAGES)


@pytest.mark.parametrize("topic", ["", "a\nb", "../x", "README"])
def test_an_odd_topic_is_wrong_usage_in_one_line(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parser.main(["help", topic]) == 2

    assert f"error: there is no page on {topic!r}\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(subparsers()))
def test_help_explains_a_command_as_the_command_itself_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parser.main(["help", command]) == 0
    told = capsys.readouterr().out

    with pytest.raises(SystemExit):
        parser.main([command, "--help"])
    assert told == capsys.readouterr().out


def test_a_command_that_is_misspelt_as_a_topic_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert parser.main(["help", "statsu"]) == 2

    assert "did you mean status?" in capsys.readouterr().err


@pytest.mark.parametrize("topic", sorted(PAGES))
def test_on_a_terminal_a_page_fits_into_80_columns_and_no_cell_of_a_table_is_lost(
    topic: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert parser.main(["help", topic]) == 0

    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    words = set(re.findall(r"[A-Za-z_]{4,}", shown))
    told = set(re.findall(r"[A-Za-z_]{4,}", re.sub(r"<!--.*-->|```\w+|\]\([^)]*\)", "", PAGES[topic])))
    assert len(told - words) <= 12, told - words


def test_the_night_in_the_readme_has_the_order_of_the_plan() -> None:
    profile = loading.parse(WHOLE_PROFILE, name="whole", file="whole.yaml")
    planned = [action.summary for action in offline.plan(profile).actions]
    marks = {
        "make the backing file": "create the backing file",
        "hook before_snapshot": "run the profile's before_snapshot hook",
        "lend the file's space": "lend it to the volume group",
        "take the snapshot": "take the snapshot",
        "hook after_snapshot": "run the profile's after_snapshot hook",
        "mount it read-only": "mount it read-only",
    }
    night = README.partition("## A backup night")[2]

    assert sorted(marks, key=night.index) == list(marks)
    places = [next(n for n, title in enumerate(planned) if mark in title) for mark in marks.values()]
    assert places == sorted(places)


def test_every_folder_is_in_the_table_of_folders_and_every_file_named_exists() -> None:
    rows = {row[0].strip("`/") for row in rows_below("folder", PAGES["code"])}

    assert rows == {path.name for path in (TOP / "lvmsnap").iterdir() if path.is_dir()} - {"__pycache__"}
    named = set(re.findall(r"`((?:lvmsnap|tests|schema|profiles)/[\w./-]+)`", EVERYTHING))
    assert not [name for name in named if not (TOP / name).exists()]
