"""Profiles: what is read from a good one, and what is said about every bad one."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from lvmsnap.model.errors import LvmsnapError, ProfileError, ProfileProblem
from lvmsnap.model.profile import Allocation, BackingFile, Hooks, Profile, Size, SizeUnit, Volume
from lvmsnap.model.units import GIB, KIB, MIB, TIB
from lvmsnap.profile import loading
from tests import TOP

FULL = """\
# a comment
description: >
  Root filesystem
  of the server
volumes:
  - origin: lvm_server_vg/system
    snapshot: snap1
    size: 20%ORIGIN
    chunk_size: 64KiB
    mountpoint: /media//system_snapshot/
    mount_options: [noexec, nodev]
backing_file:
  path: /media/other_partition/tmp_space.tmp
  size: 512M
  loop_device: /dev/loop5
  allocation: zero-fill
  allow_same_vg: true
hooks:
  before_snapshot: [lock, "--all", a b]
  after_snapshot: |
    unlock
    echo done
  before_down: reader stop
  timeout: 5min
remove_mountpoint: true
"""

# The profiles with one mistake each, and the words that several messages share.
BAD: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "bad_profiles.yaml").read_text(encoding="utf-8"))
WORDS: dict[str, str] = BAD["words"]


def parse(text: str, name: str = "nightly") -> Profile:
    return loading.parse(text, name=name, file="nightly.yaml")


def problems(text: str) -> tuple[ProfileProblem, ...]:
    with pytest.raises(ProfileError) as caught:
        parse(text)
    return caught.value.problems


def told(text: str) -> list[tuple[str, str, str]]:
    """Each problem's place without the file, its message and its hint."""
    return [(p.place.removeprefix("nightly.yaml:"), p.message, p.hint) for p in problems(text)]


def volume(line: str) -> str:
    return f"volumes:\n  - origin: vg0/root\n    {line}\n"


def backing(line: str) -> str:
    return f"volumes: [{{origin: vg0/root}}]\nbacking_file:\n  {line}\n"


# --- good profiles ------------------------------------------------------------------------------------------------


def test_every_key_of_a_profile_is_read() -> None:
    assert parse(FULL) == Profile(
        name="nightly",
        path="nightly.yaml",
        description="Root filesystem of the server",
        volumes=(
            Volume(
                vg="lvm_server_vg",
                origin="system",
                snapshot="snap1",
                size=Size(20, SizeUnit.PERCENT_ORIGIN),
                chunk_size_bytes=64 * KIB,
                mountpoint="/media/system_snapshot",
                mount_options=("noexec", "nodev"),
            ),
        ),
        backing_files=(
            BackingFile(
                vg="lvm_server_vg",
                path="/media/other_partition/tmp_space.tmp",
                size_bytes=512 * MIB,
                loop_device="/dev/loop5",
                allocation=Allocation.ZERO_FILL,
                allow_same_vg=True,
            ),
        ),
        remove_mountpoint=True,
        hooks=Hooks(
            before_snapshot=("lock", "--all", "a b"),
            after_snapshot=("/bin/sh", "-c", "unlock\necho done\n"),
            before_down=("/bin/sh", "-c", "reader stop"),
            after_down=(),
            timeout_seconds=300,
        ),
    )


def test_a_profile_of_one_line_gets_every_default() -> None:
    assert parse("volumes: [{origin: vg0/root}]") == Profile(
        name="nightly",
        path="nightly.yaml",
        description="",
        volumes=(Volume("vg0", "root", "root-lvmsnap-nightly", None, None, "/run/lvmsnap/nightly", ()),),
        backing_files=(),
        remove_mountpoint=False,
    )


def test_a_backing_file_with_only_a_path_gets_every_default() -> None:
    expected = BackingFile("vg0", "/a/b", None, None, Allocation.FALLOCATE, allow_same_vg=False)
    assert parse(backing("path: /a/b")).backing_files == (expected,)


