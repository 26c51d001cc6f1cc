"""Nothing is imported after the first change: an upgrade may replace lvmsnap, and what it uses, in mid-run."""

from __future__ import annotations

import ast
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lvmsnap.cli import beforehand
from tests import TOP
from tests.unit.test_architecture import modules, tree

WAYS = {
    ("up", ""): 0,
    ("up", "fails"): 1,
    ("up", "fails for ever"): 4,
    ("down", ""): 0,
    ("run", ""): 0,
    ("run", "breaks"): 125,
    ("run", "lost"): 124,
    ("recover", ""): 0,
}
# The functions that a changing command is made of, in the modules that import what each needs at its start.
COMMANDS = {
    "up": ("cmd_up", "_require_root", "_session"),
    "down": ("cmd_down", "_down", "_require_root", "_session"),
    "run": ("cmd_run", "_session"),
    "hold": ("cmd_hold", "_require_root", "_session"),
    "watch": ("cmd_watch", "_require_root", "_session"),
    "recover": ("cmd_recover", "_require_root", "_session"),
}
# These import what other commands need, each in its own function.
OF_ALL_COMMANDS = {"cli.commands", "cli.hold_command", "cli.setup_commands", "cli.init_command", "cli.options"}
NOT_AFTER_A_CHANGE = {
    "lvmsnap.system.processes",  # by begin_anew_in_utf_8, which is over at the start
    *("lvmsnap.cli.monitoring_check", "textwrap"),  # where an option is wrong, or help is asked for
    *("difflib", "shlex"),  # where a name is wrong
    *("dataclasses", "tempfile"),  # by tests, and for reports that are written somewhere
}


def on_a_terminal(argv: list[str]) -> str:
    """Run a command on a terminal of its own; return all that it prints there."""
    ours, its = pty.openpty()
    with subprocess.Popen(argv, cwd=TOP, stdin=its, stdout=its, stderr=its, start_new_session=True):
        os.close(its)
        printed = b""
        with suppress(OSError):  # EIO: nobody has the terminal open any more
            while piece := os.read(ours, 4096):
                printed += piece
    os.close(ours)
    return printed.decode()


def in_a_pipe(argv: list[str]) -> str:
    return subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=True).stdout


def ended(printed: str) -> str:
    """Return the line that names the exit code, and what was imported late; a spinner may be beside it."""
    return next(line for line in printed.splitlines() if line.startswith("exit "))


@pytest.mark.parametrize(("command", "fault"), WAYS)
def test_nothing_is_imported_after_the_first_change(command: str, fault: str) -> None:
    printed = on_a_terminal([sys.executable, "-m", "tests.simulation.late_imports", command, fault])

    assert ended(printed) == f"exit {WAYS[command, fault]}"


@pytest.mark.parametrize(("command", "fault"), [("up", "fails"), ("run", "lost")])
def test_nor_is_it_in_a_pipe(command: str, fault: str) -> None:
    printed = in_a_pipe([sys.executable, "-m", "tests.simulation.late_imports", command, fault])

    assert ended(printed) == f"exit {WAYS[command, fault]}"


def imported_in(node: ast.AST) -> set[str]:
    """Return the modules of lvmsnap, and what else is imported as a whole, that code imports when it runs."""
    found = set[str]()
    for one in ast.walk(node):
        if isinstance(one, ast.Import):
            found |= {alias.name for alias in one.names}
        if isinstance(one, ast.ImportFrom) and one.module and one.module.startswith("lvmsnap"):
            names = {f"{one.module}.{alias.name}" for alias in one.names}
            whole = {name for name in names if name.removeprefix("lvmsnap.") in modules()}
            found |= whole if whole else {one.module}
    return found


def functions(module: str) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef))


def loaded(command: str) -> set[str]:
    """Return what a process has imported that starts the command, up to its first change."""
    bodies = [one for module in ("cli.commands", "cli.hold_command") for one in functions(module)]
    own = set[str]().union(*(imported_in(one) for one in bodies if one.name in COMMANDS[command]))
    lines = [
        "import sys, lvmsnap.cli.parser",
        *(f"import {module}" for module in sorted(own)),
        "from lvmsnap.cli import beforehand",
        f"beforehand.import_rest(reads_profiles={command != 'down'})",
        "print(*sys.modules)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=TOP, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_imports_when_it_is_needed_is_there_before_the_first_change(command: str) -> None:
    there = loaded(command)
    readers = set(beforehand.FOR_PROFILES) if command == "down" else set()

    ours = {name for name in modules() if f"lvmsnap.{name}" in there and name not in OF_ALL_COMMANDS}
    late = {found for name in ours for one in functions(name) for found in imported_in(one)}

    assert "lvmsnap.cli.error_view" in late
    assert late - there - NOT_AFTER_A_CHANGE == readers - there


@pytest.mark.parametrize(("command", "others"), [("up", "status_table"), ("down", "yaml_positions")])
def test_what_only_other_commands_need_takes_no_time(command: str, others: str) -> None:
    assert not any(name.endswith(others) for name in loaded(command))
