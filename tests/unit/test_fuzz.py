"""Texts from outside, changed at random with a fixed seed: profiles, records, LVM's report, the kernel's tables."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.cli import metrics
from lvmsnap.execution import guard_reports, records
from lvmsnap.execution.records import RecordError
from lvmsnap.model.errors import ProfileError, ProfileProblem
from lvmsnap.model.target import Record
from lvmsnap.planning import planner, state
from lvmsnap.planning.volume_state import Past
from lvmsnap.profile import loading
from lvmsnap.system import lvm_report, mount_table
from lvmsnap.system.mount_owners import fstab_fields
from tests import TOP, samples

ROOT = TOP
DATA = TOP / "tests/unit/data"

WHOLE = """\
description: "Root, for 'the' backup"
volumes:
  - origin: vg0/system
    snapshot: snap1
    size: 20%ORIGIN
    chunk_size: 64KiB
    mountpoint: /media/snapshot
    mount_options: [noexec, nosuid]
backing_file: {path: /srv/space/lent, size: 4GiB, max_size: 40GiB, loop_device: auto, allocation: zero-fill}
remove_mountpoint: true
overflow: {warn_at: 70%, extend_at: 80%, extend_by: 50%}
hooks:
  before_snapshot: [/bin/lock, --wait]
  after_snapshot: |
    unlock
    logger done
  timeout: 60s
"""
# What YAML, JSON and the tables give a meaning to, and what Python takes for the end of a line or for a number.
PIECES = (
    *(
        "\n",
        "\t",
        " ",
        "  ",
        ": ",
        "- ",
        "? ",
        "#",
        "'",
        '"',
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "!x ",
        "!!int ",
        "|",
        ">",
    ),
    *(
        "%",
        "---\n",
        "...\n",
        "<<: ",
        "\r",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
        "\u2028",
        "\ufeff",
        "\\",
        '\\"',
        "\\x41",
        "\\u0000",
    ),
    *(
        "\\777",
        "\\040",
        "null",
        "~",
        "true",
        "yes",
        "0",
        "-1",
        "1e999",
        "0x1f",
        "1_0",
        "2024-01-01",
        "é",
        "\U0001f600",
        "9" * 50,
    ),
    *("size", "origin", "vg0/", "/", "..", "%PVS", "GiB", " " * 50, "NaN", "-Infinity", " - "),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**63,
        2**64,
        10**400,
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "\0",
        "\ud800",
    ),
    *(
        "0",
        "../x",
        "2024-05-04T03:00:00",
        "2024-05-04T03:00:00+00:00",
        [],
        [[]],
        [None],
        ["a"],
        {},
        {"a": 1},
        "fallocate",
        "r",
    ),
)


def changed(text: str, rounds: int, seed: int) -> Iterator[str]:
    """Give the text with one to six random changes, so many times."""
    rng = random.Random(seed)
    for _ in range(rounds):
        new = text
        for _ in range(rng.randint(1, 6)):
            start = rng.randrange(len(new) + 1)
            end = min(len(new), start + rng.choice((0, 0, 1, 3, 20)))
            new = new[:start] + rng.choice((*PIECES, "", new[start : start + 30])) + new[end:]
        yield new


def altered(data: Any, rng: random.Random) -> None:
    """Change one value, somewhere in JSON data."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(data[key], dict | list) and data[key] and rng.random() < 0.75:
        altered(data[key], rng)
    elif rng.random() < 0.15:
        del data[key]
    else:
        data[key] = copy.deepcopy(rng.choice(VALUES))


def altered_texts(text: str, rounds: int, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(rounds):
        data = json.loads(text)
        for _ in range(rng.randint(1, 3)):
            altered(data, rng)
        yield json.dumps(data)


def mistakes(text: str) -> tuple[ProfileProblem, ...]:
    try:
        loading.parse(text, name="nightly", file="nightly.yaml")
    except ProfileError as error:
        return error.problems
    return ()


def test_whatever_the_text_a_profile_is_one_or_has_mistakes_with_places() -> None:
    samples_ = [WHOLE, *(path.read_text() for path in sorted((ROOT / "profiles").glob("*.yaml")))]
    valid = 0
    for number, text in enumerate(samples_):
        for new in changed(text, 800 if number == 0 else 150, seed=number):
            problems = mistakes(new)
            valid += not problems
            lines = new.count("\n") + 1 + sum(new.count(end) for end in "\r\x85\u2028\u2029")
            assert all(0 <= problem.line <= lines and problem.message for problem in problems), new
    assert valid > 50


def test_a_record_that_is_accepted_can_be_worked_with(tmp_path: Path) -> None:
    records.write(samples.record(), str(tmp_path))
    path = records.record_path("nightly", str(tmp_path))
    text = path.read_text()
    accepted = 0
    for new in (*altered_texts(text, 1500, 1), *changed(text, 700, 2)):
        path.write_bytes(new.encode(errors="surrogatepass"))
        try:
            found = records.read("nightly", str(tmp_path))
        except RecordError:
            continue
        assert found is not None
        accepted += 1
        work_with(found)
        records.write(found, str(tmp_path))
        assert records.read("nightly", str(tmp_path)) == found
    assert accepted > 50


def work_with(found: Record) -> None:
    facts = samples.up_facts()
    planner.plan_down(found.target, facts, found)
    seen = state.of_target(found.target, facts, found, Past(5.0))
    assert metrics.to_prometheus((seen,), datetime.now(UTC))


def test_whatever_lvm_reports_it_is_read_or_no_report() -> None:
    text = (DATA / "fullreport.json").read_text()
    for new in (*altered_texts(text, 800, 3), *changed(text, 800, 4)):
        try:
            vgs, _ = lvm_report.parse_report(new)
        except lvm_report.UNREADABLE:
            continue
        assert all(isinstance(lv.size_bytes, int) for vg in vgs for lv in vg.lvs)


@pytest.mark.parametrize(
    "parse", [mount_table.parse_mounts, fstab_fields, mount_table.lines], ids=["mountinfo", "fstab", "any table"]
)
def test_no_table_breaks_a_command(parse: Callable[[bytes], object]) -> None:
    text = (DATA / "mountinfo").read_text()
    rng = random.Random(5)
    for new in changed(text, 1500, 6):
        raw = bytearray(new.encode(errors="replace"))
        for _ in range(rng.randint(0, 3)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        parse(bytes(raw))


def test_a_sighting_is_one_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_reports, "RUN_DIR", str(tmp_path))
    text = '{"uuid": "LVM-x", "seconds": 1.5, "rate_bytes_per_second": 0.0, "last_growth": {"time": "%s", "bytes": 5}}'
    text %= samples.TIME
    for new in (*altered_texts(text, 500, 7), *changed(text, 500, 8)):
        guard_reports.path("nightly").write_bytes(new.encode(errors="surrogatepass"))
        seen = guard_reports.read("nightly")
        assert seen is None or (seen.seconds >= 0 and seen.rate_bytes_per_second >= 0)
