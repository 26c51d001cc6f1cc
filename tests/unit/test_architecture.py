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
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import pytest

from lvmsnap.model import facts, profile
from tests import TOP

ROOT = TOP
PACKAGE = ROOT / "lvmsnap"

# Rooms on floors: imports go down only, and rooms of one floor do not know each other.
FLOORS = (
    ("model",),
    ("profile", "planning", "system"),
    ("execution", "install"),
    ("operations",),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PURE_ROOMS = ("model", "planning")

IMPURE_IMPORTS = {"os", "io", "time", "random", "secrets", "subprocess", "pathlib", "shutil", "socket", "datetime"}
IMPURE_IMPORTS |= {"tempfile", "fcntl", "glob", "sys"}

# Programs that change the system, as the first word of a command.
CHANGING = re.compile(
    r"(lv|vg|pv)(create|remove|change|extend|reduce|resize|rename|convert|split|merge|move)$|lvmdevices$|losetup$|"
    r"fallocate$|u?mount$|mkdir$|rmdir$|rm$|dd$|dmsetup$|fsfreeze$|chmod$|chown$|truncate$|wipefs$|systemctl$|cryptsetup$"
)
# Tuples that begin with such a word and are none: programs a profile needs, kinds of units, LVM's reserved names.
NO_COMMANDS = {
    "planning.checks": {"mount"},
    "system.mount_owners": {"mount"},
    "planning.state": {"mount"},
    "system.origin_facts": {"wipefs"},  # which only lists
    "model.lvm_names": {"pvmove"},
}
LARGEST_MODULE, LARGEST_FUNCTION = 300, 45


@cache
def modules() -> tuple[str, ...]:
    """Give every module below lvmsnap/, dotted: planning.checks."""
    paths = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")]
    return tuple(sorted(".".join(path.parts) for path in paths if path.name != "__init__" and len(path.parts) > 1))


PURE = [module for module in modules() if module.startswith(PURE_ROOMS)]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text())


def file_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


@cache
def imports(module: str) -> tuple[tuple[str, bool], ...]:
    """Give each module that is imported, dotted, and whether that is for type checkers only."""
    return tuple(_imports(module, tree(module)))


def _imports(module: str, parsed: ast.Module) -> Iterator[tuple[str, bool]]:
    guards = [node for node in ast.walk(parsed) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types = {inner for guard in guards for inner in ast.walk(guard)}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name for name in whole if name.removeprefix("lvmsnap.") in modules()]
            yield from ((name, node in for_types) for name in names or [node.module or ""])


def own_imports(module: str) -> list[str]:
    """Give what the module imports of lvmsnap: planning.checks."""
    return [name.removeprefix("lvmsnap.") for name, _ in imports(module) if name.startswith("lvmsnap.")]


def room(module: str) -> str:
    return module.partition(".")[0]


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (n for n in ast.walk(tree(module)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


# --- floors ---------------------------------------------------------------------------------------------------------


def test_there_are_eight_rooms_and_nothing_beside_them() -> None:
    assert sorted(FLOOR) == sorted({room(module) for module in modules()})
    assert sorted(path.name for path in PACKAGE.glob("*.py")) == ["__init__.py", "__main__.py"]


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_from_its_own_room_and_lower_floors_alone(module: str) -> None:
    allowed = {other for other in FLOOR if FLOOR[other] < FLOOR[room(module)]} | {room(module)}

    assert [name for name in own_imports(module) if room(name) not in allowed] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: own_imports(module) for module in modules()}

    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("module", [module for module in PURE if room(module) == "planning"])
def test_planning_knows_the_model_alone(module: str) -> None:
    assert {room(name) for name in own_imports(module)} <= {"model", "planning"}


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_nothing_that_touches_the_system(module: str) -> None:
    assert {name.partition(".")[0] for name, _ in imports(module)} & IMPURE_IMPORTS == set()


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_opens_no_file(module: str) -> None:
    calls = {node.func.id for node in ast.walk(tree(module)) if isinstance(node, ast.Call) and _is_plain(node.func)}

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

    assert by_import == {"system.processes"}
    assert by_call == {"system.processes"}


def command_words(module: str) -> set[str]:
    """Give the first words of the tuples and lists of constants, where commands are written."""
    heads = (node.elts[0] for node in ast.walk(tree(module)) if isinstance(node, ast.Tuple | ast.List) and node.elts)
    return {head.value for head in heads if isinstance(head, ast.Constant) and isinstance(head.value, str)}


def test_every_command_that_changes_the_system_is_written_with_the_actions() -> None:
    where = {module: {word for word in command_words(module) if CHANGING.match(word)} for module in modules()}
    where = {module: words - NO_COMMANDS.get(module, set()) for module, words in where.items()}

    assert [module for module, words in where.items() if words] == [
        "install.host_commands",
        "planning.cut_actions",
        "planning.file_actions",
        "planning.growth_actions",
        "planning.loan_actions",
        "planning.luks_actions",
        "planning.mount_actions",
        "planning.snapshot_actions",
        "system.udev_cookies",
    ]
    assert where["system.udev_cookies"] == {"dmsetup"}
    assert where["install.host_commands"] == {"systemctl"}
    assert where["planning.loan_actions"] >= {"vgextend", "vgreduce", "pvcreate", "losetup"}
    assert where["planning.snapshot_actions"] >= {"lvcreate", "lvremove"}
    assert where["planning.mount_actions"] == {"mount", "umount", "rmdir"}
    assert where["planning.luks_actions"] == {"cryptsetup", "dmsetup", "rm"}


def test_no_command_forces_what_lvm_refuses() -> None:
    trees = [tree(f"planning.{kind}_actions") for kind in ("loan", "snapshot", "mount", "luks", "file")]
    commands = [node for one in trees for node in ast.walk(one) if isinstance(node, ast.Tuple | ast.List)]

    for command in commands:
        words = [item.value for item in command.elts if isinstance(item, ast.Constant)]
        if words and re.match(r"(lv|vg|pv|umount|losetup|rm)", str(words[0])):
            assert not {"--force", "-f", "-ff", "--lazy", "-l", "-fl"} & set(words), words


# --- sizes and types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules())
def test_modules_and_functions_stay_small(module: str) -> None:
    lines = len(file_of(module).read_text().splitlines())
    long = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions(module)}

    assert lines <= LARGEST_MODULE
    assert {name: size for name, size in long.items() if size > LARGEST_FUNCTION} == {}


@pytest.mark.parametrize("module", [profile, facts])
def test_every_type_is_a_frozen_slotted_dataclass_or_an_enum(module: ModuleType) -> None:
    types = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]

    assert types
    for kind in types:
        if issubclass(kind, enum.Enum):
            continue
        assert dataclasses.is_dataclass(kind), kind
        with pytest.raises(AttributeError):
            setattr(object.__new__(kind), "anything", 1)  # noqa: B010
        assert "__slots__" in vars(kind), kind


@pytest.mark.parametrize("module", [module for module in modules() if module != "model.dataclass"])
def test_no_module_has_the_library_generate_the_methods_of_its_types(module: str) -> None:
    assert "dataclasses" not in {node.module for node in ast.walk(tree(module)) if isinstance(node, ast.ImportFrom)}


# --- start-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"], ["run", "--help"], ["--version"]])
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
