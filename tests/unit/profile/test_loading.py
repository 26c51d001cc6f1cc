"""Profiles: what is read from a good one, and what is said about every bad one."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml

from lvmsnap.model import codec
from lvmsnap.model.errors import LvmsnapError, ProfileError, ProfileProblem
from lvmsnap.model.profile import Profile, Size, SizeUnit
from lvmsnap.model.units import KIB
from lvmsnap.profile import loading
from tests import TOP

DATA: dict[str, Any] = yaml.safe_load((TOP / "tests/unit/data/profiles.yaml").read_text(encoding="utf-8"))
FULL: str = DATA["good"]["every key"]["profile"]
SEVERAL: dict[str, Any] = DATA["several_mistakes"]


def parse(text: str) -> Profile:
    return loading.parse(text, name="nightly", file="nightly.yaml")


def problems(text: str) -> tuple[ProfileProblem, ...]:
    with pytest.raises(ProfileError) as caught:
        parse(text)
    return caught.value.problems


def told(text: str) -> list[tuple[str, str, str]]:
    """Each problem's place without the file, its message and its hint."""
    return [(p.place.removeprefix("nightly.yaml:"), p.message, p.hint) for p in problems(text)]


def expected(case: dict[str, str]) -> tuple[str, str, str]:
    """The same as a case of the data has it, with the words that several share put in."""
    message, hint = case["says"], case.get("hint", "")
    for name, words in DATA["words"].items():
        message, hint = (text.replace(f"<{name}>", words) for text in (message, hint))
    return case["place"], message, hint


def volume(line: str) -> str:
    return f"volumes:\n  - origin: vg0/root\n    {line}\n"


# --- good profiles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", DATA["good"].values(), ids=DATA["good"])
def test_a_good_profile_is_read_with_its_keys_and_every_default(case: dict[str, Any]) -> None:
    wanted = codec.decoded(Profile, {"name": "nightly", "path": "nightly.yaml", **case["gives"]})
    assert parse(case["profile"]) == wanted


@pytest.mark.parametrize("null", ["null", "~", "Null", "NULL"])
def test_a_null_mountpoint_means_that_nothing_is_mounted(null: str) -> None:
    assert parse(volume(f"mountpoint: {null}")).volumes[0].mountpoint is None


@pytest.mark.parametrize(("text", "means"), DATA["sizes"].items())
def test_a_size_is_read(text: str, means: tuple[int, str]) -> None:
    assert parse(volume(f"size: {text}")).volumes[0].size == Size(means[0], SizeUnit(means[1]))


def test_a_percentage_of_the_lent_space_is_read_where_a_file_of_known_size_lends_it() -> None:
    text = volume("size: 100%PVS") + "backing_file: {path: /a/b, size: 1G}"
    assert parse(text).volumes[0].size == Size(100, SizeUnit.PERCENT_PVS)


@pytest.mark.parametrize("kib", DATA["chunk_sizes"]["read"])
def test_a_chunk_size_that_lvm_takes_is_read(kib: int) -> None:
    for unit in ("KiB", "K"):
        assert parse(volume(f"chunk_size: {kib}{unit}")).volumes[0].chunk_size_bytes == kib * KIB


@pytest.mark.parametrize("kib", DATA["chunk_sizes"]["refused"])
def test_a_chunk_size_that_lvm_does_not_take_is_refused(kib: int) -> None:
    case = {"place": "3:17", "says": f"volumes[0].chunk_size <CHUNK>, found '{kib}KiB'"}
    assert told(volume(f"chunk_size: {kib}KiB")) == [expected(case)]


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read() -> None:
    assert parse("\ufeff" + FULL.replace("\n", "\r\n")) == parse(FULL)


def test_quotes_make_any_word_a_name() -> None:
    for word in DATA["quoted"]:
        assert parse(volume(f'snapshot: "{word}"')).volumes[0].snapshot == word


@pytest.mark.parametrize("text", DATA["tabs_in_text"])
def test_a_tab_inside_text_is_legal(text: str) -> None:
    loaded = parse(f"volumes: [{{origin: vg0/a}}]\n{text}")

    if "hooks" in text:
        assert loaded.hooks.after_snapshot == ("/bin/sh", "-c", "if x; then\n\techo\n\t\tx\nfi\n")


# --- bad profiles -------------------------------------------------------------------------------------------------


