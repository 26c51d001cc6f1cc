"""What the design promises of the source itself: floors, who may start processes, where commands stand, sizes."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import pytest

from lvmsnap import model, system

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lvmsnap"

# Imports go down only: a module may import those of lower floors. A new module needs a place here.
FLOORS = (
    ("__init__", "errors", "model", "system", "names", "codec", "paths"),
    ("yaml_errors",),
    (
        "runner",
        "record",
        "yaml_source",
        "superblock",
        "access",
        "profile_values",
        "sizes",
        "kernel",
        "processes",
        "device_mapper",
        "lvm_config",
        "device_filters",
        "mount_copies",
        "namespaces",
        "hooks",
        "files",
        "host",
        "boot_images",
        "host_actions",
        "unit_text",
        "streams",
    ),
    ("lvm_lock",),
    (
        "filesystems",
        "ancestors",
        "mountpoint_checks",
        "profile_check",
        "profile_rules",
        "lvm_report",
        "identify",
        "locks",
        "first_profile",
        "supervise",
        "hook_runner",
        "work",
        "sighting",
        "system_files",
        "layers",
        "held_blocks",
    ),
    ("file_actions", "holders"),
    ("profile", "facts", "actions", "marks", "status", "boot_risk", "boot_tags", "unit_timer"),
    ("places",),
    ("standing", "metrics", "growth_actions", "origin_facts"),
    ("checks",),
    ("planner",),
    ("offline", "teardown", "history", "leftovers", "loading", "boot", "units", "growth", "guard"),
    ("executor",),
    ("session",),
    ("other_hosts", "lowering"),
    ("recovery", "watch", "statuses"),
    ("run",),
    ("render",),
    ("progress", "status_table", "arguments", "takeover"),
    ("commands",),
    ("cli",),
    ("__main__",),
)
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}

PURE: tuple[str, ...] = (
    "model",
    "system",
    "errors",
    "names",
    "filesystems",
    "sizes",
    "identify",
    "marks",
    "status",
    "actions",
    "growth_actions",
    "file_actions",
)
PURE += (
    "access",
    "mountpoint_checks",
    "checks",
    "planner",
    "offline",
    "first_profile",
    "boot_risk",
    "host_actions",
    "unit_text",
    "held_blocks",
    "mount_copies",
    "device_filters",
)
IMPURE_IMPORTS = {"os", "io", "time", "random", "secrets", "subprocess", "pathlib", "shutil", "socket", "datetime"}
IMPURE_IMPORTS |= {"tempfile", "fcntl", "glob", "sys"}

# Programs that change the system, as the first word of a command.
CHANGING = re.compile(
    r"(lv|vg|pv)(create|remove|change|extend|reduce|resize|rename|convert|split|merge|move)$|lvmdevices$|losetup$|"
    r"fallocate$|u?mount$|mkdir$|rmdir$|rm$|dd$|dmsetup$|fsfreeze$|chmod$|chown$|truncate$|wipefs$|systemctl$"
)
# Tuples that begin with such a word and are none: programs a profile needs, kinds of units, LVM's reserved names.
NO_COMMANDS = {"checks": {"mount"}, "facts": {"mount"}, "status": {"mount"}, "names": {"pvmove"}}
LARGEST_MODULE, LARGEST_FUNCTION = 300, 45


def modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py"))


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text())


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Give each module that is imported, dotted, and whether that is for type checkers only."""
    parsed = tree(module)
    guards = [node for node in ast.walk(parsed) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types = {inner for guard in guards for inner in ast.walk(guard)}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            inside = node.module == "lvmsnap"
            names = [f"lvmsnap.{alias.name}" for alias in node.names if (PACKAGE / f"{alias.name}.py").exists()]
            yield from ((name, node in for_types) for name in (names if inside else [node.module or ""]))


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (n for n in ast.walk(tree(module)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


# --- floors ---------------------------------------------------------------------------------------------------------


def test_every_module_has_its_floor_and_every_floor_its_modules() -> None:
    assert sorted(FLOOR) == modules()


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_from_lower_floors(module: str) -> None:
    own = [name.removeprefix("lvmsnap.") for name, _ in imports(module) if name.startswith("lvmsnap.")]

    assert [name for name in own if FLOOR[name] >= FLOOR[module]] == []


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_nothing_that_touches_the_system(module: str) -> None:
    assert {name.partition(".")[0] for name, _ in imports(module)} & IMPURE_IMPORTS == set()


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_opens_no_file_and_imports_no_impure_module(module: str) -> None:
    impure = {"runner", "record", "kernel", "device_mapper", "lvm_report", "facts", "holders", "executor", "session"}

    own = {name.removeprefix("lvmsnap.") for name, for_types in imports(module) if not for_types}
    calls = {node.func.id for node in ast.walk(tree(module)) if isinstance(node, ast.Call) and _is_plain(node.func)}

    assert own & impure == set()
    assert calls & {"open", "print", "input", "exec", "eval"} == set()


def _is_plain(function: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(function, ast.Name)


# --- processes and commands -----------------------------------------------------------------------------------------


def test_only_the_runner_starts_processes() -> None:
    starting = {"subprocess", "multiprocessing", "pty", "asyncio", "concurrent"}
    by_import = {module for module in modules() for name, _ in imports(module) if name.partition(".")[0] in starting}
    by_call = {
        module
        for module in modules()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and re.match(r"(fork|exec[lv]|posix_spawn|spawn|system$|popen)", node.attr)
        if isinstance(node.value, ast.Name) and node.value.id == "os"
    }

    assert by_import == {"runner"}
    assert by_call == set()


def command_words(module: str) -> set[str]:
    """Give the first words of the tuples and lists of constants, where commands are written."""
    heads = (node.elts[0] for node in ast.walk(tree(module)) if isinstance(node, ast.Tuple | ast.List) and node.elts)
    return {head.value for head in heads if isinstance(head, ast.Constant) and isinstance(head.value, str)}


def test_every_command_that_changes_the_system_stands_in_actions_or_host_actions() -> None:
    where = {module: {word for word in command_words(module) if CHANGING.match(word)} for module in modules()}
    where = {module: words - NO_COMMANDS.get(module, set()) for module, words in where.items()}

    assert [module for module, words in where.items() if words] == [
        "actions",
        "file_actions",
        "growth_actions",
        "host_actions",
    ]
    assert where["host_actions"] == {"systemctl"}
    assert where["actions"] >= {"lvcreate", "lvremove", "vgextend", "vgreduce", "pvcreate", "losetup", "mount"}


def test_no_command_forces_what_lvm_refuses() -> None:
    commands = [node for node in ast.walk(tree("actions")) if isinstance(node, ast.Tuple | ast.List)]

    for command in commands:
        words = [item.value for item in command.elts if isinstance(item, ast.Constant)]
        if words and re.match(r"(lv|vg|pv|umount|losetup|rm)", str(words[0])):
            assert not {"--force", "-f", "-ff", "--lazy", "-l", "-fl"} & set(words), words


# --- sizes and types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules())
def test_modules_and_functions_stay_small(module: str) -> None:
    lines = len((PACKAGE / f"{module}.py").read_text().splitlines())
    long = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions(module)}

    assert lines <= LARGEST_MODULE
    assert {name: size for name, size in long.items() if size > LARGEST_FUNCTION} == {}


@pytest.mark.parametrize("module", [model, system])
def test_every_type_is_a_frozen_slotted_dataclass_or_an_enum(module: ModuleType) -> None:
    types = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]

    assert types
    for kind in types:
        if issubclass(kind, enum.Enum):
            continue
        assert dataclasses.is_dataclass(kind), kind
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        assert "__slots__" in vars(kind), kind


# --- start-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    run = [sys.executable, "-X", "importtime", "-m", "lvmsnap", *arguments]

    told = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stderr

    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines()}
    assert "lvmsnap" in loaded
    assert loaded & {"rich", "jsonschema", "yaml", "subprocess", "json"} == set()


# --- what is tracked ------------------------------------------------------------------------------------------------


def tracked_texts() -> Iterator[tuple[str, str]]:
    told = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in told.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".svg", ".png", ".gif", ".cast"):
            yield name, path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_tracked_file_names_a_place_of_one_machine_or_an_issue() -> None:
    # Written in two parts, so that this file does not name them itself.
    place = re.compile("/wo" + r"rk/|/home/(?!user\b)\w+/|/tmp/" + "x/")
    issue = re.compile(r"\b(?:issue|PR|fixes|closes) " + r"#?\d|(?<!\S)#\d{1,4}\b", re.IGNORECASE)

    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if place.search(line) or issue.search(line)
    ]

    assert found == []
