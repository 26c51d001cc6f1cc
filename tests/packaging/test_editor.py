"""The schema in an editor: what the real yaml-language-server completes, explains and finds wrong in a profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.model.profile import Profile
from lvmsnap.profile import loading
from tests import TOP
from tests.packaging.language_server import PROGRAM, LanguageServer, accepted

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="yaml-language-server is not installed (tests/lab/setup, npm)")

SCHEMA: dict[str, Any] = json.loads(loading.schema_text())
MODELINE = f"# yaml-language-server: $schema={loading.schema_path()}\n"
VOLUME = "volumes:\n  - origin: vg0/root\n"


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    server = LanguageServer(tmp_path_factory.mktemp("edited"))
    yield server
    server.close()


def taken(editor: LanguageServer, text: str, label: str) -> tuple[str, Profile]:
    """Accept what is offered under a label; return the text then, and the profile that it is."""
    offered = editor.completions(MODELINE + text)
    after = accepted(text, offered[label])
    return after, loading.parse(after, name="x", file="x.yaml")


def test_an_empty_file_is_offered_every_key(editor: LanguageServer) -> None:
    assert sorted(editor.completions(f"{MODELINE}|")) == sorted(SCHEMA["properties"])


def test_a_key_that_is_there_is_not_offered_again(editor: LanguageServer) -> None:
    assert sorted(editor.completions(f"{MODELINE}{VOLUME}|")) == sorted(SCHEMA["properties"].keys() - {"volumes"})


def test_accepting_backing_file_inserts_a_path_and_no_defaults(editor: LanguageServer) -> None:
    after, profile = taken(editor, f"{VOLUME}|", "backing_file")

    assert after == f"{VOLUME}backing_file:\n  path: /media/other_partition/tmp_space.tmp"
    assert [backing.path for backing in profile.backing_files] == ["/media/other_partition/tmp_space.tmp"]


@pytest.mark.parametrize(
    ("text", "label", "after"),
    [
        ("|", "volumes", "volumes:\n  - origin: vg0/root"),
        (f"{VOLUME}|", "include", f"{VOLUME}include:\n  - /boot"),
        (
            f"{VOLUME}|",
            "hooks",
            f"{VOLUME}hooks:\n  before_snapshot:\n    - /usr/local/sbin/lock\n"
            "  after_snapshot:\n    - /usr/local/sbin/unlock",
        ),
        (f"{VOLUME}    |", "luks", f"{VOLUME}    luks:\n      key_file: /root/system.key"),
        (f"{VOLUME}    |", "mount_options", f"{VOLUME}    mount_options:\n      - noexec"),
    ],
)
def test_what_is_accepted_is_a_valid_profile_with_what_must_be_said(
    editor: LanguageServer, text: str, label: str, after: str
) -> None:
    assert taken(editor, text, label)[0] == after


def test_values_are_offered(editor: LanguageServer) -> None:
    sizes = editor.completions(f"{MODELINE}{VOLUME}    size: |")
    assert [size.strip('"') for size in sizes] == ["4GiB", "512M", "20%ORIGIN", "50%FREE", "100%PVS"]

    backing = "backing_file:\n  path: /x\n  allocation: |"
    assert list(editor.completions(f"{MODELINE}{VOLUME}{backing}")) == ["fallocate", "zero-fill"]


def test_a_key_is_explained_with_markup_where_the_schema_has_it(editor: LanguageServer) -> None:
    shown = editor.hover(f"{MODELINE}{VOLUME}    si|ze: 4GiB")
    volume = SCHEMA["properties"]["volumes"]["items"]["properties"]

    assert volume["size"]["markdownDescription"] in shown
    assert "\n- or a percentage of the origin (`%ORIGIN`, " in shown
    assert "4GiB" in shown.partition("Example")[2]
    assert volume["origin"]["description"].removesuffix(".") in editor.hover(
        f"{MODELINE}volumes:\n  - ori|gin: vg0/root"
    )


def test_a_mistake_is_marked_and_says_what_must_be(editor: LanguageServer) -> None:
    found = editor.problems(f"{MODELINE}{VOLUME}    size: 4GB\n    sise: 4GiB\n")

    size = SCHEMA["properties"]["volumes"]["items"]["properties"]["size"]
    assert size["patternErrorMessage"] in found
    assert any("sise" in problem for problem in found)
    assert len(found) == 2


@pytest.mark.parametrize("path", sorted((TOP / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_wrong_with_the_profiles_that_come_along(editor: LanguageServer, path: Path) -> None:
    text = path.read_text().partition("\n")[2]

    assert editor.problems(MODELINE + text) == []