def test_a_file_with_several_mistakes_reports_exactly_these_in_the_order_of_their_lines() -> None:
    assert told(SEVERAL["profile"]) == [expected(case) for case in SEVERAL["told"]]
    assert [problem.key_path for problem in problems(SEVERAL["profile"])] == SEVERAL["key_paths"]


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: case["profile"][-40:])
def test_one_mistake_gives_one_message_with_its_place_and_what_to_do(case: dict[str, str]) -> None:
    assert told(case["profile"]) == [expected(case)]


@pytest.mark.parametrize("option", DATA["mount_options_refused"])
def test_a_mount_option_against_our_read_only_mount_is_refused(option: str) -> None:
    message = (
        f"volumes[0].mount_options[1] must be an option for a read-only mount of the whole "
        f"snapshot that survives I/O errors, found '{option}'"
    )
    assert told(volume(f"mount_options: [noexec, {option}]")) == [
        ("3:29", message, "lvmsnap decides that itself: leave it out")
    ]


def test_an_alias_bomb_is_refused_at_once_and_with_one_clear_sentence() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    begin = time.perf_counter()
    found = problems("\n".join([*lines, "volumes: *a29"]))
    assert time.perf_counter() - begin < 1
    assert [p.place for p in found if "anchors and aliases" in p.message] == ["nightly.yaml:1:5"]
    assert "volumes" not in [p.key_path for p in found]


@pytest.mark.parametrize(
    "text",
    ["[" * 30000, "{a: " * 15000, "- " * 30000, "? " * 30000, "a: [" + "x," * 30000 + "]", "{" + "a: 1," * 10000 + "}"],
    ids=["brackets", "braces", "dashes", "keys", "items", "duplicates"],
)
def test_a_text_made_to_exhaust_the_parser_is_refused_quickly(text: str) -> None:
    begin = time.perf_counter()
    assert len(problems(text)) == 1
    assert time.perf_counter() - begin < 1


def test_no_text_gives_anything_but_a_profile_or_a_profile_error() -> None:
    source = random.Random(20240131)
    begin = time.perf_counter()
    good, bad = 0, list[tuple[ProfileProblem, ...]]()
    for _ in range(500):
        text = FULL
        for _ in range(source.randint(1, 4)):
            start = source.randrange(len(text) + 1)
            text = text[:start] + source.choice(DATA["pieces"]) + text[start + source.choice([0, 0, 1, 5, 30]) :]
        try:
            good += isinstance(parse(text), Profile)
        except ProfileError as error:
            bad.append(error.problems)
    for found in bad:
        assert list(found) == sorted(found, key=lambda problem: (problem.line, problem.column))
        assert all(problem.message.isprintable() and problem.line for problem in found)
    assert good > 20
    assert len(bad) > 200
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    "text",
    [
        f"size: '1{' ' * 60_000}x'",
        f"size: '1{' ' * 30_000}K{' ' * 30_000}x'",
        f"size: '1{' ' * 30_000}%{' ' * 30_000}'",
        f"size: {'9' * 60_000}GiB",
        f"mountpoint: {'/a' * 30_000}",
        f"mountpoint: {'/' * 60_000}.",
        f"chunk_size: '{' ' * 60_000}4K'",
        f"snapshot: {'a' * 60_000}",
        f"x{'y' * 900}: 1",
        f"size: '{'_' * 60_000}'",
        f"size{' ' * 60_000}",
        f"size x{' ' * 60_000}x",
        f" - {'- ' * 30_000}\n x",
        f"x{': ' * 30_000}",
    ],
    ids=lambda text: text[:14],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()

    with contextlib.suppress(ProfileError):
        parse(volume(text))

    assert time.process_time() - start < 2


# --- cost ---------------------------------------------------------------------------------------------------------


def test_importing_the_loader_imports_neither_yaml_nor_jsonschema() -> None:
    code = "import sys; from lvmsnap.profile import loading; "
    code += "sys.exit(bool({'yaml', 'jsonschema', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=TOP, check=False).returncode == 0


def test_a_profile_error_is_one_of_ours_and_means_wrong_usage() -> None:
    with pytest.raises(LvmsnapError) as caught:
        parse(SEVERAL["profile"])
    assert caught.value.exit_code == 2
    assert str(caught.value).endswith("(and 5 more)")
