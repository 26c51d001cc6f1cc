"""Profiles: what is read from a good one, and what is said about every bad one."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lvmsnap.model.errors import LvmsnapError, ProfileError, ProfileProblem, UsageError
from lvmsnap.model.lvm_names import dm_name, name_problem, origin_name_problem
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

SIZES = "must be a size such as 4GiB, or a percentage such as 20%ORIGIN (1 to 200), 50%FREE or 100%PVS (1 to 100)"
LV_NAME = "must be a name of the characters A-Z a-z 0-9 + _ . - without a leading dash"
PATH = "must be an absolute path without . or .. in it, and not /"
CHUNK = "must be a power of two from 4KiB to 512KiB"
VOLUME_KEYS = "origin, snapshot, size, chunk_size, mountpoint, mount_options, allow_wider_access"


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


def hooks(text: str) -> str:
    return f"volumes: [{{origin: vg0/root}}]\nhooks: {{{text}}}\n"


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
        volumes=(Volume("vg0", "root", "root-lvmsnap-nightly", Size(4 * GIB), None, "/run/lvmsnap/nightly", ()),),
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
    assert told(volume(f"chunk_size: {kib}KiB")) == [("3:17", f"volumes[0].chunk_size {CHUNK}, found '{kib}KiB'", "")]


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
        ("5:11", f"volumes[0].size {SIZES}, found '4GB'", "GB means 1000s to some and 1024s to others: write 4GiB"),
        ("6:17", f"volumes[0].mountpoint {PATH}, found 'media/snap'", ""),
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


QUOTE = "the quote that opens here is not closed where it should be"
TAG = "YAML tags such as '{}' are not allowed in a profile"
BAD: list[tuple[str, str, str, str]] = [
    ("", "1:1", "the file is empty", "see a sample profile, or lvmsnap init"),
    ("# only a comment\n", "1:1", "the file is empty", "see a sample profile, or lvmsnap init"),
    ("---\n", "2:1", "the file is empty", "see a sample profile, or lvmsnap init"),
    ("- a\n", "1:1", "a profile must be a mapping (KEY: VALUE), found a list", ""),
    ("text\n", "1:1", "a profile must be a mapping (KEY: VALUE), found the text 'text'", ""),
    ("12\n", "1:1", "a profile must be a mapping (KEY: VALUE), found 12", ""),
    ("description: x\n", "1:1", "volumes is missing", "add a volumes: list"),
    ("volumes:\n", "1:9", "volumes has no value", "what belongs to it stands below it, indented further"),
    (
        "volumes: []\n",
        "1:10",
        "volumes: one volume per profile is supported, found 0",
        "for example - origin: vg0/root",
    ),
    (
        "volumes:\n- {origin: vg/a}\n- {origin: vg/b}\n",
        "2:1",
        "volumes: one volume per profile is supported, found 2",
        "write a profile for each volume",
    ),
    ("volumes:\n  origin: vg/a\n", "2:3", "volumes must be a list, found a mapping", "write - before its first key"),
    ("volumes: [vg/a]", "1:11", "volumes[0] must be a mapping (KEY: VALUE), found the text 'vg/a'", ""),
    ("volumes: [{size: 4GiB}]", "1:11", "volumes[0].origin is missing", "for example origin: vg0/root"),
    (
        "volumes: [{origin: vg/a}]\nvolumes: [{origin: vg/b}]",
        "2:1",
        "volumes: the key is given twice",
        "it stands in line 1 already: keep one of the two",
    ),
    (
        "volumes: [{origin: vg/a}]\n---\nvolumes: [{origin: vg/b}]",
        "2:1",
        "a second YAML document begins here",
        "a file is one profile: put the second one into a file of its own",
    ),
    (
        volume("snapshot: on"),
        "3:15",
        "volumes[0].snapshot must be text, but YAML can read on as true or false",
        'write it in quotes: "on"',
    ),
    (
        volume("snapshot: true"),
        "3:15",
        "volumes[0].snapshot must be text, but YAML can read true as true or false",
        'write it in quotes: "true"',
    ),
    (
        volume("snapshot: 1e3"),
        "3:15",
        "volumes[0].snapshot must be text, but YAML can read 1e3 as a number",
        'write it in quotes: "1e3"',
    ),
    (
        volume("snapshot: 2024-01-31"),
        "3:15",
        "volumes[0].snapshot must be text, but YAML can read 2024-01-31 as a date",
        'write it in quotes: "2024-01-31"',
    ),
    (volume("snapshot: null"), "3:15", "volumes[0].snapshot must be text, found null", ""),
    (volume("snapshot: {a: b}"), "3:15", "volumes[0].snapshot must be text, found a mapping", ""),
    (volume("snapshot: -x"), "3:15", f"volumes[0].snapshot {LV_NAME}, found '-x'", ""),
    (volume('snapshot: "x\\n"'), "3:15", f"volumes[0].snapshot {LV_NAME}, found 'x\\n'", ""),
    (volume("snapshot: root"), "3:15", "volumes[0].snapshot is the origin's own name", "choose another name"),
    (volume("snapshot: .."), "3:15", "volumes[0].snapshot is a name that LVM does not allow", "choose another name"),
    (
        volume("snapshot: snapshot1"),
        "3:15",
        'volumes[0].snapshot begins with "snapshot", which LVM keeps for itself',
        "choose another name",
    ),
    (volume("size:"), "3:10", "volumes[0].size has no value", "give it one, or leave the key out"),
    (volume("size: 4096"), "3:11", f"volumes[0].size {SIZES}, found 4096", "add a unit, for example 4096MiB"),
    (volume('size: "4096"'), "3:11", f"volumes[0].size {SIZES}, found '4096'", "add a unit, for example 4096MiB"),
    (volume("size: 4_000"), "3:11", f"volumes[0].size {SIZES}, found 4_000", "add a unit, for example 4000MiB"),
    (
        volume("size: 4KB"),
        "3:11",
        f"volumes[0].size {SIZES}, found '4KB'",
        "KB means 1000s to some and 1024s to others: write 4KiB",
    ),
    (volume("size: 4 GiB"), "3:11", f"volumes[0].size {SIZES}, found '4 GiB'", "write 4GiB"),
    (volume("size: 4gi"), "3:11", f"volumes[0].size {SIZES}, found '4gi'", "write 4GiB"),
    (volume("size: 1.5G"), "3:11", f"volumes[0].size {SIZES}, found '1.5G'", "a whole number is needed: write 1536MiB"),
    (volume("size: 0G"), "3:11", f"volumes[0].size {SIZES}, found '0G'", ""),
    (volume("size: 20%"), "3:11", f"volumes[0].size {SIZES}, found '20%'", "say of what, for example 20%ORIGIN"),
    (volume("size: 50%free"), "3:11", f"volumes[0].size {SIZES}, found '50%free'", "write 50%FREE"),
    (volume("size: 101%FREE"), "3:11", f"volumes[0].size {SIZES}, found '101%FREE'", ""),
    (volume("size: 201%ORIGIN"), "3:11", f"volumes[0].size {SIZES}, found '201%ORIGIN'", ""),
    (
        volume("size: 100%PVS"),
        "3:11",
        "volumes[0].size is 100%PVS, a percentage of what backing_file lends, but there is no backing_file",
        "add a backing_file, or use %FREE or %ORIGIN",
    ),
    (
        volume("size: 100%PVS") + "backing_file: {path: /a/b}",
        "3:11",
        "volumes[0].size is 100%PVS, but backing_file.size, on which that depends, is not given",
        "give backing_file a size, or the snapshot an amount",
    ),
    (
        volume("size: 50%FREE") + "backing_file: {path: /a/b}",
        "3:11",
        "volumes[0].size is 50%FREE, but backing_file.size, on which that depends, is not given",
        "give backing_file a size, or the snapshot an amount",
    ),
    (volume("chunk_size: 64"), "3:17", f"volumes[0].chunk_size {CHUNK}, found 64", "add a unit, for example 64KiB"),
    (
        volume("mountpoint:"),
        "3:16",
        "volumes[0].mountpoint has no value",
        "write null if the snapshot is not to be mounted; without the key the default applies",
    ),
    (volume("mountpoint: [/a]"), "3:17", "volumes[0].mountpoint must be text or null, found a list", ""),
    (volume("mountpoint: /"), "3:17", f"volumes[0].mountpoint {PATH}, found '/'", ""),
    (volume("mountpoint: /a/../b"), "3:17", f"volumes[0].mountpoint {PATH}, found '/a/../b'", ""),
    (volume("mountpoint: /a/.."), "3:17", f"volumes[0].mountpoint {PATH}, found '/a/..'", ""),
    (
        volume('mountpoint: "/a\\0b"'),
        "3:17",
        "volumes[0].mountpoint has NUL in it, which no command and no path can have",
        "",
    ),
    (
        volume("size: 4GiB") + 'hooks:\n  before_snapshot: ["true", "a\\0b"]\n',
        "5:29",
        "hooks.before_snapshot[1] has NUL in it, which no command and no path can have",
        "",
    ),
    (volume('mountpoint: "/a\\nb"'), "3:17", f"volumes[0].mountpoint {PATH}, found '/a\\nb'", ""),
    (
        volume("mountpoint: ~/snap"),
        "3:17",
        f"volumes[0].mountpoint {PATH}, found '~/snap'",
        "no shell reads this: write the path in full",
    ),
    (
        volume("mount_options: noexec"),
        "3:20",
        "volumes[0].mount_options must be a list, found the text 'noexec'",
        "write a list: [noexec]",
    ),
    (
        volume("mount_options: ['noexec,nodev']"),
        "3:21",
        "volumes[0].mount_options[0] must be one mount option, without commas or blanks, found 'noexec,nodev'",
        "write a list: [noexec, nodev]",
    ),
    (
        volume("mountpoint: null\n    allow_wider_access: true"),
        "4:5",
        "allow_wider_access is given, but mountpoint is null: there is no mount",
        "leave out allow_wider_access, or give a mountpoint",
    ),
    (
        volume("mountpoint: null\n    mount_options: [noexec]"),
        "4:5",
        "mount_options is given, but mountpoint is null: there is no mount",
        "leave out mount_options, or give a mountpoint",
    ),
    (
        volume("mountpoint: null") + "remove_mountpoint: true",
        "4:1",
        "remove_mountpoint is given, but mountpoint is null: there is no mount",
        "leave out remove_mountpoint, or give a mountpoint",
    ),
    (
        volume("mountpoint: /a/b") + "backing_file: {path: /a//b/c}",
        "4:22",
        "backing_file.path is in the mountpoint /a/b, where the snapshot will be",
        "choose a path on another filesystem",
    ),
    (volume("mount_point: /a"), "3:5", "volumes[0].mount_point: there is no such key", "did you mean mountpoint?"),
    (volume("Size: 4G"), "3:5", "volumes[0].Size: there is no such key", "did you mean size?"),
    (volume("backup: {}"), "3:5", "volumes[0].backup: there is no such key", f"allowed here: {VOLUME_KEYS}"),
    (volume("hooks: {}"), "3:5", "volumes[0].hooks: there is no such key", "hooks belongs at the top level"),
    (
        hooks("before_snapshot: [sleep, 5]"),
        "2:34",
        "hooks.before_snapshot[1] must be text, but YAML can read 5 as a number",
        'write it in quotes: "5"',
    ),
    (
        hooks("after_down: []"),
        "2:21",
        "hooks.after_down must not be empty",
        "name a program and its arguments, or leave the key out",
    ),
    (hooks("after_down: ''"), "2:21", "hooks.after_down must not be empty, found ''", ""),
    (hooks("after_down: {a: b}"), "2:21", "hooks.after_down must be text or a list, found a mapping", ""),
    (
        hooks("after_down: ['', a]"),
        "2:22",
        "hooks.after_down[0] is the program to run, and is empty",
        "name a program",
    ),
    (
        hooks("timeout: 60"),
        "2:18",
        "hooks.timeout must be a time such as 60s, 5min or 1h, found 60",
        "add a unit, for example 60s",
    ),
    (
        hooks("timeout: 5m"),
        "2:18",
        "hooks.timeout must be a time such as 60s, 5min or 1h, found '5m'",
        "write 5min",
    ),
    (hooks("timeout: 0s"), "2:18", "hooks.timeout must be a time such as 60s, 5min or 1h, found '0s'", ""),
    (
        volume("backing_file: {path: /a/b}"),
        "3:5",
        "volumes[0].backing_file: there is no such key",
        "backing_file belongs at the top level",
    ),
    (
        "size: 4G\n" + volume("snapshot: a"),
        "1:1",
        "size: there is no such key",
        "size belongs under volumes[0]",
    ),
    ("origin: vg/a\nvolumes: [{size: 4G}]", "1:1", "origin: there is no such key", "origin belongs under volumes[0]"),
    (
        "volumes: [{origin: vg/a, size: 100%PVS}]\nbacking_fil: {path: /a/b}",
        "2:1",
        "backing_fil: there is no such key",
        "did you mean backing_file?",
    ),
    (
        "volumes: [{origin: /dev/vg0/root}]",
        "1:20",
        "volumes[0].origin must be VG/LV, both of the characters A-Z a-z 0-9 + _ . - and without a leading dash, "
        "found '/dev/vg0/root'",
        "write vg0/root",
    ),
    (
        "volumes: [{origin: root}]",
        "1:20",
        "volumes[0].origin must be VG/LV, both of the characters A-Z a-z 0-9 + _ . - and without a leading dash, "
        "found 'root'",
        "name the volume group too: VG/LV (lvs shows both)",
    ),
    ("volumes: [{origin: vg/..}]", "1:20", "volumes[0].origin is a name that LVM does not allow", ""),
    (
        f"volumes: [{{origin: {'v' * 60}/{'l' * 70}}}]",
        "1:20",
        f"volumes[0].origin is too long: device-mapper's name {'v' * 60}-{'l' * 70}-real has 136 characters, "
        "127 are allowed",
        "",
    ),
    (
        f"volumes: [{{origin: {'v' * 50}/{'l' * 60}}}]",
        "1:20",
        f"volumes[0].snapshot is not given, and its default {'l' * 60}-lvmsnap-nightly is too long: device-mapper's "
        f"name {'v' * 50}-{'l' * 60}--lvmsnap--nightly-cow has 133 characters, 127 are allowed",
        "give snapshot a name",
    ),
    (
        backing("size: 4GiB"),
        "3:3",
        "backing_file.path is missing",
        "for example path: /media/other_partition/tmp_space.tmp",
    ),
    (
        backing("path: /a/"),
        "3:9",
        "backing_file.path must be the absolute path of a file, without . or .. in it and without a slash at its end, "
        "found '/a/'",
        "",
    ),
    (
        backing("path: /a\n  size: 20%FREE"),
        "4:9",
        "backing_file.size must be a size such as 4GiB, found '20%FREE'",
        "",
    ),
    (
        backing("path: /a\n  loop_device: loop5"),
        "4:16",
        "backing_file.loop_device must be auto or a loop device such as /dev/loop5, found 'loop5'",
        "",
    ),
    (
        backing("path: /a\n  allocation: 3"),
        "4:15",
        "backing_file.allocation must be text, but YAML can read 3 as a number",
        'write it in quotes: "3"',
    ),
    (
        backing("path: /a\n  allow_same_vg: 'no'"),
        "4:18",
        "backing_file.allow_same_vg must be true or false, found the text 'no'",
        "write false, without quotes",
    ),
    ("description: 'a\n\n  b\x01'\n", "3:4", "the character U+0001 is not allowed in YAML", "remove it"),
    (
        'description: "\\e[2J"\nvolumes: [{origin: vg/a}]',
        "1:14",
        "description must be text without control characters, found '\\x1b[2J'",
        "",
    ),
    (
        'volumes: [{origin: vg/a}]\n"\\e[2J": 1',
        "2:1",
        "'\\x1b[2J': there is no such key",
        "allowed here: description, volumes, backing_file, overflow, hooks, remove_mountpoint",
    ),
    ('volumes: "\\UFFFFFFFF"', "1:13", "an escape sequence names no Unicode character", ""),
    ('volumes: "\\ud800"', "1:10", "volumes has an escape sequence that names no character", ""),
    ("\tvolumes: x", "1:1", "a tab in the indentation, which YAML does not allow", "indent with spaces"),
    (
        "volumes:\n  -\n  \torigin: vg/a\n\tsize: 4G\n",
        "3:3",
        "a tab in the indentation, which YAML does not allow (also line 4)",
        "indent with spaces",
    ),
    (
        volume("size: !!str 4"),
        "3:11",
        "YAML tags such as 'tag:yaml.org,2002:str' are not allowed in a profile",
        "remove it",
    ),
    (
        volume("size: &a 4GiB\n    snapshot: *a"),
        "3:11",
        "YAML anchors and aliases (&name, *name) are not allowed in a profile",
        "write the value itself; a text that begins so needs quotes",
    ),
    (volume("? [a]\n    : b"), "3:7", "a key must be a plain word", "each line is KEY: VALUE"),
    (
        volume("size: 4G: 5"),
        "3:13",
        "this is not YAML: mapping values are not allowed here",
        'a text with ": " in it needs quotes; otherwise look at the indentation',
    ),
    (
        volume("size: 4G\n  snapshot: x"),
        "4:3",
        "this is not YAML: expected <block end>, but found '?'",
        "look at the indentation: keys of one level begin in the same column",
    ),
    (volume("size: '4G"), "3:11", QUOTE, "close the quote"),
    ('description: "it\nvolumes:\n  - origin: "vg0/a"\n', "1:14", QUOTE, "close the quote"),
    (volume("snapshot: 'x\n    size: '4GiB'"), "3:15", QUOTE, "close the quote"),
    ("volumes: [\n  {origin: vg0/a}\n", "1:10", QUOTE.replace("quote", "bracket"), "close the bracket"),
    ("volumes:\n-\torigin: vg0/a\n", "2:2", "a tab outside of quotes", "write a space, or put the text into quotes"),
    ("!x\nvolumes: [{origin: vg0}]\n", "1:1", TAG.format("!x"), "remove it"),
    ("!!map {volumes: [{origin: 5}]}\n", "1:1", TAG.format("tag:yaml.org,2002:map"), "remove it"),
    ("volumes: [{origin: vg0}]\n!x size: 5\n", "2:1", TAG.format("!x"), "remove it"),
    (
        "*x : 1\nvolumes: [{origin: vg0}]\n",
        "1:1",
        "YAML anchors and aliases (&name, *name) are not allowed in a profile",
        "write the value itself; a text that begins so needs quotes",
    ),
]


@pytest.mark.parametrize(("text", "place", "message", "hint"), BAD, ids=[text[-40:] for text, *_ in BAD])
def test_one_mistake_gives_one_message_with_its_place_and_what_to_do(
    text: str, place: str, message: str, hint: str
) -> None:
    assert told(text) == [(place, message, hint)]


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


# --- files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("system", "home"):
        (tmp_path / f"{name}.yaml").write_text("volumes: [{origin: vg0/root}]")
    for ignored in ("Upper.yaml", "notes.txt", "-dash.yaml"):
        (tmp_path / ignored).write_text("")
    return tmp_path


def test_the_profiles_of_a_directory_are_its_yaml_files_with_a_legal_name(directory: Path) -> None:
    assert loading.names(str(directory)) == ("home", "system")
    assert loading.names(str(directory / "absent")) == ()


def test_a_name_is_found_in_the_directory_and_a_path_is_taken_as_it_is(directory: Path) -> None:
    assert loading.find("system", str(directory)) == directory / "system.yaml"
    assert loading.find(f"{directory}/system.yaml", "/nowhere") == directory / "system.yaml"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("sytem", "there is no profile sytem in {} (there are: home, system)", "did you mean system?"),
        ("x", "there is no profile x in {} (there are: home, system)", "lvmsnap init VG/LV prints one to begin with"),
        (
            "System",
            "'System' is not the name of a profile",
            "a name has at most 64 characters of a-z 0-9 _ -, begins with a letter or a digit, and is not lock; "
            "the path of a profile's file ends in .yaml",
        ),
        (
            "/etc/Big.yaml",
            "/etc/Big.yaml: 'Big' is not the name of a profile",
            "rename the file: a name has at most 64 characters of a-z 0-9 _ -, begins with a letter or a digit, "
            "and is not lock",
        ),
        ("./absent.yaml", "there is no file ./absent.yaml", ""),
        ("absent.yaml", "there is no file absent.yaml", ""),
    ],
)
def test_a_profile_that_is_not_there_is_named_with_those_that_are(
    directory: Path, name: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        loading.find(name, str(directory))
    assert (caught.value.message, caught.value.hint) == (message.format(directory), hint)


def test_a_missing_profile_directory_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent \(the directory does not exist\)"):
        loading.find("system", str(tmp_path / "absent"))


def test_a_profile_is_named_after_its_file(directory: Path) -> None:
    loaded = loading.load(directory / "system.yaml", require_root_owned=False)
    assert (loaded.name, loaded.path) == ("system", str(directory / "system.yaml"))
    with pytest.raises(ProfileError, match="'Upper' is not the name of a profile"):
        loading.load(directory / "Upper.yaml", require_root_owned=False)


def refusals(path: Path, *, require_root_owned: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(ProfileError) as caught:
        loading.load(path, require_root_owned=require_root_owned)
    return [(problem.message, problem.hint) for problem in caught.value.problems]


def test_a_file_over_64_kib_is_refused_and_one_of_64_kib_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    text = "volumes: [{origin: vg0/root}]\n#"
    path.write_text(text.ljust(64 * KIB))
    loading.load(path, require_root_owned=False)
    path.write_text(text.ljust(64 * KIB + 1))
    assert refusals(path) == [("is larger than 64 KiB", "this is hardly a profile")]


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refusals(tmp_path / "pipe.yaml") == [("is not a regular file", "")]
    (tmp_path / "folder.yaml").mkdir()
    assert refusals(tmp_path / "folder.yaml") == [("is not a regular file", "")]
    assert refusals(tmp_path / "absent.yaml") == [("cannot be read: No such file or directory", "")]


def test_a_file_that_is_not_utf_8_is_refused_with_the_place_of_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("volumes:\n  # für".encode("latin-1"))
    with pytest.raises(ProfileError) as caught:
        loading.load(path, require_root_owned=False)
    expected = ProfileProblem(str(path), 2, 6, "", "the byte 0xfc is not UTF-8", "save the file as UTF-8")
    assert caught.value.problems == (expected,)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    path = folder / "system.yaml"
    path.write_text("volumes: [{origin: vg0/root}]")
    path.chmod(0o644)
    return path


@needs_root
def test_a_file_of_roots_that_nobody_else_can_write_is_read(root_file: Path) -> None:
    assert loading.load(root_file, require_root_owned=True).name == "system"


@needs_root
@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(root_file: Path, mode: int) -> None:
    root_file.chmod(mode)
    assert refusals(root_file, require_root_owned=True) == [
        (
            f"refused, since the file is writable by others than root (mode {mode:04o})",
            f"chown root:root {root_file} && chmod 0644 {root_file}",
        )
    ]


@needs_root
def test_a_file_of_somebody_else_in_a_directory_of_theirs_gets_two_refusals(root_file: Path) -> None:
    os.chown(root_file, 1234, -1)
    os.chown(root_file.parent, 1234, -1)
    assert [message for message, _ in refusals(root_file, require_root_owned=True)] == [
        "refused, since the file belongs to user 1234, not to root",
        f"refused, since its directory {root_file.parent} belongs to user 1234, not to root",
    ]


@needs_root
def test_the_directory_behind_a_link_counts_too(root_file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root_file.rename(elsewhere / "system.yaml")
    root_file.symlink_to(elsewhere / "system.yaml")
    loading.load(root_file, require_root_owned=True)
    elsewhere.chmod(0o777)
    assert refusals(root_file, require_root_owned=True) == [
        (
            f"refused, since its directory {elsewhere} is writable by others than root (mode 0777)",
            f"chown root:root {elsewhere} && chmod 0755 {elsewhere}",
        )
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root's files are root's")
def test_a_file_that_is_not_roots_is_refused(root_file: Path) -> None:
    assert "belongs to user" in refusals(root_file, require_root_owned=True)[0][0]


# --- names --------------------------------------------------------------------------------------------------------


def test_dashes_are_doubled_in_device_mapper_names() -> None:
    assert dm_name("my-vg", "a-b--c") == "my--vg-a--b----c"


@pytest.mark.parametrize("name", ["snap1", "a.b", "+x", "_x", "x-", "lvol0", "my_snapshot", "x" * 100])
def test_a_name_that_lvm_takes_has_no_problem(name: str) -> None:
    assert name_problem("vg0", name) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".", "..", "a b", "a/b", "é", "snapshot", "snapshot0", "pvmove0", "x_tmeta", "a_mlog_b", "x_corig"],
)
def test_a_name_that_lvm_refuses_has_a_problem(name: str) -> None:
    assert name_problem("vg0", name)


@pytest.mark.parametrize(("length", "fits"), [(119, True), (120, False)])
def test_the_device_mapper_name_with_cow_has_at_most_127_characters(length: int, fits: bool) -> None:
    assert len(dm_name("vg0", "x" * 119) + "-cow") == 127
    assert (name_problem("vg0", "x" * length) is None) == fits


def test_an_origin_needs_room_for_its_own_hidden_device() -> None:
    assert origin_name_problem("vg0", "x" * 118) is None
    assert origin_name_problem("vg0", "x" * 119)
    assert (
        origin_name_problem("-vg", "x") == "has a volume group name that begins with a dash, which LVM does not allow"
    )


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
