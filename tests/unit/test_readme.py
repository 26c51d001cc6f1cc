"""What the README says of keys, commands, exit codes and modules is what there is, no more and no less."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from lvmsnap.cli import parser
from lvmsnap.model import errors
from lvmsnap.planning import offline
from lvmsnap.profile import loading
from tests import TOP
from tests.lab import recipes

README = (TOP / "README.md").read_text()
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


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the table whose head starts with `heading`, its head left out."""
    lines = README[README.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def commands_shown() -> list[str]:
    """Every lvmsnap command in the README, in the text and in what a terminal showed."""
    in_text = re.findall(r"`(lvmsnap [^`]+)`", README[: README.index("| module |")])
    on_terminal = re.findall(r"^# (lvmsnap [^>\n]+)", README, re.MULTILINE)
    return [*in_text, *on_terminal]


def test_the_reference_table_is_the_schema() -> None:
    expected = "| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(table_rows()) + "\n"

    assert expected in README


def test_the_module_table_is_the_modules() -> None:
    expected = "| module | owns |\n|---|---|\n" + "\n".join(module_rows()) + "\n"

    assert expected in README


def test_the_command_table_has_every_command_with_its_own_options_and_no_other() -> None:
    shared = long_options(parser.build_parser())
    actual = {name: long_options(parser) - shared for name, parser in subparsers().items()}

    told = {row[0].strip("`").split()[1]: set(re.findall(r"--[a-z-]+", row[1])) for row in rows_below("command")}

    assert told == actual


def test_options_of_every_command_are_told() -> None:
    told = re.search(r"^Every command takes .*?\n\n", README, re.MULTILINE | re.DOTALL)

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

    told = {int(code) for row in rows_below("exit code") for code in row[0].split(",")}

    assert told == actual
    assert told == {int(code) for line in parser.EXIT_CODES.splitlines() for code in re.findall(r"\b\d+\b", line[:17])}


@pytest.mark.parametrize("name", ["system", "system-full-vg", "database"])
def test_example_profiles_are_valid_and_can_be_planned(name: str) -> None:
    loaded = loading.load(TOP / f"profiles/{name}.yaml", require_root_owned=False)

    plan = offline.plan(loaded)

    assert plan.actions


def test_profiles_in_the_readme_are_valid() -> None:
    texts = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    loaded = [loading.parse(text, name="example", file="README.md") for text in texts]

    assert len(loaded) >= 3


def test_every_recipe_is_carried_out_in_the_lab() -> None:
    assert list(recipes.recipes()) == list(recipes.NOT_KEPT)
    assert all(recipe.night and recipe.restore for recipe in recipes.recipes().values())
    assert set(recipes.profiles()) == {"nightly", "image"}


def test_the_full_group_profile_is_the_one_in_profiles() -> None:
    text = (TOP / "profiles/system-full-vg.yaml").read_text()

    assert f"```yaml\n{text.partition(chr(10))[2]}```" in README


def test_the_pictures_and_pages_linked_are_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)

    assert targets
    assert not [target for target in targets if not (TOP / target).exists()]