@pytest.mark.parametrize("null", ["null", "~", "Null", "NULL"])
def test_a_null_mountpoint_means_that_nothing_is_mounted(null: str) -> None:
    assert parse(volume(f"mountpoint: {null}")).volumes[0].mountpoint is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", Size(4 * GIB)),
        ("4G", Size(4 * GIB)),
        ("4096MiB", Size(4 * GIB)),
        ("8K", Size(8 * KIB)),
        ("8KiB", Size(8 * KIB)),
        ("3M", Size(3 * MIB)),
        ("2TiB", Size(2 * TIB)),
        ('"2T"', Size(2 * TIB)),
        ("1%ORIGIN", Size(1, SizeUnit.PERCENT_ORIGIN)),
        ("200%ORIGIN", Size(200, SizeUnit.PERCENT_ORIGIN)),
        ("100%FREE", Size(100, SizeUnit.PERCENT_FREE)),
    ],
)
def test_a_size_is_read(text: str, size: Size) -> None:
    assert parse(volume(f"size: {text}")).volumes[0].size == size


def test_a_percentage_of_the_lent_space_is_read_where_a_file_of_known_size_lends_it() -> None:
    text = volume("size: 100%PVS") + "backing_file: {path: /a/b, size: 1G}"
    assert parse(text).volumes[0].size == Size(100, SizeUnit.PERCENT_PVS)


@pytest.mark.parametrize("kib", [4, 8, 16, 32, 64, 128, 256, 512])
def test_a_chunk_size_that_lvm_takes_is_read(kib: int) -> None:
    assert parse(volume(f"chunk_size: {kib}KiB")).volumes[0].chunk_size_bytes == kib * KIB
    assert parse(volume(f"chunk_size: {kib}K")).volumes[0].chunk_size_bytes == kib * KIB


@pytest.mark.parametrize("kib", [1, 2, 3, 12, 96, 1024])
def test_a_chunk_size_that_lvm_does_not_take_is_refused(kib: int) -> None:
    assert told(volume(f"chunk_size: {kib}KiB")) == [
        ("3:17", f"volumes[0].chunk_size {WORDS['CHUNK']}, found '{kib}KiB'", "")
    ]


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read() -> None:
    assert parse("\ufeff" + FULL.replace("\n", "\r\n")) == parse(FULL)


def test_quotes_make_any_word_a_name() -> None:
    for word in ("on", "2024", "1e3", "null", "0x1F", "4.5"):
        assert parse(volume(f'snapshot: "{word}"')).volumes[0].snapshot == word


# --- bad profiles -------------------------------------------------------------------------------------------------

SIX_MISTAKES = """\
description: nightly
volumes:
  - orgin: vg0/root
    snapshot: 2024
    size: 4GB
    mountpoint: media/snap
backing_file:
  path: /media/other/tmp_space.tmp
  allocation: falocate
remove_mountpoint: yes
"""


def test_a_file_with_six_different_mistakes_reports_exactly_these_six_in_the_order_of_their_lines() -> None:
    assert told(SIX_MISTAKES) == [
        ("3:5", "volumes[0].orgin: there is no such key", "did you mean origin?"),
        ("4:15", "volumes[0].snapshot must be text, but YAML can read 2024 as a number", 'write it in quotes: "2024"'),
        (
            "5:11",
            f"volumes[0].size {WORDS['SIZES']}, found '4GB'",
            "GB means 1000s to some and 1024s to others: write 4GiB",
        ),
        ("6:17", f"volumes[0].mountpoint {WORDS['PATH']}, found 'media/snap'", ""),
        (
            "9:15",
            "backing_file.allocation must be fallocate or zero-fill, found the text 'falocate'",
            "did you mean fallocate?",
        ),
        ("10:20", "remove_mountpoint must be true or false, found yes", "write true, without quotes"),
    ]
    assert [problem.key_path for problem in problems(SIX_MISTAKES)] == [
        *("volumes[0].orgin", "volumes[0].snapshot", "volumes[0].size", "volumes[0].mountpoint"),
        *("backing_file.allocation", "remove_mountpoint"),
    ]


