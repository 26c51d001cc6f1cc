"""The schema is the one definition of a profile: complete, valid, and the same as what the loader does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from lvmsnap.profile import loading
from lvmsnap.profile.yaml_positions import Source
from tests import TOP

ROOT = TOP
SCHEMA: dict[str, Any] = json.loads(loading.schema_text())
VALIDATOR = Draft202012Validator(SCHEMA)
KNOWN_KEYWORDS = {
    *("$schema", "$id", "title", "description", "default", "examples", "patternErrorMessage", "errorMessage"),
    *("markdownDescription", "defaultSnippets", "doNotSuggest"),
    *("type", "properties", "additionalProperties", "required", "items", "minItems", "maxItems"),
    *("pattern", "not", "enum", "$ref"),
}


def keys(schema: dict[str, Any] = SCHEMA, path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Each key's path, its schema, and whether it is required."""
    for key, inner in schema.get("properties", {}).items():
        place = f"{path}.{key}".removeprefix(".")
        yield place, inner, key in schema.get("required", [])
        yield from keys(inner, place)
        if "items" in inner:
            yield from keys(inner["items"], f"{place}[0]")


def schemas(schema: dict[str, Any] = SCHEMA) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from schemas(inner)


every_key = pytest.mark.parametrize(("path", "schema", "required"), [pytest.param(*k, id=k[0]) for k in keys()])


def test_the_schema_is_valid_json_schema_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_the_keys_that_work_and_no_others() -> None:
    assert [path for path, _, _ in keys()] == [
        "description",
        "volumes",
        *(f"volumes[0].{key}" for key in ("origin", "snapshot", "size", "chunk_size", "mountpoint", "mount_options")),
        "volumes[0].allow_wider_access",
        "volumes[0].luks",
        *(f"volumes[0].luks.{key}" for key in ("key_file", "prompt")),
        "consistent",
        "include",
        "backing_file",
        *(f"backing_file.{key}" for key in ("vg", "path", "size", "max_size", "loop_device", "allocation")),
        *(f"backing_file.{key}" for key in ("allow_same_vg", "accept_boot_risk")),
        "overflow",
        *(f"overflow.{key}" for key in ("warn_at", "extend_at", "extend_by")),
        "hooks",
        *(f"hooks.{key}" for key in ("before_snapshot", "after_snapshot", "before_down", "after_down", "timeout")),
        "remove_mountpoint",
    ]


def test_every_mapping_refuses_unknown_keys() -> None:
    mappings = [schema for schema in schemas() if "properties" in schema]
    assert len(mappings) == 6
    assert all(schema["additionalProperties"] is False for schema in mappings)


def test_every_keyword_is_one_that_the_loader_has_a_sentence_for() -> None:
    assert {keyword for schema in schemas() for keyword in schema} == KNOWN_KEYWORDS


@every_key
def test_every_key_is_described_and_has_examples_that_are_valid(
    path: str, schema: dict[str, Any], required: bool
) -> None:
    assert schema["description"].endswith("."), path
    assert schema["examples"]
    for example in schema["examples"]:
        VALIDATOR.evolve(schema=schema).validate(example)
    assert required or "default" in schema or "Default: " in schema["description"]


@every_key
def test_every_default_is_valid_and_only_optional_keys_have_one(
    path: str, schema: dict[str, Any], required: bool
) -> None:
    if "default" in schema:
        assert not required, path
        VALIDATOR.evolve(schema=schema).validate(schema["default"])


def test_what_an_editor_shows_has_the_same_words() -> None:
    shown = [schema for schema in schemas() if "markdownDescription" in schema]
    assert shown
    for schema in shown:
        words = re.sub(r"^- |`", "", schema["markdownDescription"], flags=re.MULTILINE).split()
        assert " ".join(words) == schema["description"].replace("`", "")


def test_an_editor_is_given_one_snippet_for_each_key_that_it_shall_not_fill_in_itself() -> None:
    for schema in schemas():
        hidden = [key for key, inner in schema.get("properties", {}).items() if inner.get("doNotSuggest")]
        snippets = schema.get("defaultSnippets", [])
        assert [snippet["label"] for snippet in snippets] == hidden
        assert [list(snippet["body"]) for snippet in snippets] == [[key] for key in hidden]


def test_what_a_snippet_inserts_is_valid_and_has_only_what_must_be_said() -> None:
    for schema in schemas():
        for snippet in schema.get("defaultSnippets", []):
            inserted = json.loads(re.sub(r"\$\{\d:([^}]*)\}", r"\1", json.dumps(snippet["body"])))
            for key, value in inserted.items():
                VALIDATOR.evolve(schema=schema["properties"][key]).validate(value)
                defaults = [
                    inner for inner in schema["properties"][key].get("properties", {}).items() if "default" in inner[1]
                ]
                assert isinstance(value, list) or not {name for name, _ in defaults} & set(value)
            assert snippet["description"].endswith(".")


def test_no_pattern_lets_a_line_break_slip_in_at_the_end() -> None:
    texts = ["vg/lv", "snap", "4GiB", "4KiB", "/a/b", "noexec", "auto", "50%FREE", "vg0"]
    patterns = [schema["pattern"] for schema in schemas() if "pattern" in schema and "default" not in schema]
    # A hook's script may well have many lines.
    patterns = [pattern for pattern in patterns if pattern != r"\S"]
    for pattern in patterns:
        assert any(re.search(pattern, text) for text in texts), pattern
        assert not any(re.search(pattern, text + "\n") for text in texts), pattern


def test_every_pattern_has_a_sentence() -> None:
    for schema in schemas():
        assert ("pattern" in schema) == ("patternErrorMessage" in schema)
        assert ("not" in schema) == ("errorMessage" in schema)


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.name)
def test_a_sample_profile_is_valid_and_points_an_editor_at_the_schema(path: Path) -> None:
    first_line = path.read_text("utf-8").splitlines()[0]
    reference = first_line.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / reference).resolve() == ROOT / "schema" / "profile.schema.json"
    Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text("utf-8")))
    loading.load(path, require_root_owned=False)


def test_there_are_sample_profiles() -> None:
    assert len(list((ROOT / "profiles").glob("*.yaml"))) >= 2


def test_a_profile_with_only_the_required_keys_gets_the_schemas_defaults() -> None:
    loaded = loading.parse("volumes: [{origin: vg0/root}]\nbacking_file: {path: /b}", name="n", file="f")
    defaults = {path: schema["default"] for path, schema, _ in keys() if "default" in schema}
    (volume,), (backing,) = loaded.volumes, loaded.backing_files
    assert {
        "description": loaded.description,
        "volumes[0].mount_options": list(volume.mount_options),
        "consistent": loaded.is_consistent,
        "include": list(loaded.includes),
        "volumes[0].allow_wider_access": volume.allow_wider_access,
        "backing_file.loop_device": backing.loop_device or "auto",
        "backing_file.allocation": backing.allocation.value,
        "backing_file.allow_same_vg": backing.allow_same_vg,
        "backing_file.accept_boot_risk": backing.accept_boot_risk,
        "overflow.warn_at": f"{loaded.overflow.warn_percent}%",
        "overflow.extend_at": f"{loaded.overflow.extend_percent}%",
        "overflow.extend_by": f"{loaded.overflow.by_percent}%",
        "hooks.timeout": f"{loaded.hooks.timeout_seconds}s",
        "remove_mountpoint": loaded.remove_mountpoint,
    } == defaults


def test_a_path_without_a_place_is_not_readable() -> None:
    assert Source("f", data={"a": 1}).readable(("a",)) is None
