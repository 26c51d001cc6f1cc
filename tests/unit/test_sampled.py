"""The tables of what a plain and a quick run try of the lab name tests that exist, and leave out nothing unnamed."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests import TOP
from tests.lab.sampled import KEPT, QUICK, SHOWN_BY, markers


@cache
def lab_tests(expression: str = "lab") -> frozenset[str]:
    """The names, counted from tests/lab, of the tests that pytest selects by an expression of markers."""
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "-m", expression)
    said = subprocess.run([*command, "tests/lab"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    return frozenset(line.removeprefix("tests/lab/") for line in said.splitlines() if "::" in line)


def functions(names: frozenset[str]) -> set[str]:
    return {name.partition("[")[0] for name in names}


@pytest.mark.parametrize("matrix", KEPT)
def test_the_cases_that_a_plain_run_keeps_exist_and_are_not_all(matrix: str) -> None:
    cases = {name for name in lab_tests() if name.startswith(f"{matrix}[")}
    kept = {f"{matrix}[{case}]" for case in KEPT[matrix]}
    assert kept
    assert kept < cases


def test_the_quick_walk_exists_and_is_part_of_a_plain_run() -> None:
    assert lab_tests("lab and quick") == set(QUICK)
    assert lab_tests("lab and quick") <= lab_tests("lab and not full")


def test_a_plain_run_tries_each_test_at_least_once_or_one_that_shows_the_same() -> None:
    plain = functions(lab_tests("lab and not full"))
    assert functions(lab_tests()) - plain == set(SHOWN_BY)
    assert {by.removeprefix("lab/") for by in SHOWN_BY.values() if by.startswith("lab/")} <= plain


@pytest.mark.parametrize("by", sorted({*SHOWN_BY.values()}))
def test_what_shows_the_same_exists(by: str) -> None:
    file, name = by.split("::")
    assert f"def {name}(" in (TOP / "tests" / file).read_text()


def test_only_what_is_listed_waits_for_a_full_run() -> None:
    dropped = lab_tests("lab and full")
    assert dropped == lab_tests() - lab_tests("lab and not full")
    assert functions(dropped) == {*KEPT, *SHOWN_BY}
    assert not {*KEPT} & {*SHOWN_BY}


def test_a_case_is_marked_by_its_own_name_alone() -> None:
    (fault,) = (name for name in QUICK if "that_fails" in name)
    assert list(markers(fault)) == ["quick"]
    assert list(markers(fault.replace("vgextend-before", "vgextend-after"))) == ["full"]
    assert list(markers(fault.partition("[")[0])) == []