def said(case: dict[str, str], key: str) -> str:
    """A case's message or hint, with the words that several share put in; "" where it has none."""
    text = case.get(key, "")
    for name, words in WORDS.items():
        text = text.replace(f"<{name}>", words)
    return text


@pytest.mark.parametrize("case", BAD["cases"], ids=lambda case: case["profile"][-40:])
def test_one_mistake_gives_one_message_with_its_place_and_what_to_do(case: dict[str, str]) -> None:
    assert told(case["profile"]) == [(case["place"], said(case, "says"), said(case, "hint"))]


AGAINST_OURS = ["rw", "remount", "bind", "rbind", "move", "loop", "loop=/dev/loop3", "X-mount.mkdir", "x-mount.mkdir"]
AGAINST_OURS += [
    "errors=panic",
    "noload",
    "norecovery",
    "journal_dev=0x803",
    "journal_path=/dev/sdb",
    "logdev=/dev/sdc",
]


@pytest.mark.parametrize("option", AGAINST_OURS)
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
    pieces = [
        "&a ",
        "*a",
        "!!int ",
        "<<: ",
        "? ",
        "- ",
        ": ",
        "\t",
        "\n",
        "  ",
        "'",
        '"',
        "{",
        "}",
        "[",
        "]",
        "|\n",
        ">",
    ]
    pieces += [
        "null",
        "yes",
        "1e9",
        "\x00",
        "\ufeff",
        "\\ud800",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "%",
        "#",
        "\u2028",
        "é",
    ]
    begin = time.perf_counter()
    good, bad = 0, list[tuple[ProfileProblem, ...]]()
    for _ in range(500):
        text = FULL
        for _ in range(source.randint(1, 4)):
            start = source.randrange(len(text) + 1)
            text = text[:start] + source.choice([*pieces, ""]) + text[start + source.choice([0, 0, 1, 5, 30]) :]
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
        "hooks:\n  after_snapshot: |\n    if x; then\n    \techo\n    \t\tx\n    fi\n",
        'description: "a\n\tb\n\t c"\n',
        "description: 'a\n\tb'\n",
    ],
)
def test_a_tab_inside_text_is_legal(text: str) -> None:
    loaded = loading.parse(f"volumes: [{{origin: vg0/a}}]\n{text}", name="x", file="x.yaml")

    if "hooks" in text:
        assert loaded.hooks.after_snapshot == ("/bin/sh", "-c", "if x; then\n\techo\n\t\tx\nfi\n")


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"size: '1{' ' * 60_000}x'",
            f"size: '1{' ' * 30_000}K{' ' * 30_000}x'",
            f"size: '1{' ' * 30_000}%{' ' * 30_000}'",
        ),
        *(f"size: {'9' * 60_000}GiB", f"mountpoint: {'/a' * 30_000}", f"mountpoint: {'/' * 60_000}."),
        *(
            f"chunk_size: '{' ' * 60_000}4K'",
            f"snapshot: {'a' * 60_000}",
            f"x{'y' * 900}: 1",
            f"size: '{'_' * 60_000}'",
        ),
    ],
    ids=lambda text: text[:14],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()

    with contextlib.suppress(ProfileError):
        loading.parse(f"volumes:\n  - origin: vg0/a\n    {text}\n", name="x", file="x.yaml")

    assert time.process_time() - start < 2


# --- cost ---------------------------------------------------------------------------------------------------------


def test_importing_the_loader_imports_neither_yaml_nor_jsonschema() -> None:
    code = "import sys; from lvmsnap.profile import loading; "
    code += "sys.exit(bool({'yaml', 'jsonschema', 'rich'} & set(sys.modules)))"
    here = TOP
    assert subprocess.run([sys.executable, "-c", code], cwd=here, check=False).returncode == 0


def test_a_profile_error_is_one_of_ours_and_means_wrong_usage() -> None:
    with pytest.raises(LvmsnapError) as caught:
        parse(SIX_MISTAKES)
    assert caught.value.exit_code == 2
    assert str(caught.value).endswith("(and 5 more)")
